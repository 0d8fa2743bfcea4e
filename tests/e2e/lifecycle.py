#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping, reloading and being wrong, as administrators meet them."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import rawnbd
from braidway import (MIB, ROOT, can_connect, db_map, expect, expect_equal, four_paths,
                      free_port, main, need_libnbd, need_tools, uri, wait_until)


def simple(stage, extra="", image=None, nbd_socket=None):
    """One image, four plain paths, one export."""
    image = image or stage.image()
    return four_paths(image, "[]") + db_map(nbd_socket=nbd_socket or stage.path("db.sock")) + extra


def run_serve(stage, config_text, *arguments, env=None):
    """`braidway serve` that is expected to end by itself; returns the CompletedProcess."""
    path = stage.write("own.toml", config_text)
    return stage.run(stage.program, "serve", "--config", path, *stage.backend_arguments(),
                     *arguments, check=False, timeout=60, env=dict(os.environ, **(env or {})))


def with_api(stage, config, name="other.sock"):
    return f'[api]\nsocket = "{stage.path(name)}"\n{config}'


def story_sockets_within_two_seconds(stage):
    daemon = stage.serve(simple(stage), wait=False)
    daemon.wait_ready(stage.path("db.sock"))
    seconds = time.monotonic() - daemon.started
    print(f"  ready after {seconds:.2f} s")
    expect(seconds < 2, f"the sockets were there after {seconds:.2f} s")
    expect_equal(os.stat(daemon.api).st_mode & 0o777, 0o600, "mode of the API's socket")


def story_sigterm_drains_and_ends_with_0(stage):
    nbd = need_libnbd()
    slow = '[{ kind = "delay", read = "700 ms", write = "700 ms" }]'
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve(four_paths(stage.image(), slow) + db_map(nbd_socket=nbd_socket))
    handle = nbd.NBD()
    handle.connect_uri(uri(nbd_socket, "db"))
    codes = []

    def done(code):
        codes.append(code.value if hasattr(code, "value") else code)
        return 1

    buffers = [nbd.Buffer.from_bytearray(bytearray(bytes([number]) * 4096)) for number in range(32)]
    for number, buffer in enumerate(buffers):
        handle.aio_pwrite(buffer, number * 4096, completion=done)
    wait_until(lambda: handle.poll(50) is not None and daemon.maps()["db"]["in_flight"] == 32,
               "32 writes are in flight")
    daemon.process.send_signal(signal.SIGTERM)
    try:
        while len(codes) < 32:
            handle.poll(1000)
    except nbd.Error:
        pass
    expect_equal(codes, [0] * 32, "answers to what was in flight at SIGTERM")
    daemon.wait_end(0)
    with open(stage.path("disk.img"), "rb") as image:
        expect_equal(image.read(32 * 4096), b"".join(bytes([n]) * 4096 for n in range(32)),
                     "what is on the disk")
    expect(not os.path.exists(nbd_socket), "the unix socket is still there")


def story_sigint_ends_the_demo(stage):
    daemon, nbd_socket = stage.demo()
    daemon.stop(0, signal.SIGINT)
    expect(not can_connect(nbd_socket), "somebody still listens")
    # The image and its data stay; a second demo finds them.
    daemon, _ = stage.demo()
    expect_equal(daemon.maps()[next(iter(daemon.maps()))]["path_count"], 4, "paths of the demo")


def story_held_requests_do_not_keep_it_from_ending(stage):
    nbd = need_libnbd()
    nbd_socket = stage.path("db.sock")
    config = ('[daemon]\nshutdown_timeout = "1 s"\n[defaults]\nchecker = "none"\n' +
              four_paths(stage.image()) + db_map('no_path_timeout = "queue"', nbd_socket=nbd_socket))
    daemon = stage.serve(config)
    for path in ("a1", "a2", "b1", "b2"):
        daemon.cli("fail", "path", path, "--hold")
    handle = nbd.NBD()
    handle.connect_uri(uri(nbd_socket, "db"))
    codes = []

    def done(code):
        codes.append(code.value if hasattr(code, "value") else code)
        return 1

    buffer = nbd.Buffer(4096)
    handle.aio_pread(buffer, 0, completion=done)
    wait_until(lambda: handle.poll(20) is not None and daemon.maps()["db"]["held_requests"] == 1,
               "one request is held")
    daemon.process.send_signal(signal.SIGTERM)
    try:
        while not codes:
            handle.poll(1000)
    except nbd.Error:
        pass
    expect(codes and codes[0] != 0, f"the held request was answered {codes}")
    daemon.wait_end(0, 15)


