#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that lie, stall or vanish harm nobody but themselves."""

import random
import struct
import threading
import time

import rawnbd
from braidway import (MIB, Skip, db_map, expect, expect_equal, four_paths, free_port, main,
                      need_libnbd, uri, wait_until)
from rawnbd import Closed, RawClient


class Bystander(threading.Thread):
    """A well-behaved client that reads all the time and remembers its longest wait."""

    def __init__(self, nbd_socket):
        super().__init__(daemon=True)
        self.nbd = need_libnbd()
        self.handle = self.nbd.NBD()
        self.handle.connect_uri(uri(nbd_socket, "db"))
        self.ending = threading.Event()
        self.reads, self.longest, self.error = 0, 0.0, None

    def run(self):
        try:
            while not self.ending.is_set():
                start = time.monotonic()
                self.handle.pread(4096, 4096 * (self.reads % 1000))
                self.longest = max(self.longest, time.monotonic() - start)
                self.reads += 1
        except self.nbd.Error as error:
            self.error = error

    def finish(self):
        self.ending.set()
        self.join(30)
        expect(self.error is None, f"the bystander got {self.error}")
        expect(self.reads > 0, "the bystander got nothing")
        expect(self.longest < 5, f"the bystander waited {self.longest:.1f} s for one read")
        self.handle.shutdown()


class Scene:
    """A daemon with a bystander."""

    def __init__(self, stage, program=None, export_keys="", tcp=False):
        self.socket = stage.path("db.sock")
        self.port = free_port() if tcp else None
        config = four_paths(stage.image()) + db_map(export_keys=export_keys, nbd_socket=self.socket)
        if tcp:
            config = config.replace(f'"unix:{self.socket}"',
                                    f'"unix:{self.socket}", "tcp:127.0.0.1:{self.port}"')
        self.daemon = stage.serve(config, program=program).wait_ready(self.socket)
        self.bystander = Bystander(self.socket)
        self.bystander.start()

    def finish(self):
        self.bystander.finish()
        expect(self.daemon.alive(), "the daemon ended")
        # And a new client is still welcome.
        client = rawnbd.connect(self.socket, "db")
        client.request(rawnbd.READ, 0, 512)
        expect_equal(client.simple_reply(512)[0], 0, "a read afterwards")
        client.close()


def expect_closed(client, what):
    expect(client.closed_by_server(), f"the connection stayed open after {what}")
    client.close()


def story_lies_in_the_handshake(stage):
    scene = Scene(stage)
    client = RawClient(scene.socket)
    client.greet(client_flags=0xFFFFFFFF)
    expect_closed(client, "unknown client flags")
    client = RawClient(scene.socket).greet()
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    expect_closed(client, "an HTTP request")
    # 4 GiB of option data are refused, not awaited.
    client = RawClient(scene.socket).greet()
    start = time.monotonic()
    client.option(rawnbd.OPT_GO, b"", length=0xFFFFFFFF)
    expect_closed(client, "an option of 4 GiB")
    expect(time.monotonic() - start < 5, "an option of 4 GiB was awaited")
    # A name longer than its option.
    client = RawClient(scene.socket).greet()
    client.option(rawnbd.OPT_GO, struct.pack(">IH", 0x7FFFFFFF, 0))
    try:
        _, kind, _ = client.option_reply()
        expect(kind & 0x80000000, "a name longer than its option was accepted")
    except Closed:
        pass
    client.close()
    # Two stories at once: unknown export, then a right one on the same connection.
    client = RawClient(scene.socket).greet()
    try:
        client.go("nonesuch")
        raise AssertionError("an unknown export was opened")
    except ValueError:
        pass
    client.go("db")
    client.request(rawnbd.READ, 0, 4096)
    expect_equal(client.simple_reply(4096)[0], 0, "a read after a refused GO")
    client.close()
    scene.finish()


def story_a_hundred_unknown_options(stage):
    scene = Scene(stage)
    client = RawClient(scene.socket).greet()
    for number in range(100):
        client.option(0x1000 + number, b"x" * number)
    for number in range(100):
        option, kind, _ = client.option_reply()
        expect_equal((option, kind), (0x1000 + number, rawnbd.REP_ERR_UNSUP), "an unknown option")
    client.option(rawnbd.OPT_STARTTLS)
    expect_equal(client.option_reply()[1], rawnbd.REP_ERR_POLICY, "STARTTLS")
    for _ in range(2):
        client.option(rawnbd.OPT_LIST)
        expect_equal(client.option_reply()[1], rawnbd.REP_SERVER, "LIST")
        expect_equal(client.option_reply()[1], rawnbd.REP_ACK, "LIST")
    client.go("db")
    client.close()
    scene.finish()


