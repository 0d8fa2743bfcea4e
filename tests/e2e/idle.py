#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An idle daemon costs nothing: no wake-ups between path checks, little memory."""

import time

import rawnbd
from braidway import MIB, db_map, expect, expect_equal, four_paths, main, wait_until

RARE_CHECKS = ('[defaults]\npolling_interval = "1 h"\nmax_polling_interval = "1 h"\n'
               'io_timeout = "1 s"\n')
POOLS_KIB = 1024  # What is touched of the pools by the few requests of these stories.


def start(stage):
    program = stage.need_release()
    nbd_socket = stage.path("db.sock")
    config = RARE_CHECKS + four_paths(stage.image(), "[]") + db_map(nbd_socket=nbd_socket)
    daemon = stage.serve(config, program=program).wait_ready(nbd_socket)
    clients = [rawnbd.connect(nbd_socket, "db") for _ in range(4)]
    for client in clients:
        client.request(rawnbd.READ, 0, 4096)
        expect_equal(client.simple_reply(4096)[0], 0, "a read")
    return daemon, clients


def story_no_wake_ups(stage):
    daemon, clients = start(stage)
    seconds = stage.options.seconds or 5.0
    # Deadlines are not taken back one by one: that of the handshake (10 s) still goes off once.
    time.sleep(12)
    before, cpu = daemon.wake_ups(), daemon.cpu_seconds()
    time.sleep(seconds)
    after, spent = daemon.wake_ups(), daemon.cpu_seconds() - cpu
    woken = {task: after[task] - before.get(task, 0) for task in after
             if after[task] != before.get(task, 0)}
    print(f"  {len(after)} threads, {len(clients)} connections, {seconds:g} s: "
          f"{sum(woken.values())} wake-ups, {spent:.2f} s CPU")
    names = {daemon.thread_name(task): count for task, count in woken.items()}
    expect(not woken, f"wake-ups by thread: {names}")


def story_little_memory(stage):
    daemon, clients = start(stage)
    wait_until(lambda: daemon.maps()["db"]["in_flight"] == 0, "nothing is in flight")
    resident = daemon.rss_kib()
    print(f"  {resident} KiB resident with {len(clients)} connections")
    expect(resident < 16 * MIB // 1024 + POOLS_KIB, f"{resident} KiB resident, 16 MiB are allowed")


if __name__ == "__main__":
    main(__doc__)
