#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NBD over TLS: the clients that people have against an export, and our client against the servers
that people have; with certificates and with pre-shared keys, and every refusal with its line."""

import os
import shutil
import signal
import socket
import subprocess

from braidway import (MIB, Skip, expect, expect_equal, free_port, main, need_libnbd, need_tools, uri,
                      wait_until)

KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
SIZE = 64 * MIB


class Pki:
    """Folders of certificates as nbdkit and libnbd want them, made anew for each story."""

    def __init__(self, stage, name="pki"):
        need_tools("openssl")
        self.stage = stage
        self.folder = stage.path(name)
        os.mkdir(self.folder)
        self.authority_key = stage.path(f"{name}-ca-key.pem")
        stage.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-keyout", self.authority_key, "-out", self.path("ca-cert.pem"),
                  "-days", "2", "-subj", f"/CN={name}",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.certify("server")
        self.certify("client")

    def path(self, name):
        return os.path.join(self.folder, name)

    def certify(self, who, host="localhost", days=2):
        request, extensions = self.path("request"), self.path("extensions")
        with open(extensions, "w") as file:
            file.write(f"subjectAltName=DNS:{host},IP:127.0.0.1\nkeyUsage=digitalSignature\n"
                       f"extendedKeyUsage={who}Auth\n")
        self.stage.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                       "-nodes", "-keyout", self.path(f"{who}-key.pem"), "-out", request,
                       "-subj", f"/CN={host}")
        self.stage.run("openssl", "x509", "-req", "-in", request, "-CA", self.path("ca-cert.pem"),
                       "-CAkey", self.authority_key, "-CAcreateserial", "-days", str(days), "-extfile",
                       extensions, "-out", self.path(f"{who}-cert.pem"))
        os.chmod(self.path(f"{who}-key.pem"), 0o600)

    def without(self, *files):
        """A copy that lacks some files."""
        copy = self.folder + "-less"
        shutil.copytree(self.folder, copy)
        for each in files:
            os.unlink(os.path.join(copy, each))
        return copy


def keys_file(stage, user="alice", key=KEY, folder="keys"):
    """A file of pre-shared keys, in a folder of its own: QEMU takes folders."""
    os.makedirs(stage.path(folder), exist_ok=True)
    name = os.path.join(stage.path(folder), "keys.psk")
    with open(name, "w") as file:
        file.write(f"{user}:{key}\n")
    os.chmod(name, 0o600)
    return name


def serve(stage, keys, wait=True):
    """A map with one export `db` on a TCP port and on a unix socket; returns (daemon, port)."""
    if not os.path.exists(stage.path("disk.img")):
        stage.image(size=SIZE)
    port = free_port()
    daemon = stage.serve(f"""
