#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Node memory is freed by writing to files, by whom their modes let."""

import ctypes
import errno
import os
import signal
import subprocess
import time

from braidway import MIB, Skip, expect, expect_equal, main, need_tools, wait_until

NOBODY = 65534
LIBC = ctypes.CDLL(None, use_errno=True)


class Writer:
    """A process of `user` that does one write(2) and ends with errno.

    Not by os.write(), which tries again after EINTR.
    """

    def __init__(self, path, text, user):
        self.pid = os.fork()
        if self.pid != 0:
            return
        code = 255
        try:
            if user != 0:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            file = os.open(path, os.O_WRONLY)
            code = 0 if LIBC.write(file, text.encode(), len(text)) >= 0 else ctypes.get_errno()
        except OSError as problem:
            code = problem.errno
        finally:
            os._exit(code)  # pylint: disable=protected-access

    def is_over(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, seconds=30):
        """Its errno; negative: the signal that ended it."""
        wait_until(self.is_over, "the end of a writer", seconds)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Mount:
    """`free-node-memory mount` on a directory of its own."""

    def __init__(self, stage, *options):
        if os.geteuid() != 0:
            raise Skip("mounting for others needs root")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise Skip("there is no /dev/fuse")
        self.stage = stage
        self.program = program_of(stage)
        os.chmod(stage.folder, 0o755)
        self.directory = stage.path("mount")
        os.mkdir(self.directory)
        self.log = open(stage.path("mount.log"), "w+")
        self.process = stage.spawn(self.program, "mount", self.directory, *options,
                                   stdout=self.log, stderr=self.log)
        wait_until(lambda: os.path.exists(self.path("status")) or self.process.poll() is not None,
                   "the files of the mount")
        expect(self.process.poll() is None, f"it ended at start: {self.log_text()}")

    def path(self, name):
        return os.path.join(self.directory, name)

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def write(self, name, text):
        """One write(2); returns 0 or errno."""
        file = os.open(self.path(name), os.O_WRONLY)
        try:
            os.write(file, text.encode())
            return 0
        except OSError as problem:
            return problem.errno
        finally:
            os.close(file)

    def writer(self, name, text, user=0):
        return Writer(self.path(name), text, user)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if self.process in self.stage.processes:
            self.process.terminate()
            self.expect_end()
        if os.path.ismount(self.directory):
            subprocess.run(["umount", "-l", self.directory], check=False)

    def expect_end(self, within=3.0):
        start = time.monotonic()
        code = self.process.wait(30)
        took = time.monotonic() - start
        self.stage.processes.remove(self.process)
        expect_equal(code, 0, f"exit code; it said {self.log_text()}")
        expect(took < within, f"it took {took:.1f} s to end")
        expect(not os.path.ismount(self.directory), "it is still mounted")


def program_of(stage):
    program = os.path.join(stage.build, "bin", "free-node-memory")
    if not os.access(program, os.X_OK):
        raise Skip(f"there is no {program}")
    return program


def first_node():
    with open("/sys/devices/system/node/has_memory") as file:
        return int(file.read().replace("-", ",").split(",")[0])


