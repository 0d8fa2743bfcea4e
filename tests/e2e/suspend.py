#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A map is suspended and resumed under clients: what comes meanwhile waits, and nothing is lost."""

import errno

from braidway import expect, expect_equal, main, need_libnbd
from held import break_all, mend, start


def map_of(daemon):
    return daemon.maps()["db"]


def story_new_io_waits_for_the_resume(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "60 s"')
    daemon.cli("suspend", "map", "db")
    expect_equal(map_of(daemon)["state"], "suspended", "state")
    for block in range(40):
        client.read(block * 4096)
        client.write((1000 + block) * 4096)
    client.poll_for(1.0)
    expect_equal(client.answers, [], "answers of a suspended map")
    expect_equal(map_of(daemon)["deferred"], 80, "deferred requests")
    refused = daemon.cli("switch", "group", "db", "2", check=False)
    expect(refused.returncode == 1, f"a suspended map obeyed a message: {refused.returncode}")
    daemon.cli("resume", "map", "db")
    client.wait_answers(80)
    expect_equal({code for code, _ in client.answers}, {0}, "errors after the resume")
    expect_equal(map_of(daemon)["deferred"], 0, "deferred requests afterwards")


def story_held_io_fails_or_waits_as_asked(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "60 s"')
    break_all(daemon)
    client.read()
    client.poll_for(0.5)
    daemon.cli("suspend", "map", "db", "--noflush")
    client.poll_for(0.5)
    expect_equal(client.answers, [], "answers after a suspension without flush")
    mend_while_suspended = daemon.cli("reinstate", "path", "a1", check=False)
    expect(mend_while_suspended.returncode == 1, "a suspended map obeyed a message")
    daemon.cli("resume", "map", "db")
    mend(daemon, "a1")
    client.wait_answers(1)
    expect_equal(client.answers[0][0], 0, "error of the held read")

    break_all(daemon)
    client.answers.clear()
    client.read()
    client.poll_for(0.5)
    daemon.cli("suspend", "map", "db")
    client.wait_answers(1)
    expect_equal(client.answers[0][0], errno.EIO, "error of held I/O at a flushing suspension")


def story_the_daemon_ends_cleanly_while_a_map_is_suspended(stage):
    need_libnbd()
    daemon, client = start(stage, 'no_path_timeout = "60 s"')
    client.write()
    client.wait_answers(1)
    daemon.cli("suspend", "map", "db")
    client.answers.clear()
    client.write(4096)
    client.poll_for(0.5)
    daemon.stop(seconds=8)
    client.poll_for(2.0, 1)
    expect_equal([code for code, _ in client.answers], [errno.ESHUTDOWN],
                 "error of what waited for the resume")


if __name__ == "__main__":
    main(__doc__)
