# SPDX-License-Identifier: Apache-2.0
"""What stories about paths over a network share: maps over servers that come and go, clients that
measure and that remember what they wrote, and fio that verifies."""

import collections
import hashlib
import json
import os
import random
import subprocess
import threading
import time

from braidway import MIB, Failed, expect, expect_equal, need_libnbd, uri, wait_until
from fabric_servers import FAULTS

SIZE = 32 * MIB
KILLED_STALL = 0.050
PATH_KEYS = 'io_timeout = "500 ms"\nresend_quiesce = "1500 ms"\nconnect_timeout = "500 ms"\n'
CHECKS = '[defaults]\npolling_interval = "100 ms"\nmax_polling_interval = "200 ms"\n'


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
    """Few blocks, so that one is soon written again: only then a late write does harm. And not
    time_based: then fio would not notice that a block has an older write of its own."""
    return stage.spawn(
        "fio", "--name=load", "--ioengine=nbd", f"--uri={uri(stage.path('db.sock'), 'db')}",
        "--rw=randrw", "--rwmixread=30", "--bs=4k", "--iodepth=16", "--verify=crc32c",
        "--verify_fatal=1", "--verify_backlog=64", "--verify_state_save=0", "--fsync=500",
        "--serialize_overlap=1", "--size=1M", "--io_size=1T",
        f"--runtime={seconds * 1000:.0f}ms",
        "--output-format=json", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=stage.folder)


# Unlike a checksum, a pattern tells these blocks from those of the load before. %o is the offset.
WHOLE = ("fio", "--name=whole", "--rw=randwrite", "--bs=4k", f"--size={SIZE}",
         "--verify=pattern", '--verify_pattern="whole"%o', "--verify_state_save=0",
         "--output-format=json")


def fio_whole(stage, seconds):
    """Writes every block of the volume once, as fast as it takes to be done within the time."""
    return stage.spawn(
        *WHOLE, "--ioengine=nbd", f"--uri={uri(stage.path('db.sock'), 'db')}", "--iodepth=16",
        "--do_verify=0", "--fsync=500", f"--rate_iops={SIZE // 4096 / seconds:.0f}",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=stage.folder)


