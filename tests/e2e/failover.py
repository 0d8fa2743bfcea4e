#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients see no error while paths fail and come back, groups switch, and one path is left."""

import collections
import json
import random
import subprocess
import time

from braidway import (MIB, QUICK_CHECKS, Failed, db_map, expect, expect_equal, four_paths, main,
                      need_tools, uri, wait_until)

PATHS = ("a1", "a2", "b1", "b2")
CLASSES = ("io", "transport", "timeout", "resource", "offline", "again", "device-resource")


class Chaos:
    """Breaks and mends everything but one path, the anchor, which changes now and then."""

    def __init__(self, daemon, seed):
        self.daemon = daemon
        self.random = random.Random(seed)
        self.anchor = "a1"
        self.done = collections.Counter()

    def do(self, *words):
        # Mostly without a process for each, so that there are many.
        (self.daemon.cli if self.random.randrange(10) == 0 else self.daemon.do)(*words)
        self.done[" ".join(word for word in words[:2] if word not in PATHS)] += 1

    def break_path(self, path):
        choice = self.random.randrange(4)
        if choice == 0:
            self.do("fail", "path", path)
        elif choice == 1:
            self.do("fail", "path", path, "--hold")
        elif choice == 2:
            self.do("set", "path", path, "error", "on", f"class={self.random.choice(CLASSES)}",
                    f"chance={self.random.choice(('1', '0.3', '0.01'))}")
        else:
            self.do("set", "path", path, "flakey", "on", "up=30ms", "down=20ms",
                    f"class={self.random.choice(CLASSES)}")

    def mend_path(self, path):
        self.do("set", "path", path, "error", "off")
        self.do("set", "path", path, "flakey", "off")
        self.do("reinstate", "path", path)

    def move_anchor(self):
        """Mends another path, sees that it is up, and only then lets go of the old one."""
        new = self.random.choice([path for path in PATHS if path != self.anchor])
        self.mend_path(new)
        self.daemon.wait_path(new, "up")
        self.anchor, old = new, self.anchor
        self.break_path(old)

    def step(self):
        choice = self.random.randrange(10)
        others = [path for path in PATHS if path != self.anchor]
        if choice < 4:
            self.break_path(self.random.choice(others))
        elif choice < 6:
            self.mend_path(self.random.choice(others))
        elif choice == 6:
            self.move_anchor()
        elif choice == 7:
            self.do("switch", "group", "db", self.random.choice("12"))
        else:
            self.do(self.random.choice(("disable", "enable")), "group", "db",
                    self.random.choice("12"))


def fio_job(stage, nbd_socket, seconds, name, *more):
    return stage.spawn(
        "fio", f"--name={name}", "--ioengine=nbd", f"--uri={uri(nbd_socket, 'db')}",
        "--rw=randwrite", "--bs=4k", "--iodepth=32", "--verify=crc32c", "--verify_fatal=1",
        "--verify_backlog=256", "--verify_state_save=0", "--fsync=512", "--serialize_overlap=1",
        "--time_based", f"--runtime={seconds * 1000:.0f}ms", "--output-format=json", *more,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=stage.folder)


def fio_result(process, seconds):
    text, _ = process.communicate(timeout=seconds + 120)
    expect_equal(process.returncode, 0, f"exit code of fio, which said:\n{text[-3000:]}")
    job = json.loads(text[text.index("{"):])["jobs"][0]
    expect_equal(job["error"], 0, "fio's error")
    return job


def run_chaos(stage, map_keys, seconds, selector):
    image = stage.image(size=256 * MIB)
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(QUICK_CHECKS + four_paths(image) +
                         db_map(map_keys, nbd_socket=nbd_socket, selector=selector))
    daemon.wait_ready(nbd_socket)
    jobs = [fio_job(stage, nbd_socket, seconds, "one", "--size=64m"),
            fio_job(stage, nbd_socket, seconds, "two", "--offset=128m", "--size=64m",
                    "--bs=64k", "--iodepth=8")]
    chaos = Chaos(daemon, stage.options.seed)
    while any(job.poll() is None for job in jobs):
        chaos.step()
    results = [fio_result(job, seconds) for job in jobs]
    report(daemon, chaos, results)


def report(daemon, chaos, results):
    found = daemon.maps()["db"]
    print(f"  {sum(chaos.done.values())} actions: {dict(chaos.done)}")
    for job in results:
        print(f"  fio: {job['write']['total_ios']} writes, {job['read']['total_ios']} verified reads")
    print(f"  map: {found['retries']} retries, {found['held_ever']} held, "
          f"{found['failed_to_client']} failed to clients")
    expect_equal(found["failed_to_client"], 0, "requests answered with an error")
    expect(found["retries"] > 0, "nothing was ever tried again: the chaos did not reach the paths")
    expect(sum(chaos.done.values()) >= 20, "too few actions")


