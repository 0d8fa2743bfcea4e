#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of other lock validators as real programs under lockcheck: every row is reported, or is
not, as its table says, and the exit status agrees. The tables are in tests/lockdep/conformance; the
rows with signals are in lock_conformance_signals.py."""

import collections
import concurrent.futures
import json
import os
import subprocess

from braidway import Skip, expect, expect_equal, main

FOUND = 66
Row = collections.namedtuple("Row", "table name kind writers")


def program_of(stage):
    path = os.path.join(stage.build, "bin", "conformance_program")
    if not os.access(path, os.X_OK):
        raise Skip(f"there is no {path}")
    return path


def rows_of(stage, *tables):
    listed = stage.run(program_of(stage), "--list").stdout
    rows = [Row(*line.split("\t")) for line in listed.splitlines()]
    return [row for row in rows if row.table in tables]


def documents(path):
    """What each process of a run said: one document a line."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def judge(stage, row, number):
    """Runs one row under lockcheck. Returns "" when its verdict is the expected one, else why not;
    "missed" when nothing was said where something is expected."""
    answer = stage.path(f"{row.table}-{number}.json")
    options = ["--assume-writers"] if row.writers == "writers" else []
    words = [stage.program, "--quiet", "--json", answer, "--hang-after", "200ms", *options, "--",
             program_of(stage), row.table, row.name]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20)
    except subprocess.TimeoutExpired:
        return "neither it nor lockcheck ended it within 20 s"
    try:
        findings = [each["kind"] for document in documents(answer) for each in document["findings"]
                    if not each.get("suppressed_by")]
    except (OSError, ValueError, KeyError) as problem:
        return f"no document: {problem!r}; {done.stderr[-400:]}"
    if row.kind == "clean":
        wrong = findings or done.returncode != 0
    else:
        wrong = row.kind not in findings or done.returncode != FOUND
    if not wrong:
        return ""
    if not findings and done.returncode == 0:
        return "missed"
    return f"expected {row.kind}, found {findings or 'nothing'}, exit status {done.returncode}"


def run_table(stage, table, count=0, missed_max=0):
    """Every row of a table, two at a time; prints how many have their verdict. `missed_max`: as many
    may say nothing."""
    rows = rows_of(stage, table)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: judge(stage, each[1], each[0]), enumerate(rows)))
    print(f"  {table}: {answers.count('')} of {len(rows)}")
    missed = answers.count("missed")
    wrong = [f"{row.name}: {answer}" for row, answer in zip(rows, answers)
             if answer and (answer != "missed" or missed > missed_max)]
    expect(not wrong, f"rows of {table} with another verdict:\n  " + "\n  ".join(wrong))
    if count:
        expect_equal(len(rows), count, f"rows of {table}")


def story_the_kernels_rows_have_the_kernels_verdicts(stage):
    run_table(stage, "kernel", 102)


def story_nesting_within_a_class_is_judged_by_the_objects(stage):
    run_table(stage, "same-class")


def story_the_tests_of_liblockdep(stage):
    run_table(stage, "liblockdep", 11)


def story_what_the_tests_of_thread_sanitizer_know(stage):
    run_table(stage, "tsan")


def story_what_the_tests_of_helgrind_know(stage):
    run_table(stage, "helgrind")


def story_the_matrix_of_parking_lot(stage):
    run_table(stage, "parking_lot")


if __name__ == "__main__":
    main(__doc__, program="lockcheck")
