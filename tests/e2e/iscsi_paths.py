#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Paths to portals of tgtd: killed, restarted, stopped, cut, swapped, late; and no client sees it."""

import os
import sys
import threading
import time

from braidway import (MIB, ROOT, Skip, expect, expect_equal, main, need_libnbd, need_tools, uri,
                      wait_until)
from fabric_servers import Cutter, process_state
from fabric_support import (KILLED_STALL, SIZE, check_killed, digest, event_lines,
                            fresh_write_stalls, shown, stalls, start, verify_under_trouble, volume)

sys.path.insert(0, os.path.join(ROOT, "tests", "fabric"))
import tgtd  # pylint: disable=wrong-import-position

NAME = "iqn.2026-11.org.example:disks"
# tgtd names a unit after its number, unless it is told who it is.
UNIT = "scsi_id=volume-one,scsi_sn=one0001"
OTHER = "scsi_id=volume-two,scsi_sn=two0002"
KEYS = ('io_timeout = "500 ms"\nresend_quiesce = "1500 ms"\nconnect_timeout = "500 ms"\n'
        'task_management_timeout = "500 ms"\nkeepalive = "300 ms"\n')


def need_tgtd():
    reason = tgtd.missing()
    if reason:
        raise Skip(reason)


def slow_disk(stage):
    library = os.path.join(stage.build, "tests", "path", "libslow_disk.so")
    if not os.path.exists(library):
        raise Skip(f"there is no {library}")
    return library


class Target:
    """One tgtd with the image as a unit, which the stage ends with the story."""

    def __init__(self, stage, name, image, portals=1, preload="", parameters=UNIT):
        need_tgtd()
        self.name = name
        self.tgtd = tgtd.Tgtd(portals, preload)
        stage.processes.append(self)
        stage.folders.append(self.tgtd.folder)
        self.tgtd.add_target(1, NAME)
        self.tgtd.add_unit(1, 1, image, parameters)

    # --- what the stage wants of a process ---
    def poll(self):
        return None if self.tgtd.process is not None else 0

    def wait(self):
        pass

    def kill(self):
        self.tgtd.kill()

    def start(self):
        self.tgtd.start()

    def pause(self):
        self.tgtd.pause()

    def go_on(self):
        self.tgtd.resume()

    def died(self):
        return self.tgtd.process is None or self.tgtd.process.poll() is not None

    def state(self):
        return process_state(self.tgtd.process.pid) if self.tgtd.process else "gone"

    def uri(self, portal=0):
        return self.tgtd.uri(NAME, 1, portal)


class Portal:
    """One portal of a target, with a proxy in front of it. Faults of the target as a whole are
    only possible where it has no other portal in use."""

    def __init__(self, target, name, portal=0, alone=True):
        self.target, self.name, self.alone = target, name, alone
        self.cutter = Cutter(target.tgtd.ports[portal])
        for each in ("cut", "refuse", "admit", "hold", "let_go"):
            setattr(self, each, getattr(self.cutter, each))
        for each in ("kill", "start", "pause", "go_on", "died"):
            setattr(self, each, getattr(target, each))
        self.slow, self.quick = target.tgtd.slow, target.tgtd.quick

    def faults(self):
        whole = ["killed", "stopped", "slow"] if self.alone else []
        return [*whole, "cut", "refused", "late"]

    def uri(self):
        return f"iscsi://127.0.0.1:{self.cutter.port}/{NAME}/1"


def load(stage, image, portals):
    need_tools("fio", "nbdcopy")
    try:
        daemon = start(stage, volume({each.name: each.uri() for each in portals}, KEYS))
        verify_under_trouble(stage, daemon, portals, image)
    finally:
        for portal in portals:
            portal.cutter.end()


def story_two_portals_of_one_target_come_and_go_under_load(stage):
    image = stage.image("disk.img", SIZE)
    target = Target(stage, "t", image, portals=2)
    load(stage, image, [Portal(target, "a", 0, alone=False), Portal(target, "b", 1, alone=False)])


def story_two_targets_come_and_go_under_load(stage):
    # One volume behind two targets, as behind an array's two controllers.
    library = slow_disk(stage)
    image = stage.image("disk.img", SIZE)
    load(stage, image, [Portal(Target(stage, name, image, preload=library), name)
                        for name in ("a", "b")])


