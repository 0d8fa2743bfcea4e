# SPDX-License-Identifier: Apache-2.0
"""The kernel's target (LIO) over iSCSI, by its configfs: a volume behind two portals, each in a
target port group of its own. For guests: it changes the kernel that it runs on."""

import os
import subprocess

from braidway import MIB, Failed, Skip, wait_until

TARGET = "/sys/kernel/config/target"
STORE = f"{TARGET}/core/fileio_0/disk0"
NAME = "iqn.2026-11.example:lio"
IMAGE = "/tmp/lio.img"
SIZE = 32 * MIB
SERIAL = "0a1b2c3d-1111-2222-3333-444455556666"

# States of a port group, as the standard (SPC-4) numbers them.
OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE = 0, 1, 2, 3
TRANSITIONING = 15
IMPLICIT, EXPLICIT, BOTH = 1, 2, 3


def read(path):
    with open(path) as file:
        return file.read().strip()


def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(f"{text}\n")
    except OSError as problem:
        raise Failed(f"the target does not take {text} in {path}: {problem}") from problem


class Port:
    """One portal of the volume and its port group."""

    def __init__(self, name, number):
        self.name = name
        self.place = f"127.0.0.1:{3259 + number}"
        self.group = f"{STORE}/alua/{name}"
        self.portal_group = f"{TARGET}/iscsi/{NAME}/tpgt_{number}"
        self.lun = f"{self.portal_group}/lun/lun_0"
        os.mkdir(self.group)
        write(f"{self.group}/tg_pt_gp_id", 15 + number)
        os.makedirs(self.portal_group)
        os.mkdir(f"{self.portal_group}/np/{self.place}")
        # Every initiator may come, read and write.
        for key, value in (("authentication", 0), ("generate_node_acls", 1),
                           ("demo_mode_write_protect", 0), ("cache_dynamic_acls", 1)):
            write(f"{self.portal_group}/attrib/{key}", value)
        os.mkdir(self.lun)
        os.symlink(STORE, f"{self.lun}/disk")
        write(f"{self.lun}/alua_tg_pt_gp", name)
        self.mend()

    def uri(self):
        return f"iscsi://{self.place}/{NAME}/0"

    def state(self):
        return int(read(f"{self.group}/alua_access_state"))

    def become(self, state):
        """The target changes the group's state by itself; returns when the change is over."""
        write(f"{self.group}/alua_access_state", state)

    def changed_by(self):
        """Who changed the state last, in the kernel's words: contains `Implicit` or `Explicit`."""
        return read(f"{self.group}/alua_access_status")

    def allow(self, who):
        """Who may change the state: the target (IMPLICIT), hosts (EXPLICIT), BOTH."""
        write(f"{self.group}/alua_access_type", who)

    def take_time(self, milliseconds):
        """How long each change of the state takes; meanwhile the group is in transition."""
        write(f"{self.group}/trans_delay_msecs", milliseconds)

    def set_offline(self, offline):
        """The port alone is offline or not; its group's state stays as it is."""
        write(f"{self.lun}/alua_tg_pt_offline", int(offline))

    def commands(self):
        """How many commands have come to the volume here."""
        return int(read(f"{self.lun}/statistics/scsi_tgt_port/in_cmds"))

    def cut(self):
        """Ends all sessions; nobody can log in any more."""
        write(f"{self.portal_group}/enable", 0)

    def mend(self):
        write(f"{self.portal_group}/enable", 1)

    def reset(self, state):
        write(f"{self.portal_group}/enable", 1)
        self.set_offline(False)
        self.take_time(0)
        self.allow(BOTH)
        if self.state() != state:
            self.become(state)


def load_target():
    for module in ("target_core_mod", "target_core_file", "iscsi_target_mod"):
        if subprocess.run(["modprobe", module], stderr=subprocess.DEVNULL).returncode != 0:
            raise Skip(f"this kernel has no module {module}")
    if not os.path.exists(TARGET):
        subprocess.run(["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=True)
    os.makedirs(f"{TARGET}/iscsi", exist_ok=True)


class Lio:
    """The volume with its ports `near` and `far`. Made once; each story resets it."""

    made = None

    def __init__(self):
        load_target()
        with open(IMAGE, "wb") as image:
            image.truncate(SIZE)
        os.makedirs(STORE)
        write(f"{STORE}/control", f"fd_dev_name={IMAGE},fd_dev_size={SIZE}")
        write(f"{STORE}/enable", 1)
        write(f"{STORE}/wwn/vpd_unit_serial", SERIAL)
        self.near, self.far = Port("near", 1), Port("far", 2)
        self.ports = (self.near, self.far)

    @classmethod
    def reset(cls, near=OPTIMIZED, far=STANDBY):
        """The volume, with its port groups in these states."""
        cls.made = cls.made or cls()
        cls.made.near.reset(near)
        cls.made.far.reset(far)
        return cls.made

    def wait_used(self, port, seconds, commands=20):
        """Waits until I/O runs through `port`."""
        before = port.commands()
        wait_until(lambda: port.commands() >= before + commands, f"I/O runs through {port.name}",
                   seconds)