def cached_file(stage, size=64 * MIB):
    """A file whose pages are all clean and in memory, on whatever node."""
    need_tools("fincore")
    path = stage.path("cached")
    with open(path, "wb") as file:
        file.write(os.urandom(MIB) * (size // MIB))
        file.flush()
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        while file.read(MIB):
            pass
    if cached_bytes(path) < size * 9 // 10:
        raise Skip("what is read does not stay in this machine's page cache")
    return path


def cached_bytes(path):
    done = subprocess.run(["fincore", "-b", "-n", "-o", "RES", path], check=True,
                          capture_output=True, text=True)
    return int(done.stdout.strip())


def all_nodes():
    with open("/sys/devices/system/node/has_memory") as file:
        return file.read().strip()


def need_reclaim():
    """Whether a node's page cache can be freed at all on this kernel."""
    path = f"/sys/devices/system/node/node{first_node()}/reclaim"
    if not os.path.exists(path):
        raise Skip(f"this kernel has no {path}")


def story_a_list_tosses_the_page_cache_of_its_nodes(stage):
    with Mount(stage) as mount:
        need_reclaim()
        path = cached_file(stage)
        time.sleep(2.2)  # What was used a moment ago the kernel does not give.
        nodes = all_nodes()
        expect_equal(mount.write("toss_page_cache_nodes", f"{nodes}\n"), 0, "errno of the write")
        left = cached_bytes(path)
        expect(left < 4 * MIB, f"{left} bytes are still cached: {mount.read('free_node_memory')}")
        expect_equal(mount.read("toss_page_cache_nodes"), f"{nodes}\n", "the last list")
        expect("freed" in mount.read("free_node_memory"), "there is no result")
        expect(mount.read("free_node_memory") in mount.read("status"), "status lacks the result")


def story_a_line_frees_an_amount_of_a_kind(stage):
    with Mount(stage) as mount:
        need_reclaim()
        path = cached_file(stage)
        time.sleep(2.2)
        node = first_node()
        line = f"node={node} pages={16 * MIB // os.sysconf('SC_PAGE_SIZE')} what=page-cache\n"
        before = cached_bytes(path)
        expect_equal(mount.write("free_node_memory", line), 0, "errno of the write")
        result = mount.read("free_node_memory")
        expect(result.startswith(f"node {node}: freed "), f"the result is {result!r}")
        gone = before - cached_bytes(path)
        # A file may be in folios of 8 MiB, and the last one goes as a whole.
        expect(gone <= 25 * MIB, f"{gone} bytes of the file went for 16 MiB asked")


def story_bad_text_frees_nothing(stage):
    with Mount(stage) as mount:
        path = cached_file(stage)
        before = cached_bytes(path)
        for text in ("x\n", "0,\n", "-1\n", "1-0\n", "99999\n", "\n", "all\n", "0 x\n"):
            expect_equal(mount.write("toss_page_cache_nodes", text), errno.EINVAL, repr(text))
        for text in ("node=0\n", "node=0 pages=-1 what=page-cache\n", "node=0 pages=1 what=cake\n",
                     "node=0 pages=1 free=1M what=slab\n", "node=1023 pages=1 what=slab\n",
                     "node=0 pages=1 what=slab allow-global\n",
                     "node=0 pages=1 what=slab files=/etc\n"):
            expect_equal(mount.write("free_node_memory", text), errno.EINVAL, repr(text))
        expect_equal(mount.write("free_node_memory", " " * 5000), errno.EMSGSIZE, "a long text")
        left = cached_bytes(path)
        expect(left >= before * 9 // 10, f"of {before} cached bytes {left} are left")
        expect_equal(mount.read("toss_page_cache_nodes"), "\n", "the last list")


def story_a_mode_gives_one_file_to_another_user(stage):
    with Mount(stage) as mount:
        node = first_node()
        wish = f"node={node} pages=0 what=page-cache"

        def try_as_nobody(name, text):
            return mount.writer(name, text, NOBODY).wait()

        for name, text in (("toss_page_cache_nodes", str(node)), ("free_node_memory", wish)):
            expect_equal(try_as_nobody(name, text), errno.EACCES, f"errno of {name} for nobody")
        os.chown(mount.path("free_node_memory"), NOBODY, -1)
        os.chmod(mount.path("free_node_memory"), 0o600)
        expect_equal(try_as_nobody("free_node_memory", wish), 0, "errno for the new owner")
        expect_equal(try_as_nobody("toss_page_cache_nodes", str(node)), errno.EACCES, "another")
        expect_equal(try_as_nobody("status", "0"), errno.EACCES, "status")


def story_mode_and_owner_are_options(stage):
    with Mount(stage, "--mode", "0620", "--owner", f":{NOBODY}") as mount:
        found = os.stat(mount.path("toss_page_cache_nodes"))
        expect_equal((found.st_mode & 0o777, found.st_uid, found.st_gid), (0o620, 0, NOBODY),
                     "mode and owner of the file")
        found = os.stat(mount.path("status"))
        expect_equal(found.st_mode & 0o777, 0o444, "mode of status")


def slow_writer(stage, mount):
    """A writer whose run takes a minute, at work."""
    need_reclaim()
    cached_file(stage)
    writer = mount.writer("free_node_memory",
                          f"node={first_node()} free=60M what=page-cache rate=1M")
    time.sleep(1.5)
    expect(not writer.is_over(), f"the run is over: {mount.read('free_node_memory')}")
    return writer


def story_sigterm_unmounts_also_while_a_write_runs(stage):
    with Mount(stage) as mount:
        writer = slow_writer(stage, mount)
        mount.process.send_signal(signal.SIGTERM)
        mount.expect_end()
        expect_equal(writer.wait(5), errno.EINTR, "errno of the writer")


def story_a_killed_writer_ends_its_run(stage):
    with Mount(stage) as mount:
        writer = slow_writer(stage, mount)
        expect("none yet" in mount.read("status"), "status is not read while a write runs")
        start = time.monotonic()
        os.kill(writer.pid, signal.SIGKILL)
        expect_equal(writer.wait(), -signal.SIGKILL, "end of the writer")
        line = f"node={first_node()} pages=0 what=page-cache"
        expect_equal(mount.write("free_node_memory", line), 0, "errno of the next write")
        took = time.monotonic() - start
        expect(took < 5, f"the next writer waited {took:.1f} s")


def story_sigint_ends_it(stage):
    with Mount(stage) as mount:
        mount.process.send_signal(signal.SIGINT)
        mount.expect_end()


def story_umount_ends_it(stage):
    with Mount(stage) as mount:
        stage.run("umount", mount.directory)
        mount.expect_end()


def story_a_place_that_will_not_do_is_named(stage):
    def refusal(directory, *options):
        done = stage.run(program_of(stage), "mount", *options, directory, check=False, timeout=20)
        expect_equal(done.returncode, 2, f"exit code for {directory} {options}: {done.stderr}")
        expect_equal(done.stdout, "", "stdout")
        expect_equal(len(done.stderr.splitlines()), 1, f"lines of {done.stderr!r}")
        return done.stderr

    missing, plain, full = stage.path("missing"), stage.write("plain", ""), stage.path("full")
    os.mkdir(full)
    with open(os.path.join(full, "x"), "w"):
        pass
    for directory in (missing, plain, full):
        expect(directory in refusal(directory), f"{directory} is not named")
    empty = stage.path("empty")
    os.mkdir(empty)
    expect("'9'" in refusal(empty, "--mode", "9"), "the mode is not named")
    expect("'no-such-user'" in refusal(empty, "--owner", "no-such-user"), "the user is not named")


if __name__ == "__main__":
    main(__doc__)
