#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Paths over TLS: to the servers that people have and to our own, with certificates and with
pre-shared keys; killed and restarted under load; and every refusal with its line."""

import os
import random
import shutil
import socket
import struct
import threading
import time

from braidway import expect, expect_equal, free_port, main, need_libnbd, need_tools, wait_until
from fabric_servers import Nbdkit
from fabric_support import (KILLED_STALL, PATH_KEYS, SIZE, all_up, check_fio, event_lines,
                            fio_verify, same_as_image, shown, stalls, start, volume)
from nbd_tls import KEY, Pki, keys_file

SLOW = PATH_KEYS.replace('connect_timeout = "500 ms"', 'connect_timeout = "5 s"')


class Server(Nbdkit):
    """Another program that serves on a port; PORT in its words is that port."""

    def start(self):
        words = [word.replace("PORT", str(self.port)) for word in self.plugin]
        with open(self.stage.path(f"{self.name}.err"), "ab") as errors:
            self.process = self.stage.spawn(*words, stdout=errors, stderr=errors)
        wait_until(lambda: self.process.poll() is not None or self.listens(),
                   f"{words[0]} {self.name} listens", every=0.005)
        with open(self.stage.path(f"{self.name}.err"), errors="replace") as errors:
            expect(self.process.poll() is None, f"{self.name} ended: {errors.read()[-2000:]}")


def nbdkit(stage, name, image, *options, port=None):
    return Nbdkit(stage, name, *options, "file", image, port=port)


def certificates(pki, verify=True):
    return ["--tls=require", f"--tls-certificates={pki.folder}",
            *(["--tls-verify-peer"] if verify else [])]


def keys_of(file):
    return ["--tls=require", f"--tls-psk={file}"]


def x509(server, pki, host="localhost", export=""):
    return f"nbds://{host}:{server.port}/{export}?tls-certificates={pki.folder}"


def psk(server, file, user="alice"):
    if server.port:
        return f"nbds://{user}@localhost:{server.port}/?tls-psk-file={file}"
    return f"nbds+unix://{user}@/?socket={server.socket}&tls-psk-file={file}"


def expect_encrypted(daemon):
    for name, path in daemon.paths().items():
        found = path["fabric"]["connection"]
        expect("4 connections over TLSv1.3" in found, f"path {name}: {found}")


def under_load(stage, daemon, servers, image, rounds=4):
    """Kills and stops the servers in turn while a client writes and verifies."""
    all_up(daemon, servers)
    expect_encrypted(daemon)
    chance = random.Random(stage.options.seed)
    fio = fio_verify(stage, stage.options.seconds or 6)
    done = {"killed": 0, "stopped": 0}
    while fio.poll() is None and (stage.options.seconds or done["killed"] < rounds):
        all_up(daemon, servers)
        server = servers[done["killed"] % len(servers)]
        if chance.random() < 0.3:
            server.pause()
            time.sleep(chance.uniform(0.1, 1.0))
            server.go_on()
            done["stopped"] += 1
        else:
            server.kill()
            time.sleep(chance.uniform(0.1, 0.4))
            server.start()
            done["killed"] += 1
        time.sleep(chance.uniform(0.05, 0.3))
    job = check_fio(fio)
    all_up(daemon, servers)
    expect_encrypted(daemon)
    same_as_image(stage, image)
    expect_equal(daemon.maps()["db"]["failed_to_client"], 0, "errors to the client")
    print(f"  {done}; {job['write']['total_ios']} writes, {job['read']['total_ios']} reads")
    expect(KEY[:16] not in daemon.log_text(), "a key is in the log")
    expect_equal(daemon.stop(), 0, "exit code")


def story_certificates_with_nbdkit(stage):
    need_tools("nbdkit", "fio", "nbdcopy")
    pki, image = Pki(stage), stage.image(size=SIZE)
    servers = [nbdkit(stage, name, image, *certificates(pki), port=free_port())
               for name in ("a", "b")]
    # One says all in its URI, the other in keys of the path.
    config = volume({"a": x509(servers[0], pki)}, SLOW, groups=[["a", "b"]])
    config += (f'[path.b]\ndevice = "nbds://127.0.0.1:{servers[1].port}"\n{SLOW}'
               'tls_certificates = "pki"\ntls_hostname = "localhost"\n')
    under_load(stage, start(stage, config), servers, image)


def story_keys_with_nbdkit(stage):
    need_tools("nbdkit", "fio", "nbdcopy")
    keys, image = keys_file(stage), stage.image(size=SIZE)
    servers = [nbdkit(stage, "a", image, *keys_of(keys)),
               nbdkit(stage, "b", image, *keys_of(keys), port=free_port())]
    daemon = start(stage, volume({each.name: psk(each, keys) for each in servers}, SLOW))
    under_load(stage, daemon, servers, image)


def story_qemu_as_a_server(stage):
    need_tools("qemu-storage-daemon", "fio", "nbdcopy")
    pki, keys, image = Pki(stage), keys_file(stage), stage.image(size=SIZE)
    words = ["qemu-storage-daemon", "--blockdev",
             f"driver=file,node-name=f,filename={image},locking=off", "--object", "CREDS",
             "--nbd-server",
             "addr.type=inet,addr.host=127.0.0.1,addr.port=PORT,max-connections=16,tls-creds=t",
             "--export", "type=nbd,id=e,node-name=f,name=disk,writable=on"]
    creds = [f"tls-creds-x509,id=t,dir={pki.folder},endpoint=server,verify-peer=on",
             f"tls-creds-psk,id=t,dir={os.path.dirname(keys)},endpoint=server"]
    servers = [Server(stage, name, *(each if word == "CREDS" else word for word in words),
                      port=free_port()) for name, each in zip("ab", creds)]
    daemon = start(stage, volume({
        "a": x509(servers[0], pki, export="disk"),
        "b": f"nbds://alice@localhost:{servers[1].port}/disk?tls-psk-file={keys}"}, SLOW))
    under_load(stage, daemon, servers, image)


def story_our_own_server(stage):
    need_tools("fio", "nbdcopy")
    pki, image = Pki(stage), stage.image(size=SIZE)
    ports = free_port(), free_port()
    config = stage.write("far.toml", f"""