def story_a_last_flush_that_finds_no_path_is_told(stage):
    image = stage.image()
    config = ('[daemon]\nshutdown_timeout = "1 s"\n[defaults]\nchecker = "none"\n'
              f'[path.a]\ndevice = "file:{image}"\n'
              'layers = [{ kind = "error", ops = ["flush"], class = "transport" }]\n'
              '[map.db]\ngroups = [{ paths = ["a"] }]\nno_path_timeout = "queue"\n'
              f'[export.db]\nmap = "db"\nnbd = ["unix:{stage.path("db.sock")}"]\n')
    daemon = stage.serve(config)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_end(1, 15)
    expect("no path was left for the last flush of map db" in daemon.log_text(),
           f"it is told:\n{daemon.tail()}")


def story_stale_and_live_sockets(stage):
    nbd_socket = stage.path("db.sock")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(nbd_socket)
    stale.close()
    daemon = stage.serve(simple(stage))
    daemon.wait_ready(nbd_socket)
    image = stage.image("second.img")
    done = run_serve(stage, with_api(stage, simple(stage, image=image)))
    expect(done.returncode != 0, "a live unix socket was taken over")
    expect(nbd_socket in done.stderr, f"the message does not name the socket:\n{done.stderr}")
    expect(can_connect(nbd_socket), "the first daemon lost its socket")
    # The same for the API's socket.
    done = run_serve(stage, f'[api]\nsocket = "{daemon.api}"\n' +
                     simple(stage, image=image, nbd_socket=stage.path("x.sock")))
    expect(done.returncode != 0 and daemon.api in done.stderr, done.stderr)
    # A file that is no socket is never removed.
    plain = stage.write("plain", "precious")
    done = run_serve(stage, with_api(stage, simple(stage, image=image, nbd_socket=plain)))
    expect(done.returncode != 0, "a plain file was replaced by a socket")
    with open(plain) as file:
        expect_equal(file.read(), "precious", "the plain file")


def story_a_busy_port_is_one_line(stage):
    port = free_port()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", port))
        busy.listen()
        config = simple(stage).replace('nbd = ["unix:', f'nbd = ["tcp:127.0.0.1:{port}", "unix:')
        done = run_serve(stage, with_api(stage, config))
    expect(done.returncode != 0, "a busy port did not matter")
    lines = [line for line in done.stderr.splitlines() if str(port) in line]
    expect(len(lines) == 1 and "nbd" in lines[0], f"not one line with the option:\n{done.stderr}")


def story_two_daemons_on_one_image(stage):
    image = stage.image()
    stage.serve(simple(stage, image=image))
    done = run_serve(stage, with_api(stage, simple(stage, image=image,
                                                   nbd_socket=stage.path("second.sock"))))
    expect(done.returncode != 0, "a second daemon runs on the same image")
    expect(image in done.stderr, f"the message does not name the image:\n{done.stderr}")


def story_a_map_starts_with_the_paths_that_work(stage):
    image = stage.image()
    config = simple(stage, image=image).replace(f'[path.b2]\ndevice = "file:{image}"',
                                                '[path.b2]\ndevice = "file:/nonexistent/disk.img"')
    daemon = stage.serve(config)
    expect_equal(daemon.maps()["db"]["valid_paths"], 3, "valid paths")
    expect_equal(daemon.paths()["b2"]["state"], "down", "state of the missing path")
    expect("b2" in daemon.log_text(), "the log does not name the path that does not work")
    need_tools("qemu-io")
    stage.run("qemu-io", "-f", "raw", uri(stage.path("db.sock"), "db"), "-c", "read 0 4k")


def story_paths_of_different_size_are_refused(stage):
    image, small = stage.image(), stage.image("small.img", 32 * MIB)
    config = simple(stage, image=image).replace(f'[path.b2]\ndevice = "file:{image}"',
                                                f'[path.b2]\ndevice = "file:{small}"')
    done = run_serve(stage, with_api(stage, config))
    text = done.stderr
    expect(done.returncode != 0, "paths of different sizes were accepted")
    expect("size" in text and ("b2" in text or "small.img" in text), text)


