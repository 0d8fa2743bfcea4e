# SPDX-License-Identifier: Apache-2.0
"""Runs the calling script once more in a guest (kernel 6.12) of the laboratory beside the checkout.

BRAIDWAY_LAB names another folder of the laboratory. The script ends with 0 when all was as it
should be, 1 when something was not, 77 when there is no laboratory, no program to try, or when no
guest starts here.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77
LAB_FAILED = 125
GUEST_SECONDS_MAX = 280


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


def in_guest():
    """Whether this is the run in the guest."""
    return os.environ.get("LAB_GUEST") == "1"


def run_in_guest(script, release, programs, words, lab_words=(), seconds=GUEST_SECONDS_MAX):
    """Has a guest run `script` with `words`, and ends as it ended. `programs` are those in the
    folder bin of the build `release` that it needs. Does not return."""
    lab = os.environ.get("BRAIDWAY_LAB") or os.path.join(ROOT, "..", "shared", "lab")
    lab = os.path.join(os.path.abspath(lab), "lab")
    folder = os.path.join(os.path.abspath(release), "bin")
    if not os.access(lab, os.X_OK):
        skip(f"there is no laboratory at {lab}; BRAIDWAY_LAB names its folder")
    if os.geteuid() != 0:
        skip("the laboratory needs root")
    for program in programs:
        if not os.path.exists(os.path.join(folder, program)):
            skip(f"{program} is not built in {folder}")
    command = [lab, *lab_words, "--timeout", str(seconds), "--ro", ROOT, "--ro", folder, "--",
               sys.executable, "-B", os.path.abspath(script), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode == LAB_FAILED:
        skip("no guest starts here: " + " | ".join(done.stdout.strip().splitlines()[-3:]))
    print(done.stdout, end="")
    if done.returncode not in (0, SKIPPED):
        print(f"the guest ended with {done.returncode}", file=sys.stderr)
        sys.exit(1)
    sys.exit(done.returncode)
