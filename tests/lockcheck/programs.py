#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs under lockcheck: each does real work, plain and watched, and must do the same.

    programs.py --lockcheck build/release/bin/lockcheck [--only NAME] [--keep FOLDER]

Shows for each what it did, how much longer it took, and every finding. Exit status 1 when a program
did something else than without lockcheck, or when its findings are not those of `known_findings`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Callable

SOURCE = """#include <map>
#include <regex>
#include <string>
#include <vector>
template <int N> int deep(const std::map<std::string, std::vector<int>>& m) {
    std::regex r("a+b|" + std::to_string(N));
    return static_cast<int>(m.size()) + (std::regex_match("aab", r) ? N : deep<N - 1>(m));
}
template <> inline int deep<0>(const std::map<std::string, std::vector<int>>&) { return 0; }
int UNIT() { return deep<40>({}); }
"""


@dataclass
class Run:
    """One run of one program. `watched`: under lockcheck."""
    folder: str
    lockcheck: str | None
    documents: list[dict] = field(default_factory=list)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def under(self, *command: str) -> list[str]:
        if self.lockcheck is None:
            return list(command)
        return [self.lockcheck, "--quiet", "--json", self.path("lockcheck.json"), "--", *command]

    def call(self, *command: str, watched: bool = False, timeout: float = 300, **options) -> str:
        """Runs to the end and returns what was printed. A status of 66 is lockcheck's word that it
        found something, which is looked at later."""
        done = subprocess.run(self.under(*command) if watched else list(command), text=True,
                              capture_output=True, timeout=timeout, cwd=self.folder, check=False,
                              errors="replace", **options)
        if done.returncode not in ((0, 66) if watched and self.lockcheck else (0,)):
            raise Failure(f"{command[0]} ended with {done.returncode}:\n"
                          f"{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def findings(self) -> list[dict]:
        name = self.path("lockcheck.json")
        if not os.path.exists(name):
            return []
        with open(name, encoding="utf-8") as lines:
            return [finding for line in lines if line.strip()
                    for finding in json.loads(line)["findings"]]


class Failure(Exception):
    """The program did not do its work."""


class Server:
    """A program that serves until it is told to end."""

    def __init__(self, run: Run, *command: str, stop: int = signal.SIGTERM):
        self.log = open(run.path("server.log"), "wb")
        self.stop = stop
        self.process = subprocess.Popen(run.under(*command), stdout=self.log, stderr=self.log,
                                        cwd=run.folder)
        self.run = run

    def __enter__(self) -> "Server":
        return self

    def wait_for(self, ready: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__(None, None, None)
                with open(self.run.path("server.log"), errors="replace") as log:
                    raise Failure(f"the server does not serve:\n{log.read()[-3000:]}")
            time.sleep(0.1)

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.stop)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure("the server does not end when it is told to") from None
        self.log.close()


def listens(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    return ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mariadb(run: Run) -> str:
    """A database server: 8 clients insert, update and read in transactions."""
    data, place = run.path("data"), run.path("sql")
    who = ["--user=root"] if os.geteuid() == 0 else []
    run.call("mariadb-install-db", "--no-defaults", f"--datadir={data}",
             "--auth-root-authentication-method=normal", "--skip-test-db", *who)
    with Server(run, "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}",
                f"--socket={place}", "--skip-networking", "--innodb-flush-log-at-trx-commit=2",
                f"--pid-file={run.path('pid')}", *who) as server:
        server.wait_for(lambda: os.path.exists(place))
        run.call("mariadb-slap", "--no-defaults", f"--socket={place}", "--user=root",
                 "--concurrency=8", "--number-of-queries=4000", "--auto-generate-sql",
                 "--auto-generate-sql-load-type=mixed", "--auto-generate-sql-add-autoincrement",
                 "--engine=InnoDB", "--number-int-cols=3", "--number-char-cols=3")
        run.call("mariadb", "--no-defaults", f"--socket={place}", "--user=root", "-e",
                 "create database d; use d; create table d.t (i int primary key, c text) engine=aria; "
                 "insert into d.t select seq, repeat('x', 200) from seq_1_to_5000; "
                 "alter table d.t engine=InnoDB; analyze table d.t; show engine innodb status;")
        counted = run.call("mariadb", "--no-defaults", f"--socket={place}", "--user=root", "-N",
                           "-e", "select count(*), sum(i) from d.t")
    return counted.strip()


def apache(run: Run) -> str:
    """A web server with processes and threads: 5,000 requests by 16 clients."""
    port = free_port()
    modules = "/usr/lib/apache2/modules"
    os.makedirs(run.path("htdocs"))
    with open(run.path("htdocs/index.html"), "w") as page:
        page.write("hello " * 2000)
    with open(run.path("apache.conf"), "w") as config:
        config.write(f"""ServerName localhost
ServerRoot {run.folder}
PidFile {run.path('httpd.pid')}
ErrorLog {run.path('error.log')}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule deflate_module {modules}/mod_deflate.so
LoadModule filter_module {modules}/mod_filter.so
LoadModule status_module {modules}/mod_status.so
DocumentRoot {run.path('htdocs')}
User www-data
Group www-data
""")
    os.chmod(run.folder, 0o755)
    with Server(run, "/usr/sbin/apache2", "-f", run.path("apache.conf"), "-DFOREGROUND") as server:
        server.wait_for(listens(port))
        shown = run.call("ab", "-q", "-n", "5000", "-c", "16", f"http://127.0.0.1:{port}/index.html")
    lines = [line for line in shown.splitlines()
             if line.startswith(("Complete requests", "Failed requests", "HTML transferred"))]
    return "; ".join(" ".join(line.split()) for line in lines)


def redis(run: Run) -> str:
    """A key-value server with I/O threads and background saves."""
    port = free_port()
    with Server(run, "redis-server", "--port", str(port), "--io-threads", "2", "--io-threads-do-reads",
                "yes", "--dir", run.folder, "--save", "1 1", "--appendonly", "yes") as server:
        server.wait_for(listens(port))
        run.call("redis-benchmark", "-q", "-p", str(port), "-n", "4000", "-c", "20", "-t",
                 "set,get,lpush,zadd", "-r", "1000")
        size = run.call("redis-cli", "-p", str(port), "dbsize")
    return "keys: " + ("some" if int(size) > 100 else "none")


def firefox(run: Run) -> str:
    """A browser: starts all its processes, runs a page's script, paints it."""
    with open(run.path("page.html"), "w") as page:
        page.write("<canvas id=c width=400 height=300></canvas><script>let x=0;for(let i=0;i<3e6;i++)"
                   "x+=Math.sqrt(i);let g=c.getContext('2d');g.fillRect(9,9,200,99);"
                   "document.title=x</script><p>painted")
    shot = run.path("shot.png")
    run.call("firefox-esr", "--headless", "--no-remote", "--profile", run.folder, "--screenshot",
             shot, f"file://{run.path('page.html')}", watched=True, timeout=600,
             env=dict(os.environ, HOME=run.folder, MOZ_DISABLE_CONTENT_SANDBOX="1"))
    with open(shot, "rb") as image:
        return "painted" if image.read(8) == b"\x89PNG\r\n\x1a\n" else "no picture"


def compiler(run: Run) -> str:
    """clang compiles a templated source, lld links it with four threads, and the program runs."""
    for unit in range(4):
        with open(run.path(f"unit{unit}.cc"), "w") as source:
            source.write(SOURCE.replace("UNIT", f"unit{unit}"))
    with open(run.path("main.cc"), "w") as source:
        source.write("int unit0(); int unit1(); int unit2(); int unit3();\n"
                     "int main() { return unit0() + unit1() + unit2() + unit3() ? 0 : 1; }\n")
    units = [f"unit{unit}.cc" for unit in range(4)] + ["main.cc"]
    for unit in units:
        run.call("clang++-19", "-std=c++17", "-O1", "-flto=thin", "-g", "-c", unit, watched=True)
    run.call("clang++-19", "-flto=thin", "-fuse-ld=lld-19", "-Wl,--threads=4", "-Wl,--thinlto-jobs=4",
             "-o", "program", *[unit.replace(".cc", ".o") for unit in units], watched=True)
    run.call(run.path("program"))
    return "built and ran"


PROGRAMS: dict[str, tuple[Callable[[Run], str], list[str]]] = {
    "mariadb": (mariadb, ["/usr/sbin/mariadbd", "mariadb-slap"]),
    "apache": (apache, ["/usr/sbin/apache2", "ab"]),
    "redis": (redis, ["redis-server", "redis-benchmark"]),
    "firefox": (firefox, ["firefox-esr"]),
    "compiler": (compiler, ["clang++-19", "ld.lld-19"]),
}


def one_run(work: Callable[[Run], str], lockcheck: str | None, keep: str | None) -> tuple[str, float, list[dict]]:
    folder = keep or tempfile.mkdtemp(prefix="lockcheck-")
    os.makedirs(folder, exist_ok=True)
    try:
        run = Run(folder, lockcheck)
        began = time.monotonic()
        outcome = work(run)
        return outcome, time.monotonic() - began, run.findings()
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lockcheck", help="the program; without it each is run plain only")
    parser.add_argument("--only", help="one of: " + ", ".join(PROGRAMS))
    parser.add_argument("--keep", help="leave files of the watched runs in FOLDER/NAME")
    arguments = parser.parse_args()
    wrong = 0
    for name, (work, needs) in PROGRAMS.items():
        if arguments.only not in (None, name):
            continue
        missing = [need for need in needs if shutil.which(need) is None]
        if missing:
            print(f"{name:10} SKIPPED: there is no {' '.join(missing)}")
            continue
        try:
            plain, plain_seconds, _ = one_run(work, None, None)
            print(f"{name:10} plain {plain_seconds:6.1f} s: {plain}", flush=True)
            if arguments.lockcheck is None:
                continue
            keep = os.path.join(os.path.abspath(arguments.keep), name) if arguments.keep else None
            watched, seconds, found = one_run(work, os.path.abspath(arguments.lockcheck), keep)
            print(f"{name:10} watched {seconds:4.1f} s ({seconds / plain_seconds:.2f}x): {watched}; "
                  f"{len(found)} findings", flush=True)
            for finding in found:
                print(f"    {finding['kind']}: {finding['message'].splitlines()[0]}")
            wrong += watched != plain or bool(found)
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f"{name:10} FAILED: {failure}", flush=True)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
