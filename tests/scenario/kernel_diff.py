#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our brain with the real dm-multipath on random scenarios.

  ./dev kernel-diff SEED COUNT [--lab FOLDER] [--keep FOLDER]

Makes COUNT scenarios, has the laboratory record the kernel's answers in a guest (needs QEMU and root), answers them with
braidway-scenario and compares. A scenario that differs is recorded a second time: only what the kernel answers twice in
the same way counts. Exit status: 0 no difference, 1 differences, 2 the laboratory is not there or failed.
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# A guest under emulation, with settling after each step and held I/O.
SECONDS_PER_SCENARIO = 60
# A scenario that leaves its map behind spoils those that come after it in the same guest.
SCENARIOS_PER_GUEST = 10
LINES_SHOWN = 40


def record(lab, folder, scenarios):
    """The kernel's answers to `scenarios`, as files in `folder`."""
    os.makedirs(folder, exist_ok=True)
    for at in range(0, len(scenarios), SCENARIOS_PER_GUEST):
        record_in_one_guest(lab, folder, scenarios[at:at + SCENARIOS_PER_GUEST])


def record_in_one_guest(lab, folder, scenarios):
    command = [os.path.join(lab, "lab"), "--timeout", str(120 + SECONDS_PER_SCENARIO * len(scenarios)), "--out", folder,
               "--ro", os.path.dirname(scenarios[0]), "/lab/kit/mpscn run --out /lab/out " + " ".join(scenarios)]
    log = os.path.join(folder, "lab.log")
    with open(log, "w") as out:
        status = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL).returncode
    if status == 125:
        sys.exit("kernel-diff: the laboratory failed, see " + log)


def answer(lab, program, folder, scenarios):
    subprocess.run([os.path.join(lab, "mpscn"), "run", "--backend", "cmd:" + program, "--out", folder] + scenarios,
                   check=False, stdout=subprocess.DEVNULL)


def compare(lab, ours, theirs):
    """What differs, as text; empty = nothing. Nothing recorded is a difference."""
    if not os.path.exists(theirs):
        return "the kernel's answers are missing\n"
    done = subprocess.run([os.path.join(lab, "mpscn"), "compare", theirs, ours], capture_output=True, text=True)
    return done.stdout if done.returncode else ""


def record_of(folder, scenario):
    return os.path.join(folder, os.path.basename(scenario).rsplit(".", 1)[0] + ".rec")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--lab", default=os.path.join(ROOT, "..", "shared", "lab"))
    parser.add_argument("--program", default=os.path.join(ROOT, "build/release/bin/braidway-scenario"))
    parser.add_argument("--keep", help="keep scenarios and records in this folder")
    options = parser.parse_args()
    lab = os.path.abspath(options.lab)
    if not os.path.exists(os.path.join(lab, "lab")):
        print("kernel-diff: there is no laboratory at", lab, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.abspath(options.keep or scratch)
        scenario_folder = os.path.join(folder, "scenarios")
        subprocess.run([sys.executable, os.path.join(HERE, "random_scenario.py"), "--program", options.program,
                        str(options.seed), str(options.count), scenario_folder], check=True)
        scenarios = sorted(glob.glob(os.path.join(scenario_folder, "random-*-%d-*.scn" % options.seed)))
        ours, theirs, again = (os.path.join(folder, name) for name in ("ours", "kernel", "kernel-again"))
        record(lab, theirs, scenarios)
        answer(lab, options.program, ours, scenarios)
        suspects = [s for s in scenarios if compare(lab, record_of(ours, s), record_of(theirs, s))]
        differing = 0
        if suspects:
            record(lab, again, suspects)
        for scenario in suspects:
            if compare(lab, record_of(again, scenario), record_of(theirs, scenario)):
                print("%s: the kernel's answers differ from each other" % os.path.basename(scenario))
                continue
            differing += 1
            lines = compare(lab, record_of(ours, scenario), record_of(theirs, scenario)).splitlines()
            print("\n".join(lines[:LINES_SHOWN] + lines[-1:] if len(lines) > LINES_SHOWN else lines))
        steps = sum(len(open(s).read().splitlines()) for s in scenarios)
        print("kernel-diff: seed %d: %d scenarios with %d lines, %d differ" % (options.seed, len(scenarios), steps, differing))
        return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
