# SPDX-License-Identifier: Apache-2.0
"""What stories about paths over a network share: servers that can be hurt, a proxy that cuts, a
client that measures, and fio that verifies."""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

from braidway import MIB, Failed, expect, expect_equal, need_libnbd, uri, wait_until

SIZE = 32 * MIB
KILLED_STALL = 0.050
PATH_KEYS = 'io_timeout = "500 ms"\nresend_quiesce = "1500 ms"\nconnect_timeout = "500 ms"\n'
CHECKS = '[defaults]\npolling_interval = "100 ms"\nmax_polling_interval = "200 ms"\n'


class Nbdkit:
    """One nbdkit in the foreground, on a unix socket or a port, which can be killed and started."""

    def __init__(self, stage, name, *plugin, port=None, filters=()):
        self.stage, self.name, self.plugin, self.port = stage, name, plugin, port
        self.filters = filters
        self.socket = stage.path(f"{name}.sock")
        self.process = None
        self.start()

    def start(self):
        if not self.port and os.path.exists(self.socket):
            os.unlink(self.socket)
        where = ["-p", str(self.port), "-i", "127.0.0.1"] if self.port else ["-U", self.socket]
        words = ["nbdkit", "-f", *where, *(f"--filter={each}" for each in self.filters),
                 *self.plugin]
        with open(self.stage.path(f"{self.name}.err"), "ab") as errors:
            self.process = self.stage.spawn(*words, stdout=errors, stderr=errors)
        wait_until(self.listens, f"nbdkit {self.name} listens", every=0.005)

    def listens(self):
        if not self.port:
            return os.path.exists(self.socket)
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    SIGNALS = {"pause": signal.SIGSTOP, "go_on": signal.SIGCONT}

    def pause(self):
        self.process.send_signal(self.SIGNALS["pause"])

    def go_on(self):
        self.process.send_signal(self.SIGNALS["go_on"])

    def uri(self):
        if self.port:
            return f"nbd://127.0.0.1:{self.port}"
        return f"nbd+unix:///?socket={self.socket}"


