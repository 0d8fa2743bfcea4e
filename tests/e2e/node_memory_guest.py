#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""free-node-memory on two NUMA nodes: the node that is asked gives, the other one does not.

Boots a guest (see guest.py; its kernel has MGLRU's debugfs file, and no reclaim file of nodes) and
runs the release build's program there. Prints a table.
"""
import argparse
import json
import mmap
import os
import signal
import subprocess
import sys
import time

import guest

MIB = 1 << 20
PROGRAM = "free-node-memory"
NODE_MIB = 900
CACHE = 240 * MIB  # Page cache that each node is filled with.
DISK, FILE_DISK = "/dev/nullb0", "/dev/nullb1"


class Node:
    def __init__(self, number):
        self.number = number
        self.path = f"/sys/devices/system/node/node{number}/"
        self.cpu = int(open(self.path + "cpulist").read().replace("-", ",").split(",")[0])

    def counts(self):
        """Bytes of each kind, exact."""
        try:
            open("/proc/sys/vm/stat_refresh").read()
        except OSError:
            pass
        pages = {name: int(value) * mmap.PAGESIZE
                 for name, value in map(str.split, open(self.path + "vmstat"))}
        cache = pages["nr_file_pages"] - pages["nr_shmem"] - pages.get("nr_swapcached", 0)
        return {"cache": cache, "anonymous": pages["nr_anon_pages"], "mapped": pages["nr_mapped"],
                "free": pages["nr_free_pages"]}

    def enter(self):
        """What this process allocates from now on is on this node."""
        os.sched_setaffinity(0, {self.cpu})

    def fill(self, disk):
        """Tops its page cache up to CACHE; a block device's is clean and on the reader's node."""
        self.read(disk, max(CACHE - self.counts()["cache"], 0))

    def read(self, disk, size):
        """Reads on where the last one stopped, on behalf of this process and its cgroup."""
        self.enter()
        block = bytearray(MIB)
        end = disk.place + size
        while disk.place < end:
            disk.place += os.preadv(disk.fd, [block], disk.place)


class Disk:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)  # The last close would drop its cache.
        self.place = 0


class Table:
    """Each row is one run of the program, with what the kernel's counters say of it."""

    def __init__(self, program):
        self.program = program
        self.wrong = []
        print(f"{'what':<33}{'asked':>9}{'node 0':>9}{'node 1':>9}{'seconds':>9}  mechanism")

    def run(self, what, nodes, words, expected, kind="cache", part=0.02, exits=(0,)):
        """`expected`: bytes that go from each node; one that is not asked may change by 1 %."""
        before = [node.counts() for node in nodes]
        begun = time.monotonic()
        done = subprocess.run([self.program, *words, "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        seconds = time.monotonic() - begun
        after = [node.counts() for node in nodes]
        fell = [b[kind] - a[kind] for b, a in zip(before, after)]
        report = json.loads(done.stdout) if done.stdout else {"nodes": [], "reason": ""}
        steps = [step["mechanism"] for node in report["nodes"] for step in node.get("steps", [])]
        numbers = "".join(f"{number / MIB:>9.1f}" for number in (max(expected), *fell))
        print(f"{what:<33}{numbers}{seconds:>9.2f}  {','.join(dict.fromkeys(steps))}")
        self.check(done.returncode in exits,
                   f"{what}: exit {done.returncode}: {report['reason']} {done.stderr}")
        for node, wanted in enumerate(expected):
            allowed = max(before[node][kind] // 100, MIB)
            if wanted:
                allowed = max(wanted * part, 2 * MIB)
            self.check(abs(fell[node] - wanted) <= allowed,
                       f"{what}: node {node} gave {fell[node] / MIB:.1f} MiB, expected "
                       f"{wanted / MIB:.1f} +- {allowed / MIB:.1f}; {report['reason']}")
        return before, after, report

    def check(self, right, text):
        if not right:
            self.wrong.append(text)
            print("  WRONG:", text)


def shell(commands):
    done = subprocess.run(commands, shell=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


def words(node, *amount, what="page-cache"):
    return ["--node", str(node), *amount, "--what", what]


def page_cache(table, nodes, disk):
    for node in nodes:
        node.fill(disk)
    table.run("page cache of node 1", nodes, words(1, "--free", "100M"), [0, 100 * MIB])
    table.run("page cache of node 0", nodes, words(0, "--free", "100M"), [100 * MIB, 0])
    table.run("a little of node 0", nodes, words(0, "--pages", "1024"), [4 * MIB, 0])
    for node in nodes:
        node.fill(disk)
    table.run("page cache of all nodes", nodes, words("all", "--free", "60M"),
              [60 * MIB, 60 * MIB])
    goal = nodes[1].counts()["free"] + 60 * MIB
    _, after, _ = table.run("until so much of node 1 is free", nodes,
                            words(1, "--until-free", str(goal)), [0, 60 * MIB], part=0.1)
    table.check(after[1]["free"] >= goal - 4 * MIB,
                f"only {after[1]['free'] / MIB:.1f} MiB of node 1 are free")


def used_last(table, nodes, disk):
    """What was read twice is in young generations, so that it has to be made old."""
    nodes[1].fill(disk)
    nodes[1].enter()
    block = bytearray(MIB)
    for _ in range(2):
        for place in range(disk.place - 100 * MIB, disk.place, MIB):
            os.preadv(disk.fd, [block], place)
    left = nodes[1].counts()["cache"]
    lot = left - 40 * MIB
    table.run("nearly all of node 1, read again", nodes, words(1, "--free", str(lot)), [0, lot])


def in_child(node, work):
    """Runs `work` in a process on `node`, which stays; returns its number once that is done."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        node.enter()
        kept = work()  # Memory lives as long as what it returns.
        os.write(writer, b"x")
        time.sleep(guest.GUEST_SECONDS_MAX)
        os._exit(0 if kept else 1)
    os.close(writer)
    done = os.read(reader, 1)
    os.close(reader)
    if not done:
        sys.exit("a helper process of the test died")
    return child


def end_child(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def private_memory(size):
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, len(memory), mmap.PAGESIZE):
        memory[place:place + 8] = place.to_bytes(8, "little")
    return memory


def has_swap():
    """Compressed swap, made at the first call."""
    if len(open("/proc/swaps").readlines()) > 1:
        return True
    return shell("modprobe zram && echo 256M >/sys/block/zram0/disksize && mkswap /dev/zram0 && "
                 "swapon /dev/zram0")


def anonymous(table, nodes):
    """Private memory of another process on node 1 goes to zram, and nothing without it."""
    child = in_child(nodes[1], lambda: private_memory(120 * MIB))
    asked = words(1, "--free", "64M", what="anonymous")
    table.run("anonymous memory without swap", nodes, asked, [0, 0], "anonymous", exits=(4,))
    if has_swap():
        before, after, _ = table.run("anonymous memory of node 1", nodes, asked, [0, 64 * MIB],
                                     "anonymous", part=0.1)
        for number in (0, 1):
            fell = before[number]["cache"] - after[number]["cache"]
            table.check(fell < 4 * MIB,
                        f"{fell / MIB:.1f} MiB of page cache of node {number} went with it")
    else:
        print("anonymous memory: skipped: no zram here")
    end_child(child)


def bound_cgroup(table, nodes, disk):
    """memory.reclaim of a cgroup that is bound to node 1; the others' page cache there stays."""
    group = "/sys/fs/cgroup/bound"
    if not shell("echo '+memory +cpuset' >/sys/fs/cgroup/cgroup.subtree_control; "
                 f"mkdir -p {group} && echo 1 >{group}/cpuset.mems && test -e {group}/memory.reclaim"):
        print("bound cgroup: skipped: no cgroup version 2 with memory and cpuset here")
        return
    for node in nodes:
        node.fill(disk)

    def work():
        with open(group + "/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))
        nodes[1].read(disk, 120 * MIB)
        return private_memory(60 * MIB)

    child = in_child(nodes[1], work)
    only = ["--mechanism", "cgroup-reclaim"]
    table.run("cgroup bound to node 1", nodes, words(1, "--free", "64M") + only, [0, 64 * MIB])
    left = group_bytes(group, "file")
    table.check(left < 64 * MIB, f"{left / MIB:.1f} MiB of 120 are left in the cgroup")
    # Before 6.16 memory.reclaim would take page cache for it, so nothing may be asked.
    table.run("its anonymous memory", nodes, words(1, "--free", "24M", what="anonymous") + only,
              [0, 0], exits=(0, 4))
    table.check(group_bytes(group, "file") >= left - MIB,
                "page cache of the cgroup went for anonymous memory")
    table.run("no cgroup is bound to node 0", nodes, words(0, "--free", "64M") + only, [0, 0],
              exits=(0, 4))
    end_child(child)


def group_bytes(group, name):
    return next(int(line.split()[1]) for line in open(group + "/memory.stat")
                if line.startswith(name + " "))


def mapped(table, nodes, disk):
    """What a process has mapped stays when page cache is asked for, also more than there is."""
    if not shell(f"mkfs.ext4 -q {FILE_DISK} && mkdir -p /run/files && mount {FILE_DISK} /run/files"):
        print("mapped files: skipped: no ext4 here")
        return
    nodes[1].enter()
    with open("/run/files/mapped", "wb+") as file:
        for _ in range(48):
            file.write(b"m" * MIB)
        file.flush()
        os.fsync(file.fileno())
        memory = mmap.mmap(file.fileno(), 48 * MIB, prot=mmap.PROT_READ)
        for place in range(0, len(memory), mmap.PAGESIZE):
            memory[place]
    nodes[1].fill(disk)
    for what, amount, expected in (("page cache beside a mapped file", "100M", 100 * MIB),
                                   ("more than there is beside it", "8G", None)):
        held = nodes[1].counts()["mapped"]
        # All that is not mapped goes; 16 MiB are what the kernel's own use of the disk may keep.
        lot = expected or nodes[1].counts()["cache"] - held - 16 * MIB
        table.run(what, nodes, words(1, "--free", amount), [0, lot],
                  part=0.02 if expected else 0.2)
        lost = held - nodes[1].counts()["mapped"]
        table.check(lost < 2 * MIB,
                    f"{lost / MIB:.1f} MiB of {held / MIB:.1f} MiB that are mapped went")
    memory.close()


def run_table(program):
    if not shell("modprobe null_blk nr_devices=2 gb=16 queue_mode=2 irqmode=0 bs=4096 memory_backed=1"):
        sys.exit("the guest has no null_blk")
    print(f"kernel {os.uname().release}; MiB that went from each node, by the kernel's counters")
    nodes = [Node(0), Node(1)]
    disk = Disk(DISK)
    table = Table(program)
    # What this script and the program's own file take is in the cache before anything is measured.
    subprocess.run([program, "--capabilities"], stdout=subprocess.DEVNULL)
    page_cache(table, nodes, disk)
    used_last(table, nodes, disk)
    anonymous(table, nodes)
    bound_cgroup(table, nodes, disk)
    mapped(table, nodes, disk)
    print("all as it should be" if not table.wrong else f"{len(table.wrong)} wrong")
    sys.exit(1 if table.wrong else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", default=os.path.join(guest.ROOT, "build", "release"))
    parser.add_argument("--build", help="not used: only the release build is fast enough there")
    options = parser.parse_args()
    if guest.in_guest():
        run_table(os.path.join(options.release, "bin", PROGRAM))
    release = os.path.abspath(options.release)
    guest.run_in_guest(__file__, release, (PROGRAM,), ["--release", release],
                       ["--numa", "2", "--mem", str(NODE_MIB)])


if __name__ == "__main__":
    main()
