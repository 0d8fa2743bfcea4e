#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What lockcheck costs a program, beside ThreadSanitizer, Helgrind and DRD, in one run and in turns.

One program (bench/lockcheck_load.cc) takes and gives back locks: alone, nested, for reading, for
writing, and in a map that two threads share. Every round runs it once plain, under lockcheck, built
with clang's -fsanitize=thread, and under valgrind's two tools; the table has medians, ratios are
those of medians. Then lockcheck_bench measures the validator compiled in, and its memory. The last
lines say which targets hold. A peer that is not installed is left out, with the reason. Read
docs/benchmarking.md first.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOAD = os.path.join(ROOT, "bench", "lockcheck_load.cc")
# How many pairs a turn of a column has; the map is a program, and judged by its factor.
PAIRS = {"mutex": 1, "nested": 2, "rdlock": 1, "wrlock": 1, "spin": 1, "stack": 1, "call": 1}
FRESH = "call"
COLUMNS = [*PAIRS, "map"]
PRELOADED_NS_MAX = 12.0
MAP_FACTOR_MAX = 2.0


class Variant:
    """One way to run the program."""

    def __init__(self, name, words, slow=False):
        self.name, self.words, self.slow = name, words, slow
        self.samples = {column: [] for column in COLUMNS}

    def visit(self, seconds):
        # A slow peer gets there with fewer turns; it needs no more time.
        done = subprocess.run([*self.words, str(seconds / 2 if self.slow else seconds)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            sys.exit(f"{self.name} ended with {done.returncode}: {done.stdout}{done.stderr}")
        for line in done.stdout.splitlines():
            column, value = line.split()
            self.samples[column].append(float(value))

    def median(self, column):
        return statistics.median(self.samples[column])


def without_random_addresses(words):
    """TSan of these years cannot live with all of the kernel's ways to place things."""
    return ["setarch", platform.machine(), "--addr-no-randomize", *words]


def build_with_tsan(folder):
    """The program built by clang with ThreadSanitizer; None and the reason where that cannot be."""
    compiler = shutil.which("clang++-19") or shutil.which("clang++")
    if compiler is None:
        return None, "clang++-19 is not installed"
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, "lockcheck_load_tsan")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(LOAD):
        done = subprocess.run([compiler, "-std=c++20", "-O2", "-g1", "-fsanitize=thread", LOAD, "-o",
                               program, "-pthread"], capture_output=True, text=True)
        if done.returncode != 0:
            return None, f"{compiler} cannot build it: {done.stderr.strip().splitlines()[-1:]}"
    return program, None


def variants_of(options):
    """Those that there are; says why another is not."""
    program = os.path.join(options.build, "bin", "lockcheck_load")
    found = [Variant("plain", [program])]
    lockcheck = os.path.join(options.build, "bin", "lockcheck")
    if os.access(lockcheck, os.X_OK):
        found.append(Variant("lockcheck", [lockcheck, "--quiet", "--", program]))
    else:
        print(f"without lockcheck: there is no {lockcheck}")
    tsan, reason = build_with_tsan(os.path.join(ROOT, "build", "bench", "lockcheck"))
    if tsan:
        found.append(Variant("TSan", without_random_addresses([tsan])))
    else:
        print(f"without TSan: {reason}")
    if shutil.which("valgrind"):
        for tool in ("helgrind", "drd"):
            found.append(Variant({"helgrind": "Helgrind", "drd": "DRD"}[tool],
                                 ["valgrind", "-q", f"--tool={tool}", program], slow=True))
    else:
        print("without Helgrind and DRD: valgrind is not installed")
    return found


def figure(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def table(header, rows):
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cpu_model():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def report(variants, options, load):
    print(f"{datetime.date.today()}, {os.cpu_count()} CPUs {cpu_model()}, Linux "
          f"{platform.release()}; `./dev bench lockcheck {' '.join(sys.argv[1:])}`: medians of "
          f"{options.rounds} rounds, ns a turn; load average {load[0]:.1f} before and "
          f"{os.getloadavg()[0]:.1f} after.\n")
    print(table(["", *COLUMNS], [[each.name, *(figure(each.median(column)) for column in COLUMNS)]
                                 for each in variants]))
    plain = variants[0]
    print("\nTimes the plain program\n")
    print(table(["", *COLUMNS],
                [[each.name, *(f"{each.median(column) / plain.median(column):.2f}"
                               for column in COLUMNS)] for each in variants[1:]]))
    print()


def verdict(holds):
    return "holds" if holds else "MISSED"


def targets(variants):
    """The targets of the preload; those of lockcheck_bench are its own lines."""
    by_name = {each.name: each for each in variants}
    if "lockcheck" not in by_name:
        return {}
    plain, ours = by_name["plain"], by_name["lockcheck"]
    added = {column: (ours.median(column) - plain.median(column)) / pairs
             for column, pairs in PAIRS.items()}
    fresh = added.pop(FRESH)
    print(f"preloaded {verdict(max(added.values()) <= PRELOADED_NS_MAX)}: " + ", ".join(
        f"{column} {value:+.1f} ns a pair" for column, value in added.items()) +
          f" (target {PRELOADED_NS_MAX:.0f})")
    print(f"a lock that lives for one call only, which no way is short for: {fresh:+.0f} ns")
    added[FRESH] = fresh
    peers = ", ".join(f"{each.name} {each.median('map') / plain.median('map'):.1f}"
                      for each in variants[2:])
    print(f"map {verdict(factor <= MAP_FACTOR_MAX)}: {factor:.2f} times the plain program (target "
          f"{MAP_FACTOR_MAX:.0f}){'; ' + peers if peers else ''}")
    return {"added_ns": added, "map_factor": factor}


def compiled_in(options):
    """lockcheck_bench's own two lines; its figures."""
    program = os.path.join(options.build, "bin", "lockcheck_bench")
    if not os.access(program, os.X_OK):
        print(f"without what is compiled in: there is no {program}")
        return {}
    answer = os.path.join(ROOT, "build", "bench", "lockcheck", "compiled_in.json")
    os.makedirs(os.path.dirname(answer), exist_ok=True)
    sys.stdout.flush()
    subprocess.run([program, "--json", answer, *(["--quick"] if options.quick else [])], check=True)
    with open(answer) as file:
        return json.load(file)


def options_of():
    parser = argparse.ArgumentParser(prog="./dev bench lockcheck", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="visits of each (default 7)")
    parser.add_argument("--seconds", type=float, default=0.1,
                        help="length of one column of one visit at least (default 0.1)")
    parser.add_argument("--quick", action="store_true",
                        help="2 short rounds: does it run at all?")
    parser.add_argument("--json", metavar="FILE", help="writes every sample, too")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 0.01
    return options


def main():
    options = options_of()
    load = os.getloadavg()
    variants = variants_of(options)
    for _ in range(options.rounds):
        for each in variants:
            each.visit(options.seconds)
    report(variants, options, load)
    if options.quick:
        print("A quick run: it shows that the bench runs, not what anything costs.\n")
    preloaded = targets(variants)
    compiled = compiled_in(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"schema_version": 1, "rounds": options.rounds,
                       "samples": {each.name: each.samples for each in variants},
                       "preloaded": preloaded, "compiled_in": compiled}, file, indent=1)


if __name__ == "__main__":
    main()
