#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slurm jobs that start on cleaned nodes: the plugin's --clean-node, and the prolog and epilog."""

import os
import re
import subprocess
import time

from braidway import MIB, ROOT, Skip, expect, expect_equal, main, wait_until
from slurm_cluster import Cluster, ends, need_slurm

SCRIPTS = os.path.join(ROOT, "packaging", "slurm")
PLUGIN = "clean_node.so"
# Prints how many bytes of the file are in memory: what the job finds at its start.
CACHED = ("import ctypes, mmap, os, sys\n"
          "f = os.open(sys.argv[1], os.O_RDONLY); n = os.fstat(f).st_size\n"
          "libc = ctypes.CDLL(None, use_errno=True)\n"
          "libc.mmap.restype = ctypes.c_void_p\n"
          "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + "
          "[ctypes.c_long]\n"
          "libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]\n"
          "page = mmap.PAGESIZE; at = libc.mmap(None, n, mmap.PROT_READ, mmap.MAP_SHARED, f, 0)\n"
          "pages = ctypes.create_string_buffer((n + page - 1) // page)\n"
          "assert libc.mincore(at, n, pages) == 0\n"
          "print('CACHED', sum(b & 1 for b in pages.raw) * page)\n")


def release_file(stage, *names):
    """Slurm's programs are not instrumented, so what they load is what users run."""
    path = os.path.join(os.path.abspath(stage.options.release), *names)
    if not os.path.exists(path):
        raise Skip(f"there is no {path} (libslurm-dev, and ./dev build release)")
    return path


def reclaim_file():
    path = "/sys/devices/system/node/node0/reclaim"
    if not os.access(path, os.W_OK):
        raise Skip(f"this kernel frees no page cache by node: no {path} (6.17)")


