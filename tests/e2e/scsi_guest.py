#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SCSI commands of our own on disks of a real kernel: scsi_debug, and LIO with a port group.

Boots a guest (see guest.py) and runs those unit tests of the release build there that want a disk.
"""
import argparse
import glob
import os
import subprocess
import sys
import time

import guest

PROGRAMS = ("path_tests", "map_tests")
TARGET = "/sys/kernel/config/target"
STORE = TARGET + "/core/rd_mcp_0/disk0"
GROUP = STORE + "/alua/default_tg_pt_gp"
SILENT = "/sys/bus/pseudo/drivers/scsi_debug"


def read(path):
    with open(path) as file:
        return file.read().strip()


def write(path, text):
    with open(path, "w") as file:
        file.write(str(text) + "\n")


def shell(line):
    subprocess.run(line, shell=True, check=True)


def disks_of(model):
    """Names of the disks with this model, when the kernel has made them."""
    for _ in range(100):
        found = [path for path in sorted(glob.glob("/sys/block/sd*"))
                 if read(path + "/device/model") == model]
        if found and all(os.path.exists("/dev/" + os.path.basename(path)) for path in found):
            return ["/dev/" + os.path.basename(path) for path in found]
        time.sleep(0.1)
    sys.exit(f"no disk '{model}' has come")


class Tests:
    def __init__(self, programs):
        self.programs = programs
        self.wrong = []

    def run(self, what, program, only, environment):
        """Runs tests that say SKIPPED where they have no disk; that counts as wrong here."""
        done = subprocess.run([os.path.join(self.programs, program), "--gtest_filter=" + only,
                               "--gtest_color=no"], env={**os.environ, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        right = done.returncode == 0 and "[  PASSED  ]" in done.stdout
        right = right and "SKIPPED" not in done.stdout and "[       OK ]" in done.stdout
        print(f"{'ok   ' if right else 'WRONG'} {what}: {only}")
        if not right:
            print(done.stdout)
            self.wrong.append(what)
        return done.stdout

    def compare_name(self, disk, output):
        """The name is the one that udev gives, but for locally assigned ones."""
        ours = next((line.split()[1] for line in output.splitlines() if line.startswith("wwid ")),
                    "none")
        done = subprocess.run(["/lib/udev/scsi_id", "--whitelisted", "--replace-whitespace",
                               "--device=" + disk], stdout=subprocess.PIPE, text=True)
        udevs = done.stdout.strip()
        print(f"      {disk}: {ours}, by scsi_id {udevs}")
        if udevs != ours and not udevs.startswith("33"):
            print(f"WRONG {disk}: another name than udev's")
            self.wrong.append(disk)


def make_lio_disk():
    """A disk of LIO in this machine, in a port group whose state both sides may set."""
    shell("modprobe target_core_mod && modprobe tcm_loop && modprobe sg")
    if not os.path.exists(TARGET):
        shell("mount -t configfs configfs /sys/kernel/config")
    os.makedirs(STORE)
    write(STORE + "/control", "rd_pages=8192")
    write(STORE + "/enable", 1)
    write(STORE + "/wwn/vpd_unit_serial", "0a1b2c3d-1111-2222-3333-444455556666")
    write(GROUP + "/alua_access_type", 3)
    os.mkdir(TARGET + "/loopback")
    port = TARGET + "/loopback/naa.60014050000000a1/tpgt_1"
    os.makedirs(port)
    write(port + "/nexus", "naa.60014050000000a0")
    os.mkdir(port + "/lun/lun_0")
    os.symlink(STORE, port + "/lun/lun_0/disk")


def run_tests(programs):
    tests = Tests(programs)
    shell("modprobe sd_mod; modprobe scsi_debug lbpu=1 lbprz=1 dev_size_mb=64 physblk_exp=3")
    played = disks_of("scsi_debug")[0]
    output = tests.run("scsi_debug", "path_tests", "SgDiskTest.The*:SgDiskTest.Its*",
                       {"BRAIDWAY_SCSI_DISK": played})
    tests.compare_name(played, output)

    make_lio_disk()
    real = disks_of("RAMDISK-MCP")[0]
    for disk in (real, "/dev/sg1"):
        tests.run(f"LIO by {disk}", "map_tests", "HandlerDiskTest.*",
                  {"BRAIDWAY_ALUA_DISK": disk, "BRAIDWAY_ALUA_STATE": GROUP + "/alua_access_state"})
    output = tests.run("LIO", "path_tests", "SgDiskTest.The*:SgDiskTest.Its*",
                       {"BRAIDWAY_SCSI_DISK": real})
    tests.compare_name(real, output)

    write(SILENT + "/every_nth", -1)
    write(SILENT + "/opts", 4)  # Commands are taken and never answered.
    output = tests.run("scsi_debug in silence", "path_tests", "SgDiskTest.ADisk*",
                       {"BRAIDWAY_SILENT_DISK": played})
    print("      " + next((line for line in output.splitlines() if line.startswith("answered")), ""))
    write(SILENT + "/opts", 0)  # Or the guest could not end.
    write(SILENT + "/every_nth", 0)
    print("all as it should be" if not tests.wrong else f"{len(tests.wrong)} wrong")
    sys.exit(1 if tests.wrong else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", default=os.path.join(guest.ROOT, "build", "release"))
    parser.add_argument("--build", help="not used: only the release build is fast enough there")
    options = parser.parse_args()
    if guest.in_guest():
        run_tests(os.path.join(options.release, "bin"))
    release = os.path.abspath(options.release)
    guest.run_in_guest(__file__, release, PROGRAMS, ["--release", release])


if __name__ == "__main__":
    main()
