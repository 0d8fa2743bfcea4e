#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes random scenarios for the multipath laboratory.

  random_scenario.py --program build/release/bin/braidway-scenario SEED COUNT FOLDER

The same seed gives the same scenarios. `--program` answers each step while a scenario is being made, so that an I/O
which would be held is started in the background: the recorder waits for one in the foreground for ever.
"""
import argparse
import os
import random
import subprocess

SELECTORS = ["round-robin", "queue-length", "service-time"]
STEPS = 28


class Program:
    """The program under test, which answers one line at a time."""

    def __init__(self, command):
        self.process = subprocess.Popen([command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def step(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = []
        for text in self.process.stdout:
            if text == ".\n":
                return answer
            answer.append(text.rstrip("\n"))
        raise RuntimeError("the program ended at: " + line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Scenario:
    """One scenario as it grows, and what must be known to keep it from hanging."""

    def __init__(self, program, chance, mq):
        self.program, self.chance, self.mq = program, chance, mq
        self.lines, self.faults, self.suspended, self.exists = [], {}, False, False
        self.queueing, self.status, self.background, self.loaded_queueing = False, "", [], None
        count = chance.choice([3, 4, 4, 4, 5, 6])
        self.paths = ["p%d" % (n + 1) for n in range(count)]

    def say(self, line):
        self.lines.append(line)
        answer = self.program.step(line)
        for text in answer:
            if text.startswith("s "):
                self.status = text
        if not any(text.startswith("s ") for text in answer):
            self.status = ""
        return answer[0][2:] if answer and answer[0].startswith("= ") else ""

    # --- tables
    def table(self):
        c = self.chance
        features = []
        if c.random() < 0.6:
            features.append(c.choice(["queue_if_no_path", "queue_if_no_path", "QUEUE_IF_NO_PATH"]))
        if c.random() < 0.12:
            features += ["pg_init_retries", c.choice(["1", "3", "50", "07"] + (["51", "0"] if c.random() < 0.2 else []))]
        if c.random() < 0.12:
            features += ["pg_init_delay_msecs", c.choice(["0", "500", "2000", "1000"] + (["60001"] if c.random() < 0.1 else []))]
        if c.random() < (0.6 if self.mq else 0.1):
            features.append("retain_attached_hw_handler")
        if self.mq and c.random() < 0.2:
            features += ["queue_mode", c.choice(["bio", "mq", "rq", "rq", "bio", "mq", "xx"])]
        if c.random() < 0.04:
            features.append(c.choice(["no_such_feature", "pg_init_retries", "queue_if_no_path"]))
        c.shuffle(features) if c.random() < 0.1 else None
        self.wants_queueing = any(f.lower() == "queue_if_no_path" for f in features)
        if features:
            self.say("features " + " ".join(features))
        if c.random() < (0.4 if self.mq else 0.06):
            self.say("hwhandler " + c.choice(["1 alua"] * 6 + ["2 alua 1", "2 alua 0", "1 emc", "0"] +
                                             (["2 alua x", "1 nosuch"] if c.random() < 0.2 else [])))
        groups = c.choice([1, 2, 2, 2, 2, 3])
        paths = list(self.paths)
        if c.random() < 0.2:
            c.shuffle(paths)
        for n in range(groups):
            share = paths[n::groups] if c.random() < 0.3 else \
                paths[len(paths) * n // groups:len(paths) * (n + 1) // groups]
            if c.random() < 0.07:
                share = share + [c.choice(self.paths)]
            if c.random() < 0.02:
                share = []
            selector = c.choice(SELECTORS)
            words = [self.path_words(selector, path) for path in share]
            if c.random() < 0.02:
                selector = "no-such-selector"
            if c.random() < 0.02:
                words.append(c.choice(["p99", "/dev/null", "/nosuch"]))
            self.say("group %s %s" % (selector, " ".join(words)))
        if c.random() < 0.2:
            self.say("initial %d" % c.choice([1, 2, 2, 3, 7, 1024, 1025]))

    def path_words(self, selector, path):
        c = self.chance
        if selector == "service-time" and c.random() < 0.7:
            return "%s:%s:%s" % (path, c.choice(["1", "1", "0", "5"]), c.choice(["1", "1", "2", "4", "0", "100", "50"]))
        if c.random() < 0.1:
            return "%s:%s" % (path, c.choice(["1", "0", "4", "100", "4294967297", "01"] + (["-1", "x"] if c.random() < 0.2 else [])))
        return path

    # --- I/O
    def would_hold(self):
        """Whether an I/O might not come back while nothing else happens."""
        if self.suspended:
            return True
        if not self.queueing:
            return False
        words = self.status.split()
        for path in self.paths:
            # Every entry of the path: a path that is up, without a fault, will do.
            up = any(words[at + 1] == "A" for at, word in enumerate(words) if word == path)
            standby = self.mq and (int(path[1:]) - 1) % 3 == 2
            if up and not self.faults.get(path) and not standby:
                return False
        return True

    def io(self):
        c = self.chance
        shape = "%s %d %d" % (c.choice("rrrw"), c.choice([0, 0, 64, 1000, 65528]), c.choice([8, 8, 8, 1, 16, 64]))
        times = c.choice(["", "", " x2", " x3", " x4", " x8"])
        if self.would_hold() or c.random() < 0.1:
            name = "b%d" % len(self.background)
            self.background.append(name)
            self.say("bg %s %s%s" % (name, shape, times if c.random() < 0.3 else ""))
        else:
            self.say("io " + shape + times)

    def number(self):
        c = self.chance
        if c.random() < 0.85:
            return str(c.choice([1, 1, 2, 2, 3]))
        return c.choice(["0", "4", "01", "+1", "-1", "0x1", "1x", "4294967297", "4294967298", "4294967296", "1.0"])

    def message(self):
        c = self.chance
        kind = c.random()
        if kind < 0.3:
            self.say("fail_path " + c.choice(self.paths))
        elif kind < 0.6:
            self.say("reinstate_path " + c.choice(self.paths))
        elif kind < 0.7:
            self.say("switch_group " + self.number())
        elif kind < 0.78:
            self.say("disable_group " + self.number())
        elif kind < 0.86:
            self.say("enable_group " + self.number())
        elif kind < 0.95:
            word = c.choice(["queue_if_no_path", "queue_if_no_path", "fail_if_no_path"])
            if self.say(word) == "ok":
                self.queueing = word == "queue_if_no_path"
        else:
            self.say(c.choice(["message", "message nonsense", "message fail_path", "message fail_path nosuch",
                               "message fail_path /dev/null", "message reinstate_path 9:99", "message switch_group",
                               "message switch_group 1 2", "message fail_path p1", "message Switch_Group 1",
                               "message queue_if_no_path 1", "fail_path p1 p2", "message enable_group 2",
                               "message fail_path /tmp", "message fail_path 99999:1", "message Disable_Group 1"]))

    def fault(self):
        c = self.chance
        broken = [path for path in self.paths if self.faults.get(path)]
        kind = " " + c.choice(["offline", "offline", "transport", "medium"]) if self.mq else ""
        if broken and c.random() < 0.6:
            path = c.choice(broken)
            self.say("error_off %s%s" % (path, self.faults[path] if self.mq else ""))
            self.faults[path] = None
        else:
            path = c.choice([p for p in self.paths if not self.faults.get(p)] or self.paths)
            if self.faults.get(path):
                return
            self.say("error_on %s%s" % (path, kind))
            self.faults[path] = kind or " error"

    def fail_all(self):
        """Without any path, in one of the ways there are."""
        if self.chance.random() < 0.5 or self.mq:
            for path in self.paths:
                self.say("fail_path " + path)
        else:
            for path in self.paths:
                if not self.faults.get(path):
                    self.say("error_on " + path)
                    self.faults[path] = " error"
        self.io()

    def core(self):
        """What device-mapper itself does."""
        c = self.chance
        kind = c.random()
        if kind < 0.35:
            if self.say("suspend" + (" noflush" if c.random() < 0.5 else "")) == "ok":
                self.suspended = True
        elif kind < 0.65:
            self.resume()
        elif kind < 0.85:
            self.say("newtable")
            self.table()
            if self.say("reload") == "ok":
                self.loaded_queueing = self.wants_queueing
                if c.random() < 0.8:
                    self.resume()
        elif kind < 0.92:
            self.say("table")
        elif kind < 0.96:
            self.say("status")
        elif self.background:
            self.say("%s %s" % (c.choice(["poll", "wait"]), c.choice(self.background)))

    def resume(self):
        if self.say("resume") == "ok":
            self.suspended = False
            if self.loaded_queueing is not None:
                self.queueing, self.loaded_queueing = self.loaded_queueing, None

    def make(self):
        c = self.chance
        self.say("title random")
        if self.mq:
            self.say("backend mq")
        self.say("paths " + " ".join(self.paths))
        for _ in range(6):
            self.table()
            if self.say("create") == "ok":
                break
            self.say("newtable")
            self.say("hwhandler 0")
        else:
            return
        self.queueing = self.wants_queueing
        # Waiting costs the recorder real time.
        while len(self.lines) < STEPS:
            kind = c.random()
            if kind < 0.42:
                self.io()
            elif kind < 0.72:
                self.message()
            elif kind < 0.84:
                self.fault()
            elif kind < 0.88:
                self.fail_all()
            else:
                self.core()
            for name in self.background[-2:]:
                if c.random() < 0.15:
                    self.say("poll " + name)
        self.say("table")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("folder")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for number in range(options.count):
        chance = random.Random("%d/%d" % (options.seed, number))
        mq = number % 3 == 2
        program = Program(options.program)
        scenario = Scenario(program, chance, mq)
        scenario.make()
        program.close()
        name = "random-%s-%d-%03d.scn" % ("mq" if mq else "bio", options.seed, number)
        with open(os.path.join(options.folder, name), "w") as out:
            out.write("\n".join(scenario.lines) + "\n")


if __name__ == "__main__":
    main()
