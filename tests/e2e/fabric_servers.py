# SPDX-License-Identifier: Apache-2.0
"""Servers of stories about paths over a network, and a proxy in front of them, which can be hurt."""

import os
import queue
import select
import signal
import socket
import threading

from braidway import wait_until


def process_state(pid):
    """As ps(1) has it: "T" is stopped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


# What can be done to a server while there is load: how it begins, and how it ends.
FAULTS = {
    "killed": ("kill", "start"),
    "stopped": ("pause", "go_on"),
    "cut": ("cut", None),
    "refused": ("refuse", "admit"),  # Cut, and nobody is let in any more.
    "late": ("hold", "let_go"),      # Answers come after the deadline.
    "slow": ("slow", "quick"),       # So do those of all requests, for as long as it runs.
}


class Nbdkit:
    """One nbdkit in the foreground, on a unix socket or a port, which can be killed and started.
    What comes over a port goes through a Cutter."""

    def __init__(self, stage, name, *plugin, port=None, filters=()):
        self.stage, self.name, self.plugin, self.port = stage, name, plugin, port
        self.filters = filters
        self.socket = stage.path(f"{name}.sock")
        self.control = stage.path(f"{name}.pause")
        self.cutter = None
        self.process = None
        self.start()

    def start(self, *delays):
        for each in (self.control, *(() if self.port else (self.socket,))):
            if os.path.exists(each):
                os.unlink(each)
        where = ["-p", str(self.port), "-i", "127.0.0.1"] if self.port else ["-U", self.socket]
        more = [f"pause-control={self.control}"] if "pause" in self.filters else []
        filters = (*self.filters, *(("delay",) if delays else ()))
        words = ["nbdkit", "-f", *where, *(f"--filter={each}" for each in filters),
                 *self.plugin, *more, *delays]
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

    def died(self):
        return self.process.poll() is not None

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def state(self):
        return process_state(self.process.pid)

    def tell(self, word):
        """Says a word to the pause filter and waits for the answer."""
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(10)
                control.connect(self.control)
                control.sendall(word)
                return control.recv(1)
        except OSError:
            return b""  # It has aborted, and all_up() starts it again.

    def hold(self):
        """What comes from now on is executed, and answered, only after let_go()."""
        self.tell(b"p")

    def let_go(self):
        self.tell(b"r")

    def slow(self):
        """It comes back with every request taking longer than the deadline."""
        self.kill()
        self.start("delay-read=800ms", "delay-write=800ms")

    def quick(self):
        self.kill()
        self.start()

    def faults(self):
        return (["killed", "stopped", "slow"] + (["late"] if "pause" in self.filters else []) +
                (["cut", "refused"] if self.cutter else []))

    def cut(self):
        self.cutter.cut()

    def refuse(self):
        self.cutter.refuse()

    def admit(self):
        self.cutter.admit()

    def uri(self):
        if self.port:
            return f"nbd://127.0.0.1:{self.cutter.port if self.cutter else self.port}"
        return f"nbd+unix:///?socket={self.socket}"


class Cutter:
    """Passes TCP connections on to a port, cuts them all when it is told to, refuses new ones, and
    holds what comes back."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs, self.held, self.ended = [], False, False
        self.orders = queue.SimpleQueue()
        self.wake = os.eventfd(0)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def order(self, what):
        """Everything is done by the one thread; returns when it is."""
        done = threading.Event()
        self.orders.put((what, done))
        os.eventfd_write(self.wake, 1)
        done.wait(10)

    def cut(self):
        self.order(self.drop_all)

    def refuse(self):
        self.order(self.close)

    def admit(self):
        self.order(self.listen)

    def hold(self):
        """What servers answer is kept until let_go()."""
        self.held = True

    def let_go(self):
        self.held = False
        self.order(lambda: None)

    def end(self):
        self.ended = True
        self.order(self.close)
        self.thread.join()
        os.close(self.wake)

    def run(self):
        while not self.ended:
            ends = {near: far for near, far in self.pairs}
            if not self.held:
                ends |= {far: near for near, far in self.pairs}
            listeners = [self.listener] if self.listener else []
            for ready in select.select([self.wake, *listeners, *ends], [], [])[0]:
                if ready is self.wake:
                    self.obey()
                    break
                if ready is self.listener:
                    self.accept()
                elif not self.pass_on(ready, ends[ready]):
                    self.drop(next(pair for pair in self.pairs if ready in pair))
                    break

    def obey(self):
        os.eventfd_read(self.wake)
        while not self.orders.empty():
            what, done = self.orders.get()
            what()
            done.set()

    def pass_on(self, source, target):
        try:
            data = source.recv(1 << 20)
            if data:
                target.sendall(data)
            return bool(data)
        except OSError:
            return False

    def drop(self, pair):
        self.pairs.remove(pair)
        for end in pair:
            end.close()

    def drop_all(self):
        for pair in list(self.pairs):
            for end in pair:
                # Both sides get a reset.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.drop(pair)

    def close(self):
        self.drop_all()
        if self.listener:
            self.listener.close()
            self.listener = None

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))

    def accept(self):
        near = self.listener.accept()[0]
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=2)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.settimeout(5)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pairs.append((near, far))
