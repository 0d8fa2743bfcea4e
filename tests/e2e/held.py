#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Without a path I/O is held: served after a reinstatement, or failed when it is too old."""

import errno
import time

import rawnbd
from braidway import (db_map, expect, expect_equal, four_paths, main, need_libnbd, uri,
                      wait_until)

NO_CHECKS = '[defaults]\nchecker = "none"\n'
PATHS = ("a1", "a2", "b1", "b2")


class Client:
    """Reads in flight, and what became of them."""

    def __init__(self, nbd_socket):
        self.nbd = need_libnbd()
        self.handle = self.nbd.NBD()
        self.handle.connect_uri(uri(nbd_socket, "db"))
        self.buffers = []
        self.answers = []  # (errno or 0, seconds since it was asked)

    def read(self, offset=0, length=4096):
        buffer = self.nbd.Buffer(length)
        asked = time.monotonic()

        def done(code):
            value = code.value if hasattr(code, "value") else code
            self.answers.append((value, time.monotonic() - asked))
            return 1

        self.buffers.append(buffer)
        self.handle.aio_pread(buffer, offset, completion=done)

    def write(self, offset=0, length=4096):
        buffer = self.nbd.Buffer.from_bytearray(bytearray(b"w" * length))
        asked = time.monotonic()

        def done(code):
            value = code.value if hasattr(code, "value") else code
            self.answers.append((value, time.monotonic() - asked))
            return 1

        self.buffers.append(buffer)
        self.handle.aio_pwrite(buffer, offset, completion=done)

    def poll_for(self, seconds, wanted=None):
        """Lets answers come for a while, or until so many are there."""
        deadline = time.monotonic() + seconds
        while wanted is None or len(self.answers) < wanted:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.handle.poll(max(1, int(min(left, 0.1) * 1000)))
        return self.answers

    def wait_answers(self, count, seconds=30.0):
        answers = self.poll_for(seconds, count)
        expect(len(answers) >= count, f"{len(answers)} answers of {count} after {seconds:g} s")
        return answers


def start(stage, map_keys, defaults=NO_CHECKS):
    image = stage.image()
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(defaults + four_paths(image) + db_map(map_keys, nbd_socket=nbd_socket))
    daemon.wait_ready(nbd_socket)
    return daemon, Client(nbd_socket)


def break_all(daemon):
    for path in PATHS:
        daemon.do("set", "path", path, "error", "on", "class=transport")


def mend(daemon, path):
    daemon.do("set", "path", path, "error", "off")
    daemon.do("reinstate", "path", path)


def story_held_then_served(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "60 s"')
    break_all(daemon)
    for block in range(40):
        client.read(block * 4096)
        client.write((1000 + block) * 4096)
    client.poll_for(1.0)
    expect_equal(client.answers, [], "answers while no path is left")
    found = daemon.maps()["db"]
    expect_equal(found["held_requests"], 80, "held requests")
    expect_equal(found["valid_paths"], 0, "valid paths")
    mend(daemon, "b1")
    client.wait_answers(80)
    expect_equal({code for code, _ in client.answers}, {0}, "errors of the held requests")
    expect_equal(daemon.maps()["db"]["held_requests"], 0, "held requests afterwards")


def story_a_check_brings_held_io_back(stage):
    need_libnbd()
    quick = '[defaults]\npolling_interval = "200 ms"\nmax_polling_interval = "200 ms"\n'
    daemon, client = start(stage, 'no_path_timeout = "60 s"', quick)
    break_all(daemon)
    client.read()
    client.poll_for(0.5)
    expect_equal(client.answers, [], "answers while no path is left")
    daemon.do("set", "path", "a2", "error", "off")
    client.wait_answers(1)
    expect_equal(client.answers[0][0], 0, "error of the held read")


def story_failed_when_too_old(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "2 s"')
    break_all(daemon)
    for block in range(10):
        client.read(block * 4096)
    client.wait_answers(10)
    for code, seconds in client.answers:
        expect_equal(code, errno.EIO, "error of a request that was held too long")
        expect(1.9 <= seconds <= 8, f"failed after {seconds:.2f} s, configured were 2 s")
    print(f"  failed after {client.answers[0][1]:.2f} s")
    # From then on new I/O fails at once, until a path is back.
    client.answers.clear()
    client.read()
    client.wait_answers(1)
    code, seconds = client.answers[0]
    expect_equal(code, errno.EIO, "error of new I/O after the timeout")
    expect(seconds < 1.5, f"new I/O was held for {seconds:.2f} s again")
    expect("critical" in daemon.log_text().lower(), "no alert in the log")
    mend(daemon, "a1")
    client.answers.clear()
    client.read()
    client.wait_answers(1)
    expect_equal(client.answers[0][0], 0, "error after the path came back")


def story_fail_means_at_once(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "fail"')
    break_all(daemon)
    client.read()
    client.wait_answers(1)
    expect_equal(client.answers[0][0], errno.EIO, "error with no_path_timeout = fail")
    expect(client.answers[0][1] < 1.5, "it was held")


def story_limits_stop_reading_but_do_not_fail(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "queue"\nheld_requests_max = 16')
    break_all(daemon)
    # The first one finds out that there is no path; from then on the map holds at once.
    client.read()
    client.poll_for(0.3)
    wait_until(lambda: daemon.maps()["db"]["held_requests"] == 1, "one read is held")
    for block in range(119):
        client.read(block * 4096)
    client.poll_for(1.0)
    expect_equal(client.answers, [], "answers while no path is left")
    held = daemon.maps()["db"]["held_requests"]
    expect(16 <= held < 120, f"{held} requests are held; the limit is 16 (and one batch)")
    # The API and the checks still work while clients are not read.
    expect_equal(len(daemon.paths()), 4, "paths shown")
    mend(daemon, "b2")
    client.wait_answers(120)
    expect_equal({code for code, _ in client.answers}, {0}, "errors afterwards")


def story_a_bad_sector_is_answered_and_fails_no_path(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "60 s"')
    for path in PATHS:
        daemon.do("set", "path", path, "error", "on", "class=medium", "ops=read", "blocks=8-15")
    client.read(4096)
    client.wait_answers(1)
    expect_equal(client.answers[0][0], errno.EIO, "error of a bad sector")
    client.read(0)
    client.wait_answers(2)
    expect_equal(client.answers[1][0], 0, "error beside the bad sector")
    expect_equal({path["state"] for path in daemon.paths().values()}, {"up"}, "states of the paths")


def story_a_client_that_leaves_takes_its_held_requests_along(stage):
    daemon, client = start(stage, 'no_path_timeout = "queue"')
    break_all(daemon)
    leaver = rawnbd.connect(stage.path("db.sock"), "db")
    for block in range(20):
        leaver.request(rawnbd.READ, block * 4096, 4096, 0, block)
    wait_until(lambda: daemon.maps()["db"]["held_requests"] == 20, "20 requests are held")
    leaver.close()
    mend(daemon, "a1")
    wait_until(lambda: daemon.maps()["db"]["held_requests"] == 0, "held requests are gone")
    wait_until(lambda: daemon.status()["connections"] == 1, "the connection is gone")
    client.read()
    client.wait_answers(1)
    expect_equal(client.answers[0][0], 0, "error of the client that stayed")


if __name__ == "__main__":
    main(__doc__)
