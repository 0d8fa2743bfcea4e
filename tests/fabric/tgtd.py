# SPDX-License-Identifier: Apache-2.0
"""A real iSCSI target for stories and benchmarks: Debian's tgtd, on loopback ports of its own.

    with Tgtd(portals=2) as target:
        target.add_target(1, "iqn.2026-11.org.example:disks")
        target.add_unit(1, 1, "/path/of/disk")
        print(target.uri("iqn.2026-11.org.example:disks", 1, portal=1))

Nothing of a tgtd that the machine runs anyway is touched: the control socket is in a folder of the
target's own, and it is ended by its process id.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROGRAM = "/usr/sbin/tgtd"
ADMIN = "/usr/sbin/tgtadm"


def missing():
    """Why there is no target to be had; "" when there is one."""
    for program in (PROGRAM, ADMIN):
        if not os.access(program, os.X_OK):
            return f"{program} is not installed (package tgt)"
    return ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Tgtd:
    """One tgtd. `preload`: the library of tests/path/slow_disk.cc, for slow()."""

    def __init__(self, portals=1, preload=""):
        self.folder = tempfile.mkdtemp(prefix="tgtd-")
        self.ports = [free_port() for _ in range(portals)]
        self.environment = dict(os.environ, TGT_IPC_SOCKET=f"{self.folder}/control",
                                SLOW_DISK_FOLDER=self.folder)
        self.preload = preload
        self.configured = []
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Starts it with what was configured before."""
        portals = ",".join(f"portal=127.0.0.1:{port}" for port in self.ports)
        environment = dict(self.environment)
        if self.preload:
            environment["LD_PRELOAD"] = self.preload
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-f", "-C", "0", "--iscsi", portals],
                                            env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while self._admin("--op", "show", "--mode", "target").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"tgtd does not start: {log.read()[-500:]}")
            time.sleep(0.01)
        # Who may log in comes last: until then a unit has a name of tgtd's own choice, and whoever
        # saw it would take it for another one.
        for arguments in sorted(self.configured, key=lambda words: "-I" in words):
            self._must(*arguments)

    def _admin(self, *arguments):
        return subprocess.run([ADMIN, "-C", "0", "--lld", "iscsi", *arguments],
                              env=self.environment, capture_output=True, text=True, check=False)

    def _must(self, *arguments):
        answer = self._admin(*arguments)
        if answer.returncode != 0:
            raise RuntimeError(f"tgtadm {' '.join(arguments)}: {answer.stderr.strip()}")

    def admin(self, *arguments):
        """Arguments of tgtadm; said again after a restart, or for the first time when it is down."""
        if self.process is not None:
            self._must(*arguments)
        self.configured.append(arguments)

    def add_target(self, number, name):
        target = ("--mode", "target", "--tid", str(number))
        self.admin("--op", "new", *target, "-T", name)
        self.admin("--op", "bind", *target, "-I", "ALL")

    def add_unit(self, target, lun, file, parameters=""):
        unit = ("--mode", "logicalunit", "--tid", str(target), "--lun", str(lun))
        self.admin("--op", "new", *unit, "-b", file)
        if parameters:
            self.admin("--op", "update", *unit, "--params", parameters)

    def remove_unit(self, target, lun):
        self.admin("--op", "delete", "--mode", "logicalunit", "--tid", str(target), "--lun",
                   str(lun))

    def add_user(self, target, user, secret, outgoing=False):
        """`outgoing`: as whom the target proves itself (mutual CHAP)."""
        self.admin("--op", "new", "--mode", "account", "--user", user, "--password", secret)
        more = ("--outgoing",) if outgoing else ()
        self.admin("--op", "bind", "--mode", "account", "--tid", str(target), "--user", user,
                   *more)

    def uri(self, name, lun, portal=0, user=""):
        who = f"{user}@" if user else ""
        return f"iscsi://{who}127.0.0.1:{self.ports[portal]}/{name}/{lun}"

    def slow(self):
        """Its writes reach the disk only after quick(); it answers everything else."""
        with open(f"{self.folder}/hold", "wb"):
            pass

    def quick(self):
        os.unlink(f"{self.folder}/hold")

    def pause(self):
        """It keeps its connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """As a crash does it."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.kill()
        self.start()
