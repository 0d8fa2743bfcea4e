#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One iSCSI path against libiscsi's own iscsi-perf, on the same tgtd, in turns.

Random reads of 4 KiB at depth 1 and 32 from a file in memory; medians are printed and their ratio.
At depth 1 the target is on CPU 1 and the client on CPU 0, as in bench/paths.py, of which this is a
part. Read docs/benchmarking.md first.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "fabric"))
import tgtd  # noqa: E402  (its folder is known only now)

NAME = "iqn.2026-11.org.example:bench"
THEIRS = "libiscsi (iscsi-perf)"
OURS = "path over iSCSI"


def missing():
    """Why this cannot be measured here; "" when it can."""
    problem = tgtd.missing()
    if not problem and not shutil.which("iscsi-perf"):
        problem = "iscsi-perf is not installed (package libiscsi-bin)"
    return problem


def client(depth, *words):
    placed = ["taskset", "-c", "0"] if depth == 1 else []
    return subprocess.run([*placed, *words], check=True, capture_output=True, text=True).stdout


def ours(bench, uri, depth, seconds):
    return json.loads(client(depth, bench, uri, "read", str(depth), str(seconds)))


def theirs(uri, depth, seconds):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = client(depth, "iscsi-perf", "-r", "-m", str(depth), "-b", "8", "-t", str(seconds), uri)
    found = re.findall(r"iops average (\d+)", answer)
    if not found:
        sys.exit(f"iscsi-perf says no average: {answer[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    iops = float(found[-1])
    return {"iops": iops, "cpu_us_per_io": cpu * 1e6 / (iops * seconds)}


@contextlib.contextmanager
def target(cpus):
    """A target that runs on `cpus`; gives its URI."""
    mine = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, cpus or mine)  # Its threads inherit it.
        try:
            server = stack.enter_context(tgtd.Tgtd())
        finally:
            os.sched_setaffinity(0, mine)
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else server.folder
        disk = os.path.join(memory, f"iscsi-bench-{os.getpid()}-{len(cpus)}")
        stack.callback(os.unlink, disk)
        with open(disk, "wb") as file:
            file.truncate(256 << 20)
        server.add_target(1, NAME)
        server.add_unit(1, 1, disk)
        yield server.uri(NAME, 1)


@contextlib.contextmanager
def jobs(bench, seconds):
    """What is measured, by name and depth."""
    with target({1}) as pinned, target(set()) as free:
        found = {}
        for depth, uri in ((1, pinned), (32, free)):
            found[f"{THEIRS}, depth {depth}"] = lambda d=depth, u=uri: theirs(u, d, seconds)
            found[f"{OURS}, depth {depth}"] = lambda d=depth, u=uri: ours(bench, u, d, seconds)
        yield found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if missing():
        sys.exit(missing())
    with jobs(os.path.join(arguments.build, "bin", "iscsi_bench"), arguments.seconds) as runs:
        medians = in_turns(runs, arguments.repeats)
    print_ratios(medians)


def in_turns(runs, repeats):
    """Runs all of `runs` so often, prints a table of medians; gives those of the IOPS by name."""
    found = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
    medians = {}
    print(f"{'':34} {'IOPS':>9} {'CPU us/IO':>10} {'calls/IO':>9}")
    for name, all_of_it in found.items():
        middle = {key: statistics.median(each[key] for each in all_of_it) for key in all_of_it[0]}
        medians[name] = middle["iops"]
        print(f"{name:34} {middle['iops']:9.0f} {middle['cpu_us_per_io']:10.2f} "
              f"{middle.get('calls_per_io', float('nan')):9.3f}")
    return medians


def print_ratios(medians):
    for depth in (1, 32):
        ratio = medians[f"{OURS}, depth {depth}"] / medians[f"{THEIRS}, depth {depth}"]
        print(f"depth {depth}: path over iSCSI / libiscsi {ratio:.2f} (target 1.0)")


if __name__ == "__main__":
    main()
