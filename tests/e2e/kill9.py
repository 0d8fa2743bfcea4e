#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon under load, and a new start: what was flushed is there."""

import random
import struct
import time

from braidway import (MIB, db_map, expect, four_paths, main, need_libnbd, uri)

BLOCK = 4096
BLOCKS = 2048
DEPTH = 32


def block_bytes(block, sequence):
    """A block that says which it is and by which write, at both ends."""
    mark = struct.pack("<4sIQ", b"BLCK", block, sequence)
    middle = struct.pack("<Q", sequence * 0x9E3779B97F4A7C15 & (2**64 - 1))
    return mark + middle * ((BLOCK - 32) // 8) + mark


def parse(block, data):
    """The sequence number of the write that made this block; 0 when it was never written."""
    if not any(data):
        return 0
    tag, number, sequence = struct.unpack("<4sIQ", data[:16])
    expect((tag, number) == (b"BLCK", block), f"block {block} holds something else")
    expect(data == block_bytes(block, sequence), f"block {block} is torn: write {sequence}")
    return sequence


class Writer:
    """Writes blocks with rising numbers, flushes, and remembers what must survive."""

    def __init__(self, nbd, seed):
        self.nbd = nbd
        self.random = random.Random(seed)
        self.sequence = 0
        self.issued = [0] * BLOCKS  # last number sent, per block
        self.acknowledged = [0] * BLOCKS
        self.durable = [0] * BLOCKS
        self.busy = set()
        self.flushes = 0

    def write_some(self, handle):
        block = self.random.randrange(BLOCKS)
        if block in self.busy:
            return
        self.sequence += 1
        sequence = self.sequence
        self.busy.add(block)
        self.issued[block] = sequence
        fua = self.random.randrange(16) == 0
        buffer = self.nbd.Buffer.from_bytearray(bytearray(block_bytes(block, sequence)))

        def done(code):
            value = code.value if hasattr(code, "value") else code
            self.busy.discard(block)
            if value == 0:
                self.acknowledged[block] = sequence
                if fua:
                    self.durable[block] = sequence
            return 1

        handle.aio_pwrite(buffer, block * BLOCK, completion=done,
                          flags=self.nbd.CMD_FLAG_FUA if fua else 0)

    def flush(self, handle):
        before = list(self.acknowledged)

        def done(code):
            value = code.value if hasattr(code, "value") else code
            if value == 0:
                self.flushes += 1
                for block, sequence in enumerate(before):
                    self.durable[block] = max(self.durable[block], sequence)
            return 1

        handle.aio_flush(completion=done)

    def load(self, handle, until):
        """Writes and flushes until `until` says that it is over or the connection breaks."""
        steps = 0
        try:
            while not until():
                while handle.aio_in_flight() < DEPTH:
                    self.write_some(handle)
                    steps += 1
                    if steps % 200 == 0:
                        self.flush(handle)
                handle.poll(100)
        except self.nbd.Error:
            pass
        self.busy.clear()


def check(nbd, writer, nbd_socket):
    handle = nbd.NBD()
    handle.connect_uri(uri(nbd_socket, "db"))
    flushed = 0
    for block in range(BLOCKS):
        found = parse(block, bytes(handle.pread(BLOCK, block * BLOCK)))
        expect(found >= writer.durable[block],
               f"block {block}: write {writer.durable[block]} was flushed, {found} is there")
        expect(found <= writer.issued[block], f"block {block}: write {found} was never sent")
        flushed += writer.durable[block] > 0
        # What survived is what counts from here on.
        writer.acknowledged[block] = writer.durable[block] = found
    handle.shutdown()
    return flushed


def rounds_on(stage, config, count):
    nbd = need_libnbd()
    writer = Writer(nbd, stage.options.seed)
    nbd_socket = stage.path("db.sock")
    for number in range(count):
        daemon = stage.serve(config, name=f"daemon{number}")
        daemon.wait_ready(nbd_socket)
        flushed = check(nbd, writer, nbd_socket)
        handle = nbd.NBD()
        handle.connect_uri(uri(nbd_socket, "db"))
        until = time.monotonic() + 0.5 + writer.random.random()
        killed = []

        def over():
            if time.monotonic() > until and not killed:
                daemon.kill9()
                killed.append(True)
            return False

        writer.load(handle, over)
        expect(killed, "the connection broke before the kill")
    daemon = stage.serve(config, name="last")
    daemon.wait_ready(nbd_socket)
    flushed = check(nbd, writer, nbd_socket)
    print(f"  {count} kills, {writer.sequence} writes, {writer.flushes} flushes, "
          f"{flushed} blocks checked")
    expect(writer.flushes > 0, "nothing was flushed")
    daemon.stop()


def story_what_was_flushed_is_there(stage):
    config = four_paths(stage.image(size=64 * MIB)) + db_map(nbd_socket=stage.path("db.sock"))
    rounds_on(stage, config, 4)


def story_while_paths_fail(stage):
    """The same with two paths that come and go."""
    flakey = ('[{ kind = "flakey", up = "50 ms", down = "50 ms", class = "transport" }]')
    image = stage.image(size=64 * MIB)
    config = ('[defaults]\npolling_interval = "100 ms"\nmax_polling_interval = "100 ms"\n' +
              four_paths(image, flakey, names=("a1", "b1")) +
              four_paths(image, "[]", names=("a2", "b2")) + db_map(nbd_socket=stage.path("db.sock")))
    rounds_on(stage, config, 3)


if __name__ == "__main__":
    main(__doc__)
