#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus of lock programs: builds them, proves their verdicts, runs lockcheck and its peers.

Each program in corpus/ names its cases in lines of this form:

    // case: NAME | VERDICT | REASON | OPTIONS

VERDICT: `silent`; or the kinds of which one must be reported, `order` or `relock/hang`, and those
that may come besides, `recursive-read +order`; or `open`: run and listed, but counted nowhere.
OPTIONS (may be left out): `hangs`: the plain program hangs, too; `noproof`: there is nothing to
force; `exit=N`, `signal=N`: how the program ends by itself; `jobs=1`: runs alone, for its size.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "corpus")
KINDS = {"order", "recursive-read", "relock", "unlock-unheld", "destroy-held", "exit-held",
         "held-while-wait", "held-while-join", "signal", "hang"}
# What the forced build proves; the other kinds are wrong in every interleaving.
NEED_PROOF = {"order", "recursive-read", "held-while-wait", "held-while-join", "signal"}
FOUND_STATUS = 66  # lockcheck's default.
PLAIN_SECONDS = 10.0
HANG_SECONDS = 2.5  # A forced program meets within 0.2 s, several times at most.
PEER_SECONDS = 20.0
PEER_HANG_SECONDS = 6.0
SEEDS = 4  # Orders of starting, for forced programs that must end.


@dataclasses.dataclass(frozen=True)
class Case:
    """One verdict: a program and the argument that chooses the case in it."""
    name: str
    source: str
    kinds: frozenset[str]  # Empty: silent.
    besides: frozenset[str]
    is_open: bool
    reason: str
    hangs: bool
    proof: bool
    status: int  # As of subprocess: negative for a signal.
    alone: bool

    @property
    def silent(self) -> bool:
        return not self.kinds


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended. `status` is None when it was killed because its time was over; `stuck`: and
    none of its threads had done anything but spin for a while."""
    status: int | None
    output: str
    stuck: bool = False


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a case: `right`, `missed`, `false` or `broken`, and why."""
    case: Case
    outcome: str
    why: str = ""


# --- reading the corpus ---


def parse_case(source: str, text: str) -> Case:
    fields = [field.strip() for field in text.split("|")]
    if len(fields) not in (3, 4):
        raise ValueError(f"{source}: a case has three or four fields: {text}")
    name, verdict, reason = fields[:3]
    options = fields[3].split() if len(fields) == 4 else []
    required, *besides = verdict.split()
    kinds = frozenset() if required in ("silent", "open") else frozenset(required.split("/"))
    also = frozenset(word.removeprefix("+") for word in besides)
    unknown = (kinds | also) - KINDS
    if unknown:
        raise ValueError(f"{source}: {name}: no such kinds: {sorted(unknown)}")
    status, flags = 0, set()
    for option in options:
        word, _, value = option.partition("=")
        if word in ("exit", "signal"):
            status = int(value) if word == "exit" else -int(value)
        elif option in ("hangs", "noproof", "jobs=1"):
            flags.add(option)
        else:
            raise ValueError(f"{source}: {name}: no such option: {option}")
    needed = not kinds or bool(kinds & NEED_PROOF)
    return Case(name, source, kinds, also, required == "open", reason, "hangs" in flags,
                needed and "noproof" not in flags and required != "open", status, "jobs=1" in flags)


def read_corpus(pattern: str) -> list[Case]:
    cases = []
    for path in sorted(glob.glob(f"{SOURCES}/*.c") + glob.glob(f"{SOURCES}/*.cpp")):
        with open(path) as source:
            lines = re.findall(r"^// case: (.*)$", source.read(), re.MULTILINE)
        cases += [parse_case(path, line) for line in lines]
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"cases with one name: {sorted(twice)}")
    return [case for case in cases
            if fnmatch.fnmatch(case.name, pattern) or fnmatch.fnmatch(stem(case.source), pattern)]


def stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


# --- building ---


@dataclasses.dataclass(frozen=True)
class Flavour:
    """How the programs are built: plainly, forced, or for a peer."""
    name: str
    c: str = "gcc"
    cpp: str = "g++"
    flags: tuple[str, ...] = ()


PLAIN = Flavour("plain")
FORCED = Flavour("forced", flags=("-DFORCE",))
TSAN = Flavour("tsan", "clang-19", "clang++-19", ("-fsanitize=thread",))


