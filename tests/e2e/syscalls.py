#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""System calls per I/O at depth 32, counted on the release build by strace.

The gate is a client that asks for 32 blocks at once and takes 32 answers: how many calls the server
needs for them depends on the server alone. fio sends its requests one by one; how many of them the
server finds at once depends on who runs when, so that count only has to stay far below what other
servers need.
"""

import os
import random
import re
import signal
import struct
import subprocess

import rawnbd
from braidway import (MIB, Failed, Skip, expect, main, need_tools, uri, wait_until)

REQUESTS = 60000
FIO_MAX = 3.0
BURST = 32


def start(stage, device):
    program = stage.need_release()
    nbd_socket = stage.path("db.sock")
    config = f"""
[defaults]
polling_interval = "1 h"
max_polling_interval = "1 h"
[path.p]
device = "{device}"
[map.db]
groups = [{{ paths = ["p"] }}]
[export.db]
map = "db"
nbd = ["unix:{nbd_socket}"]
"""
    return stage.serve(config, program=program).wait_ready(nbd_socket), nbd_socket


def fio(stage, nbd_socket, size):
    stage.run("fio", "--name=count", "--ioengine=nbd", f"--uri={uri(nbd_socket, 'db')}",
              "--rw=randread", "--bs=4k", "--iodepth=32", f"--size={size}", "--norandommap=1",
              f"--number_ios={REQUESTS}", f"--io_size={REQUESTS * 4096}", "--output-format=json",
              cwd=stage.folder)


def strace_total(text):
    """The number of calls in the summary of `strace -c`."""
    for line in text.splitlines():
        found = re.match(r"\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)\s+(?:\d+\s+)?total", line)
        if found:
            return int(found.group(1))
    raise Failed(f"no total in what strace said:\n{text}")


def bursts(stage, nbd_socket, size):
    """REQUESTS reads, 32 at a time."""
    del stage
    client = rawnbd.connect(nbd_socket, "db")
    rng = random.Random(1)
    blocks = size // 4096
    answers = BURST * (16 + 4096)
    for _ in range(REQUESTS // BURST):
        client.send(b"".join(struct.pack(">IHHQQI", rawnbd.REQUEST, 0, rawnbd.READ, cookie,
                                         rng.randrange(blocks) * 4096, 4096)
                             for cookie in range(BURST)))
        client.receive(answers)
    client.request(rawnbd.DISC)
    client.close()


def traced(stage, daemon, work, *arguments):
    """System calls of the daemon per request of `work`, and what strace said."""
    summary = stage.path("strace.txt")
    tracer = stage.spawn("strace", "-f", "-c", "-o", summary, "-p", str(daemon.pid),
                         stderr=subprocess.PIPE, text=True)
    first = tracer.stderr.readline()
    if "attached" not in first:
        raise Skip(f"strace may not attach here: {first.strip()}")
    wait_until(lambda: daemon.status_field("TracerPid") == tracer.pid, "strace is attached")
    work(stage, *arguments)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)
    with open(summary) as file:
        text = file.read()
    return strace_total(text) / REQUESTS, text


def count(stage, device, size, at_most):
    need_tools("fio", "strace")
    daemon, nbd_socket = start(stage, device)
    fio(stage, nbd_socket, size)  # Warm: pools touched, pages faulted.
    own = daemon.status()["loop"]["system_calls"]
    fio(stage, nbd_socket, size)
    own = (daemon.status()["loop"]["system_calls"] - own) / REQUESTS
    with_fio, text = traced(stage, daemon, fio, nbd_socket, size)
    in_bursts, burst_text = traced(stage, daemon, bursts, nbd_socket, size)
    print(f"  {device.split(':')[0]}: calls per read: {in_bursts:.3f} for {BURST} at once; with fio "
          f"{with_fio:.3f} under strace, {own:.3f} without (the loop's own count)")
    expect(in_bursts <= at_most, f"{in_bursts:.3f} calls per read, at most {at_most}:\n{burst_text}")
    expect(with_fio <= FIO_MAX, f"{with_fio:.3f} calls per read with fio, at most {FIO_MAX}:\n{text}")
    expect(own <= FIO_MAX, f"{own:.3f} calls per read with fio, by the loop's own count")


def story_zero_device(stage):
    count(stage, "zero:1G", 1 << 30, 0.3)


def story_file_path(stage):
    # On a disk, because tmpfs has no O_DIRECT; filled, because holes are no I/O.
    path = os.path.join(stage.build, "e2e-syscalls.img")
    with open(path, "wb") as image:
        for _ in range(64):
            image.write(os.urandom(MIB))
    try:
        count(stage, f"file:{path}", 64 * MIB, 0.6)
    finally:
        os.unlink(path)


if __name__ == "__main__":
    main(__doc__)
