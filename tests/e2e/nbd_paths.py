#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Paths to NBD servers: killed, restarted, stopped, cut, swapped, late; and no client sees it."""

import os
import subprocess
import time

from braidway import (MIB, expect, expect_equal, free_port, main, need_libnbd, need_tools, uri,
                      wait_until)
from fabric_servers import Cutter, Nbdkit
from fabric_support import (CHECKS, KILLED_STALL, PATH_KEYS, SIZE, check_fio, check_killed, digest,
                            event_lines, fio_verify, fresh_write_stalls, same_as_image, shown,
                            stalls, start, verify_under_trouble, volume)


def story_three_servers_come_and_go_under_load(stage):
    need_tools("nbdkit", "fio", "nbdcopy")
    image = stage.image("disk.img", SIZE)
    servers = [Nbdkit(stage, "a", "file", image, filters=["pause"]),
               Nbdkit(stage, "b", "file", image, filters=["pause"], port=free_port()),
               Nbdkit(stage, "c", "file", image, filters=["pause"], port=free_port())]
    for server in servers[1:]:
        server.cutter = Cutter(server.port)
    try:
        daemon = start(stage, volume({each.name: each.uri() for each in servers}))
        verify_under_trouble(stage, daemon, servers, image)
    finally:
        for server in servers[1:]:
            server.cutter.end()


def two_servers(stage, keys=PATH_KEYS, checks=CHECKS, **ports):
    """A map of two groups; on the release build where there is one, as times are looked at."""
    image = stage.image("disk.img", SIZE)
    servers = [Nbdkit(stage, name, "file", image, port=ports.get(name)) for name in ("a", "b")]
    config = volume({each.name: each.uri() for each in servers}, keys, groups=[["a"], ["b"]],
                    checks=checks)
    there = os.access(stage.release_program, os.X_OK)
    return servers, start(stage, config, stage.release_program if there else None)


def story_stall_of_a_killed_server(stage):
    need_tools("nbdkit")
    need_libnbd()
    servers, daemon = two_servers(stage)
    for write in (False, True):
        # On a unix socket the server is proven dead, so that even writes in doubt need not wait.
        check_killed(
            lambda w=write: stalls(stage, daemon, servers[0], w, 25, "kill", "start"),
            "unix, writes" if write else "unix, reads")
    risks = daemon.paths()["a"]["fabric"]["resend_risks"]
    expect_equal(risks, 0, "writes sent again without proof")


def story_stall_of_a_killed_server_over_tcp(stage):
    need_tools("nbdkit")
    need_libnbd()
    servers, daemon = two_servers(stage, a=free_port())
    check_killed(lambda: stalls(stage, daemon, servers[0], False, 25, "kill", "start"),
                 "tcp, reads")
    check_killed(lambda: fresh_write_stalls(stage, daemon, servers[0], 25), "tcp, fresh writes")
    found = stalls(stage, daemon, servers[0], True, 3, "kill", "start")
    print(f"  killed, tcp, writes (in doubt: resend_quiesce 1500 ms): stall {shown(found)}")
    expect(found[-1] <= 1.5 + 0.5, f"stall of a write in doubt: {found}")


