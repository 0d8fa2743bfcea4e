#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clients that people have work against the demo."""

import json
import os

from braidway import MIB, Skip, expect, expect_equal, free_port, main, need_tools, uri

SIZE = 1 << 30


def story_nbdinfo(stage):
    need_tools("nbdinfo")
    _, socket = stage.demo()
    info = json.loads(stage.run("nbdinfo", "--json", "--no-content", uri(socket, "demo")).stdout)
    expect_equal(info["structured"], True, "structured replies")
    export = info["exports"][0]
    expect_equal(export["export-size"], SIZE, "size")
    for key in ("can_flush", "can_fua", "can_zero", "can_trim", "can_multi_conn", "can_cache"):
        expect_equal(export[key], True, key)
    expect_equal(export["is_read_only"], False, "read only")
    expect("base:allocation" in export["contexts"], "base:allocation is missing")
    listed = json.loads(stage.run("nbdinfo", "--list", "--json", uri(socket)).stdout)
    expect_equal([each["export-name"] for each in listed["exports"]], ["demo"], "exports")
    # The empty name is the only export there.
    expect_equal(stage.run("nbdinfo", "--size", uri(socket)).stdout.strip(), str(SIZE), "size of ''")
    for what in ("write", "flush", "fua", "trim", "zero", "multi-conn", "cache"):
        stage.run("nbdinfo", "--can", what, uri(socket, "demo"))
    done = stage.run("nbdinfo", "--is", "read-only", uri(socket, "demo"), check=False)
    expect_equal(done.returncode, 2, "nbdinfo --is read-only")
    done = stage.run("nbdinfo", uri(socket, "nonesuch"), check=False)
    expect(done.returncode != 0, "an export that is not there was opened")


def story_map_of_a_sparse_image(stage):
    need_tools("nbdinfo", "qemu-io")
    _, socket = stage.demo()
    where = uri(socket, "demo")
    entries = json.loads(stage.run("nbdinfo", "--map", "--json", where).stdout)
    expect_equal(sum(each["length"] for each in entries), SIZE, "length of the map")
    expect_equal({each["type"] for each in entries}, {3}, "a new image is one hole")
    stage.run("qemu-io", "-f", "raw", where, "-c", "write -P 0x5a 8M 1M", "-c", "flush")
    entries = json.loads(stage.run("nbdinfo", "--map", "--json", where).stdout)
    data = [each for each in entries if each["type"] == 0]
    expect_equal(sum(each["length"] for each in data), MIB, "data in the map")
    expect_equal(data[0]["offset"], 8 * MIB, "where the data is")
    stage.run("qemu-io", "-f", "raw", where, "-c", "discard 8M 1M")
    entries = json.loads(stage.run("nbdinfo", "--map", "--json", where).stdout)
    expect_equal({each["type"] for each in entries}, {3}, "after the discard it is one hole")


def story_nbdcopy_both_ways(stage):
    need_tools("nbdcopy", "cmp")
    _, socket = stage.demo()
    source, copy = stage.path("source.img"), stage.path("copy.img")
    with open(source, "wb") as image:
        image.write(os.urandom(48 * MIB))
        image.truncate(SIZE)
    stage.run("nbdcopy", "--connections=4", "--flush", source, uri(socket, "demo"))
    stage.run("nbdcopy", "--connections=4", "--requests=128", uri(socket, "demo"), copy)
    stage.run("cmp", source, copy)
    # Zeroes over data, and a copy that knows the destination is not empty.
    with open(source, "r+b") as image:
        image.truncate(0)
        image.truncate(SIZE)
    stage.run("nbdcopy", "--connections=2", source, uri(socket, "demo"))
    stage.run("nbdcopy", uri(socket, "demo"), copy)
    stage.run("cmp", source, copy)


def story_qemu_img(stage):
    need_tools("qemu-img")
    _, socket = stage.demo()
    where = uri(socket, "demo")
    source = stage.path("source.img")
    with open(source, "wb") as image:
        image.seek(3 * MIB)
        image.write(os.urandom(16 * MIB))
        image.truncate(SIZE)
    stage.run("qemu-img", "convert", "-n", "-p", "-W", "-m", "8", "-f", "raw", "-O", "raw", source,
              where)
    stage.run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, where)
    back = stage.path("back.qcow2")
    stage.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", where, back)
    stage.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", source, back)
    info = json.loads(stage.run("qemu-img", "info", "--output=json", where).stdout)
    expect_equal(info["virtual-size"], SIZE, "virtual size")


def story_qemu_io(stage):
    need_tools("qemu-io")
    _, socket = stage.demo()
    where = uri(socket, "demo")
    commands = ["write -P 1 0 64k", "write -f -P 2 64k 64k", "aio_write -P 3 128k 1M",
                "aio_write -z 2M 1M", "aio_flush", "flush", "read -P 1 0 64k", "read -P 2 64k 64k",
                "read -P 3 128k 1M", "read -P 0 2M 1M", "write -z -u 128k 1M", "read -P 0 128k 1M",
                "discard 0 128k", "write -P 4 1G-64k 64k".replace("1G-64k", str(SIZE - 65536)),
                f"read -P 4 {SIZE - 65536} 64k"]
    words = [word for command in commands for word in ("-c", command)]
    text = stage.run("qemu-io", "-f", "raw", where, *words).stdout
    expect("failed" not in text and "Pattern" not in text, text)


def fio_verify(stage, where, *more):
    done = stage.run(
        "fio", "--name=verify", "--ioengine=nbd", f"--uri={where}", "--rw=randwrite", "--bs=4k",
        "--size=24m", "--iodepth=32", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
        "--verify_backlog=512", "--fsync=256", "--output-format=json", *more, cwd=stage.folder)
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    expect_equal(job["error"], 0, "fio's error")
    expect(job["read"]["total_ios"] > 0 and job["write"]["total_ios"] > 0, "fio did nothing")


def story_fio_with_verification(stage):
    need_tools("fio")
    _, socket = stage.demo()
    fio_verify(stage, uri(socket, "demo"))
    fio_verify(stage, uri(socket, "demo"), "--bs=128k")
    fio_verify(stage, uri(socket, "demo"), "--numjobs=3", "--offset_increment=64m", "--size=8m",
               "--group_reporting")


def story_tcp(stage):
    need_tools("nbdinfo", "fio")
    port = free_port()
    daemon, _ = stage.demo("--nbd", f"tcp:127.0.0.1:{port}")
    daemon.wait_ready(port)
    where = f"nbd://127.0.0.1:{port}/demo"
    expect_equal(stage.run("nbdinfo", "--size", where).stdout.strip(), str(SIZE), "size over TCP")
    fio_verify(stage, where)


def story_demo_on_its_usual_port(stage):
    """Without --nbd the demo is on 127.0.0.1:10809 and on a unix socket."""
    need_tools("nbdinfo")
    from braidway import Daemon, can_connect  # pylint: disable=import-outside-toplevel
    if can_connect(10809):
        raise Skip("something else listens on port 10809")
    api = stage.path("api.sock")
    daemon = Daemon(stage, ["demo", "--state", stage.path("state"), "--api", api,
                            *stage.backend_arguments()], api)
    stage.daemons.append(daemon)
    daemon.wait_ready(10809)
    size = stage.run("nbdinfo", "--size", "nbd://127.0.0.1/demo").stdout.strip()
    expect_equal(size, str(SIZE), "size")
    text = daemon.log_text()
    for word in ("nbdinfo", "show topology", "10809"):
        expect(word in text, f"the demo does not say what to try next: no '{word}' in\n{text}")


if __name__ == "__main__":
    main(__doc__)
