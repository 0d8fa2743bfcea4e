# SPDX-License-Identifier: Apache-2.0
"""What the stories about node memory share: page cache of known kinds, and what the kernel counts.

They measure with their own eyes: the counters of the node, read after the kernel has folded the
CPUs' counts in, not what the program says.
"""

import ctypes
import fcntl
import json
import mmap
import os
import subprocess
import time

from braidway import MIB, Failed, Skip, expect

NODE = "/sys/devices/system/node/node0/"
RECLAIM = NODE + "reclaim"
PAGE = os.sysconf("SC_PAGESIZE")
SYSCTLS = [f"/proc/sys/vm/{name}" for name in
           ("min_unmapped_ratio", "min_slab_ratio", "zone_reclaim_mode")]


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root: only root may free memory of others")


def need_node_file():
    need_root()
    if not os.access(RECLAIM, os.W_OK):
        raise Skip(f"this kernel ({os.uname().release}) has no {RECLAIM} (Linux 6.17)")


def alone():
    """Stories that measure the whole node run one after the other, whoever starts them."""
    lock = open("/tmp/braidway-node-memory-e2e.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def counters():
    with open("/proc/sys/vm/stat_refresh") as refresh:
        try:
            refresh.read()
        except OSError:
            pass
    with open(NODE + "vmstat") as text:
        pages = dict(line.split() for line in text)
    found = {name: int(value) * PAGE for name, value in pages.items()}
    found["page_cache"] = (found["nr_file_pages"] - found["nr_shmem"]
                           - found.get("nr_swapcached", 0))
    return found


def fell(before, after, name):
    """By how much a count fell, in bytes."""
    return before[name] - after[name]


def expect_about(found, wanted, what, part=0.02, bytes_off=2 * MIB):
    allowed = max(wanted * part, bytes_off)
    expect(abs(found - wanted) <= allowed,
           f"{what}: {found / MIB:.1f} MiB, expected {wanted / MIB:.1f} +- {allowed / MIB:.1f}")


def write_file(path, size):
    """A file on disk, written back: clean page cache."""
    block = os.urandom(MIB)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def read_in(path):
    """Makes it the youngest clean page cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        while os.read(fd, MIB):
            pass
    finally:
        os.close(fd)


def resident(path):
    """Bytes of a file that are in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = os.path.getsize(path)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        buffer = ctypes.c_char.from_buffer(mapped)
        pages = (ctypes.c_ubyte * ((size + PAGE - 1) // PAGE))()
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(buffer)), ctypes.c_size_t(size),
                              pages)
        del buffer
    expect(failed == 0, "mincore failed")
    return sum(page & 1 for page in pages) * PAGE


HOLDER = r"""
import ctypes, mmap, os, sys
path, how = sys.argv[1], sys.argv[2]
size = os.path.getsize(path) if path != "-" else int(sys.argv[3])
if path == "-":
    held = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block = os.urandom(1 << 20)
    for at in range(0, size, 1 << 20):
        held[at:at + (1 << 20)] = block
else:
    file = open(path, "r+b")
    held = mmap.mmap(file.fileno(), size)
    sum(held[at] for at in range(0, size, 4096))
if how == "lock":
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.addressof(ctypes.c_char.from_buffer(held))
    assert libc.mlock(ctypes.c_void_p(start), ctypes.c_size_t(size)) == 0
print("ready", flush=True)
sys.stdin.read()
"""


class Holder:
    """A process that has a file mapped, mlocked, or holds anonymous memory (path "-")."""

    def __init__(self, stage, path, how="map", size=0):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", HOLDER, path, how, str(size)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stage.processes.append(self.process)
        if self.process.stdout.readline() != "ready\n":
            raise Failed(f"the process that was to {how} {path} did not start")

    def status(self, name):
        """Bytes of a line of /proc/PID/status, such as RssFile."""
        with open(f"/proc/{self.process.pid}/status") as lines:
            for line in lines:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
        raise Failed(f"no {name} in /proc/{self.process.pid}/status")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Program:
    """free-node-memory of the build that is tested."""

    def __init__(self, stage):
        self.stage = stage
        self.path = os.path.join(stage.build, "bin", "free-node-memory")
        if not os.access(self.path, os.X_OK):
            raise Skip(f"there is no {self.path}")

    def run(self, *words, code=0, **keywords):
        done = self.stage.run(self.path, *words, check=False, timeout=120, **keywords)
        expect(code is None or done.returncode == code,
               f"`{' '.join(words)}` ended with {done.returncode}, expected {code}:\n"
               f"{done.stdout}{done.stderr}")
        return done

    def free(self, *words, node="0", code=0, **keywords):
        """Frees with --json; returns the document."""
        done = self.run("--node", node, "--json", *words, code=code, **keywords)
        return json.loads(done.stdout)

    def start(self, *words, **keywords):
        return self.stage.spawn(self.path, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **keywords)


def sysctls():
    return {path: open(path).read() for path in SYSCTLS}


def children_of(pid):
    """Processes whose parent is `pid`."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as text:
                parent = int(text.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found.append(int(name))
    return found


def settle():
    """The kernel knows what is hot once its statistics are fresh."""
    time.sleep(2.3)
