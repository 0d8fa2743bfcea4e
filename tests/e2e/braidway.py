# SPDX-License-Identifier: Apache-2.0
"""What the stories share: a daemon of their own in a folder of its own, its API, and a runner.

A story is a script with functions `story_...(stage)`. Each gets a Stage, which is cleaned up after
it whatever happens. A story that cannot run here raises Skip with the reason; when all of them are
skipped the script ends with 77, which ctest shows as skipped.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77
MIB = 1 << 20


class Skip(Exception):
    """This cannot be shown on this machine; the text says why."""


class Failed(Exception):
    """Something is not as the story says."""


def expect(condition, text):
    """Fails the story with `text` unless `condition` holds."""
    if not condition:
        raise Failed(text)


def expect_equal(found, wanted, what):
    expect(found == wanted, f"{what}: found {found!r}, expected {wanted!r}")


def wait_until(condition, what, seconds=20.0, every=0.02):
    """Calls `condition` until it is true and returns its value; fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds:g} s: {what}")
        time.sleep(every)


def need_tools(*names):
    for name in names:
        if shutil.which(name) is None:
            raise Skip(f"{name} is not installed")


def need_libnbd():
    try:
        import nbd  # pylint: disable=import-outside-toplevel
    except ImportError as problem:
        raise Skip("python3-libnbd is not installed") from problem
    return nbd


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """One running braidway."""

    def __init__(self, stage, arguments, api, program=None, env=None, name="daemon"):
        self.stage = stage
        self.api = api
        self.program = program or stage.program
        self.log_path = stage.path(f"{name}.log")
        self.log = open(self.log_path, "ab")
        self.arguments = [self.program] + arguments
        self.environment = dict(os.environ, **(env or {}))
        self.environment.setdefault(
            "ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:quarantine_size_mb=16")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=self.environment, cwd=stage.folder)
        self.pid = self.process.pid

    def wait_ready(self, *sockets, seconds=30.0):
        """Waits until the API and the given sockets exist and answer; fails early when it died."""

        def there():
            if self.process.poll() is not None:
                raise Failed(f"braidway ended with {self.process.returncode} at start:\n{self.tail()}")
            return all(can_connect(each) for each in (self.api, *sockets))

        wait_until(there, f"sockets {self.api} {sockets} of the daemon", seconds)
        # The API's socket is the first there is; it answers when everything else is served.
        self.status()
        return self

    def cli(self, *words, check=True, api=None, env=None):
        """Runs `braidway WORDS` against this daemon; returns the CompletedProcess."""
        done = subprocess.run(
            [self.program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, env=dict(os.environ, BRAIDWAY_API=api or self.api, **(env or {})))
        if check and done.returncode != 0:
            raise Failed(f"`braidway {' '.join(words)}` ended with {done.returncode}:\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def show(self, what):
        status, answer = self.http("GET", f"/v1/{what}")
        expect_equal(status, 200, f"GET /v1/{what}: {answer}")
        return answer

    def do(self, *words):
        """What `braidway WORDS` does, by one HTTP request: quick enough for hundreds of them."""
        method, path, body = command_request(words)
        status, answer = self.http(method, path, body)
        expect_equal(status, 200, f"{method} {path} {body}: {answer}")

    def http(self, method, path, body=None):
        """One API call; returns (status, decoded JSON or text)."""
        connection = _UnixHttp(self.api)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body),
                               headers={"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def status(self):
        """The daemon as a whole."""
        return self.show("status")

    def maps(self):
        return {each["name"]: each for each in self.show("maps")["maps"]}

    def exports(self):
        return {each["name"]: each for each in self.show("exports")["exports"]}

    def paths(self):
        return {each["name"]: each for each in self.show("paths")["paths"]}

    def wait_path(self, name, state, seconds=20.0):
        wait_until(lambda: self.paths()[name]["state"] == state, f"path {name} is {state}", seconds)

    def stop(self, expected=0, number=signal.SIGTERM, seconds=30.0):
        """Asks it to end and waits; fails when it does not end as expected."""
        self.process.send_signal(number)
        return self.wait_end(expected, seconds)

    def wait_end(self, expected=0, seconds=30.0):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"braidway did not end within {seconds:g} s:\n{self.tail()}") from None
        expect(expected is None or code == expected,
               f"braidway ended with {code}, expected {expected}:\n{self.tail()}")
        return code

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def log_text(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def tail(self, lines=60):
        return "\n".join(self.log_text().splitlines()[-lines:])

    # --- what the kernel says of it ---
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def status_field(self, key, task=None):
        path = f"/proc/{self.pid}/status" if task is None else f"/proc/{self.pid}/task/{task}/status"
        with open(path) as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise Failed(f"{path} has no {key}")

    def rss_kib(self):
        return self.status_field("VmRSS")

    def thread_name(self, task):
        with open(f"/proc/{self.pid}/task/{task}/comm") as name:
            return f"{name.read().strip()} ({task})"

    def wake_ups(self):
        """Voluntary context switches so far: {thread: count}."""
        tasks = os.listdir(f"/proc/{self.pid}/task")
        return {task: self.status_field("voluntary_ctxt_switches", task) for task in tasks}

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_request(words):
    """The HTTP request of a command line, such as ("fail", "path", "a1", "--hold")."""
    if words[0] == "set":
        _, _, path, layer, *rest = words
        body = {}
        if rest and rest[0] in ("on", "off"):
            body["enabled"] = rest.pop(0) == "on"
        if rest:
            body["parameters"] = dict(each.split("=", 1) for each in rest)
        return "PUT", f"/v1/paths/{path}/layers/{layer}", body
    if words[1] == "group":
        return "POST", f"/v1/maps/{words[2]}/{words[0]}-group", {"group": int(words[3])}
    body = {"hold": True} if "--hold" in words else None
    return "POST", f"/v1/paths/{words[2]}/{words[0]}", body


def can_connect(address):
    """Whether somebody listens on a unix socket path or on a port of the loopback."""
    try:
        if isinstance(address, int):
            with socket.create_connection(("127.0.0.1", address), timeout=5):
                return True
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(address)
            return True
    except OSError:
        return False


class Stage:
    """The folder, the programs and the daemons of one story."""

    def __init__(self, options):
        self.options = options
        self.build = os.path.abspath(options.build)
        self.program = os.path.join(self.build, "bin", options.program)
        self.release_program = os.path.join(os.path.abspath(options.release), "bin",
                                            options.program)
        # Not in TMPDIR: names of unix sockets are short.
        self.folder = tempfile.mkdtemp(prefix="braidway-e2e-", dir="/tmp")
        self.daemons = []
        self.processes = []
        self.folders = []  # Folders and files elsewhere, which go with this one.

    def path(self, name):
        return os.path.join(self.folder, name)

    def need_release(self):
        if not os.access(self.release_program, os.X_OK):
            raise Skip(f"counts are taken on the release build and there is none: "
                       f"{self.release_program}")
        return self.release_program

    def image(self, name="disk.img", size=64 * MIB):
        path = self.path(name)
        with open(path, "wb") as image:
            image.truncate(size)
        return path

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def backend_arguments(self):
        return ["--io-backend", self.options.io_backend] if self.options.io_backend else []

    def serve(self, config, *arguments, program=None, env=None, name="daemon", wait=True):
        """Starts `braidway serve` on a configuration; [api] is put in front of it."""
        api = self.path("api.sock")
        path = self.write("braidway.toml", f'[api]\nsocket = "{api}"\n{config}')
        daemon = Daemon(self, ["serve", "--config", path, *self.backend_arguments(), *arguments],
                        api, program, env, name)
        self.daemons.append(daemon)
        return daemon.wait_ready() if wait else daemon

    def demo(self, *arguments, program=None):
        """Starts `braidway demo` with its sockets in this folder; returns (daemon, nbd socket)."""
        api, nbd_socket = self.path("api.sock"), self.path("demo.sock")
        daemon = Daemon(self, ["demo", "--state", self.path("state"), "--api", api, "--nbd",
                               f"unix:{nbd_socket}", *self.backend_arguments(), *arguments],
                        api, program)
        self.daemons.append(daemon)
        return daemon.wait_ready(nbd_socket), nbd_socket

    def spawn(self, *words, **keywords):
        process = subprocess.Popen(list(words), stdin=subprocess.DEVNULL, **keywords)
        self.processes.append(process)
        return process

    def run(self, *words, check=True, timeout=300, **keywords):
        """Runs a client program to its end; fails with its output when it fails."""
        done = subprocess.run(list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, **keywords)
        if check and done.returncode != 0:
            raise Failed(f"`{' '.join(words)}` ended with {done.returncode}:\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def strike(self, failed):
        """Ends everything by its process id and checks that no daemon died of a bug."""
        problems = []
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for daemon in self.daemons:
            if daemon.alive():
                daemon.process.terminate()
                try:
                    daemon.process.wait(20)
                except subprocess.TimeoutExpired:
                    problems.append("braidway did not end within 20 s of SIGTERM")
                    daemon.kill9()
            text = daemon.log_text()
            for word in ("ERROR: AddressSanitizer", "runtime error:", "CHECK(", "LeakSanitizer",
                         "WARNING: ThreadSanitizer"):
                if word in text:
                    problems.append(f"the daemon's log has '{word}'")
            if (failed or problems) and text:
                print(f"--- {daemon.log_path} ---\n{daemon.tail(200)}\n---")
            daemon.log.close()
        for each in (*self.folders, self.folder):
            if os.path.isdir(each):
                shutil.rmtree(each, ignore_errors=True)
            elif os.path.exists(each):
                os.unlink(each)
        return problems


def uri(nbd_socket, export=""):
    return f"nbd+unix:///{export}?socket={urllib.parse.quote(nbd_socket)}"


def four_paths(image, layers='[{ kind = "flakey", enabled = false }, { kind = "error", enabled = false }]',
               keys="", names=("a1", "a2", "b1", "b2")):
    """[path.*] tables for several paths to one image, each with small devices on top."""
    return "".join(f'[path.{name}]\ndevice = "file:{image}"\nlayers = {layers}\n{keys}\n'
                   for name in names)


def db_map(map_keys="", export_keys="", nbd_socket="db.sock", selector="service-time"):
    """A map `db` of two groups of two paths, exported as `db`."""
    return f"""
[map.db]
groups = [{{ name = "controller A", selector = "{selector}", paths = ["a1", "a2"] }},
          {{ name = "controller B", selector = "{selector}", paths = ["b1", "b2"] }}]
{map_keys}
[export.db]
map = "db"
nbd = ["unix:{nbd_socket}"]
{export_keys}
"""


QUICK_CHECKS = '[defaults]\npolling_interval = "200 ms"\nmax_polling_interval = "500 ms"\n'


def options_of(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "dev"),
                        help="the build to test (default: build/dev)")
    parser.add_argument("--release", default=os.path.join(ROOT, "build", "release"),
                        help="the build to count system calls and wake-ups on")
    parser.add_argument("--io-backend", default=os.environ.get("BRAIDWAY_IO_BACKEND", ""),
                        help="io_uring or epoll (default: what the daemon chooses)")
    parser.add_argument("--seconds", type=float,
                        default=float(os.environ.get("BRAIDWAY_E2E_SECONDS", "0")),
                        help="how long stories with a length run (default: a few seconds)")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("BRAIDWAY_E2E_SEED", "1")))
    parser.add_argument("stories", nargs="*", help="names of stories (default: all)")
    return parser.parse_args()


