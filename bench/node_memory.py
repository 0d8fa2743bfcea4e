#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Freeing page cache: free-node-memory beside the kernel's own calls and vmtouch, in turns.

Two trees are read into memory before each measurement: one large file, and many small ones. Every
repeat visits every means once, so that a drift of the machine meets all alike; medians are printed,
ratios to the bare kernel call, and targets. What was freed is read from the node's vmstat, after the
kernel has folded in what its CPUs hold back. Read docs/benchmarking.md first.
"""

import argparse
import datetime
import fcntl
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
GIB = 1 << 30
PAGE = os.sysconf("SC_PAGESIZE")
SMALL_FILE = 32 << 10
DROP_CACHES = "/proc/sys/vm/drop_caches"
# The kernel's statistics of what is hot may be this old; before, it keeps what was just read.
SETTLE_SECONDS = 2.3
# The end-to-end stories about node memory hold it while they measure.
LOCK = "/tmp/braidway-node-memory-e2e.lock"


class Tree:
    """Files on a disk, to be read into the page cache."""

    def __init__(self, name, folder, paths, size):
        self.name, self.folder, self.paths, self.size = name, folder, paths, size

    def read_in(self):
        for path in self.paths:
            with open(path, "rb", buffering=0) as file:
                while file.read(MIB):
                    pass


def make_tree(name, folder, count, size):
    """Files of random bytes, kept between runs."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{number:06}") for number in range(count)]
    have = sum(1 for entry in os.scandir(folder) if entry.stat().st_size == size)
    if have != count:
        print(f"filling {folder}", file=sys.stderr)
        for path in paths:
            with open(path, "wb") as file:
                for at in range(0, size, MIB):
                    file.write(os.urandom(min(MIB, size - at)))
        os.sync()
    return Tree(name, folder, paths, count * size)


# --- the means -------------------------------------------------------------------------------------


