#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a path over iSCSI is one line that says what to do, and the map runs on the others."""

import json
import os
import sys
import time

from braidway import MIB, Skip, expect, expect_equal, free_port, main, wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fabric"))
import tgtd  # noqa: E402

SIZE = 32 * MIB
OPEN = "iqn.2026-11.org.example:open"
CHAP = "iqn.2026-11.org.example:chap"
SECRET = "secret-of-joe-0123"
CHECKS = '[defaults]\npolling_interval = "100 ms"\nmax_polling_interval = "200 ms"\n'


class Target:
    """A tgtd with two portals: disk 1, a smaller disk 2 and another of disk 1's size, 3, for
    everybody, and disk 1 once more for joe."""

    def __init__(self, stage):
        if tgtd.missing():
            raise Skip(tgtd.missing())
        self.tgtd = tgtd.Tgtd(portals=2)
        self.tgtd.add_target(1, OPEN)
        disk = stage.image("disk.img", SIZE)
        self.tgtd.add_unit(1, 1, disk)
        self.tgtd.add_unit(1, 2, stage.image("small.img", SIZE // 2))
        self.tgtd.add_unit(1, 3, stage.image("other.img", SIZE))
        self.tgtd.add_target(2, CHAP)
        # The same disk is to be known by the same name, which tgtd makes of target and number.
        self.tgtd.add_unit(2, 1, disk, "scsi_id=IET     00010001,scsi_sn=beaf11")
        self.tgtd.add_user(2, "joe", SECRET)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tgtd.resume()
        self.tgtd.kill()
        self.tgtd.__exit__()

    def uri(self, lun=1, portal=0):
        return self.tgtd.uri(OPEN, lun, portal)

    def chap_uri(self, user="joe"):
        return self.tgtd.uri(CHAP, 1, 1, user)


def volume(paths, map_keys=""):
    """A configuration of a map `db` over {name: (URI, more keys)}."""
    text = CHECKS
    for name, (where, keys) in paths.items():
        text += f'[path.{name}]\ndevice = "{where}"\n{keys}\n'
    return text + (f'[map.db]\ngroups = [{{ paths = {json.dumps(list(paths))} }}]\n{map_keys}\n'
                   '[export.db]\nmap = "db"\nnbd = ["unix:db.sock"]\n')


def secret_file(stage, name, text, mode=0o600):
    path = stage.write(name, text + "\n")
    os.chmod(path, mode)
    return path


def start(stage, config):
    return stage.serve(config, wait=False).wait_ready(stage.path("db.sock"))


def lines_of(daemon, path):
    """What the log has of a path that does not work."""
    return [line for line in daemon.log_text().splitlines()
            if f"path={path} " in line and ("unusable" in line or "identity" in line)]


def story_each_wrong_path_is_one_line_and_the_map_runs_on_the_others(stage):
    with Target(stage) as target:
        wrong = secret_file(stage, "wrong.secret", "wrong")
        bare = secret_file(stage, "bare.secret", SECRET, 0o644)
        cases = {
            "lun": (target.uri(9), "", "LUN 9: the target has no such LUN; it has 0, 1, 2, 3"),
            "size": (target.uri(2), "", "leads to another volume"),
            "other": (target.uri(3), "", "leads to another volume"),
            "name": (target.tgtd.uri("iqn.2026-11.org.example:no", 1), "",
                     "this portal has no target 'iqn.2026-11.org.example:no'; check the name"),
            "chap": (target.chap_uri(), f'chap_secret_file = "{wrong}"',
                     "the target refuses user 'joe' or its CHAP secret; check both"),
            "user": (target.chap_uri(""), "", "wants CHAP; name a user and chap_secret_file"),
            "bare": (target.chap_uri(), f'chap_secret_file = "{bare}"',
                     "is open to every user (mode 0644); run: chmod o="),
            "nofile": (target.chap_uri(), 'chap_secret_file = "none.secret"',
                       "none.secret: No such file or directory"),
            "port": (f"iscsi://127.0.0.1:{free_port()}/{OPEN}/1", "",
                     "Connection refused; does the target run, and listen on this port?"),
            "host": (f"iscsi://no-such-host.invalid/{OPEN}/1", "", "cannot find host"),
        }
        paths = {"good": (target.uri(1), ""), "twin": (target.uri(1, 1), "")}
        paths |= {name: case[:2] for name, case in cases.items()}
        daemon = start(stage, volume(paths))
        states = {name: path["state"] for name, path in daemon.paths().items()}
        expect_equal(states, {"good": "up", "twin": "up"} | {name: "down" for name in cases},
                     "states")
        listed = daemon.cli("list", "paths").stdout
        for name, (_, _, words) in cases.items():
            lines = lines_of(daemon, name)
            expect(len(lines) == 1 and words in lines[0],
                   f"not one line that says '{words}' of path {name}: {lines}")
            expect(words in listed, f"`list paths` does not say '{words}':\n{listed}")
        expect(SECRET not in daemon.log_text() + listed + json.dumps(daemon.show("paths")),
               "the secret is told")
        daemon.stop()


def story_a_target_that_says_nothing_is_named_after_the_timeout(stage):
    with Target(stage) as target, Target(stage) as silent:
        silent.tgtd.pause()
        began = time.monotonic()
        daemon = start(stage, volume({"a": (target.uri(), ""),
                                      "b": (silent.uri(), 'connect_timeout = "500 ms"')}))
        expect(time.monotonic() - began < 5, "the start took too long")
        lines = lines_of(daemon, "b")
        expect(len(lines) == 1 and "no answer from 127.0.0.1" in lines[0] and
               "within 500 ms; check host, port and network" in lines[0], str(lines))
        expect_equal(daemon.paths()["a"]["state"], "up", "the path that works")
        daemon.stop()


def story_what_the_configuration_says_wrong_is_told_before_anything_is_called(stage):
    for where, keys, words in (
            ("iscsi://host", "", "no target is named"),
            ("iscsi://host/iqn.x", "", "no LUN is named"),
            ("iscsi://host/disk/1", "", "does not begin with iqn., eui. or naa."),
            ("iscsi://host/iqn.x/99999", "", "is not a LUN"),
            ("iscsi://joe@host/iqn.x/1", "", "'joe' has no secret; name a chap_secret_file"),
            ("iscsi://host/iqn.x/1", 'chap_secret_file = "x"', "no user; write iscsi://USER@"),
            ("iscsi://host/iqn.x/1", "data_digest = true", "not offered by this libiscsi"),
            ("iscsi://host/iqn.x/1", "connections = 2", "belongs to nbd: devices only"),
            ("file:/x", 'chap_secret_file = "x"', "belongs to iscsi: devices only")):
        config = stage.write("bad.toml", volume({"a": (where, keys)}))
        done = stage.run(stage.program, "serve", "--check", "--config", config, check=False)
        text = (done.stdout or "") + (done.stderr or "")
        lines = [line for line in text.splitlines() if words in line]
        expect_equal((done.returncode, len(lines)), (2, 1), f"{where} {keys}: {text}")
        expect("bad.toml:" in lines[0], f"no line is named: {lines[0]}")


def story_what_is_mended_comes_back_without_a_reload(stage):
    with Target(stage) as target:
        secret = secret_file(stage, "joe.secret", "wrong")
        daemon = start(stage, volume({
            "good": (target.uri(), ""),
            "joe": (target.chap_uri(), f'chap_secret_file = "{secret}"'),
            "lun": (target.uri(7), "")}, 'wwid = "360000000000000000e00000000010001"'))
        expect_equal(daemon.paths()["joe"]["state"], "down", "with the wrong secret")
        secret_file(stage, "joe.secret", SECRET)
        daemon.wait_path("joe", "up")
        # Nothing is known of a LUN that is not there; one that comes is compared like any other.
        target.tgtd.add_unit(1, 7, stage.image("late.img", SIZE))
        wait_until(lambda: any("leads to another volume" in line
                               for line in lines_of(daemon, "lun")), "the new LUN is compared")
        expect_equal(daemon.paths()["lun"]["state"], "down", "a LUN of another volume")
        daemon.stop()


def story_a_path_to_another_volume_is_not_added(stage):
    with Target(stage) as target:
        daemon = start(stage, volume({"a": (target.uri(), "")}))
        config = stage.path("braidway.toml")
        with open(config, encoding="utf-8") as file:
            text = file.read()
        added = volume({"a": (target.uri(), ""), "f": (target.uri(3), "")})
        with open(config, "w", encoding="utf-8") as file:
            file.write(text[:text.index(CHECKS)] + added)
        done = daemon.cli("reload", check=False)
        expect(done.returncode != 0 and "path f leads to another volume" in
               done.stdout + done.stderr, f"the reload: {done.stdout}{done.stderr}")
        expect_equal(list(daemon.paths()), ["a"], "the paths")
        expect_equal(daemon.paths()["a"]["state"], "up", "the path that works")
        daemon.stop()


def story_a_map_of_which_no_path_works_says_why(stage):
    with Target(stage) as target:
        daemon = stage.serve(volume({"a": (target.uri(9), ""),
                                     "b": (target.chap_uri(""), "")}), wait=False)
        daemon.wait_end(expected=None, seconds=20)
        expect(daemon.process.returncode != 0, "a map without a path was served")
        last = daemon.log_text().strip().splitlines()[-1]
        for words in ("LUN 9", "wants CHAP"):
            expect(words in last, f"'{words}' is not in: {last}")


if __name__ == "__main__":
    main(__doc__)
