#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus of lock programs under lockcheck: every case has its verdict, but for those that
tests/lockcheck/known_misses.txt names with a reason; a case that it names and that is right now must
leave it. Cases whose time is short on a busy machine get a second chance, alone."""

import argparse
import os
import sys

from braidway import ROOT, expect, main, need_tools

sys.path.insert(0, os.path.join(ROOT, "tests", "lockcheck"))
import corpus  # noqa: E402  pylint: disable=import-error,wrong-import-position

KNOWN = os.path.join(ROOT, "tests", "lockcheck", "known_misses.txt")
SOMETIMES = "sometimes"  # An outcome of a case that is right in some runs, by what came first.


def known_misses():
    """The cases that are known to be wrong: name to outcome and reason."""
    known = {}
    with open(KNOWN) as lines:
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split("|")]
            expect(len(fields) == 3 and all(fields), f"{KNOWN}: expected NAME | OUTCOME | REASON: {line}")
            expect(fields[0] not in known, f"{KNOWN}: {fields[0]} is there twice")
            known[fields[0]] = (fields[1], fields[2])
    return known


def wrong_cases(stage):
    """Runs all. Returns the number of cases and the verdicts that are not right."""
    cases = corpus.read_corpus("*")
    options = argparse.Namespace(lockcheck=stage.program, jobs=6)
    runs = corpus.Runs(corpus.Builder(os.path.join(stage.build, "lock-corpus")), options)
    runs.build_all(cases, (corpus.PLAIN,))

    def judge(case):
        return corpus.judge_lockcheck(runs, case)

    verdicts = runs.each(cases, judge)
    known = known_misses()
    for at, verdict in enumerate(verdicts):
        if verdict.outcome == "broken" and verdict.case.name not in known:
            print(f"  again, alone: {verdict.case.name}: {verdict.why}")
            verdicts[at] = judge(verdict.case)
    corpus.print_table("lockcheck", verdicts)
    return len(cases), [each for each in verdicts if each.outcome not in ("right", "open")]


def story_the_corpus_has_its_verdicts(stage):
    need_tools("gcc", "g++")
    known = known_misses()
    count, wrong = wrong_cases(stage)
    expect(count > 200, f"only {count} cases")
    new = [f"{each.case.name}: {each.outcome}: {each.why}" for each in wrong
           if known.get(each.case.name, ("",))[0] not in (each.outcome, SOMETIMES)]
    expect(not new, "cases with a wrong verdict that nobody knows of:\n  " + "\n  ".join(new))
    always = {name for name, (outcome, _) in known.items() if outcome != SOMETIMES}
    gone = sorted(always - {each.case.name for each in wrong})
    expect(not gone, f"right now, take them out of {KNOWN}: {', '.join(gone)}")


if __name__ == "__main__":
    main(__doc__, program="lockcheck")
