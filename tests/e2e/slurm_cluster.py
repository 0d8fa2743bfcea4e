# SPDX-License-Identifier: Apache-2.0
"""A Slurm cluster of this one machine, in a folder of its own; its daemons end with the story.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge. Its munged has its own key and
socket, so that one that runs already is left alone.
"""

import os
import pwd
import shutil
import socket
import subprocess

from braidway import Failed, Skip, expect, free_port, wait_until

SECONDS_TO_START = 40.0


def need_slurm():
    if os.geteuid() != 0:
        raise Skip("slurmd needs root")
    for program in ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise Skip(f"{program} is not installed (slurmctld, slurmd, slurm-client, munge)")
    try:
        pwd.getpwnam("munge")
    except KeyError as problem:
        raise Skip("there is no user munge") from problem


class Cluster:
    """munged, slurmctld and slurmd."""

    def __init__(self, stage, plugin_line="", prolog=None, epilog=None):
        self.stage = stage
        self.folder = stage.path("cluster")
        for name in ("state", "spool", "log"):
            os.makedirs(os.path.join(self.folder, name))
        os.chmod(stage.folder, 0o755)
        self.munge_socket = self._start_munge()
        self.environment = dict(os.environ, SLURM_CONF=self._configure(plugin_line, prolog, epilog),
                                PATH="/usr/sbin:/usr/bin:/sbin:/bin")
        self.controller = self._start("slurmctld", "slurmctld", "-D")
        self._until(self.controller, "slurmctld",
                    lambda: "UP" in self._quiet("scontrol", "ping"), "slurmctld answers")
        self.node = self._start("slurmd", "slurmd", "-D")
        self._until(self.node, "slurmd", lambda: self.state() == "IDLE", "the node is idle")

    def path(self, name):
        return os.path.join(self.folder, name)

    def log(self, name):
        with open(self.path(f"log/{name}.log"), errors="replace") as log:
            return log.read()

    def state(self):
        """Of the node: "IDLE", "IDLE+DRAIN", ...; "" while the controller does not know."""
        for word in self._quiet("scontrol", "show", "node", "-o").split():
            if word.startswith("State="):
                return word[6:]
        return ""

    def wait_idle(self):
        wait_until(lambda: self.state() == "IDLE", f"the node is idle, not {self.state()}")

    def run(self, *words, check=True):
        """A client of Slurm, such as srun; returns its CompletedProcess."""
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, env=self.environment, cwd=self.folder)
        if check and done.returncode != 0:
            raise Failed(f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stdout}"
                         f"{done.stderr}\n--- slurmd ---\n{self.log('slurmd')}")
        return done

    def _quiet(self, *words):
        return self.run(*words, check=False).stdout

    def _start_munge(self):
        """munged serves only folders that nobody else can write to, so not below /tmp."""
        user = pwd.getpwnam("munge")
        folder = f"/run/braidway-munge-{os.getpid()}"
        os.mkdir(folder, 0o755)
        self.stage.folders.append(folder)
        key = os.path.join(folder, "key")
        with open(key, "wb") as file:
            file.write(os.urandom(1024))
        os.chmod(key, 0o400)
        for name in (folder, key):
            os.chown(name, user.pw_uid, user.pw_gid)
        path = os.path.join(folder, "socket")
        process = self._start(
            "munged", "munged", "--foreground", f"--socket={path}", f"--key-file={key}",
            f"--pid-file={folder}/pid", f"--seed-file={folder}/seed", f"--log-file={folder}/log",
            user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        self._until(process, "munged", lambda: os.path.exists(path), "munged's socket")
        return path

    def _configure(self, plugin_line, prolog, epilog):
        name = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        lines = [
            "ClusterName=braidway", f"SlurmctldHost={name}(127.0.0.1)", "SlurmUser=root",
            f"SlurmctldPort={free_port()}", f"SlurmdPort={free_port()}", "AuthType=auth/munge",
            f"AuthInfo=socket={self.munge_socket}", "CredType=cred/munge",
            "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none",
            "SelectType=select/cons_tres", "SwitchType=switch/none", "ReturnToService=2",
            "MpiDefault=none", "JobAcctGatherType=jobacct_gather/none",
            f"StateSaveLocation={self.path('state')}", f"SlurmdSpoolDir={self.path('spool')}",
            f"SlurmctldPidFile={self.path('slurmctld.pid')}",
            f"SlurmdPidFile={self.path('slurmd.pid')}",
            f"SlurmctldLogFile={self.path('log/slurmctld.log')}",
            f"SlurmdLogFile={self.path('log/slurmd.log')}",
            f"PlugStackConfig={self.path('plugstack.conf')}",
            f"NodeName={name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory * 3 // 4}"
            " State=UNKNOWN",
            f"PartitionName=all Nodes={name} Default=YES MaxTime=10 State=UP",
        ]
        lines += [f"Prolog={prolog}"] if prolog else []
        lines += [f"Epilog={epilog}"] if epilog else []
        for file, text in (("slurm.conf", "\n".join(lines)), ("plugstack.conf", plugin_line),
                           ("cgroup.conf", "")):
            with open(self.path(file), "w") as out:
                out.write(text + "\n")
        return self.path("slurm.conf")

    def _start(self, name, *words, **keywords):
        with open(self.path(f"log/{name}.out"), "w") as out:
            environment = getattr(self, "environment", dict(os.environ, PATH="/usr/sbin:/usr/bin"))
            return self.stage.spawn(*words, stdout=out, stderr=out, env=environment, **keywords)

    def _until(self, process, name, condition, what):
        """Waits for a daemon; one that does not come up is a reason to skip, not a failure."""

        def there():
            if process.poll() is not None:
                with open(self.path(f"log/{name}.out"), errors="replace") as out:
                    raise Skip(f"{name} ended with {process.returncode}: {out.read()[-600:]}")
            return condition()

        try:
            wait_until(there, what, SECONDS_TO_START, every=0.2)
        except Failed as problem:
            raise Skip(f"Slurm does not start here: {problem}") from problem


def ends(cluster):
    """The node takes jobs again, and nobody has drained it."""
    cluster.wait_idle()
    expect("DRAIN" not in cluster.state(), f"the node's state is {cluster.state()}")
