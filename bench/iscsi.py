#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One iSCSI path against libiscsi's own iscsi-perf, on one tgtd, in turns.

Random reads of 4 KiB at depth 1 and 32 from a file in memory. The target is the same process for
both; medians are printed and their ratio. Read docs/benchmarking.md first.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "fabric"))
import tgtd  # noqa: E402  (its folder is known only now)

NAME = "iqn.2026-11.org.example:bench"


def ours(bench, uri, depth, seconds):
    answer = subprocess.run([bench, uri, "read", str(depth), str(seconds)], check=True,
                            capture_output=True, text=True)
    return float(answer.stdout.split()[0])


def theirs(uri, depth, seconds):
    answer = subprocess.run(["iscsi-perf", "-r", "-m", str(depth), "-b", "8", "-t", str(seconds),
                             uri], check=True, capture_output=True, text=True)
    found = re.findall(r"iops average (\d+)", answer.stdout)
    if not found:
        sys.exit(f"iscsi-perf says no average: {answer.stdout[-300:]}")
    return float(found[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    problem = tgtd.missing()
    if not problem and not shutil.which("iscsi-perf"):
        problem = "iscsi-perf is not installed (package libiscsi-bin)"
    if problem:
        sys.exit(problem)
    bench = os.path.join(arguments.build, "bin", "iscsi_bench")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tgtd.Tgtd() as target:
        disk = os.path.join(memory or target.folder, f"iscsi-bench-{os.getpid()}")
        try:
            with open(disk, "wb") as file:
                file.truncate(256 << 20)
            target.add_target(1, NAME)
            target.add_unit(1, 1, disk)
            uri = target.uri(NAME, 1)
            for depth in (1, 32):
                results = {"braidway": [], "iscsi-perf": []}
                for _ in range(arguments.repeats):
                    results["braidway"].append(ours(bench, uri, depth, arguments.seconds))
                    results["iscsi-perf"].append(theirs(uri, depth, arguments.seconds))
                medians = {name: statistics.median(list_) for name, list_ in results.items()}
                ratio = medians["braidway"] / medians["iscsi-perf"]
                print(f"randread 4k depth {depth}: braidway {medians['braidway']:.0f}, iscsi-perf "
                      f"{medians['iscsi-perf']:.0f} IOPS, ratio {ratio:.2f}", flush=True)
        finally:
            if os.path.exists(disk):
                os.unlink(disk)


if __name__ == "__main__":
    main()