def story_check_names_file_and_line(stage):
    image = stage.image()
    wrong = [
        ('[path.a1]\ndevice = "file:IMAGE"\ndevize = 1\n', 3, "devize"),
        ('[path.a1]\ndevice = "floppy:IMAGE"\n', 2, "device"),
        ('[path.a1]\ndevice = 5\n', 2, "device"),
        ('[map.db]\ngroups = [{ paths = ["zz"] }]\n', 2, "zz"),
        ('[daemon]\nio_backend = "magic"\n', 2, "io_backend"),
        ('[map.db\n', 1, ""),
        ('[nonsense]\n', 1, "nonsense"),
    ]
    for text, line, word in wrong:
        path = stage.write("wrong.toml", text.replace("IMAGE", image))
        done = stage.run(stage.program, "serve", "--check", "--config", path, check=False)
        said = done.stdout + done.stderr
        expect(done.returncode not in (0, 134, 139), f"accepted:\n{text}")
        expect(f"{path}:{line}" in said or f"wrong.toml:{line}" in said,
               f"no {path}:{line} in\n{said}")
        expect(word in said, f"no '{word}' in\n{said}")
    good = stage.write("good.toml", with_api(stage, simple(stage, image=image)))
    stage.run(stage.program, "serve", "--check", "--config", good)
    expect(not os.path.exists(stage.path("other.sock")), "--check opened a socket")
    done = stage.run(stage.program, "serve", "--check", "--config", stage.path("none.toml"),
                     check=False)
    expect(done.returncode != 0 and "none.toml" in done.stderr, done.stderr)