def two_targets(stage, keys=KEYS):
    """A map of two groups; on the release build where there is one, as times are looked at."""
    image = stage.image("disk.img", SIZE)
    targets = [Target(stage, name, image) for name in ("a", "b")]
    there = os.access(stage.release_program, os.X_OK)
    config = volume({each.name: each.uri() for each in targets}, keys, groups=[["a"], ["b"]])
    return targets, start(stage, config, stage.release_program if there else None)


def story_stall_of_a_killed_target(stage):
    need_libnbd()
    targets, daemon = two_targets(stage)
    check_killed(lambda: stalls(stage, daemon, targets[0], False, 25, "kill", "start"), "reads")
    check_killed(lambda: fresh_write_stalls(stage, daemon, targets[0], 25), "fresh writes")
    found = stalls(stage, daemon, targets[0], True, 3, "kill", "start")
    print(f"  killed, writes (in doubt: resend_quiesce 1500 ms): stall {shown(found)}")
    expect(found[-1] <= 1.5 + 0.5, f"stall of a write in doubt: {found}")


def story_stall_of_a_silent_target(stage):
    need_libnbd()
    targets, daemon = two_targets(stage)
    found = stalls(stage, daemon, targets[0], False, 6, "pause", "go_on")
    print(f"  stopped, reads (deadline 500 ms): stall {shown(found)}")
    expect(found[len(found) // 2] <= 0.5 + KILLED_STALL, f"stall of a silent target: {found}")
    found = stalls(stage, daemon, targets[0], True, 2, "pause", "go_on")
    print(f"  stopped, writes (deadline 500 ms, resend_quiesce 1500 ms): stall {shown(found)}")
    expect(found[0] >= 1.9, f"a stopped target was taken for dead: {found}")
    expect(found[-1] <= 2.0 + 0.5, f"stall of a write in doubt: {found}")
    expect(daemon.paths()["a"]["fabric"]["resend_risks"] > 0, "no risk was counted")
    expect(event_lines(daemon, "resend-at-risk"), "no event tells of the risk")


def two_volumes(stage):
    """Two images that look alike but for their first bytes."""
    images = [stage.path("one.img"), stage.path("two.img")]
    for path in images:
        with open(path, "wb") as file:
            file.write(os.path.basename(path).encode())
            file.truncate(SIZE)
    return images


def write_for_a_while(handle, seconds):
    end = time.monotonic() + seconds
    at = MIB
    while time.monotonic() < end:
        handle.pwrite(os.urandom(65536), at)
        at = MIB + (at + 65536) % (8 * MIB)


def check_fenced(stage, daemon, other, before):
    wait_until(lambda: daemon.paths()["a"]["fabric"]["fenced_off"], "path a is fenced off")
    expect_equal(digest(other), before, "the image that was put there")
    expect(event_lines(daemon, "path-identity-changed"), "no event tells of it")
    expect("leads to another volume" in daemon.cli("list", "paths").stdout,
           f"`list paths` does not tell of it: {daemon.cli('list', 'paths').stdout}")
    expect_equal(daemon.paths()["b"]["state"], "up", "the other path")
    expect_equal(daemon.maps()["db"]["failed_to_client"], 0, "errors to the client")


def story_units_swapped_while_the_target_was_down_are_never_written_to(stage):
    nbd = need_libnbd()
    one, two = two_volumes(stage)
    before = digest(two)
    targets = [Target(stage, name, one) for name in ("a", "b")]
    targets[0].tgtd.add_unit(1, 2, two, OTHER)
    daemon = start(stage, volume({each.name: each.uri() for each in targets}, KEYS))
    handle = nbd.NBD()
    handle.connect_uri(uri(stage.path("db.sock"), "db"))
    write_for_a_while(handle, 0.5)
    targets[0].kill()
    # The images change places, and with them who the units are.
    target = targets[0].tgtd
    target.configured = target.configured[:2]
    target.add_unit(1, 2, one, UNIT)
    target.add_unit(1, 1, two, OTHER)
    target.start()
    write_for_a_while(handle, 2)
    check_fenced(stage, daemon, two, before)
    handle.shutdown()


def number_given_away(stage, between, keys=KEYS, load=2):
    """The session stays: only what the target says on it tells of the change."""
    nbd = need_libnbd()
    one, two = two_volumes(stage)
    before = digest(two)
    targets = [Target(stage, name, one) for name in ("a", "b")]
    daemon = start(stage, volume({each.name: each.uri() for each in targets}, keys))
    handle = nbd.NBD()
    handle.connect_uri(uri(stage.path("db.sock"), "db"))
    write_for_a_while(handle, 0.5)
    target = targets[0].tgtd
    target.remove_unit(1, 1)
    between(handle, daemon)
    target.add_unit(1, 1, two, OTHER)
    if not load:
        # Long enough for checks to look at it; then clients come.
        time.sleep(1)
    write_for_a_while(handle, load or 1)
    check_fenced(stage, daemon, two, before)
    handle.shutdown()


def story_a_number_that_another_unit_gets_under_load_is_never_written_to(stage):
    def missed_for_a_while(handle, daemon):
        write_for_a_while(handle, 1)
        expect_equal(daemon.paths()["a"]["state"], "down", "path a without its unit")

    number_given_away(stage, missed_for_a_while)


def story_a_number_that_another_unit_gets_between_checks_is_never_written_to(stage):
    """No client is there: TEST UNIT READY is what the target tells it to."""
    def seen_by_the_check(handle, daemon):
        wait_until(lambda: daemon.paths()["a"]["state"] == "down", "path a without its unit")

    number_given_away(stage, seen_by_the_check, keys=KEYS + 'checker = "tur"\n', load=0)


def late_write(stage, quiesce, hurt=None):
    """Writes 'old', which target a executes only seconds later, then 'new'; what is there then?"""
    nbd = need_libnbd()
    image = stage.image("disk.img", SIZE)
    late = Portal(Target(stage, "a", image, preload=slow_disk(stage)), "a")
    good = Target(stage, "b", image)
    keys = KEYS.replace('"1500 ms"', f'"{quiesce}"')
    try:
        daemon = start(stage, volume({"a": late.uri(), "b": good.uri()}, keys,
                                     groups=[["a"], ["b"]]))
        handle = nbd.NBD()
        handle.connect_uri(uri(stage.path("db.sock"), "db"))
        late.slow()
        begun = time.monotonic()
        release = threading.Timer(2.0, late.quick)
        release.start()
        if hurt:
            threading.Timer(0.2, getattr(late, hurt)).start()
        handle.pwrite(b"old" + bytes(4093), 8192)
        took = time.monotonic() - begun
        handle.pwrite(b"new" + bytes(4093), 8192)
        release.join()
        time.sleep(max(0.0, begun + 3.5 - time.monotonic()))
        with open(image, "rb") as file:
            file.seek(8192)
            found = file.read(3)
        fabric = daemon.paths()["a"]["fabric"]
        handle.shutdown()
    finally:
        late.cutter.end()
    print(f"  resend_quiesce {quiesce}{', ' + hurt if hurt else ''}: the write took {took:.2f} s, "
          f"then the volume has {found!r}; {fabric}")
    return found, took, fabric


def story_a_late_write_never_overwrites_newer_data(stage):
    # The target confirms that the write has ended when its disk has done it.
    found, took, fabric = late_write(stage, "10 s")
    expect_equal(found, b"new", "what the client wrote last")
    expect(2.0 <= took <= 5.0, f"the write was sent again after {took:.2f} s")
    expect_equal(fabric["resend_risks"], 0, "writes sent again without proof")


def story_a_late_write_of_a_lost_session_never_overwrites_newer_data(stage):
    found, took, _ = late_write(stage, "3 s", "cut")
    expect_equal(found, b"new", "what the client wrote last")
    expect(took >= 2.0, f"the write was sent again after {took:.2f} s")


def story_without_safe_resend_a_late_write_does_overwrite(stage):
    found, _, fabric = late_write(stage, "off")
    expect_equal(found, b"old", "what is lost without safe re-send")
    expect(fabric["resend_risks"] > 0, "the risk was not counted")


if __name__ == "__main__":
    main(__doc__)