class Cutter:
    """Passes TCP connections on to a port, and cuts them all when it is told to."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listen_port = self.listener.getsockname()[1]
        self.pairs, self.ended = [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def uri(self):
        return f"nbd://127.0.0.1:{self.listen_port}"

    def cut(self):
        for each in list(self.pairs):
            for end in each:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def end(self):
        self.ended = True
        self.cut()
        self.thread.join()
        self.listener.close()

    def run(self):
        while not self.ended:
            ends = {a: b for a, b in self.pairs} | {b: a for a, b in self.pairs}
            for ready in select.select([self.listener, *ends], [], [], 0.05)[0]:
                if ready is self.listener:
                    self.accept()
                    continue
                try:
                    data = ready.recv(1 << 20)
                    if data:
                        ends[ready].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    gone = [pair for pair in self.pairs if ready in pair]
                    self.pairs = [pair for pair in self.pairs if ready not in pair]
                    for pair in gone:
                        for end in pair:
                            end.close()
                    break

    def accept(self):
        near = self.listener.accept()[0]
        try:
            self.pairs.append((near, socket.create_connection(("127.0.0.1", self.port))))
        except OSError:
            near.close()


def volume(paths, keys=PATH_KEYS, map_keys="", groups=None, checks=CHECKS):
    """A configuration of a map `db` over {name: URI}; one group, or one for each path."""
    text = checks
    for name, where in paths.items():
        text += f'[path.{name}]\ndevice = "{where}"\n{keys}\n'
    groups = groups or [list(paths)]
    shown = ", ".join(f'{{ paths = {json.dumps(each)} }}' for each in groups)
    return text + (f'[map.db]\ngroups = [{shown}]\n{map_keys}\n'
                   '[export.db]\nmap = "db"\nnbd = ["unix:db.sock"]\n')


def start(stage, config, program=None):
    daemon = stage.serve(config, wait=False, program=program)
    return daemon.wait_ready(stage.path("db.sock"))


def digest(path):
    with open(path, "rb") as image:
        return hashlib.sha256(image.read()).hexdigest()


def event_lines(daemon, kind):
    return [line for line in daemon.log_text().splitlines() if kind in line]


def fio_verify(stage, seconds):
    return stage.spawn(
        "fio", "--name=load", "--ioengine=nbd", f"--uri={uri(stage.path('db.sock'), 'db')}",
        "--rw=randrw", "--rwmixread=30", "--bs=4k", "--iodepth=16", "--verify=crc32c",
        "--verify_fatal=1", "--verify_backlog=256", "--verify_state_save=0", "--fsync=500",
        "--serialize_overlap=1", "--time_based", f"--runtime={seconds * 1000:.0f}ms",
        "--output-format=json", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=stage.folder)


def check_fio(fio, timeout=120):
    output, _ = fio.communicate(timeout=timeout)
    if fio.returncode != 0:
        raise Failed(f"fio ended with {fio.returncode}:\n{output[-3000:]}")
    job = json.loads(output[output.index("{"):])["jobs"][0]
    expect_equal(job["error"], 0, "errors of the client")
    return job


def same_as_image(stage, image):
    copy = stage.path("copy.img")
    stage.run("nbdcopy", uri(stage.path("db.sock"), "db"), copy)
    expect_equal(digest(copy), digest(image), "the image and what the map reads")


def all_up(daemon, servers):
    """Waits for all paths. nbdkit 1.32.5 aborts now and then when a connection ends on which its
    threads still answer (raw_send_socket: Assertion `sock >= 0'); such a one is started again."""
    aborted = 0
    deadline = time.monotonic() + 20
    while any(path["state"] != "up" for path in daemon.paths().values()):
        for server in servers:
            if server.process.poll() is not None:
                server.start()
                aborted += 1
        if time.monotonic() > deadline:
            checks = {name: path["check"] for name, path in daemon.paths().items()}
            raise Failed(f"waited 20 s for all paths: {checks}")
        time.sleep(0.02)
    return aborted


class Stopwatch:
    """A client that does one thing after the other and knows how long each took."""

    def __init__(self, stage, write):
        self.handle = need_libnbd().NBD()
        self.handle.connect_uri(uri(stage.path("db.sock"), "db"))
        self.write, self.ended, self.waits = write, False, []
        self.data = os.urandom(4096)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        at = 0
        while not self.ended:
            begun = time.monotonic()
            if self.write:
                self.handle.pwrite(self.data, at)
            else:
                self.handle.pread(4096, at)
            self.waits.append((begun, time.monotonic() - begun))
            at = (at + 4096) % SIZE

    def end(self):
        self.ended = True
        self.thread.join()

    def longest_since(self, moment):
        return max(length for begun, length in self.waits if begun + length >= moment)


def stalls(stage, daemon, server, write, rounds, hurt, mend):
    """The longest wait of each round in which the path in use was hurt."""
    found = []
    watch = Stopwatch(stage, write)
    try:
        for _ in range(rounds):
            daemon.do("switch", "group", "db", "1")
            time.sleep(0.1)
            moment = time.monotonic()
            getattr(server, hurt)()
            wait_until(lambda: daemon.paths()["a"]["state"] == "down", "path a is down")
            count = len(watch.waits)
            wait_until(lambda: len(watch.waits) > count + 5, "the client goes on", seconds=5)
            found.append(watch.longest_since(moment))
            getattr(server, mend)()
            all_up(daemon, [server])
    finally:
        watch.end()
    return sorted(found)


def check_killed(measure, what):
    """The p99 is in bench-log.md; here, where others use the machine, the median counts."""
    found = measure()
    print(f"  killed, {what}: stall {shown(found)}")
    expect(found[len(found) // 2] <= KILLED_STALL, f"stall of a killed server, {what}: {found}")


def p99(sorted_values):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * 0.99))]


def shown(values):
    return (f"median {values[len(values) // 2] * 1000:.1f} ms, p99 {p99(values) * 1000:.1f} ms "
            f"of {len(values)}")