class Cache:
    """A file whose pages are clean and in memory."""

    def __init__(self, stage):
        with open("/proc/sys/vm/min_unmapped_ratio") as ratio:
            percent = int(ratio.read())
        minimum = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * percent // 100
        # The kernel keeps that much page cache in any case; it may be of this file.
        self.bytes = max(512 * MIB, 4 * minimum // MIB * MIB)
        if self.bytes > 4096 * MIB:
            raise Skip(f"the kernel keeps {minimum // MIB} MiB of page cache; a file of four times "
                       f"that is too large for a test")
        # Not on tmpfs, whose pages are no page cache.
        self.path = f"/var/tmp/braidway-clean-node-{os.getpid()}"
        stage.folders.append(self.path)
        self.counter = stage.write("cached.py", CACHED)
        with open(self.path, "wb") as file:
            for _ in range(self.bytes // MIB):
                file.write(os.urandom(4096) * (MIB // 4096))
            os.fsync(file.fileno())

    def fill(self):
        for _ in range(3):
            with open(self.path, "rb", buffering=0) as file:
                while file.read(4 * MIB):
                    pass
            if self.cached() > self.bytes * 9 // 10:
                # The kernel's view of what is hot is up to two seconds old.
                time.sleep(2.5)
                return
        raise Skip("others take the page cache away as fast as it is filled")

    def command(self):
        return ("/usr/bin/python3", self.counter, self.path)

    def is_gone(self, seen):
        return seen < self.bytes // 2

    def cached(self):
        return self.of(subprocess.run(self.command(), capture_output=True, text=True,
                                      check=True).stdout)

    @staticmethod
    def of(text):
        found = re.search(r"CACHED (\d+)", text)
        expect(found, f"what the job saw: {text}")
        return int(found[1])


def plugin_line(stage, policy):
    text = f"required {release_file(stage, 'lib', PLUGIN)} policy={stage.write('policy', policy)}"
    need_slurm()
    reclaim_file()
    return text


def story_job_starts_on_a_cleaned_node(stage):
    line = plugin_line(stage, "when = never\nbudget = 20 s\n")
    cluster, cache = Cluster(stage, line), Cache(stage)
    expect("--clean-node" in cluster.run("srun", "--help").stdout, "the option in srun --help")

    cache.fill()
    seen = cache.of(cluster.run("srun", *cache.command()).stdout)
    print(f"  without the option a job finds {seen // MIB} MiB of {cache.bytes // MIB} in memory")
    expect(not cache.is_gone(seen), "a job that does not ask gets no cleaned node")

    for words in (("--clean-node=page-cache",), ("--clean-node",)):
        cache.fill()
        seen = cache.of(cluster.run("srun", *words, *cache.command()).stdout)
        print(f"  with {words[0]} it finds {seen // MIB} MiB")
        expect(cache.is_gone(seen), f"{words}: {seen} bytes of the file are still in memory\n"
                                        f"{cluster.log('slurmd')}")
    said = [each for each in cluster.log("slurmd").splitlines() if "clean-node: job" in each]
    expect_equal(len(said), 2, f"one line of the log for each job that asked: {said}")
    print("  " + said[0])
    ends(cluster)


def story_batch_job_starts_on_a_cleaned_node(stage):
    line = plugin_line(stage, "when = never\nbudget = 20 s\n")
    cluster, cache = Cluster(stage, line), Cache(stage)
    cache.fill()
    answer = stage.path("answer")
    batch = stage.write("batch.sh", f"#!/bin/sh\n{' '.join(cache.command())} >{answer}.new\n"
                                    f"mv {answer}.new {answer}\n")
    cluster.run("sbatch", "--clean-node=page-cache", "--output=/dev/null", batch)
    wait_until(lambda: os.path.exists(answer), "the batch job has ended", 60)
    with open(answer) as found:
        seen = cache.of(found.read())
    print(f"  the batch job finds {seen // MIB} MiB of {cache.bytes // MIB} in memory")
    expect(cache.is_gone(seen), cluster.log("slurmd"))
    ends(cluster)


def story_bad_kind_is_refused_before_anything_is_submitted(stage):
    cluster = Cluster(stage, plugin_line(stage, ""))
    batch = stage.write("batch.sh", "#!/bin/sh\n")
    for words in (("srun", "--clean-node=marble", "true"),
                  ("sbatch", "--clean-node=page-cache,marble", batch),
                  ("salloc", "--clean-node=marble", "true")):
        done = cluster.run(*words, check=False)
        expect(done.returncode != 0, f"{words} was taken")
        expect("'marble' is no kind of memory" in done.stderr, f"{words}: {done.stderr}")
    print(f"  {cluster.run('srun', '--clean-node=marble', 'true', check=False).stderr.strip()}")
    expect("JobId=" not in cluster.run("scontrol", "show", "jobs").stdout, "a job was submitted")


def story_shortfall_drains_no_node_unless_the_policy_says_so(stage):
    wish = "free = 100T\nwhat = page-cache\nbudget = 3 s\n"
    cluster = Cluster(stage, plugin_line(stage, wish))
    done = cluster.run("srun", "--clean-node", "echo", "ran")
    expect_equal(done.stdout.strip(), "ran", "the job after a shortfall")
    expect(re.search(r"error: .*clean-node: job .*freed", cluster.log("slurmd")),
           f"the shortfall in the log:\n{cluster.log('slurmd')}")
    # A kind that the policy does not grant and a broken policy hold up no job either.
    expect_equal(cluster.run("srun", "--clean-node=anonymous", "echo", "ran").stdout.strip(), "ran",
                 "the job that asked for too much")
    expect("does not grant anonymous" in cluster.log("slurmd"), cluster.log("slurmd"))
    stage.write("policy", "what = marble\n")
    expect_equal(cluster.run("srun", "--clean-node", "echo", "ran").stdout.strip(), "ran",
                 "the job under a broken policy")
    ends(cluster)

    stage.write("policy", wish + "drain-on-shortfall = yes\n")
    client = stage.spawn("srun", "--immediate=20", "--clean-node", "true", env=cluster.environment,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: "DRAIN" in cluster.state(), "a policy that wants it drains the node", 60)
    client.kill()


def scripts(stage, policy):
    """Copies of the prolog and the epilog that look into this story's folder."""
    need_slurm()
    reclaim_file()
    program = release_file(stage, "bin", "free-node-memory")
    folder = stage.path("etc")
    os.mkdir(folder)
    with open(os.path.join(folder, "clean-node.conf"), "w") as file:
        file.write(policy)
    log = os.path.join(folder, "log")
    with open(os.path.join(folder, "clean-node.env"), "w") as file:
        file.write(f"program={program}\nlog={log}\n")
    copies = []
    for kind in ("prolog", "epilog"):
        with open(os.path.join(SCRIPTS, f"{kind}.d", "50-clean-node")) as script:
            text = script.read()
        expect("directory=/etc/braidway\n" in text, "the scripts have one folder")
        copies.append(stage.write(kind, text.replace("=/etc/braidway\n", f"={folder}\n")))
        os.chmod(copies[-1], 0o755)
    return folder, log, copies


def story_prolog_and_epilog_clean_by_policy(stage):
    folder, log, (prolog, epilog) = scripts(stage, "when = start\nbudget = 20 s\n")
    cluster, cache = Cluster(stage, prolog=prolog, epilog=epilog), Cache(stage)

    def said():
        with open(log) as file:
            return file.read()

    cache.fill()
    seen = cache.of(cluster.run("srun", *cache.command()).stdout)
    print(f"  after the prolog the job finds {seen // MIB} MiB of {cache.bytes // MIB} in memory")
    expect(cache.is_gone(seen), said())
    wait_until(lambda: "does not clean after a job" in said(), "the epilog has run")

    with open(os.path.join(folder, "clean-node.conf"), "w") as file:
        file.write("when = end\nbudget = 20 s\n")
    cache.fill()
    seen = cache.of(cluster.run("srun", *cache.command()).stdout)
    expect(not cache.is_gone(seen), f"nothing is cleaned at the start:\n{said()}")
    wait_until(lambda: cache.is_gone(cache.cached()), f"the epilog cleans:\n{said()}")

    # Whatever is wrong with the set-up, jobs run.
    for name, text in (("clean-node.conf", "what = marble\n"),
                       ("clean-node.env", "program=/no/such/program\n"),
                       ("clean-node.env", "if then\n")):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
        expect_equal(cluster.run("srun", "echo", "ran").stdout.strip(), "ran", f"with {text}")
    ends(cluster)


if __name__ == "__main__":
    main(__doc__, program="")