[path.a1]
device = "file:{stage.path('disk.img')}"
[map.db]
groups = [{{ paths = ["a1"] }}]
[export.db]
map = "db"
nbd = ["tcp:127.0.0.1:{port}", "unix:{stage.path('db.sock')}"]
{keys}
""", wait=wait)
    return daemon, port


def x509_uri(port, folder, host="localhost", export="db"):
    return f"nbds://{host}:{port}/{export}?tls-certificates={folder}"


def psk_uri(port, keys, user="alice", export="db"):
    return f"nbds://{user}@localhost:{port}/{export}?tls-psk-file={keys}"


def refused(stage, *words):
    """Runs a client that must fail; returns what it said."""
    done = stage.run(*words, check=False, timeout=60)
    expect(done.returncode != 0, f"{' '.join(words)} worked")
    return done.stdout + done.stderr


def wait_for_line(daemon, text):
    wait_until(lambda: text in daemon.log_text(), f"'{text}' in the log")


def copy_both_ways(stage, where):
    source, copy = stage.path("source.img"), stage.path("copy.img")
    with open(source, "wb") as image:
        image.write(os.urandom(24 * MIB))
        image.truncate(SIZE)
    stage.run("nbdcopy", "--connections=4", "--flush", source, where)
    stage.run("nbdcopy", "--connections=2", "--requests=64", where, copy)
    stage.run("cmp", source, copy)


def story_certificates_with_libnbd(stage):
    need_tools("nbdinfo", "nbdcopy", "cmp")
    pki = Pki(stage)
    daemon, port = serve(stage, f'tls_certificates = "{pki.folder}"\ntls_verify_peer = true')
    for host in ("localhost", "127.0.0.1"):
        size = stage.run("nbdinfo", "--size", x509_uri(port, pki.folder, host)).stdout.strip()
        expect_equal(size, str(SIZE), "size")
    listed = stage.run("nbdinfo", "--list", x509_uri(port, pki.folder, export="")).stdout
    expect("TLS" in listed and '"db"' in listed, listed)
    copy_both_ways(stage, x509_uri(port, pki.folder))
    wait_for_line(daemon, "over TLSv1.3")


def story_keys_with_libnbd(stage):
    need_tools("nbdinfo", "nbdcopy", "cmp")
    keys = keys_file(stage)
    daemon, port = serve(stage, f'tls_psk = "{keys}"')
    copy_both_ways(stage, psk_uri(port, keys))
    where = f"nbds+unix://alice@/db?socket={stage.path('db.sock')}&tls-psk-file={keys}"
    expect_equal(stage.run("nbdinfo", "--size", where).stdout.strip(), str(SIZE), "on the socket")
    wait_for_line(daemon, "over TLSv1.3")


def qemu_words(sort, folder, port, priority=""):
    creds = f"tls-creds-{sort},id=t,dir={folder},endpoint=client"
    if sort == "psk":
        creds += ",username=alice"
    if priority:
        creds += f",priority={priority}"
    image = f"driver=nbd,host=localhost,port={port},export=db,tls-creds=t"
    return ["--object", creds, "--image-opts", image]


def qemu_reads_and_writes(stage, words):
    text = stage.run("qemu-io", *words, "-c", "write -P 7 1M 5M", "-c", "write -z 8M 1M", "-c",
                     "flush", "-c", "read -P 7 1M 5M", "-c", "read -P 0 8M 1M", "-c",
                     "discard 1M 1M").stdout
    expect("failed" not in text and "Pattern" not in text, text)
    stage.run("qemu-img", "info", *words)


def story_certificates_with_qemu(stage):
    need_tools("qemu-img", "qemu-io")
    pki = Pki(stage)
    daemon, port = serve(stage, f'tls_certificates = "{pki.folder}"\ntls_verify_peer = true')
    qemu_reads_and_writes(stage, qemu_words("x509", pki.folder, port))
    qemu_reads_and_writes(stage, qemu_words("x509", pki.folder, port, "NORMAL:-VERS-TLS1.3"))
    wait_for_line(daemon, "over TLSv1.2")
    said = refused(stage, "qemu-img", "info",
                   *qemu_words("x509", pki.folder, port, "NORMAL:-VERS-ALL:+VERS-TLS1.1:%UNSAFE_RENEGOTIATION"))
    expect("failed" in said or "handshake" in said, said)


def story_keys_with_qemu(stage):
    need_tools("qemu-img", "qemu-io")
    keys = keys_file(stage)
    daemon, port = serve(stage, f'tls_psk = "{keys}"')
    folder = os.path.dirname(keys)
    qemu_reads_and_writes(stage, qemu_words("psk", folder, port))
    for exchange in ("DHE-PSK", "ECDHE-PSK"):
        qemu_reads_and_writes(stage, qemu_words(
            "psk", folder, port, f"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+{exchange}"))
    wait_for_line(daemon, "over TLSv1.2")


def story_fio_with_verification(stage):
    """fio takes no files of certificates, so nbdkit stands between it and us as our client."""
    need_tools("fio", "nbdkit")
    pki = Pki(stage)
    _, port = serve(stage, f'tls_certificates = "{pki.folder}"\ntls_verify_peer = true')
    between = stage.path("between.sock")
    nbdkit = stage.spawn("nbdkit", "--foreground", "-U", between, "nbd", "hostname=localhost",
                         f"port={port}", "export=db", "tls=require",
                         f"tls-certificates={pki.folder}")
    wait_until(lambda: nbdkit.poll() is not None or os.path.exists(between), "nbdkit listens")
    stage.run("fio", "--name=verify", "--ioengine=nbd", f"--uri={uri(between)}", "--rw=randwrite",
              "--bssplit=4k/60:64k/30:512k/10", "--size=24m", "--iodepth=32", "--verify=crc32c",
              "--verify_fatal=1", "--do_verify=1", "--fsync=64", cwd=stage.folder)


def story_required_allowed_and_off(stage):
    need_tools("nbdinfo")
    pki = Pki(stage)
    certificates = f'tls_certificates = "{pki.folder}"\n'
    daemon, port = serve(stage, certificates)
    said = refused(stage, "nbdinfo", "--size", f"nbd://localhost:{port}/db")
    expect("TLS" in said, said)
    refused(stage, "nbdinfo", "--list", uri(stage.path("db.sock")))
    for mode, plain in (("allowed", True), ("off", True), ("required", False)):
        config = stage.path("braidway.toml")
        with open(config) as file:
            lines = [line for line in file.read().splitlines() if not line.startswith("tls =")]
        with open(config, "w") as file:
            file.write("\n".join(lines) + f'\ntls = "{mode}"\n')
        daemon.cli("reload")
        done = stage.run("nbdinfo", "--size", f"nbd://localhost:{port}/db", check=False)
        expect_equal(done.returncode == 0, plain, f"a plain client where TLS is {mode}")
        done = stage.run("nbdinfo", "--size", x509_uri(port, pki.folder), check=False)
        expect_equal(done.returncode == 0, mode != "off", f"an encrypted client where it is {mode}")


def story_clients_that_are_refused(stage):
    need_tools("nbdinfo")
    pki, other = Pki(stage), Pki(stage, "other")
    daemon, port = serve(stage, f'tls_certificates = "{pki.folder}"\ntls_verify_peer = true')
    mixed = pki.without("client-cert.pem", "client-key.pem")
    refused(stage, "nbdinfo", "--size", x509_uri(port, mixed))
    wait_for_line(daemon, "the client shows no certificate, and tls_verify_peer asks for one")
    for name in ("client-cert.pem", "client-key.pem"):
        shutil.copy(other.path(name), mixed)
    refused(stage, "nbdinfo", "--size", x509_uri(port, mixed))
    wait_for_line(daemon, f"the client's certificate is not signed by a CA of {pki.path('ca-cert.pem')}")
    refused(stage, "nbdinfo", "--size", x509_uri(port, other.folder))
    wait_for_line(daemon, "client-dropped")
    expect_equal(stage.run("nbdinfo", "--size", x509_uri(port, pki.folder)).stdout.strip(),
                 str(SIZE), "and a good one is served after all of them")


def story_keys_that_are_refused(stage):
    need_tools("nbdinfo")
    keys = keys_file(stage)
    daemon, port = serve(stage, f'tls_psk = "{keys}"')
    mallory = keys_file(stage, "mallory", folder="mallory")
    refused(stage, "nbdinfo", "--size", psk_uri(port, mallory, "mallory"))
    wait_for_line(daemon, f"the client's user is not in {keys}")
    wrong = keys_file(stage, "alice", KEY.replace("0011", "ffff"), folder="wrong")
    refused(stage, "nbdinfo", "--size", psk_uri(port, wrong))
    wait_for_line(daemon, f"the client's key is not the one in {keys}")
    pki = Pki(stage)
    refused(stage, "nbdinfo", "--size", x509_uri(port, pki.folder))
    wait_for_line(daemon, "the client offers no pre-shared key, and this server takes only those")
    expect(KEY[:16] not in daemon.log_text(), "a key is in the log")
    expect_equal(stage.run("nbdinfo", "--size", psk_uri(port, keys)).stdout.strip(), str(SIZE),
                 "and a good one is served after all of them")


def expect_start_fails(stage, keys, line):
    daemon, _ = serve(stage, keys, wait=False)
    expect(daemon.process.wait(30) != 0, "it started")
    expect(line in daemon.log_text(), f"expected '{line}' in:\n{daemon.tail()}")
    stage.daemons.remove(daemon)
    daemon.log.close()
    os.unlink(daemon.log_path)


def story_files_that_are_refused(stage):
    pki = Pki(stage)
    certificates = f'tls_certificates = "{pki.folder}"'
    os.chmod(pki.path("server-key.pem"), 0o644)
    expect_start_fails(stage, certificates,
                       f"export db: {pki.path('server-key.pem')} holds a key and is open to every "
                       "user (mode 0644); run: chmod o= ")
    os.chmod(pki.path("server-key.pem"), 0o600)
    os.rename(pki.path("server-cert.pem"), pki.path("kept"))
    expect_start_fails(stage, certificates,
                       f"export db: cannot read {pki.path('server-cert.pem')}: No such file")
    shutil.copy(pki.path("client-cert.pem"), pki.path("server-cert.pem"))
    expect_start_fails(stage, certificates, f"{pki.path('server-key.pem')} does not belong to")
    os.rename(pki.path("kept"), pki.path("server-cert.pem"))
    keys = keys_file(stage, key="0011")
    expect_start_fails(stage, f'tls_psk = "{keys}"',
                       f"export db: {keys}:1: the key is not 16 to 64 bytes long")


def story_certificates_are_renewed_by_a_reload(stage):
    need_tools("nbdinfo")
    nbd = need_libnbd()
    pki, fresh = Pki(stage), Pki(stage, "fresh")
    daemon, port = serve(stage, f'tls_certificates = "{pki.folder}"')
    old = shutil.copytree(pki.folder, stage.path("old"))
    if not nbd.NBD().supports_tls():
        raise Skip("this libnbd has no TLS")
    client = nbd.NBD()
    client.set_uri_allow_local_file(True)
    client.connect_uri(x509_uri(port, old))
    for name in ("ca-cert.pem", "server-cert.pem", "server-key.pem"):
        shutil.copy(fresh.path(name), pki.path(name))
    os.chmod(pki.path("server-key.pem"), 0o644)
    done = daemon.cli("reload", check=False)
    expect(done.returncode != 0 and "chmod o=" in done.stderr + done.stdout, str(done))
    expect_equal(stage.run("nbdinfo", "--size", x509_uri(port, old)).stdout.strip(), str(SIZE),
                 "after a reload that was refused the old certificate is shown")
    os.chmod(pki.path("server-key.pem"), 0o600)
    done = daemon.cli("reload")
    expect("certificates and keys read again" in done.stdout, done.stdout)
    refused(stage, "nbdinfo", "--size", x509_uri(port, old))
    stage.run("nbdinfo", "--size", x509_uri(port, fresh.folder))
    client.pwrite(b"\x05" * 4096, 0)
    expect_equal(client.pread(4096, 0), b"\x05" * 4096, "the connection from before goes on")
    client.shutdown()


def our_client(stage, port, *words, check=True):
    program = os.path.join(stage.build, "bin", "nbd_tls_client")
    if not os.access(program, os.X_OK):
        raise Skip(f"there is no {program}")
    return stage.run(program, "127.0.0.1", str(port), "x", *words, check=check, timeout=60)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def other_server(stage, *words):
    port = free_port()
    process = stage.spawn(*(word.replace("PORT", str(port)) for word in words),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: process.poll() is not None or listens(port), f"{words[0]} listens")
    expect(process.poll() is None, f"{' '.join(words)} did not start")
    return port


def expect_problem(done, text):
    expect(done.returncode == 1, "it worked")
    expect(text in done.stderr, f"expected '{text}', found '{done.stderr.strip()}'")
    expect_equal(len(done.stderr.strip().splitlines()), 1, "lines of the problem")


def client_against(stage, x509_server, psk_server, pki, keys):
    """What our client says to a server with certificates and to one with keys."""
    port = other_server(stage, *x509_server)
    text = our_client(stage, port, "certificates", pki.folder, "localhost").stdout
    expect(f"size {SIZE}" in text and "TLSv1.3" in text, text)
    expect_problem(our_client(stage, port, "certificates", pki.folder, "elsewhere", check=False),
                   "the server's certificate is not made for 'elsewhere'")
    other = Pki(stage, "other")
    expect_problem(our_client(stage, port, "certificates", other.folder, "localhost", check=False),
                   "the server's certificate is not signed by a CA of")
    less = pki.without("client-cert.pem", "client-key.pem")
    done = our_client(stage, port, "certificates", less, "localhost", check=False)
    expect_problem(done, "certificate")
    expect_problem(our_client(stage, port, "psk", keys, "alice", check=False),
                   "shows a certificate where a pre-shared key was expected")
    port = other_server(stage, *psk_server)
    text = our_client(stage, port, "psk", keys, "alice").stdout
    expect(f"size {SIZE}" in text and "TLSv1.3" in text, text)
    wrong = keys_file(stage, "alice", KEY.replace("0011", "ffff"), folder="wrong")
    expect_problem(our_client(stage, port, "psk", wrong, "alice", check=False),
                   f"it may not know user 'alice' with the key in {wrong}")
    expect_problem(our_client(stage, port, "certificates", pki.folder, "localhost", check=False),
                   "it may want a pre-shared key")


def story_our_client_and_nbdkit(stage):
    need_tools("nbdkit")
    pki, keys = Pki(stage), keys_file(stage)
    common = ["nbdkit", "--foreground", "-p", "PORT", "--tls=require"]
    client_against(
        stage, [*common, f"--tls-certificates={pki.folder}", "--tls-verify-peer", "pattern", "64M"],
        [*common, f"--tls-psk={keys}", "pattern", "64M"], pki, keys)


def story_our_client_and_qemu_nbd(stage):
    need_tools("qemu-nbd")
    pki, keys = Pki(stage), keys_file(stage)
    image = stage.image(size=SIZE)
    common = ["qemu-nbd", "-f", "raw", "-p", "PORT", "-t", "-e", "8", "-x", "x", "--tls-creds", "t",
              "--object"]
    client_against(
        stage, [*common, f"tls-creds-x509,id=t,dir={pki.folder},endpoint=server,verify-peer=on",
                image],
        [*common, f"tls-creds-psk,id=t,dir={os.path.dirname(keys)},endpoint=server",
         stage.image("other.img", SIZE)], pki, keys)


def story_a_client_that_is_killed(stage):
    need_tools("nbdcopy")
    keys = keys_file(stage)
    daemon, port = serve(stage, f'tls_psk = "{keys}"')
    for _ in range(3):
        client = stage.spawn("nbdcopy", psk_uri(port, keys), "null:", stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        wait_until(lambda: client.poll() is not None or daemon.status()["connections"] > 0,
                   "the client connects")
        client.send_signal(signal.SIGKILL)
        client.wait()
    wait_until(lambda: daemon.status()["connections"] == 0, "its connections are gone")


if __name__ == "__main__":
    main(__doc__)