class Reader(threading.Thread):
    """Reads on one connection until told to stop; any error is remembered."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.nbd = need_libnbd()
        self.handle = self.nbd.NBD()
        self.handle.connect_uri(where)
        self.ending = threading.Event()
        self.reads, self.error = 0, None

    def run(self):
        try:
            while not self.ending.is_set():
                self.handle.pread(4096, 0)
                self.reads += 1
        except self.nbd.Error as error:
            self.error = error

    def finish(self):
        self.ending.set()
        self.join(30)
        expect(self.error is None, f"the connection broke: {self.error}")
        self.handle.shutdown()


def reload(daemon, config, expected="ok"):
    api = daemon.api
    before = daemon.status()["reloads"]
    with open(os.path.join(os.path.dirname(api), "braidway.toml"), "w") as file:
        file.write(f'[api]\nsocket = "{api}"\n{config}')
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.status()["reloads"] > before or
               (expected != "ok" and daemon.status()["last_reload"] not in ("", "ok")),
               "the reload has happened")
    found = daemon.status()["last_reload"]
    expect((found == "ok") == (expected == "ok"), f"the reload said: {found}")
    return found


def story_sighup_changes_what_changed_and_nothing_else(stage):
    db_socket, two_socket = stage.path("db.sock"), stage.path("two.sock")
    image, second = stage.image(), stage.image("second.img")
    base = simple(stage, image=image)
    extra = (f'[path.c1]\ndevice = "file:{second}"\n[map.two]\ngroups = [{{ paths = ["c1"] }}]\n'
             f'[export.two]\nmap = "two"\nnbd = ["unix:{two_socket}"]\n')
    daemon = stage.serve(base)
    reader = Reader(uri(db_socket, "db"))
    reader.start()
    # Add a map and an export.
    reload(daemon, base + extra)
    daemon.wait_ready(two_socket)
    other = Reader(uri(two_socket, "two"))
    other.start()
    # Add a path to db, under I/O on both.
    more = base.replace('"b1", "b2"', '"b1", "b2", "b3"') + f'[path.b3]\ndevice = "file:{image}"\n'
    reload(daemon, more + extra)
    expect_equal(daemon.maps()["db"]["path_count"], 5, "paths of db")
    # Take paths away, the busy ones too.
    fewer = more.replace('paths = ["a1", "a2"]', 'paths = ["a2"]')
    fewer = fewer.replace(f'[path.a1]\ndevice = "file:{image}"\nlayers = []\n', "")
    reload(daemon, fewer + extra)
    wait_until(lambda: daemon.maps()["db"]["path_count"] == 4, "db has four paths")
    expect("a1" not in daemon.paths() or not daemon.paths()["a1"]["map"], "a1 is still there")
    # A configuration with a mistake changes nothing.
    reload(daemon, fewer + extra + "[path.x]\nnonsense = 1\n", expected="refused")
    expect_equal(set(daemon.maps()), {"db", "two"}, "maps after a refused reload")
    # Remove the second map under I/O.
    reload(daemon, fewer)
    wait_until(lambda: not can_connect(two_socket), "the export two is gone")
    expect_equal(set(daemon.maps()), {"db"}, "maps")
    other.ending.set()
    other.join(30)
    expect(daemon.alive(), "the daemon ended")
    reads = reader.reads
    wait_until(lambda: reader.reads > reads + 50, "db goes on")
    reader.finish()
    print(f"  {reader.reads} reads on one connection through five reloads")
    daemon.stop()


def story_sighup_changes_an_export_that_is_alone_at_its_address(stage):
    where, base = stage.path("db.sock"), simple(stage, image=stage.image())
    daemon = stage.serve(base)
    for description in ("first", "second", "third"):
        reload(daemon, base.replace("[export.db]", f'[export.db]\ndescription = "{description}"'))
        expect_equal(daemon.exports()["db"]["description"], description, "description")
        reader = Reader(uri(where, "db"))
        reader.start()
        wait_until(lambda: reader.reads > 10, "the changed export serves")
        reader.finish()
    # Another export takes over the address.
    reload(daemon, base.replace("[export.db]", "[export.other]"))
    reader = Reader(uri(where, "other"))
    reader.start()
    wait_until(lambda: reader.reads > 10, "the new export serves")
    reader.finish()
    daemon.stop()


def story_a_refused_reload_changes_nothing(stage):
    second = stage.image("second.img")
    base = simple(stage, image=stage.image())
    two = (f'[path.c1]\ndevice = "file:{second}"\n[map.two]\ngroups = [{{ paths = ["c1"] }}]\n'
           f'[export.two]\nmap = "two"\nnbd = ["unix:{stage.path("two.sock")}"]\n')
    wrong = (f'[export.wrong]\nmap = "db"\nminimum_block = 1\n'
             f'nbd = ["unix:{stage.path("wrong.sock")}"]\n')
    daemon = stage.serve(base + two)
    # Takes a map away and brings an export that cannot be: neither happens.
    reload(daemon, base + wrong, expected="refused")
    expect_equal(set(daemon.maps()), {"db", "two"}, "maps after the refused reload")
    expect_equal(set(daemon.exports()), {"db", "two"}, "exports after the refused reload")
    reload(daemon, base)
    expect_equal(set(daemon.maps()), {"db"}, "maps after the good one")
    reload(daemon, base + two)
    expect_equal(set(daemon.exports()), {"db", "two"}, "exports in the end")
    daemon.stop()


def story_kill_and_start_again_at_once(stage):
    config = simple(stage, image=stage.image())
    for _ in range(8):
        daemon = stage.serve(config)
        need_libnbd().NBD().connect_uri(uri(stage.path("db.sock"), "db"))
        daemon.kill9()
    stage.serve(config).stop()


def story_systemd_is_told(stage):
    notify = stage.path("notify.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(notify)
    listener.settimeout(20)
    daemon = stage.serve(simple(stage), env={"NOTIFY_SOCKET": notify})
    said = listener.recv(4096).decode()
    expect("READY=1" in said, f"systemd was told {said!r}")
    daemon.stop()
    said = listener.recv(4096).decode()
    expect("STOPPING=1" in said, f"systemd was told {said!r} at the end")


def story_commands_find_the_daemon_and_say_what_is_wrong(stage):
    daemon = stage.serve(simple(stage))
    environment = {key: value for key, value in os.environ.items() if key != "BRAIDWAY_API"}

    def braidway(*words):
        return stage.run(stage.program, *words, check=False, env=environment)

    expect_equal(braidway("--api", daemon.api, "show", "maps").returncode, 0, "--api in front")
    expect_equal(braidway("show", "maps", "--api", daemon.api).returncode, 0, "--api behind")
    for what in ("status", "topology", "maps", "paths", "exports"):
        # The command line is a client of the API: both say the same.
        said = json.loads(daemon.cli("show", what, "--json").stdout)
        expect_equal(set(said), set(daemon.show(what)), f"members of show {what} --json")
        expect(daemon.cli("show", what).stdout.strip(), f"show {what} says nothing")
    topology = daemon.cli("show", "topology").stdout
    for word in ("db", "size=64M", "policy='service-time 0'", "a1", "b2", "active", "enabled"):
        expect(word in topology, f"no '{word}' in the topology:\n{topology}")
    for wrong, words in [("no such path", ("fail", "path", "zz")),
                         ("no such map", ("switch", "group", "zz", "1")),
                         ("no such group", ("switch", "group", "db", "9")),
                         ("no such layer", ("set", "path", "a1", "gravity", "on")),
                         ("no such class", ("set", "path", "a1", "error", "on", "class=bad")),
                         ("no such parameter", ("set", "path", "a1", "delay", "reed=1ms"))]:
        done = daemon.cli(*words, check=False)
        expect(done.returncode not in (0, 134, 139), f"{wrong}: {words} succeeded")
        expect(len(done.stderr.strip().splitlines()) <= 3 and done.stderr.strip(),
               f"{wrong}: {done.stderr!r}")
    usage = braidway("fly")
    expect(usage.returncode not in (0, 1), f"a wrong word ended with {usage.returncode}")
    nobody = braidway("--api", stage.path("nobody.sock"), "show", "maps")
    expect(nobody.returncode != 0 and "nobody.sock" in nobody.stderr, nobody.stderr)


def story_help_everywhere(stage):
    commands = [(), ("serve",), ("demo",), ("show",), ("show", "topology"), ("fail",),
                ("fail", "path"), ("reinstate", "path"), ("switch", "group"), ("disable", "group"),
                ("enable", "group"), ("set", "path"), ("events",)]
    for words in commands:
        done = stage.run(stage.program, *words, "--help")
        expect("sage" in done.stdout, f"`{' '.join(words)} --help` says:\n{done.stdout}")
    text = stage.run(stage.program, "--help").stdout
    for word in ("serve", "demo", "show", "fail", "reinstate", "switch", "BRAIDWAY_API"):
        expect(word in text, f"--help does not speak of {word}")
    expect(stage.run(stage.program, "--version").stdout.strip(), "--version says nothing")


def story_completion_can_be_sourced(stage):
    """In a plain bash too, without the package bash-completion."""
    script = os.path.join(ROOT, "packaging", "bash-completion", "braidway")

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in words)
        text = f"""
