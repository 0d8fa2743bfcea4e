#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NBD paths against libnbd (fio's nbd engine), iSCSI paths against libiscsi (iscsi-perf), each on one
server, and a map over four paths against one path, in turns. 4 KiB random reads from one nbdkit
(memory plugin, unix socket), which all four paths lead to, and from one tgtd (bench/iscsi.py);
medians, and ratios against the targets. At depth 1 the server is on CPU 1 and the client on CPU 0:
where the scheduler puts them would count for more than anything else. Read docs/benchmarking.md
first.
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import time

import iscsi

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--size", default="256M", help="of the volume")
    parser.add_argument("--bench", default=os.path.join(ROOT, "build/release/bin/paths_bench"))
    return parser.parse_args()


def on_cpu_0(depth):
    return ["taskset", "-c", "0"] if depth == 1 else []


def fio(options, where, depth, jobs):
    done = subprocess.run(
        [*on_cpu_0(depth), "fio", "--name=x", "--ioengine=nbd", f"--uri={where}", "--rw=randread", "--bs=4k",
         f"--iodepth={depth // jobs}", f"--numjobs={jobs}", "--thread", "--time_based", "--ramp_time=300ms",
         f"--runtime={options.seconds * 1000:.0f}ms", f"--size={options.size}", "--norandommap=1",
         "--group_reporting", "--output-format=json"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000
    return {"iops": job["read"]["iops"], "cpu_us_per_io": cpu * 1e6 / job["read"]["total_ios"]}


def ours(options, sort, depth, connections, *where):
    done = subprocess.run([*on_cpu_0(depth), options.bench, sort, str(depth), str(connections), str(options.seconds),
                           *where], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["errors"] == 0, found
    return found


def main():
    options = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="braidway-bench-", dir="/tmp") as folder:
        where, servers = [], []
        try:
            for name, words in (("pinned", ["taskset", "-c", "1"]), ("free", [])):
                path = os.path.join(folder, f"{name}.sock")
                servers.append(subprocess.Popen(
                    [*words, "nbdkit", "-f", "-U", path, "memory", options.size],
                    stdin=subprocess.DEVNULL))
                while not os.path.exists(path):
                    time.sleep(0.02)
                where.append(f"nbd+unix:///?socket={path}")
            with iscsi_jobs(options) as others:
                measure(options, where, others)
        finally:
            for server in servers:
                server.kill()
                server.wait()


@contextlib.contextmanager
def iscsi_jobs(options):
    if iscsi.missing():
        print(f"without iSCSI: {iscsi.missing()}")
        yield {}
        return
    bench = os.path.join(os.path.dirname(options.bench), "iscsi_bench")
    with iscsi.jobs(bench, max(1, round(options.seconds))) as runs:
        yield runs


def measure(options, servers, others):
    runs = {}
    for depth, where in zip((1, 32), servers):
        runs[f"libnbd (fio), depth {depth}"] = lambda d=depth, w=where: fio(options, w, d, 1)
        runs[f"path, 1 connection, depth {depth}"] = (
            lambda d=depth, w=where: ours(options, "path", d, 1, w))
        runs[f"path, depth {depth}"] = lambda d=depth, w=where: ours(options, "path", d, 4, w)
        runs[f"map of four paths, depth {depth}"] = (
            lambda d=depth, w=where: ours(options, "map", d, 4, w, w, w, w))
    medians = iscsi.in_turns({**runs, **others}, options.repeats)
    for depth in (1, 32):
        path = medians[f"path, depth {depth}"]
        print(f"depth {depth}: path / libnbd {path / medians[f'libnbd (fio), depth {depth}']:.2f} "
              f"(target 1.0), map of four / path "
              f"{medians[f'map of four paths, depth {depth}'] / path:.2f} (target 0.95)")
    if others:
        iscsi.print_ratios(medians)


if __name__ == "__main__":
    main()