class Builder:
    """Builds programs once: a file's name holds the hash of all that it is made of."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.headers = b"".join(open(path, "rb").read()
                                for path in sorted(glob.glob(f"{SOURCES}/*.h")))

    def program(self, source: str, flavour: Flavour) -> str:
        return self.made(source, flavour, named(source, "build") + ["-pthread"])

    def library(self, source: str, flavour: Flavour) -> str | None:
        """What the program loads by itself: `// library: FILE`."""
        names = named(source, "library")
        if not names:
            return None
        return self.made(os.path.join(SOURCES, "library", names[0]), flavour, ["-shared", "-fPIC"])

    def made(self, source: str, flavour: Flavour, more: list[str]) -> str:
        is_c = source.endswith(".c")
        command = [flavour.c if is_c else flavour.cpp, "-std=gnu11" if is_c else "-std=c++20", "-g",
                   "-O1", "-Wall", "-Wextra", "-I", SOURCES, *flavour.flags, source, *more]
        with open(source, "rb") as text:
            digest = hashlib.sha256(" ".join(command).encode() + self.headers + text.read())
        target = f"{self.folder}/{stem(source)}-{flavour.name}-{digest.hexdigest()[:16]}"
        if not os.path.exists(target):
            half = f"{target}.{os.getpid()}.{threading.get_ident()}"
            subprocess.run([*command, "-o", half], check=True)
            os.rename(half, target)
        return target


def named(source: str, word: str) -> list[str]:
    """The words of a line `// WORD: ...` of a program."""
    with open(source) as text:
        return [each for line in re.findall(rf"^// {word}: (.*)$", text.read(), re.MULTILINE)
                for each in line.split()]


# --- running ---


def switches(session: int) -> int:
    """How often the threads of all processes of a session have gone to sleep."""
    total = 0
    for path in glob.glob("/proc/[0-9]*"):
        try:
            if os.getsid(int(path[6:])) != session:
                continue
            for task in glob.glob(f"{path}/task/*/status"):
                with open(task) as status:
                    total += int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status.read(),
                                            re.MULTILINE)[0])
        except (OSError, IndexError):
            continue
    return total


def is_stuck(session: int) -> bool:
    """Whoever waits in force.h, or sleeps to go on later, wakes up within this time."""
    before = switches(session)
    time.sleep(0.25)
    return switches(session) == before


def run(command: list[str], seconds: float, settings: dict[str, str] | None = None) -> Ended:
    """Runs in a session of its own, so that a child that is left behind ends with it."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True, env={**os.environ, **(settings or {})})
        stuck = False
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status, stuck = None, is_stuck(process.pid)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return Ended(status, output.read().decode(errors="replace"), stuck)


def as_words(status: int | None) -> str:
    if status is None:
        return "its time was over"
    return f"died of signal {-status}" if status < 0 else f"exit status {status}"


def last_line(ended: Ended) -> str:
    lines = ended.output.strip().splitlines()
    return f": {lines[-1]}" if lines else ""


class Runs:
    """The programs of a corpus, built and ready to run."""

    def __init__(self, builder: Builder, options: argparse.Namespace) -> None:
        self.builder = builder
        self.options = options

    def settings(self, case: Case, flavour: Flavour) -> dict[str, str]:
        library = self.builder.library(case.source, flavour)
        strict = {} if flavour is FORCED else {"CORPUS_STRICT": "1"}
        return {**strict, **({"CORPUS_LIBRARY": library} if library else {})}

    def command(self, case: Case, flavour: Flavour) -> list[str]:
        return [self.builder.program(case.source, flavour), case.name]

    def each(self, cases: list[Case], judge: Callable[[Case], Verdict]) -> list[Verdict]:
        """Judges the cases with several jobs, and then those that must be alone."""
        together = [case for case in cases if not case.alone]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            verdicts = list(pool.map(judge, together))
        return verdicts + [judge(case) for case in cases if case.alone]

    def build_all(self, cases: list[Case], flavours: Iterable[Flavour]) -> None:
        pairs = sorted({(case.source, flavour.name, flavour) for case in cases
                        for flavour in flavours}, key=lambda pair: pair[:2])
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(lambda pair: (self.builder.program(pair[0], pair[2]),
                                        self.builder.library(pair[0], pair[2])), pairs))


# --- proofs ---