def check_whole(stage, image):
    """What fio_whole() has written is in the file behind the servers."""
    done = stage.run(*WHOLE, "--ioengine=psync", f"--filename={image}", "--verify_only=1",
                     check=False, cwd=stage.folder)
    expect_equal(done.returncode, 0, f"fio over the image: {done.stdout[-2000:]}{done.stderr}")
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    expect_equal(job["read"]["total_ios"], SIZE // 4096, "blocks of the image that were verified")


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
            if server.died():
                server.start()
                aborted += 1
        if time.monotonic() > deadline:
            checks = {name: path["check"] for name, path in daemon.paths().items()}
            raise Failed(f"waited 20 s for all paths: {checks}")
        time.sleep(0.02)
    return aborted


def make_trouble(daemon, servers, fio, seconds, chance):
    """Hurts all servers but one at a time, until the time is over or fio has ended; returns what
    was done how often."""
    done = {each: 0 for server in servers for each in server.faults()} | {"aborted": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end and fio.poll() is None:
        # Whoever was hurt before is back: at least one is never hurt.
        done["aborted"] += all_up(daemon, servers)
        victims = chance.sample(servers, chance.randint(1, len(servers) - 1))
        faults = [(server, chance.choice(server.faults())) for server in victims]
        for server, fault in faults:
            getattr(server, FAULTS[fault][0])()
            done[fault] += 1
        time.sleep(chance.uniform(0.1, 1.2))
        for server, fault in faults:
            if FAULTS[fault][1]:
                getattr(server, FAULTS[fault][1])()
        time.sleep(chance.uniform(0.05, 0.3))
    return done


class Ledger:
    """A client that writes the same few blocks again and again and reads each once in between: a
    late write is found by it before it is written over, which fio does not always do."""

    BLOCKS = 64

    def __init__(self, stage, number):
        self.handle = need_libnbd().NBD()
        self.handle.connect_uri(uri(stage.path("db.sock"), "db"))
        self.begin = SIZE // 2 + number * self.BLOCKS * 4096
        self.written, self.ended, self.wrong = {}, False, ""
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        turn = 0
        while not self.ended and not self.wrong:
            turn += 1
            place, older = turn % self.BLOCKS, (turn + self.BLOCKS // 2) % self.BLOCKS
            try:
                self.handle.pwrite(turn.to_bytes(8, "big") * 512, self.begin + place * 4096)
                self.written[place] = turn
                if older in self.written:
                    self.check(older, self.handle.pread(4096, self.begin + older * 4096))
            except need_libnbd().Error as problem:
                self.wrong = str(problem)

    def check(self, place, data):
        wanted = self.written[place].to_bytes(8, "big") * 512
        if data != wanted and not self.wrong:
            self.wrong = f"block {place} has {data[:8].hex()}, not {wanted[:8].hex()}"

    def compare(self, image):
        """Looks at what the image has, too, past map and servers. Its thread has ended."""
        with open(image, "rb") as file:
            for place in self.written if not self.wrong else ():
                file.seek(self.begin + place * 4096)
                self.check(place, file.read(4096))
        expect(not self.wrong, f"a client that writes few blocks: {self.wrong}")
        return max(self.written.values(), default=0)


ROUND = 16  # Seconds.


def verify_under_trouble(stage, daemon, servers, image):
    """fio verifies what it writes, and then writes the whole volume, while servers are hurt; in
    the end the image has what fio wrote last. A longer time has more rounds of this."""
    seconds = stage.options.seconds or ROUND
    rounds = max(1, round(seconds / ROUND))
    print(f"  seed {stage.options.seed}, {rounds} x {seconds / rounds:g} s", flush=True)
    chance = random.Random(stage.options.seed)
    done = collections.Counter()
    for _ in range(rounds):
        done.update(one_round(stage, daemon, servers, image, seconds / rounds / 2, chance))
    expect_equal(daemon.maps()["db"]["failed_to_client"], 0, "errors to the client")
    fabric = {name: path["fabric"] for name, path in daemon.paths().items()}
    print(f"  {dict(done)}; in doubt {[each['doubtful_writes'] for each in fabric.values()]}, "
          f"at a risk {[each['resend_risks'] for each in fabric.values()]}")
    expect(not event_lines(daemon, "path-identity-changed"), "a path was taken for another volume")
    expect_equal(daemon.stop(), 0, "exit code")


def one_round(stage, daemon, servers, image, seconds, chance):
    fio = fio_verify(stage, seconds)
    ledgers = [Ledger(stage, number) for number in range(4)]
    try:
        done = collections.Counter(make_trouble(daemon, servers, fio, seconds, chance))
        job = check_fio(fio)
    finally:
        # All of them are ended before one says what is wrong.
        for ledger in ledgers:
            ledger.ended = True
            ledger.thread.join()
    done["aborted"] += all_up(daemon, servers)
    done["ledgers"] = sum(ledger.compare(image) for ledger in ledgers)
    fio = fio_whole(stage, seconds)
    done.update(make_trouble(daemon, servers, fio, 2 * seconds, chance))
    check_fio(fio)
    done["aborted"] += all_up(daemon, servers)
    check_whole(stage, image)
    same_as_image(stage, image)
    done.update(writes=job["write"]["total_ios"], verified=job["read"]["total_ios"])
    return done


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
            try:
                wait_until(lambda: daemon.paths()["a"]["state"] == "down", "path a is down")
            except Failed as problem:
                raise Failed(f"{problem}; its server is {server.state()}") from None
            count = len(watch.waits)
            wait_until(lambda: len(watch.waits) > count + 5, "the client goes on", seconds=5)
            found.append(watch.longest_since(moment))
            getattr(server, mend)()
            all_up(daemon, [server])
    finally:
        watch.end()
    return sorted(found)


def fresh_write_stalls(stage, daemon, server, rounds):
    """How long the first write takes that comes after a server was killed: it is in no doubt."""
    handle = need_libnbd().NBD()
    handle.connect_uri(uri(stage.path("db.sock"), "db"))
    found = []
    for at in range(rounds):
        daemon.do("switch", "group", "db", "1")
        handle.pwrite(bytes(4096), 0)
        server.kill()
        begun = time.monotonic()
        handle.pwrite(os.urandom(4096), 4096 * at)
        found.append(time.monotonic() - begun)
        server.start()
        all_up(daemon, [server])
    handle.shutdown()
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