[api]
socket = "{stage.path('far-api.sock')}"
[path.file]
device = "file:{image}"
[map.far]
groups = [{{ paths = ["file"] }}]
[export.far]
map = "far"
nbd = ["tcp:127.0.0.1:{ports[0]}", "tcp:127.0.0.1:{ports[1]}"]
tls_certificates = "{pki.folder}"
tls_verify_peer = true
""")
    # Nobody else may serve the image beside ours, so both paths end with it; the map holds what it
    # is asked until they are back.
    far = Server(stage, "far", stage.program, "serve", "--config", config,
                 *stage.backend_arguments(), port=ports[0])
    where = f"far?tls-certificates={pki.folder}"
    daemon = start(stage, volume({f"p{port}": f"nbds://localhost:{port}/{where}"
                                  for port in ports}, SLOW))
    under_load(stage, daemon, [far], image)


def story_stalls_over_tls(stage):
    need_tools("nbdkit")
    need_libnbd()
    pki, image = Pki(stage), stage.image(size=SIZE)
    servers = [nbdkit(stage, name, image, *certificates(pki), port=free_port())
               for name in ("a", "b")]
    there = os.access(stage.release_program, os.X_OK)
    daemon = start(stage, volume({each.name: x509(each, pki) for each in servers}, SLOW,
                                 groups=[["a"], ["b"]]), stage.release_program if there else None)
    found = stalls(stage, daemon, servers[0], False, 15, "kill", "start")
    print(f"  killed, tls, reads: stall {shown(found)}")
    expect(found[len(found) // 2] <= KILLED_STALL, f"stall of a killed server: {found}")
    found = stalls(stage, daemon, servers[0], False, 4, "pause", "go_on")
    print(f"  stopped, tls, reads (deadline 500 ms): stall {shown(found)}")
    expect(found[len(found) // 2] <= 0.5 + KILLED_STALL, f"stall of a silent server: {found}")
    expect_equal(daemon.stop(), 0, "exit code")


def story_idle_connections_are_noticed_when_they_die(stage):
    need_tools("nbdkit")
    keys, image = keys_file(stage), stage.image(size=SIZE)
    servers = [nbdkit(stage, name, image, *keys_of(keys), port=free_port()) for name in ("a", "b")]
    daemon = start(stage, volume({each.name: psk(each, keys) for each in servers},
                                 SLOW + 'keepalive = "300 ms"\n',
                                 checks='[defaults]\npolling_interval = "60 s"\n'))
    time.sleep(1.5)
    expect_equal(daemon.paths()["b"]["state"], "up", "path b while it is idle")
    servers[1].pause()
    daemon.wait_path("b", "down", seconds=15)
    expect(event_lines(daemon, "to a read that keeps an idle connection"), daemon.tail())
    servers[1].go_on()
    # A silent server at the time of a reconnect is a matter of connect_timeout; then it is back.
    daemon.do("check", "path", "b")
    daemon.wait_path("b", "up")
    expect_equal(daemon.stop(), 0, "exit code")


def expired(stage):
    """A folder whose server certificate was good until yesterday."""
    pki = Pki(stage, "expired")
    pki.certify("server", days=-1)
    return pki


class Agreeable:
    """Agrees to TLS and then says `words` only, on every connection."""

    AGREES = struct.pack(">QQH", 0x4e42444d41474943, 0x49484156454f5054, 3)
    TLS = struct.pack(">QIII", 0x3e889045565a9, 5, 1, 0)

    def __init__(self, words):
        self.words, self.kept = words, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client = self.listener.accept()[0]
                self.kept.append(client)
                client.sendall(self.AGREES)
                client.recv(20, socket.MSG_WAITALL)
                client.sendall(self.TLS)
                client.recv(1)
                client.sendall(self.words)
            except OSError:
                if self.listener.fileno() < 0:
                    return


def without(pki, name, *files):
    copy = shutil.copytree(pki.folder, os.path.join(os.path.dirname(pki.folder), name))
    for each in files:
        os.unlink(os.path.join(copy, each))
    return copy


def bad_paths(stage, image):
    """{path: (device, what its line says)}; servers for them run."""
    pki, other, old = Pki(stage), Pki(stage, "other"), expired(stage)
    keys = keys_file(stage)
    wrong = keys_file(stage, key=KEY.replace("0011", "ffff"), folder="wrong")
    unknown = keys_file(stage, user="mallory", folder="unknown")
    open_keys = keys_file(stage, folder="open")
    os.chmod(open_keys, 0o644)
    one = nbdkit(stage, "x509", image, *certificates(pki), port=free_port())
    late = nbdkit(stage, "late", image, *certificates(old, False), port=free_port())
    psks = nbdkit(stage, "psk", image, *keys_of(keys), port=free_port())
    plain = nbdkit(stage, "plain", image, port=free_port())
    bare = without(pki, "bare", "client-cert.pem", "client-key.pem")
    foreign = without(pki, "foreign")
    for name in ("client-cert.pem", "client-key.pem"):
        shutil.copy(other.path(name), foreign)
    silent, other_tongue = Agreeable(b""), Agreeable(b"220 mail.example ESMTP\r\n")
    nothing = without(pki, "nothing", "ca-cert.pem")
    text = without(pki, "text")
    with open(os.path.join(text, "ca-cert.pem"), "w") as file:
        file.write("no certificate\n")
    at = f"nbds://localhost:{one.port}/?tls-certificates="
    return {
        "expired": (x509(late, old), "the server's certificate, or its CA's, has expired; renew it"),
        "wrong-ca": (at + other.folder, "the server's certificate is not signed by a CA of "
                     f"{other.path('ca-cert.pem')}"),
        "wrong-host": (x509(one, pki) + "&tls-hostname=elsewhere", "the server's certificate is not "
                       "made for 'elsewhere'; add tls-hostname=NAME"),
        "no-client": (at + bare, "it may want a certificate of this client"),
        "foreign-client": (at + foreign, "it may refuse our certificate, client-cert.pem"),
        "wrong-key": (psk(psks, wrong), f"user 'alice' with the key in {wrong}"),
        "unknown-user": (psk(psks, unknown, "mallory"), f"user 'mallory' with the key in {unknown}"),
        "no-such-user": (psk(psks, keys, "bob"), f"{keys} has no user 'bob'"),
        "open-keys": (psk(psks, open_keys), "holds a key and is open to every user (mode 0644); "
                      "run: chmod o= "),
        "key-for-certificate": (psk(one, keys), "configure the key there, or use tls-certificates"),
        "no-tls": (psk(plain, keys), "the server offers no TLS; configure it there, or write nbd://"),
        "silent": (psk(silent, keys), f"no answer from localhost:{silent.port} in 5 s; does the"),
        "other-tongue": (x509(other_tongue, pki), "the server does not speak TLS here"),
        "plain": (f"nbd://localhost:{one.port}", "the server requires TLS; write nbds://"),
        "no-file": (at + nothing, f"cannot read {nothing}/ca-cert.pem: No such file"),
        "no-certificate": (at + text, f"{text}/ca-cert.pem: expected certificates of CAs in PEM"),
    }


def story_bad_input_is_told_in_one_line(stage):
    need_tools("nbdkit", "openssl")
    image = stage.image(size=SIZE)
    good = Nbdkit(stage, "good", "file", image)
    bad = bad_paths(stage, image)
    paths = {"good": good.uri()} | {name: where for name, (where, _) in bad.items()}
    daemon = start(stage, volume(paths, SLOW))
    expect_equal({name: path["state"] for name, path in daemon.paths().items()},
                 {"good": "up"} | {name: "down" for name in bad}, "states")
    for name, (_, words) in bad.items():
        lines = event_lines(daemon, f"path-unusable path={name} ")
        expect_equal(len(lines), 1, f"lines of path {name}")
        expect(words in lines[0], f"expected '{words}' of path {name}: {lines[0]}")
    expect(KEY[:16] not in daemon.log_text(), "a key is in the log")
    # They are asked again and again, and nothing of it reaches the path that works.
    time.sleep(1)
    expect_equal(daemon.paths()["good"]["state"], "up", "the path that works")
    expect_equal(daemon.stop(), 0, "exit code")


def rewrite(folder, source, *names):
    for name in names:
        shutil.copy(source.path(name), folder)


def story_a_reload_reads_certificates_again(stage):
    need_tools("nbdkit")
    pki, fresh, image = Pki(stage), Pki(stage, "fresh"), stage.image(size=SIZE)
    # A folder of the client's own, empty as yet.
    ours = stage.path("ours")
    os.mkdir(ours)
    servers = [nbdkit(stage, name, image, *certificates(pki), port=free_port())
               for name in ("a", "b")]
    daemon = start(stage, volume({
        "a": f"nbds://localhost:{servers[0].port}/?tls-certificates={ours}",
        "b": x509(servers[1], pki)}, SLOW))
    expect_equal(daemon.paths()["a"]["state"], "down", "a path without certificates")
    done = daemon.cli("reload")
    expect("certificates and keys read again" in done.stdout, done.stdout)
    expect_equal(daemon.paths()["a"]["state"], "down", "a path without certificates, reloaded")
    names = ("ca-cert.pem", "client-cert.pem", "client-key.pem")
    rewrite(ours, pki, *names)
    daemon.cli("reload")
    daemon.wait_path("a", "up")
    # The server gets another CA: the path is lost at its next connection, until it knows, too.
    servers[0].kill()
    servers[0].plugin = (*certificates(fresh), "file", image)
    servers[0].start()
    wait_until(lambda: "not signed by a CA of" in daemon.paths()["a"]["check"]["message"],
               "path a says why", seconds=20)
    rewrite(ours, fresh, *names)
    os.chmod(os.path.join(ours, "client-key.pem"), 0o644)
    done = daemon.cli("reload", check=False)
    expect(done.returncode != 0 and "path a:" in done.stderr + done.stdout and
           "chmod o=" in done.stderr + done.stdout, f"{done.stdout}{done.stderr}")
    os.chmod(os.path.join(ours, "client-key.pem"), 0o600)
    daemon.cli("reload")
    daemon.wait_path("a", "up")
    expect_encrypted(daemon)
    expect_equal(daemon.stop(), 0, "exit code")


if __name__ == "__main__":
    main(__doc__)