def prove(runs: Runs, case: Case) -> Verdict:
    """The plain program ends as it says; the forced one hangs, or ends, however it is started."""
    plain = run(runs.command(case, PLAIN), HANG_SECONDS if case.hangs else PLAIN_SECONDS,
                runs.settings(case, PLAIN))
    if case.hangs != (plain.status is None):
        return Verdict(case, "broken", f"plain: {as_words(plain.status)}{last_line(plain)}")
    if not case.hangs and plain.status != case.status:
        return Verdict(case, "broken", f"plain: {as_words(plain.status)}{last_line(plain)}")
    if not case.proof or case.hangs:
        return Verdict(case, "right")
    settings = runs.settings(case, FORCED)
    if not case.silent:
        forced = run(runs.command(case, FORCED), HANG_SECONDS, settings)
        if forced.status is None and forced.stuck:
            return Verdict(case, "right")
        return Verdict(case, "missed", f"forced, it does not hang: {as_words(forced.status)}"
                                       f"{last_line(forced)}")
    for seed in range(SEEDS):
        forced = run(runs.command(case, FORCED), PLAIN_SECONDS,
                     {**settings, "FORCE_SEED": str(seed)})
        if forced.status != case.status:
            return Verdict(case, "false", f"forced, FORCE_SEED={seed}: {as_words(forced.status)}"
                                          f"{last_line(forced)}")
    return Verdict(case, "right")


# --- lockcheck ---


def documents_of(text: str) -> list[dict]:
    decoder, at, documents = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        documents.append(document)
    return documents


def kinds_found(text: str) -> set[str]:
    return {finding["kind"] for document in documents_of(text)
            for finding in document["findings"] if finding.get("suppressed_by") is None}


def judge_lockcheck(runs: Runs, case: Case) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        report = f"{folder}/report.json"
        ended = run([runs.options.lockcheck, "--json", report, "--", *runs.command(case, PLAIN)],
                    PLAIN_SECONDS * 2, runs.settings(case, PLAIN))
        try:
            with open(report) as text:
                found = kinds_found(text.read())
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Verdict(case, "broken", f"no report: {error!r}; {as_words(ended.status)}")
    return compare(case, found, ended)


def compare(case: Case, found: set[str], ended: Ended) -> Verdict:
    words = ", ".join(sorted(found)) or "nothing"
    if case.is_open:
        return Verdict(case, "open", f"reported: {words}; {as_words(ended.status)}")
    wanted = FOUND_STATUS if found and case.status >= 0 else case.status
    if ended.status != wanted:
        return Verdict(case, "broken", f"{as_words(ended.status)} instead of "
                                       f"{as_words(wanted)}; reported: {words}{last_line(ended)}")
    if case.silent and found:
        return Verdict(case, "false", f"reported: {words}")
    if case.silent:
        return Verdict(case, "right")
    if not case.kinds & found:
        wanted_words = "/".join(sorted(case.kinds))
        return Verdict(case, "missed", f"reported: {words} instead of {wanted_words}")
    extra = found - case.kinds - case.besides
    if extra:
        return Verdict(case, "false", f"rightly reported, but besides: {', '.join(sorted(extra))}")
    return Verdict(case, "right")


# --- peers ---

# What a peer says about locks; data races, leaks of threads and the like are no matter here.
PEER_WORDS = {
    "tsan": r"WARNING: ThreadSanitizer: (lock-order-inversion|double lock of a mutex|"
            r"unlock of an unlocked mutex|destroy of a locked mutex|read lock of a write locked|"
            r"read unlock of a write locked|mutex is already|use of an invalid mutex|"
            r"signal handler called lock)",
    "helgrind": r"(lock order|Attempt to re-lock a non-recursive|unlocked a not-locked lock|"
                r"unlocked an invalid lock|currently held by thread|still holds \d+ lock|"
                r"deallocated location holding|memory region containing a held|"
                r"_destroy of a locked|with invalid argument|"
                r"Exiting thread still holds|mutex is not locked|lock is not held|"
                r"failed with error code (1|16|22|35) )",
    "drd": r"(Mutex not locked|Mutex still locked|Destroying locked|Recursive locking not allowed|"
           r"not locked by calling thread|Not a mutex|Mutex already locked|"
           r"Attempt to (unlock|destroy|lock)|is locked but not by|Destroying .* locked|"
           r"Mutex reinitialization|Reader-writer lock (not|still)|not a reader-writer lock|"
           r"The object at address .* is not a)",
}


def peer_command(peer: str, command: list[str]) -> list[str]:
    if peer == "tsan":
        return ["setarch", "-R", *command]
    return ["valgrind", f"--tool={peer}", "--trace-children=no", *command]


def peer_settings(peer: str) -> dict[str, str]:
    words = "detect_deadlocks=1:second_deadlock_stack=1:exitcode=0:report_bugs=1"
    return {"TSAN_OPTIONS": words} if peer == "tsan" else {}