source {script}
handler=$(complete -p braidway | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
$handler braidway "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = stage.run("bash", "--norc", "-c", text)
        expect_equal(done.stderr, "", "what bash complains of")
        return done.stdout.split()

    expect("show" in complete("braidway", "sh"), "'sh' is not completed to 'show'")
    expect("topology" in complete("braidway", "show", "to"), "'show to' is not completed")
    expect("path" in complete("braidway", "fail", ""), "'fail' is not followed by 'path'")


def story_events_can_be_followed(stage):
    daemon = stage.serve(simple(stage))
    follower = stage.spawn(stage.program, "--api", daemon.api, "events", "--follow",
                           stdout=subprocess.PIPE, text=True)
    lines = []
    thread = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")),
                              daemon=True)
    thread.start()

    def provoke():
        daemon.cli("fail", "path", "a1")
        daemon.cli("reinstate", "path", "a1")
        return any("path-failed" in line and "a1" in line for line in lines)

    wait_until(provoke, "the follower sees path-failed", every=0.2)


def story_a_second_signal_ends_it_now(stage):
    nbd = need_libnbd()
    stuck = '[{ kind = "delay", read = "1000 s" }]'
    nbd_socket = stage.path("db.sock")
    daemon = stage.serve('[defaults]\nchecker = "none"\nio_timeout = "off"\n[daemon]\n'
                         'shutdown_timeout = "600 s"\n' +
                         four_paths(stage.image(), stuck) + db_map(nbd_socket=nbd_socket))
    handle = nbd.NBD()
    handle.connect_uri(uri(nbd_socket, "db"))
    buffer = nbd.Buffer(4096)
    handle.aio_pread(buffer, 0)
    wait_until(lambda: handle.poll(20) is not None and daemon.maps()["db"]["in_flight"] == 1,
               "one read is in flight")
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    expect(daemon.alive(), "it did not wait for what is in flight")
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait_end(1, 10)


if __name__ == "__main__":
    main(__doc__)
