#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same fio jobs against braidway, nbdkit, qemu-storage-daemon and the bare disk, in turns.

Servers of one kind answer from memory (`memory` jobs) or from a file on a disk (`file` jobs). Every
repeat visits every server once, so that a drift of the machine meets all alike; medians are
printed, and ratios against the targets. Read docs/benchmarking.md first.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GIB = 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")

# name: (fio options, both ends pinned)
JOBS = {
    "randread-4k-d1": (["--rw=randread", "--bs=4k", "--iodepth=1"], True),
    "randwrite-4k-d1": (["--rw=randwrite", "--bs=4k", "--iodepth=1"], True),
    "randread-4k-d32": (["--rw=randread", "--bs=4k", "--iodepth=32"], False),
    "randwrite-4k-d32": (["--rw=randwrite", "--bs=4k", "--iodepth=32"], False),
    "randread-4k-d8x4": (["--rw=randread", "--bs=4k", "--iodepth=8", "--numjobs=4"], False),
    "randwrite-4k-d8x4": (["--rw=randwrite", "--bs=4k", "--iodepth=8", "--numjobs=4"], False),
    "seqread-128k-d8": (["--rw=read", "--bs=128k", "--iodepth=8"], False),
    "seqwrite-128k-d8": (["--rw=write", "--bs=128k", "--iodepth=8"], False),
}


class Server:
    """Something that fio can be pointed at."""

    def __init__(self, name, kind, command=None, nbd_socket=None, file=None, export=""):
        self.name, self.kind, self.command = name, kind, command
        self.nbd_socket, self.file, self.export = nbd_socket, file, export
        self.process = None
        self.traced = {}  # job: system calls per I/O

    def start(self, log):
        if self.command is None:
            return
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log)
        deadline = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.name} did not start: {' '.join(self.command)} (log: {log.name})")
            time.sleep(0.05)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.nbd_socket)
            except OSError:
                return False
            return True

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def target(self):
        if self.command is None:
            return ["--ioengine=io_uring", f"--filename={self.file}", "--direct=1"]
        return ["--ioengine=nbd", f"--uri=nbd+unix:///{self.export}?socket={self.nbd_socket}"]

    def cpu_seconds(self):
        """User and system time of the process, threads that have ended included."""
        if self.process is None:
            return 0.0
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mib(self, key="VmHWM"):
        if self.process is None:
            return None
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) / 1024
        return None

    def pin(self, cpus):
        if self.process is not None:
            subprocess.run(["taskset", "-a", "-p", "-c", cpus, str(self.process.pid)], check=True,
                           stdout=subprocess.DEVNULL)


def fio(server, job, options, pinned=False):
    """One run; a dictionary of what was measured."""
    settings, _ = JOBS[job]
    words = ["fio", f"--name={job}", *server.target(), *settings, "--thread", "--time_based",
             f"--runtime={options.seconds * 1000:.0f}ms", f"--size={options.size}", "--norandommap=1",
             "--randrepeat=1", "--group_reporting", "--percentile_list=50:99",
             "--output-format=json"]
    if pinned:
        words = ["taskset", "-c", "0", *words]
    cpu = server.cpu_seconds()
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          cwd=options.scratch)
    cpu = server.cpu_seconds() - cpu
    if done.returncode != 0:
        sys.exit(f"fio {job} on {server.name} failed:\n{done.stdout}{done.stderr}")
    result = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    side = result["write"] if "write" in job else result["read"]
    latency = side["clat_ns"].get("percentile", {})
    if server.process is None:
        jobs = 4 if "x4" in job else 1  # fio gives the mean of its jobs.
        cpu = (result["usr_cpu"] + result["sys_cpu"]) / 100 * side["runtime"] / 1000 * jobs
    return {"iops": side["iops"], "mib": side["bw_bytes"] / (1 << 20),
            "p50": latency.get("50.000000", 0) / 1000, "p99": latency.get("99.000000", 0) / 1000,
            "cpu": cpu / side["total_ios"] * 1e6}