def judge_peer(runs: Runs, peer: str, case: Case) -> Verdict:
    flavour = TSAN if peer == "tsan" else PLAIN
    seconds = PEER_HANG_SECONDS if case.hangs else PEER_SECONDS
    settings = runs.settings(case, flavour)
    del settings["CORPUS_STRICT"]  # Peers keep freed memory for a while, as they may.
    ended = run(peer_command(peer, runs.command(case, flavour)), seconds,
                {**peer_settings(peer), **settings})
    found = re.search(PEER_WORDS[peer], ended.output)
    words = f"reported: {found.group(0)}" if found else as_words(ended.status)
    if case.is_open:
        return Verdict(case, "open", words)
    if found:
        return Verdict(case, "false" if case.silent else "right", words)
    if ended.status != case.status and not case.hangs:
        return Verdict(case, "broken", f"{as_words(ended.status)}{last_line(ended)}")
    return Verdict(case, "right" if case.silent else "missed", "" if case.silent else words)


# --- the table ---


def print_table(title: str, verdicts: list[Verdict]) -> bool:
    counted = [verdict for verdict in verdicts if not verdict.case.is_open]
    wrong = [verdict for verdict in counted if verdict.outcome != "right"]

    def count(outcome: str, silent: bool) -> int:
        return sum(each.outcome == outcome and each.case.silent == silent for each in counted)

    reports = sum(not each.case.silent for each in counted)
    print(f"{title}: {reports} to report, {len(counted) - reports} to stay silent about, "
          f"{len(verdicts) - len(counted)} open")
    print("| reported rightly | missed | silent rightly | false reports | broken |")
    print("| --- | --- | --- | --- | --- |")
    false = count("false", True) + count("false", False)
    broken = count("broken", True) + count("broken", False)
    print(f"| {count('right', False)} | {count('missed', False)} | {count('right', True)} | "
          f"{false} | {broken} |")
    for verdict in sorted(wrong, key=lambda each: (each.outcome, each.case.name)):
        print(f"  {verdict.outcome:7} {verdict.case.name} ({stem(verdict.case.source)}): "
              f"{verdict.why}")
    for verdict in verdicts:
        if verdict.case.is_open:
            print(f"  open    {verdict.case.name} ({stem(verdict.case.source)}): "
                  f"{verdict.why}")
    sys.stdout.flush()
    return not wrong


def list_cases(cases: list[Case]) -> None:
    for case in cases:
        verdict = "open" if case.is_open else "/".join(sorted(case.kinds)) or "silent"
        print(f"{case.name:40} {verdict:20} {case.reason}")


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", default="/tmp/lock-corpus", help="where programs are kept")
    parser.add_argument("--lockcheck", metavar="PATH", help="run this lockcheck over the corpus")
    parser.add_argument("--peer", choices=sorted(PEER_WORDS), action="append", default=[],
                        help="run a peer over the corpus (may be given several times)")
    parser.add_argument("--prove", action="store_true", help="prove the verdicts")
    parser.add_argument("--only", metavar="PATTERN", default="*",
                        help="cases or files, with * and ?")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the cases and their reasons")
    options = parser.parse_args(arguments)
    if options.lockcheck:
        options.lockcheck = os.path.abspath(options.lockcheck)
        if not os.access(options.lockcheck, os.X_OK):
            parser.error(f"{options.lockcheck} cannot be run")
    return options


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    cases = read_corpus(options.only)
    if not cases:
        print(f"no case is called {options.only}")
        return 2
    if options.list:
        list_cases(cases)
        return 0
    try:
        return run_all(cases, options)
    except subprocess.CalledProcessError as error:
        print(f"a program does not build: {' '.join(error.cmd)}")
        return 2


def run_all(cases: list[Case], options: argparse.Namespace) -> int:
    runs, right = Runs(Builder(options.build_dir), options), True
    if options.prove:
        runs.build_all(cases, (PLAIN, FORCED))
        right &= print_table("proofs", runs.each(cases, lambda case: prove(runs, case)))
    if options.lockcheck:
        runs.build_all(cases, (PLAIN,))
        right &= print_table("lockcheck",
                             runs.each(cases, lambda case: judge_lockcheck(runs, case)))
    for peer in options.peer:
        tool = "clang++-19" if peer == "tsan" else "valgrind"
        if not shutil.which(tool):
            print(f"SKIP: {peer}: {tool} is not installed")
            continue
        runs.build_all(cases, (TSAN if peer == "tsan" else PLAIN,))
        print_table(peer, runs.each(cases, lambda case: judge_peer(runs, peer, case)))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