def story_flags_and_commands_that_were_not_negotiated(stage):
    scene = Scene(stage)
    client = rawnbd.connect(scene.socket, "db")
    wrong = [(rawnbd.READ, rawnbd.FLAG_DF), (rawnbd.READ, rawnbd.FLAG_FAST_ZERO),
             (rawnbd.READ, rawnbd.FLAG_PAYLOAD_LEN), (rawnbd.READ, 1 << 15),
             (rawnbd.FLUSH, rawnbd.FLAG_NO_HOLE), (rawnbd.TRIM, rawnbd.FLAG_REQ_ONE),
             (rawnbd.BLOCK_STATUS, 0), (rawnbd.RESIZE, 0), (0x7777, 0)]
    if not client.flags & rawnbd.SEND_FAST_ZERO:
        wrong.append((rawnbd.WRITE_ZEROES, rawnbd.FLAG_FAST_ZERO))
    for cookie, (kind, flags) in enumerate(wrong):
        length = 0 if kind == rawnbd.FLUSH else 4096
        client.request(kind, 0, length, flags, cookie)
        error, answered, _ = client.simple_reply(length)
        expect_equal((error, answered), (rawnbd.EINVAL, cookie), f"command {kind} flags {flags:#x}")
    # Bad flags on a write: its payload is consumed all the same.
    client.request(rawnbd.WRITE, 0, 4096, 1 << 14, 77, b"x" * 4096)
    expect_equal(client.simple_reply()[:2], (rawnbd.EINVAL, 77), "a write with an unknown flag")
    client.request(rawnbd.READ, 0, 512, 0, 78)
    expect_equal(client.simple_reply(512)[:2], (0, 78), "a read afterwards")
    client.close()
    scene.finish()


def story_requests_out_of_bounds(stage):
    scene = Scene(stage)
    client = rawnbd.connect(scene.socket, "db")
    size = client.size
    for kind, offset, length, wanted in [
            (rawnbd.READ, size, 4096, rawnbd.EINVAL),
            (rawnbd.READ, size - 4096, 8192, rawnbd.EINVAL),
            (rawnbd.READ, 2**64 - 4096, 8192, rawnbd.EINVAL),
            (rawnbd.READ, 1, 4096, rawnbd.EINVAL),
            (rawnbd.TRIM, size - 4096, 8192, rawnbd.EINVAL),
            (rawnbd.WRITE_ZEROES, size - 4096, 8192, rawnbd.ENOSPC)]:
        client.request(kind, offset, length)
        expect_equal(client.simple_reply(length)[0], wanted,
                     f"command {kind} at {offset} of {length} bytes")
    client.request(rawnbd.WRITE, size, 4096, payload=b"x" * 4096)
    expect_equal(client.simple_reply()[0], rawnbd.ENOSPC, "a write past the end")
    client.request(rawnbd.READ, 0, 512)
    expect_equal(client.simple_reply(512)[0], 0, "a read afterwards")
    client.close()
    # More than any payload limit.
    client = rawnbd.connect(scene.socket, "db")
    client.request(rawnbd.WRITE, 0, 0xFFFFF000)
    try:
        error, _, _ = client.simple_reply()
        expect(error in (rawnbd.EINVAL, 75, rawnbd.ENOSPC), f"a write of 4 GiB was answered {error}")
    except (Closed, TimeoutError):
        pass
    client.close()
    client = rawnbd.connect(scene.socket, "db")
    client.request(rawnbd.READ, 0, 4096, magic=0x12345678)
    expect_closed(client, "a wrong request magic")
    scene.finish()


def story_closing_with_128_in_flight(stage):
    scene = Scene(stage, tcp=True)
    scene.daemon.wait_ready(scene.port)
    rng = random.Random(stage.options.seed)
    for number in range(60):
        client = rawnbd.connect(scene.port if number % 2 else scene.socket, "db")
        for cookie in range(128):
            if rng.randrange(2):
                client.request(rawnbd.READ, 4096 * rng.randrange(1000), 65536, 0, cookie)
            else:
                client.request(rawnbd.WRITE, 4096 * rng.randrange(1000), 4096, 0, cookie,
                               b"x" * 4096)
        if rng.randrange(2):
            client.request(rawnbd.WRITE, 0, 65536, 0, 999, b"half of it" * 100)
        if rng.randrange(2):
            try:
                client.receive(rng.randrange(1, 5000))
            except Closed:
                raise AssertionError("the server closed on a client that did nothing wrong") from None
        if number % 3:
            client.close()
        else:
            client.reset()
    wait_until(lambda: scene.daemon.status()["connections"] == 1, "the closed connections are gone")
    scene.finish()