def traced_calls(server, job, options):
    """System calls of the server per I/O, from a run of its own: strace slows everything down."""
    summary = os.path.join(options.scratch, "strace.txt")
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", summary, "-p", str(server.process.pid)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if "attached" not in tracer.stderr.readline():
        tracer.wait()
        return None
    time.sleep(0.3)
    settings, _ = JOBS[job]
    count = 20000
    jobs = 4 if "x4" in job else 1
    subprocess.run(["fio", f"--name={job}", *server.target(), *settings, "--thread",
                    f"--size={options.size}", "--norandommap=1", f"--number_ios={count // jobs}"],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd=options.scratch)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    with open(summary) as file:
        for line in file:
            found = re.match(r"\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total", line)
            if found:
                return int(found.group(1)) / count
    return None


# --- servers -------------------------------------------------------------------------------------


def braidway(options, name, kind, device, paths=1):
    config = os.path.join(options.scratch, f"{name}.toml")
    nbd_socket = os.path.join(options.scratch, f"{name}.sock")
    names = [f"p{number}" for number in range(paths)]
    with open(config, "w") as file:
        file.write(f'[api]\nsocket = "{options.scratch}/{name}-api.sock"\n')
        for path in names:
            file.write(f'[path.{path}]\ndevice = "{device}"\n')
        half = max(1, paths // 2)
        groups = [names[:half], names[half:]] if paths > 1 else [names]
        text = ", ".join("{ paths = [" + ", ".join(f'"{p}"' for p in group) + "] }"
                         for group in groups)
        file.write(f'[map.m]\ngroups = [{text}]\n'
                   f'[export.m]\nmap = "m"\nnbd = ["unix:{nbd_socket}"]\n')
    program = os.path.join(options.build, "bin", "braidway")
    return Server(name, kind, [program, "serve", "--config", config, *options.serve], nbd_socket,
                  export="m")


def nbdkit(options, name, kind, *plugin):
    nbd_socket = os.path.join(options.scratch, f"{name}.sock")
    return Server(name, kind, ["nbdkit", "-f", "-U", nbd_socket, *plugin], nbd_socket)


def storage_daemon(options, name, kind, device):
    nbd_socket = os.path.join(options.scratch, f"{name}.sock")
    return Server(name, kind, [
        "qemu-storage-daemon", "--blockdev", device, "--nbd-server",
        f"addr.type=unix,addr.path={nbd_socket},max-connections=16", "--export",
        "type=nbd,id=e,node-name=d,name=,writable=on"], nbd_socket)


def servers_of(options):
    found = [
        braidway(options, "ours", "memory", "zero:1G"),
        braidway(options, "ours-map-of-4", "memory", "zero:1G", paths=4),
        braidway(options, "ours-file", "file", f"file:{options.file}"),
        Server("bare-disk", "file", file=options.file),
    ]
    if not options.no_peers:
        found += [
            nbdkit(options, "nbdkit-null", "memory", "null", "1G"),
            nbdkit(options, "nbdkit-memory", "memory", "memory", "1G"),
            storage_daemon(options, "qsd-null", "memory",
                           "driver=null-co,node-name=d,size=1073741824,read-zeroes=off"),
            nbdkit(options, "nbdkit-file", "file", "file", options.file + ".cached"),
            storage_daemon(options, "qsd-file", "file",
                           f"driver=file,node-name=d,filename={options.file},locking=off,"
                           "cache.direct=on,aio=io_uring"),
        ]
    return [each for each in found if re.search(options.servers, each.name)]


def prepare_file(options):
    """A filled file on a disk: holes are no I/O, and tmpfs knows no O_DIRECT."""
    os.makedirs(os.path.dirname(options.file), exist_ok=True)
    wanted = GIB
    if not os.path.exists(options.file) or os.path.getsize(options.file) != wanted:
        print(f"filling {options.file}", file=sys.stderr)
        with open(options.file, "wb") as file:
            for _ in range(wanted >> 20):
                file.write(os.urandom(1 << 20))
            os.fsync(file.fileno())
    # A buffered and a direct server on one file would throw out each other's pages.
    cached = options.file + ".cached"
    if not options.no_peers and (not os.path.exists(cached) or os.path.getsize(cached) != wanted):
        shutil.copyfile(options.file, cached)


# --- the run ---------------------------------------------------------------------------------------


def measure(servers, options):
    """{(server, job): [measurement...]}"""
    samples = {}
    jobs = [job for job in JOBS if re.search(options.jobs, job)]
    for job in jobs:
        pinned = JOBS[job][1] and os.cpu_count() > 1
        for repeat in range(options.repeats):
            for server in servers:
                print(f"\r{job}: {repeat + 1}/{options.repeats} {server.name:16}", end="",
                      file=sys.stderr)
                if pinned:
                    server.pin("1")
                samples.setdefault((server.name, job), []).append(
                    fio(server, job, options, pinned))
                if pinned:
                    server.pin(f"0-{os.cpu_count() - 1}")
    if not options.no_strace:
        for job in ("randread-4k-d32", "randread-4k-d8x4"):
            for server in servers:
                if job in jobs and server.process is not None:
                    print(f"\rstrace: {job} {server.name:16}", end="", file=sys.stderr)
                    server.traced[job] = traced_calls(server, job, options)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return samples


def medians(samples):
    return {key: {field: statistics.median(run[field] for run in runs) for field in runs[0]}
            for key, runs in samples.items()}


class Judge:
    """Compares medians with the targets."""

    def __init__(self, found, servers):
        self.found = found
        self.servers = {server.name: server for server in servers}
        self.rows = []  # (what, value, limit, pass)

    def get(self, server, job, field):
        return self.found.get((server, job), {}).get(field)

    def best(self, kind, job, field, pick):
        values = [(self.get(name, job, field), name) for name, server in self.servers.items()
                  if server.kind == kind and not name.startswith(("ours", "bare"))]
        values = [each for each in values if each[0]]
        return pick(values) if values else (None, None)

    def ratio(self, what, ours, peer, peer_name, limit, at_least):
        if ours is None or not peer:
            return
        value = ours / peer
        good = value >= limit if at_least else value <= limit
        sign = ">=" if at_least else "<="
        self.rows.append((f"{what} / {peer_name}", f"{value:.2f}", f"{sign} {limit:g}", good))

    def against_best(self, what, job, field, limit, at_least, kind="memory", ours="ours"):
        peer, name = self.best(kind, job, field, max if at_least else min)
        self.ratio(f"{what}, {job}", self.get(ours, job, field), peer, name, limit, at_least)

    def calls(self, server, limit, job="randread-4k-d32"):
        value = self.servers[server].traced.get(job) if server in self.servers else None
        if value is not None:
            self.rows.append((f"system calls per I/O, {server}, {job}", f"{value:.3f}",
                              f"<= {limit:g}", value <= limit))

    def all(self):
        self.calls("ours", 0.3)
        self.calls("ours-file", 0.6)
        self.against_best("CPU", "randread-4k-d32", "cpu", 0.7, False)
        self.against_best("CPU", "randread-4k-d8x4", "cpu", 0.5, False)
        self.against_best("IOPS", "randread-4k-d32", "iops", 1.2, True)
        self.against_best("IOPS", "randread-4k-d8x4", "iops", 1.4, True)
        for job in ("randread-4k-d32", "randwrite-4k-d32"):
            mine = self.get("ours-file", job, "iops")
            self.ratio(f"IOPS over a file, {job}", mine, self.get("bare-disk", job, "iops"),
                       "bare-disk", 0.85, True)
            self.ratio(f"IOPS over a file, {job}", mine, self.get("qsd-file", job, "iops"),
                       "qsd-file", 1.6, True)
        self.against_best("MiB/s", "seqread-128k-d8", "mib", 0.9, True)
        self.against_best("MiB/s", "seqwrite-128k-d8", "mib", 0.9, True)
        self.against_best("p50, both ends pinned", "randread-4k-d1", "p50", 0.85, False)
        job = "randread-4k-d32"
        self.ratio(f"IOPS, {job}: map of 4", self.get("ours-map-of-4", job, "iops"),
                   self.get("ours", job, "iops"), "map of 1", 0.97, True)
        one, four = self.get("ours", job, "cpu"), self.get("ours-map-of-4", job, "cpu")
        if one and four:
            self.rows.append((f"CPU us per I/O, {job}: map of 4 - map of 1", f"{four - one:+.2f}",
                              "<= 0.3", four - one <= 0.3))
        return self.rows


def table(header, rows, markdown):
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(header))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) if at < 2 else cell.rjust(width)
                 for at, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip())
        if number == 0 and markdown:
            lines.append("|" + "|".join("---" if at < 2 else "--:" for at in range(len(header))) +
                         "|")
    return "\n".join(lines)


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def report(found, servers, options):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip() or "?"
    print(f"{'### ' if options.markdown else ''}{datetime.date.today()} bench nbd, {commit}\n")
    print(f"{os.cpu_count()} CPUs {cpu_model()}, Linux {platform.release()}; "
          f"`./dev bench nbd {' '.join(sys.argv[1:])}`: medians of {options.repeats} runs of "
          f"{options.seconds:g} s.\n")
    rows = []
    for job in JOBS:
        for server in servers:
            values = found.get((server.name, job))
            if values is None:
                continue
            calls, resident = server.traced.get(job), server.resident_mib()
            rows.append([job, server.name, f"{values['iops']:.0f}", f"{values['mib']:.0f}",
                         f"{values['p50']:.1f}", f"{values['p99']:.1f}", f"{values['cpu']:.2f}",
                         "" if calls is None else f"{calls:.2f}",
                         "" if resident is None else f"{resident:.0f}"])
    print(table(["job", "server", "IOPS", "MiB/s", "p50 us", "p99 us", "CPU us/IO", "calls/IO",
                 "peak MiB"], rows, options.markdown))
    print("\nCPU: of the server (of fio itself for bare-disk). calls: under strace, a run of its "
          "own.\nDepth 1: server on CPU 1, client on CPU 0.\n")
    verdicts = [[what, "pass" if good else "MISS", value, limit]
                for what, value, limit, good in Judge(found, servers).all()]
    if verdicts:
        print(table(["target", "", "measured", "wanted"], verdicts, options.markdown))