def seconds_of(stage, usual):
    return stage.options.seconds or usual


def story_no_error_while_one_path_is_left(stage):
    """The strict form: without holding, the smallest gap would be an error."""
    need_tools("fio")
    run_chaos(stage, 'no_path_timeout = "fail"', seconds_of(stage, 12), "service-time")


def story_round_robin_with_holding(stage):
    need_tools("fio")
    run_chaos(stage, 'no_path_timeout = "60 s"', seconds_of(stage, 6), "round-robin")


def story_all_paths_flicker(stage):
    """Every path is away for a while, at different times: held, never failed."""
    need_tools("fio")
    image = stage.image(size=128 * MIB)
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(QUICK_CHECKS + four_paths(image) +
                         db_map('no_path_timeout = "60 s"', nbd_socket=nbd_socket))
    daemon.wait_ready(nbd_socket)
    seconds = seconds_of(stage, 6)
    job = fio_job(stage, nbd_socket, seconds, "one", "--size=64m")
    for place, path in enumerate(PATHS):
        daemon.cli("set", "path", path, "flakey", "on", f"up={700 + 100 * place}ms", "down=400ms",
                   "class=transport")
    # And now and then all at once, for longer than a check takes.
    while job.poll() is None:
        time.sleep(1.0)
        for path in PATHS:
            daemon.do("set", "path", path, "error", "on", "class=offline")
        time.sleep(0.4)
        for path in PATHS:
            daemon.do("set", "path", path, "error", "off")
    for path in PATHS:
        daemon.cli("set", "path", path, "flakey", "off")
    result = fio_result(job, 60)
    found = daemon.maps()["db"]
    print(f"  fio: {result['write']['total_ios']} writes; map: {found['retries']} retries, "
          f"{found['held_ever']} held")
    expect_equal(found["failed_to_client"], 0, "requests answered with an error")
    expect(found["held_ever"] > 0, "the map was never without a path")


def story_a_check_reinstates(stage):
    """`fail path` is undone by a good check; with --hold it stays until an operator reinstates."""
    image = stage.image()
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(QUICK_CHECKS + four_paths(image) + db_map(nbd_socket=nbd_socket))
    daemon.cli("fail", "path", "a1")
    daemon.cli("fail", "path", "b1", "--hold")
    path = daemon.paths()["b1"]
    expect_equal((path["state"], path["held_down"], path["last_failure"]["by"]),
                 ("down", True, "operator"), "a path failed by hand")
    daemon.wait_path("a1", "up", seconds=10)
    # Two good checks later it is still down.
    for _ in range(2):
        wait_until(lambda: (daemon.paths()["b1"]["check"]["seconds_ago"] or 0) > 0.1, "time passes")
        wait_until(lambda: (daemon.paths()["b1"]["check"]["seconds_ago"] or 9) < 0.1, "a check of b1")
    found = daemon.paths()["b1"]
    expect_equal((found["state"], found["check"]["state"]), ("down", "ready"), "b1 after its checks")
    daemon.cli("reinstate", "path", "b1")
    daemon.wait_path("b1", "up", seconds=10)
    # A path whose check fails is failed without any I/O.
    daemon.do("set", "path", "a2", "error", "on", "class=transport")
    daemon.wait_path("a2", "down", seconds=10)
    expect_equal(daemon.paths()["a2"]["last_failure"]["by"], "check", "who failed a2")
    daemon.cli("set", "path", "a2", "error", "off")
    daemon.wait_path("a2", "up", seconds=10)


def story_groups_follow_the_kernels_rules(stage):
    image = stage.image()
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(QUICK_CHECKS + four_paths(image) + db_map(nbd_socket=nbd_socket))
    need_tools("qemu-io")

    def read_once():
        stage.run("qemu-io", "-f", "raw", uri(nbd_socket, "db"), "-c", "read 0 4k")

    read_once()
    expect_equal(daemon.maps()["db"]["current_group"], 1, "the group after the first read")
    daemon.cli("switch", "group", "db", "2")
    read_once()
    expect_equal(daemon.maps()["db"]["current_group"], 2, "the group after `switch group db 2`")
    daemon.cli("disable", "group", "db", "2")
    read_once()
    expect_equal(daemon.maps()["db"]["current_group"], 1, "the group while 2 is disabled")
    daemon.cli("enable", "group", "db", "2")
    for path in ("a1", "a2"):
        daemon.cli("fail", "path", path, "--hold")
    read_once()
    expect_equal(daemon.maps()["db"]["current_group"], 2, "the group while a1 and a2 are down")
    bad = daemon.cli("switch", "group", "db", "3", check=False)
    if bad.returncode == 0:
        raise Failed("`switch group db 3` was accepted; there are two groups")


if __name__ == "__main__":
    main(__doc__)
