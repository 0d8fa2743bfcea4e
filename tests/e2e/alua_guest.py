#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Port groups (ALUA) of a real target, the kernel's LIO over iSCSI: it moves the volume, hosts ask
for it, groups are in transition, unavailable, offline; and no client sees it.

Boots a guest (see guest.py) and runs the release build's daemon there. The guest is emulated and
slow: times are printed, and their bounds are wide.
"""
import argparse
import os
import random
import statistics
import threading
import time

import guest
from braidway import expect, expect_equal, main, need_libnbd, uri, wait_until
from lio import (IMAGE, IMPLICIT, NON_OPTIMIZED, OPTIMIZED, SIZE, STANDBY, TRANSITIONING,
                 UNAVAILABLE, Lio)

BLOCK = 4096
GUEST_SECONDS = 560
STALL_MAX = 5.0
QUIESCE = 2.0
CONFIG = """
[defaults]
polling_interval = "500 ms"
max_polling_interval = "1 s"
{checker}
[path.near]
device = "{near}"
{keys}
[path.far]
device = "{far}"
{keys}
[map.db]
{handler}
groups = [{{ paths = ["near"] }}, {{ paths = ["far"] }}]
[export.db]
map = "db"
nbd = ["unix:db.sock"]
"""
KEYS = f'io_timeout = "5 s"\nconnect_timeout = "10 s"\nresend_quiesce = "{QUIESCE:g} s"'


class Client:
    """Two clients at once, which know what each block must hold and how long each answer took: one
    writes a block and reads another one that it wrote; one only reads."""

    def __init__(self, stage):
        self.blocks = {}  # What was written, by number of the block.
        self.waits = {"write": [], "read": []}
        self.wrong, self.ended = [], False
        self.handles = []
        for _ in range(2):
            handle = need_libnbd().NBD()
            handle.connect_uri(uri(stage.path("db.sock"), "db"))
            self.handles.append(handle)
        self.half = SIZE // BLOCK // 2
        for number in range(self.half, self.half + 64):
            self.put(self.handles[1], number)
        self.threads = [threading.Thread(target=self.run, args=each)
                        for each in ((self.write_some, 0), (self.read_some, 1))]
        for thread in self.threads:
            thread.start()

    def put(self, handle, number):
        data = random.randbytes(64) * (BLOCK // 64)
        handle.pwrite(data, number * BLOCK)
        self.blocks[number] = data

    def check(self, handle, number):
        if handle.pread(BLOCK, number * BLOCK) != self.blocks[number]:
            self.wrong.append(f"block {number} is not what was written")

    def timed(self, kind, act, *words):
        begun = time.monotonic()
        act(*words)
        self.waits[kind].append((begun, time.monotonic() - begun))

    def write_some(self, handle, turn):
        number = turn % self.half
        self.timed("write", self.put, handle, number)
        self.timed("read", self.check, handle, random.randrange(number + 1))

    def read_some(self, handle, turn):
        self.timed("read", self.check, handle, self.half + turn % 64)

    def run(self, act, place):
        turn = 0
        while not self.ended:
            try:
                act(self.handles[place], turn)
            except Exception as problem:  # pylint: disable=broad-except
                self.wrong.append(f"an error reached the client: {problem}")
                return
            turn += 1

    def done(self):
        return {kind: len(waits) for kind, waits in self.waits.items()}

    def wait_going(self, seconds=STALL_MAX + QUIESCE + 10, count=10):
        """Waits until both have gone on; fails at once when one has seen an error."""
        before = self.done()

        def gone_on():
            self.expect_right()
            return all(self.done()[kind] >= before[kind] + count for kind in before)

        wait_until(gone_on, "both clients go on", seconds)

    def stall_since(self, moment):
        """The longest wait for an answer of each kind that ended after `moment`, in seconds."""
        return {kind: max((length for begun, length in waits if begun + length >= moment),
                          default=0.0) for kind, waits in self.waits.items()}

    def shown(self):
        return "; ".join(f"{len(waits)} {kind}s, median "
                         f"{statistics.median(length for _, length in waits) * 1000:.1f} ms"
                         for kind, waits in self.waits.items())

    def expect_right(self):
        expect(not self.wrong, "; ".join(self.wrong[:3]))

    def end(self):
        self.ended = True
        for thread in self.threads:
            thread.join()
        for handle in self.handles:
            handle.shutdown()

    def expect_on_store(self):
        """The file behind the target holds what the clients wrote."""
        with open(IMAGE, "rb") as image:
            for number, data in self.blocks.items():
                image.seek(number * BLOCK)
                expect(image.read(BLOCK) == data, f"the store's block {number} is another")


class Scene:
    """A daemon with a map over both ports, and clients on it."""

    def __init__(self, stage, lio, checker='checker = "tur"',
                 handler='hardware_handler = "1 alua"'):
        self.lio = lio
        config = CONFIG.format(near=lio.near.uri(), far=lio.far.uri(), keys=KEYS, checker=checker,
                               handler=handler)
        self.daemon = stage.serve(config, wait=False).wait_ready(stage.path("db.sock"), seconds=60)
        self.client = Client(stage)

    def __enter__(self):
        self.client.wait_going()
        return self

    def __exit__(self, kind, *_):
        self.client.end()
        if kind is None:
            self.finish()

    def finish(self):
        self.client.expect_right()
        db = self.daemon.maps()["db"]
        expect_equal(db["failed_to_client"], 0, "errors to the clients")
        print(f"  {self.client.shown()}; no error, data as written; {db['retries']} requests were "
              "refused on one path and done on another", flush=True)
        expect_equal(self.daemon.stop(), 0, "exit code")
        self.client.expect_on_store()

    def after(self, what, act, to, stall_max=STALL_MAX, writes_more=0.0):
        """Does `act`, after which I/O must run through the port `to`; prints and returns how long
        the clients waited. Writes may take `writes_more` seconds longer."""
        moment = time.monotonic()
        act()
        self.client.wait_going()
        self.lio.wait_used(to, STALL_MAX)
        stall = self.client.stall_since(moment)
        print(f"  {what}: reads waited {stall['read'] * 1000:.0f} ms, "
              f"writes {stall['write'] * 1000:.0f} ms; "
              + ", ".join(f"{port.name} {port.state()} ({port.changed_by()})"
                          for port in self.lio.ports), flush=True)
        for kind, more in (("read", 0.0), ("write", writes_more)):
            expect(stall[kind] <= stall_max + more, f"{what}: {kind}s waited {stall[kind]:.1f} s")
        return stall

    def path_up(self, name):
        begun = time.monotonic()
        self.daemon.wait_path(name, "up", 30)
        print(f"  the path {name} is up {time.monotonic() - begun:.1f} s later")


def move(source, target):
    """As an array does: the volume leaves the one side before the other takes it."""
    source.become(STANDBY)
    target.become(OPTIMIZED)


def story_the_target_moves_the_volume(stage):
    lio = Lio.reset()
    with Scene(stage, lio) as scene:
        source, target = lio.ports
        for turn in range(6):
            scene.after(f"moved to {target.name}", lambda a=source, b=target: move(a, b), target)
            expect_equal((source.state(), target.state()), (STANDBY, OPTIMIZED), f"move {turn}")
            scene.path_up(source.name)
            source, target = target, source


def story_hosts_follow_where_only_the_target_may_change_states(stage):
    lio = Lio.reset()
    for port in lio.ports:
        port.allow(IMPLICIT)
    with Scene(stage, lio) as scene:
        for source, target in (lio.ports, lio.ports[::-1]):
            scene.after(f"moved to {target.name}", lambda a=source, b=target: move(a, b), target)
            expect("Explicit" not in target.changed_by(), "who changed it: " + target.changed_by())
            scene.path_up(source.name)


def story_a_lost_portal_makes_the_host_ask_for_the_other_group(stage):
    lio = Lio.reset()
    with Scene(stage, lio) as scene:
        scene.after("the portal of near is gone", lio.near.cut, lio.far, writes_more=QUIESCE)
        expect_equal(lio.far.state(), OPTIMIZED, "state of far")
        expect("Explicit" in lio.far.changed_by(), "who changed far: " + lio.far.changed_by())
        lio.near.mend()
        scene.path_up("near")
        lio.near.become(STANDBY)
        scene.after("the portal of far is gone", lio.far.cut, lio.near, writes_more=QUIESCE)
        expect_equal(lio.near.state(), OPTIMIZED, "state of near")
        expect("Explicit" in lio.near.changed_by(), "who changed near: " + lio.near.changed_by())
        lio.far.mend()
        scene.path_up("far")


def story_nobody_has_configured_a_handler(stage):
    """The target says that it has port groups: handler and checker are chosen by that."""
    lio = Lio.reset()
    with Scene(stage, lio, checker="", handler="") as scene:
        expect_equal(scene.daemon.maps()["db"]["hardware_handler"], "1 alua", "handler")
        time.sleep(2)  # Some checks, which must not take the path in standby for a bad one.
        scene.path_up("far")
        scene.after("the portal of near is gone", lio.near.cut, lio.far, writes_more=QUIESCE)
        expect("Explicit" in lio.far.changed_by(), "who changed far: " + lio.far.changed_by())


def story_an_operator_switches_groups(stage):
    lio = Lio.reset()
    with Scene(stage, lio) as scene:
        for number, port in ((2, lio.far), (1, lio.near)):
            other = lio.near if port is lio.far else lio.far
            other.become(NON_OPTIMIZED)
            port.become(STANDBY)
            scene.after(f"switched to {port.name}", lambda n=number: scene.daemon.do(
                "switch", "group", "db", str(n)), port)
            expect_equal(port.state(), OPTIMIZED, f"state of {port.name}")
            expect("Explicit" in port.changed_by(), "who changed it: " + port.changed_by())


def story_a_transition_takes_its_time(stage):
    lio = Lio.reset()
    for port in lio.ports:
        port.take_time(1500)
    with Scene(stage, lio) as scene:
        scene.after("moved to far, 1.5 s for each change", lambda: move(*lio.ports), lio.far)
        scene.path_up("near")
        scene.after("the portal of far is gone", lio.far.cut, lio.near, writes_more=QUIESCE)
        expect_equal(lio.near.state(), OPTIMIZED, "state of near")
        lio.far.mend()
        scene.path_up("far")


def story_both_groups_are_in_transition(stage):
    """Nothing can be done but wait; clients wait, too, and see no error."""
    lio = Lio.reset()
    with Scene(stage, lio) as scene:
        moment = time.monotonic()
        for port in lio.ports:
            port.become(TRANSITIONING)
        time.sleep(3)
        scene.client.expect_right()
        held = time.monotonic() - moment
        scene.after(f"in transition for {held:.1f} s, then far", lambda: (
            lio.far.become(OPTIMIZED), lio.near.become(STANDBY)), lio.far, held + 2 * STALL_MAX)


def story_groups_become_unavailable_and_offline(stage):
    lio = Lio.reset()
    with Scene(stage, lio) as scene:
        scene.after("near is unavailable", lambda: lio.near.become(UNAVAILABLE), lio.far)
        expect_equal(lio.far.state(), OPTIMIZED, "state of far")
        time.sleep(2)
        expect_equal(scene.daemon.paths()["near"]["state"], "down", "path to what is unavailable")
        lio.near.become(STANDBY)
        scene.path_up("near")
        scene.after("far is offline", lambda: lio.far.set_offline(True), lio.near)
        expect_equal(lio.near.state(), OPTIMIZED, "state of near")
        expect_equal(scene.daemon.paths()["far"]["state"], "down", "path to the port offline")
        lio.far.set_offline(False)
        scene.path_up("far")


def story_no_group_takes_io_for_a_while(stage):
    """Only the target may change states, and both are in standby: I/O is held."""
    lio = Lio.reset()
    for port in lio.ports:
        port.allow(IMPLICIT)
    with Scene(stage, lio) as scene:
        moment = time.monotonic()
        lio.near.become(STANDBY)
        time.sleep(3)
        scene.client.expect_right()
        held = time.monotonic() - moment
        scene.after(f"both in standby for {held:.1f} s, then near",
                    lambda: lio.near.become(OPTIMIZED), lio.near, held + 2 * STALL_MAX)


def story_a_volume_in_standby_is_there_from_the_start(stage):
    """A map all of whose groups are in standby starts, and its first I/O makes one optimized."""
    lio = Lio.reset(STANDBY, STANDBY)
    with Scene(stage, lio):
        expect(OPTIMIZED in (lio.near.state(), lio.far.state()), "one of both is optimized")


def start():
    """On the host the guest is started; in the guest the stories are run."""
    if guest.in_guest():
        main(__doc__.split("\n")[0])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", default=os.path.join(guest.ROOT, "build", "release"))
    parser.add_argument("--build", help="not used: only the release build is fast enough there")
    parser.add_argument("--io-backend", default="", help="io_uring or epoll")
    parser.add_argument("stories", nargs="*", help="names of stories (default: all)")
    options = parser.parse_args()
    words = ["--build", os.path.abspath(options.release), *options.stories]
    if options.io_backend:
        words += ["--io-backend", options.io_backend]
    guest.run_in_guest(__file__, options.release, ("braidway",), words, seconds=GUEST_SECONDS)


if __name__ == "__main__":
    start()