def story_stall_of_a_silent_server(stage):
    need_tools("nbdkit")
    need_libnbd()
    servers, daemon = two_servers(stage)
    found = stalls(stage, daemon, servers[0], False, 6, "pause", "go_on")
    print(f"  stopped, reads (deadline 500 ms): stall {shown(found)}")
    expect(found[len(found) // 2] <= 0.5 + KILLED_STALL, f"stall of a silent server: {found}")
    found = stalls(stage, daemon, servers[0], True, 2, "pause", "go_on")
    print(f"  stopped, writes (deadline 500 ms, resend_quiesce 1500 ms): stall {shown(found)}")
    expect(found[0] >= 1.9, f"a stopped server was taken for dead: {found}")
    expect(found[-1] <= 2.0 + 0.5, f"stall of a write in doubt: {found}")
    expect(daemon.paths()["a"]["fabric"]["resend_risks"] > 0, "no risk was counted")
    expect(event_lines(daemon, "resend-at-risk"), "no event tells of the risk")


def story_an_image_that_was_swapped_is_never_written_to(stage):
    need_tools("nbdkit")
    nbd = need_libnbd()
    image, other = stage.image("disk.img", SIZE), stage.path("other.img")
    for path, name in ((image, b"volume one"), (other, b"volume two")):
        with open(path, "wb") as file:
            file.write(name)
            file.truncate(SIZE)
    before = digest(other)
    servers = [Nbdkit(stage, name, "file", image) for name in ("a", "b")]
    # Both have the size and the name of the first: only what is in them tells them apart.
    keys = PATH_KEYS + 'fingerprint = ["0+64"]\n'
    daemon = start(stage, volume({each.name: each.uri() for each in servers}, keys))
    handle = nbd.NBD()
    handle.connect_uri(uri(stage.path("db.sock"), "db"))
    servers[0].kill()
    servers[0].plugin = ("file", other)
    servers[0].start()
    for at in range(0, 4 * MIB, 65536):
        handle.pwrite(os.urandom(65536), MIB + at)
    wait_until(lambda: daemon.paths()["a"]["fabric"]["fenced_off"], "path a is fenced off")
    for at in range(0, 4 * MIB, 65536):
        handle.pwrite(os.urandom(65536), MIB + at)
    expect_equal(digest(other), before, "the image that was put there")
    expect(event_lines(daemon, "path-identity-changed"), "no event tells of it")
    expect_equal(daemon.paths()["b"]["state"], "up", "the other path")
    handle.shutdown()


# Once it has been asked to write, the server lets nobody in any more: the path stays down.
LATE = "touch {flag}; sleep 2; dd of={image} conv=notrunc oflag=seek_bytes seek=$4 status=none"


def late_write(stage, quiesce):
    """Writes 'old', which path a executes 2 s later, then 'new'; what is there in the end?"""
    nbd = need_libnbd()
    image = stage.image("disk.img", SIZE)
    flag = stage.path("asked")
    late = Nbdkit(stage, "a", "eval", f"get_size=echo {SIZE}", "can_write=exit 0",
                  f"open=test ! -e {flag}",
                  f"pread=dd if={image} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none",
                  "pwrite=" + LATE.format(image=image, flag=flag), port=free_port())
    good = Nbdkit(stage, "b", "file", image)
    keys = (f'io_timeout = "500 ms"\nresend_quiesce = "{quiesce}"\nconnect_timeout = "2 s"\n'
            'shared_cache = true\n')
    daemon = start(stage, volume({"a": late.uri(), "b": good.uri()}, keys,
                                 groups=[["a"], ["b"]]))
    handle = nbd.NBD()
    handle.connect_uri(uri(stage.path("db.sock"), "db"))
    begun = time.monotonic()
    handle.pwrite(b"old" + bytes(4093), 8192)
    took = time.monotonic() - begun
    handle.pwrite(b"new" + bytes(4093), 8192)
    time.sleep(max(0.0, begun + 4 - time.monotonic()))
    with open(image, "rb") as file:
        file.seek(8192)
        found = file.read(3)
    fabric = daemon.paths()["a"]["fabric"]
    handle.shutdown()
    return found, took, fabric


def story_a_late_write_never_overwrites_newer_data(stage):
    need_tools("nbdkit", "dd")
    found, took, fabric = late_write(stage, "3 s")
    print(f"  safe re-send: the write took {took:.2f} s, then the volume has {found!r}; {fabric}")
    expect_equal(found, b"new", "what the client wrote last")
    expect(took >= 3.4, f"the write was sent again after {took:.2f} s")


def story_without_safe_resend_a_late_write_does_overwrite(stage):
    need_tools("nbdkit", "dd")
    found, took, fabric = late_write(stage, "off")
    print(f"  at once: the write took {took:.2f} s, then the volume has {found!r}; {fabric}")
    expect_equal(found, b"old", "what is lost without safe re-send")
    expect(fabric["resend_risks"] > 0, "the risk was not counted")


def refused(stage, config):
    daemon = stage.serve(config, wait=False)
    daemon.wait_end(expected=None, seconds=20)
    expect(daemon.process.returncode != 0, "a wrong configuration was served")
    return daemon.log_text().strip().splitlines()[-2:]


def story_bad_input_is_told_in_one_line(stage):
    need_tools("nbdkit", "qemu-nbd")
    image = stage.image("disk.img", SIZE)
    small = stage.image("small.img", SIZE // 2)
    good = Nbdkit(stage, "a", "file", image)
    little = Nbdkit(stage, "little", "file", small)
    named = stage.path("named.sock")
    stage.spawn("qemu-nbd", "-t", "-f", "raw", "-k", named, "-x", "disk", "-e", "8", image,
                stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(named), "qemu-nbd listens")
    for where, words in (("nbd://host:port/x", "path.a.device: 'nbd://host:port/x'"),
                         ("nbds://127.0.0.1/?tls-type=anon", "tls-type=anon proves nothing of"),
                         (f"nbd://127.0.0.1:{free_port()}", "Connection refused; does the server")):
        lines = refused(stage, volume({"a": where}))
        expect(any(words in line for line in lines), f"no line says '{words}': {lines}")
    # The map starts with the path that works, and says which do not.
    daemon = start(stage, volume({
        "a": good.uri(),
        "b": f"nbd://127.0.0.1:{free_port()}",
        "c": f"nbd+unix:///nonesuch?socket={named}",
        "d": little.uri(),
        "e": "nbd://no-such-host.invalid"}))
    expect_equal({name: path["state"] for name, path in daemon.paths().items()},
                 {"a": "up", "b": "down", "c": "down", "d": "down", "e": "down"}, "states")
    for path, words in (("b", "does the server run?"), ("c", "has no export 'nonesuch'"),
                        ("d", "leads to another volume"), ("e", "cannot find the host")):
        lines = [each for each in daemon.log_text().splitlines() if words in each]
        expect(lines and f"{path}" in lines[0], f"no line says '{words}' of path {path}")
    # A path to another volume is not added either.
    config = stage.path("braidway.toml")
    with open(config) as file:
        text = file.read()
    text = text.replace('[map.db]\ngroups = [{ paths = ["a",',
                        f'[path.f]\ndevice = "{little.uri()}"\n'
                        '[map.db]\ngroups = [{ paths = ["f", "a",')
    with open(config, "w") as file:
        file.write(text)
    done = daemon.cli("reload", check=False)
    expect(done.returncode != 0 and "path f leads to another volume" in done.stdout + done.stderr,
           f"the reload: {done.stdout}{done.stderr}")
    expect("f" not in daemon.paths(), "the foreign path is there")
    expect_equal(daemon.paths()["a"]["state"], "up", "the path that works")


def story_qemu_as_a_server(stage):
    need_tools("qemu-storage-daemon", "fio", "nbdcopy")
    image = stage.image("disk.img", SIZE)
    sockets = [stage.path("q1.sock"), stage.path("q2.sock")]
    for where in sockets:
        stage.spawn("qemu-storage-daemon", "--blockdev",
                    f"driver=file,node-name=f,filename={image},locking=off",
                    "--nbd-server", f"addr.type=unix,addr.path={where},max-connections=16",
                    "--export", "type=nbd,id=e,node-name=f,name=disk,writable=on")
    for where in sockets:
        wait_until(lambda: os.path.exists(where), "qemu-storage-daemon listens")
    daemon = start(stage, volume({f"q{at}": f"nbd+unix:///disk?socket={where}"
                                  for at, where in enumerate(sockets)}))
    expect("4 connections" in daemon.paths()["q0"]["fabric"]["connection"],
           str(daemon.paths()["q0"]["fabric"]))
    fio = fio_verify(stage, 3)
    time.sleep(1)
    stage.processes[0].kill()
    check_fio(fio)
    same_as_image(stage, image)
    expect_equal(daemon.maps()["db"]["failed_to_client"], 0, "errors to the client")


def story_idle_connections_are_noticed_when_they_die(stage):
    need_tools("nbdkit")
    # No check comes in time to find it.
    servers, daemon = two_servers(stage, PATH_KEYS + 'keepalive = "300 ms"\n',
                                  '[defaults]\npolling_interval = "60 s"\n')
    time.sleep(1.5)
    expect_equal(daemon.paths()["b"]["state"], "up", "path b while it is idle")
    servers[1].pause()
    daemon.wait_path("b", "down", seconds=5)
    expect(event_lines(daemon, "to a read that keeps an idle connection"), daemon.tail())
    servers[1].go_on()


if __name__ == "__main__":
    main(__doc__)