def run_program(words, answer_path):
    """Seconds of a whole process, and its exit code."""
    actions = [(os.POSIX_SPAWN_OPEN, 1, answer_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
    begun = time.monotonic()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    return time.monotonic() - begun, os.waitstatus_to_exitcode(status)


class Means:
    """One way to free page cache. Measures itself: (seconds of the process, seconds inside it)."""

    takes_amount = True
    reach = "the node"

    def __init__(self, name):
        self.name = name

    def can(self, tree, amount):
        return self.takes_amount or amount is None

    def warm(self):
        """Brings the program itself into memory: reading it in is not what is measured."""

    def free(self, tree, amount):
        raise NotImplementedError


class Ours(Means):
    def __init__(self, name, program, kinds, node, scratch):
        super().__init__(name)
        self.words = [program, "--node", str(node), "--what", kinds, "--json"]
        self.answer = os.path.join(scratch, "answer")

    def warm(self):
        run_program([*self.words, "--free", str(MIB), "--dry-run"], self.answer)

    def free(self, tree, amount):
        whole, code = run_program([*self.words, "--free", str(amount or tree.size)], self.answer)
        with open(self.answer) as file:
            text = file.read()
        if code != 0:
            sys.exit(f"{' '.join(self.words)} ended with {code}: {text}")
        return whole, json.loads(text)["seconds"]


class NodeFile(Means):
    """One bare write to the node's reclaim file."""

    def __init__(self, path):
        super().__init__("node reclaim file")
        self.path = path

    def free(self, tree, amount):
        text = f"{amount or tree.size} swappiness=0".encode()
        fd = os.open(self.path, os.O_WRONLY)
        begun = time.monotonic()
        try:
            os.write(fd, text)
        except BlockingIOError:
            pass  # Short: what it did is counted all the same.
        inside = time.monotonic() - begun
        os.close(fd)
        return None, inside


class DropCaches(Means):
    takes_amount = False
    reach = "every node, all files"

    def __init__(self):
        super().__init__("drop_caches 1")

    def free(self, tree, amount):
        fd = os.open(DROP_CACHES, os.O_WRONLY)
        begun = time.monotonic()
        os.write(fd, b"1")
        inside = time.monotonic() - begun
        os.close(fd)
        return None, inside


class Vmtouch(Means):
    reach = "every node, named files"

    def __init__(self, program, scratch):
        super().__init__("vmtouch -e")
        self.program, self.answer = program, os.path.join(scratch, "answer")

    def can(self, tree, amount):
        return amount is None or len(tree.paths) == 1  # Its range is one of each file.

    def warm(self):
        run_program([self.program, "-q", self.answer], self.answer)

    def free(self, tree, amount):
        part = [] if amount is None else ["-p", f"0-{amount}"]
        whole, code = run_program([self.program, "-q", "-e", *part, tree.folder], self.answer)
        if code != 0:
            sys.exit(f"vmtouch ended with {code}")
        return whole, None


class Fadvise(Means):
    reach = "every node, named files"

    def __init__(self):
        super().__init__("fadvise loop (Python)")

    def free(self, tree, amount):
        left = amount or tree.size
        begun = time.monotonic()
        for path in tree.paths:
            if left <= 0:
                break
            fd = os.open(path, os.O_RDONLY)
            size = min(left, os.fstat(fd).st_size)
            os.posix_fadvise(fd, 0, size, os.POSIX_FADV_DONTNEED)
            os.close(fd)
            left -= size
        return None, time.monotonic() - begun


# --- the run ---------------------------------------------------------------------------------------


def counters(node):
    """Bytes on the node by kind."""
    try:
        with open("/proc/sys/vm/stat_refresh") as refresh:
            refresh.read()
    except OSError:
        pass
    with open(f"/sys/devices/system/node/node{node}/vmstat") as text:
        pages = {name: int(value) * PAGE for name, value in (line.split() for line in text)}
    return {"cache": pages["nr_file_pages"] - pages["nr_shmem"] - pages.get("nr_swapcached", 0),
            "slab": pages["nr_slab_reclaimable"], "mapped": pages["nr_mapped"],
            "anonymous": pages["nr_anon_pages"], "tmpfs": pages["nr_shmem"]}


def measure_once(means, tree, amount, node):
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.sync()
        with open(DROP_CACHES, "w") as file:
            file.write("3")
        tree.read_in()
        means.warm()
        time.sleep(SETTLE_SECONDS)
        before = counters(node)
        whole, inside = means.free(tree, amount)
        after = counters(node)
    fell = {kind: before[kind] - after[kind] for kind in before}
    return {"whole": whole, "inside": inside, "freed": fell["cache"], "slab": fell["slab"],
            "mapped": fell["mapped"], "others": fell["anonymous"] + fell["tmpfs"]}


def measure(all_means, trees, options):
    """{(tree, amount, means): medians}"""
    samples = {}
    for repeat in range(options.repeats):
        for tree in trees:
            for amount in (100 * MIB, GIB, None):
                for means in all_means:
                    if not means.can(tree, amount) or (amount or 0) > tree.size:
                        continue
                    print(f"\r{repeat + 1}/{options.repeats} {tree.name}, {size_text(amount)}, "
                          f"{means.name:24}\x1b[K", end="", file=sys.stderr)
                    samples.setdefault((tree.name, amount, means.name), []).append(
                        measure_once(means, tree, amount, options.node))
    print("\r\x1b[K", end="", file=sys.stderr)
    return {key: {field: median(run[field] for run in runs) for field in runs[0]}
            for key, runs in samples.items()}


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


# --- the report ------------------------------------------------------------------------------------


def size_text(amount):
    if amount is None:
        return "all"
    return f"{amount // GIB} GiB" if amount % GIB == 0 else f"{amount // MIB} MiB"


def milliseconds(seconds):
    return "" if seconds is None else f"{seconds * 1000:.1f}"


def table(header, rows, left):
    """Markdown; the first `left` columns are words."""
    lines = ["| " + " | ".join(header) + " |",
             "|" + "|".join(" --- " if at < left else " --: " for at in range(len(header))) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def verdicts(found, trees):
    """The targets: exactness, other kinds, overhead over the bare call."""
    rows = []

    def add(what, value, limit, unit):
        rows.append((what, "pass" if value <= limit else "MISS", f"{value:.2f} {unit}",
                     f"<= {limit:.2f} {unit}"))

    for tree in trees:
        for amount in (100 * MIB, GIB):
            asked = f"{tree.name}, {size_text(amount)}"
            bare = found.get((tree.name, amount, "node reclaim file"))
            for name in ("ours", "ours, mapped too"):
                ours = found.get((tree.name, amount, name))
                if ours is None:
                    continue
                add(f"{name}: off the amount, {asked}", abs(ours["freed"] - amount) / MIB,
                    max(0.02 * amount, 2 * MIB) / MIB, "MiB")
                add(f"{name}: slab, {asked}", max(ours["slab"], 0) / MIB,
                    max(0.06 * amount, 8 * MIB) / MIB, "MiB")
                if amount == 100 * MIB:
                    add(f"{name}: time in process, {asked}", ours["inside"] * 1000, 20, "ms")
                if bare is None:
                    continue
                over = (ours["inside"] - bare["inside"]) * 1000
                add(f"{name}: in process over the bare call, {asked}", over,
                    2 * max(amount / GIB, 1), "ms")
                add(f"{name}: whole process over the bare call, {asked}",
                    (ours["whole"] - bare["inside"]) * 1000, 10, "ms")
    return rows


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def report(found, all_means, trees, load, options):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip() or "?"
    print(f"{datetime.date.today()}, {commit}, {os.cpu_count()} CPUs {cpu_model()}, Linux "
          f"{platform.release()}; `./dev bench node_memory {' '.join(sys.argv[1:])}`: medians of "
          f"{options.repeats} runs; load average {load[0]:.1f} before and {os.getloadavg()[0]:.1f} "
          "after.\n")
    rows = []
    for tree in trees:
        for amount in (100 * MIB, GIB, None):
            bare = found.get((tree.name, amount, "node reclaim file"))
            for means in all_means:
                one = found.get((tree.name, amount, means.name))
                if one is None:
                    continue
                best = one["inside"] if one["inside"] is not None else one["whole"]
                ratio = f"{best / bare['inside']:.2f}" if bare else ""
                rows.append([tree.name, size_text(amount), means.name, means.reach,
                             milliseconds(one["whole"]), milliseconds(one["inside"]), ratio,
                             f"{one['freed'] / MIB:.1f}",
                             f"{100 * one['freed'] / (amount or tree.size):.1f} %",
                             f"{one['slab'] / MIB:.1f}", f"{one['mapped'] / MIB:.1f}",
                             f"{one['others'] / MIB:.1f}"])
    print(table(["tree", "asked", "means", "reach", "process ms", "in process ms", "/ bare call",
                 "cache MiB", "of asked", "slab MiB", "mapped MiB", "anonymous, tmpfs MiB"],
                rows, 4))
    print("\nFreed on the node, by kind (negative: it grew). / bare call: time in process (vmtouch: "
          "of the process) over\nthat of one write to the node's reclaim file.\n")
    print(table(["target", "", "measured", "wanted"], verdicts(found, trees), 2))


def skip_reason(options):
    if os.geteuid() != 0:
        return "only root may drop page cache"
    path = f"/sys/devices/system/node/node{options.node}/reclaim"
    if not os.path.exists(path):
        return f"this kernel ({platform.release()}) has no {path} (Linux 6.17)"
    if shutil.which("vmtouch") is None:
        return "vmtouch is not installed"
    if shutil.disk_usage(options.folder).free < 6 * GIB:
        return f"{options.folder} has less than 6 GiB free"
    return None


def options_of():
    parser = argparse.ArgumentParser(prog="./dev bench node_memory", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--files", type=int, default=65536,
                        help="small files of 32 KiB (default 65536: 2 GiB)")
    parser.add_argument("--node", type=int, default=0, help="the node to look at (default 0)")
    parser.add_argument("--folder", default=os.path.join(ROOT, "build", "bench", "node_memory"),
                        help="on a disk, for the trees (default build/bench/node_memory)")
    parser.add_argument("--keep", action="store_true", help="leave the trees for the next run")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    return parser.parse_args()


def main():
    options = options_of()
    os.makedirs(options.folder, exist_ok=True)
    reason = skip_reason(options)
    if reason:
        print(f"bench node_memory: skipped: {reason}")
        return
    load = os.getloadavg()
    try:
        trees = [make_tree("one file of 2 GiB", os.path.join(options.folder, "large"), 1, 2 * GIB),
                 make_tree(f"{options.files} files of 32 KiB",
                           os.path.join(options.folder, "small"), options.files, SMALL_FILE)]
        program = os.path.join(options.build, "bin", "free-node-memory")
        scratch = options.folder
        all_means = [Ours("ours", program, "page-cache", options.node, scratch),
                     Ours("ours, mapped too", program, "page-cache,mapped-page-cache",
                          options.node, scratch),
                     NodeFile(f"/sys/devices/system/node/node{options.node}/reclaim"),
                     DropCaches(), Vmtouch(shutil.which("vmtouch"), scratch), Fadvise()]
        report(measure(all_means, trees, options), all_means, trees, load, options)
    finally:
        if not options.keep:
            shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
