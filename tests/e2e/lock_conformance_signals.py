#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kernel's rows about interrupts as programs with handlers of signals, under lockcheck."""

from braidway import main
from lock_conformance import run_table


def story_the_kernels_interrupts_as_signals(stage):
    # A ratchet: how many rows the validator does not see yet. No row may be a false report.
    run_table(stage, "kernel-signals", 211, missed_max=129)


if __name__ == "__main__":
    main(__doc__, program="lockcheck")