def options_of():
    parser = argparse.ArgumentParser(prog="./dev bench nbd", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="length of one run (default 3)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--jobs", default=".", help="only jobs that match this expression")
    parser.add_argument("--servers", default=".", help="only servers that match this expression")
    parser.add_argument("--no-peers", action="store_true", help="only ours and the bare disk")
    parser.add_argument("--no-strace", action="store_true", help="count no system calls")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/bench-log.md")
    parser.add_argument("--file", default=os.path.join(ROOT, "build", "bench", "disk.img"),
                        help="on the disk to measure; is overwritten (default build/bench/disk.img)")
    parser.add_argument("--size", default="1g", help="how much of it is used (default 1g)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--serve", action="append", default=[], metavar="ARGUMENT",
                        help="more for our `serve`, such as --serve=--io-backend=epoll")
    parser.add_argument("--list", action="store_true", help="list the jobs and end")
    return parser.parse_args()


def main():
    options = options_of()
    if options.list:
        print("\n".join(JOBS))
        return
    for tool in ("fio", "taskset") + (() if options.no_peers else ("nbdkit", "qemu-storage-daemon")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed")
    prepare_file(options)
    options.scratch = tempfile.mkdtemp(prefix="braidway-bench-", dir="/tmp")
    servers = servers_of(options)
    try:
        with open(os.path.join(options.scratch, "servers.log"), "wb") as log:
            for server in servers:
                server.start(log)
            found = medians(measure(servers, options))
            report(found, servers, options)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(options.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