def run_one(name, function, options):
    """Returns 'ok', 'skipped' or 'failed' and prints why."""
    stage = Stage(options)
    result, start = "ok", time.monotonic()
    try:
        if options.program and not os.access(stage.program, os.X_OK):
            raise Skip(f"there is no {stage.program}")
        function(stage)
    except Skip as reason:
        result = "skipped"
        print(f"skipped {name}: {reason}")
    except Exception:  # pylint: disable=broad-except
        result = "failed"
        traceback.print_exc(file=sys.stdout)
    problems = stage.strike(result == "failed")
    if problems:
        result = "failed"
        print(f"{name}: {'; '.join(problems)}")
    if result != "skipped":
        print(f"{result} {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return result


def main(description, program="braidway"):
    """Runs the stories of the calling script in the order in which they stand there. They are
    skipped when there is no `program`; "" when they need none."""
    options = options_of(description)
    options.program = program
    stories = {name[6:]: function for name, function in vars(sys.modules["__main__"]).items()
               if name.startswith("story_")}
    unknown = [name for name in options.stories if name not in stories]
    if unknown:
        sys.exit(f"no story {', '.join(unknown)}; there are {', '.join(stories)}")
    results = [run_one(name, stories[name], options) for name in options.stories or stories]
    print(f"{len(results)} stories: " + ", ".join(
        f"{results.count(each)} {each}" for each in ("ok", "failed", "skipped")))
    if "failed" in results:
        sys.exit(1)
    sys.exit(SKIPPED if results and set(results) == {"skipped"} else 0)