def story_a_client_that_does_not_read(stage):
    scene = Scene(stage)
    silent = rawnbd.connect(scene.socket, "db")
    silent.socket.settimeout(2)
    sent = 0
    try:
        for cookie in range(2000):
            silent.request(rawnbd.READ, 0, 256 * 1024, 0, cookie)
            sent += 1
    except TimeoutError:
        pass  # The server has stopped reading: that is the back-pressure.
    reads = scene.bystander.reads
    wait_until(lambda: scene.bystander.reads > reads + 100, "the bystander goes on")
    limit_kib = 400 * 1024
    expect(scene.daemon.rss_kib() < limit_kib, f"{scene.daemon.rss_kib()} KiB resident")
    print(f"  {sent} requests taken from a client that does not read")
    silent.close()
    wait_until(lambda: scene.daemon.status()["connections"] == 1, "the silent client is gone")
    scene.finish()


def story_half_open_handshakes_time_out(stage):
    scene = Scene(stage)
    quiet = [RawClient(scene.socket, timeout=25) for _ in range(20)]
    half = [RawClient(scene.socket, timeout=25).greet() for _ in range(20)]
    for client in half:
        client.send(struct.pack(">QII", rawnbd.IHAVEOPT, rawnbd.OPT_GO, 100) + b"half")
    start = time.monotonic()
    for client in quiet + half:
        expect(client.closed_by_server(), "a half-open handshake stays")
    print(f"  closed after {time.monotonic() - start:.1f} s")
    scene.finish()


def story_churn_leaves_nothing_behind(stage):
    program = stage.release_program
    try:
        stage.need_release()
    except Skip:
        program = None  # Descriptors and threads are counted all the same.
    scene = Scene(stage, program=program)

    def churn(count):
        for number in range(count):
            client = RawClient(scene.socket)
            if number % 4 == 1:
                client.greet()
            elif number % 4 > 1:
                client.greet().go("db")
                client.request(rawnbd.READ, 0, 65536)
                if number % 4 == 3:
                    client.simple_reply(65536)
                    client.request(rawnbd.DISC)
            client.close()
        wait_until(lambda: scene.daemon.status()["connections"] == 1, "connections are gone")

    churn(200)

    def footprint():
        return scene.daemon.descriptors(), scene.daemon.threads()

    before, rss = footprint(), scene.daemon.rss_kib()
    churn(2000)
    wait_until(lambda: footprint() <= before,
               f"descriptors and threads are back at {before}, now {footprint()}", 10)
    grown = scene.daemon.rss_kib() - rss
    print(f"  descriptors, threads: {before} -> {footprint()}; resident memory +{grown} KiB")
    if program is not None:
        expect(grown < 2 * MIB // 1024, f"resident memory grew by {grown} KiB over 2000 connections")
    scene.finish()


def story_read_only_exports_take_no_writes(stage):
    scene = Scene(stage, export_keys="read_only = true")
    client = rawnbd.connect(scene.socket, "db")
    client.request(rawnbd.WRITE, 0, 4096, 0, 5, b"x" * 4096)
    expect_equal(client.simple_reply()[:2], (rawnbd.EPERM, 5), "a write to a read-only export")
    client.request(rawnbd.TRIM, 0, 4096, 0, 6)
    expect_equal(client.simple_reply()[:2], (rawnbd.EPERM, 6), "a trim of a read-only export")
    client.close()
    scene.finish()


def story_replies_before_the_end(stage):
    """Requests in flight at DISC, or when the client has closed its half, are answered first."""
    import socket  # pylint: disable=import-outside-toplevel
    scene = Scene(stage)
    for disconnect in (True, False):
        client = rawnbd.connect(scene.socket, "db")
        for cookie in range(64):
            client.request(rawnbd.READ, cookie * 4096, 4096, 0, cookie)
        if disconnect:
            client.request(rawnbd.DISC)
        else:
            client.socket.shutdown(socket.SHUT_WR)
        cookies = {client.simple_reply(4096)[1] for _ in range(64)}
        expect_equal(cookies, set(range(64)), "replies after the end")
        expect_closed(client, "the end of the session")
    scene.finish()


if __name__ == "__main__":
    main(__doc__)
