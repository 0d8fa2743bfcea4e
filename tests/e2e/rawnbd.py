# SPDX-License-Identifier: Apache-2.0
"""An NBD client that says whatever it likes, byte by byte."""

import socket
import struct

IHAVEOPT = 0x49484156454F5054
OPTION_REPLY = 0x0003E889045565A9
REQUEST = 0x25609513
SIMPLE_REPLY = 0x67446698
STRUCTURED_REPLY = 0x668E33EF

OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_STARTTLS, OPT_INFO, OPT_GO = 1, 2, 3, 5, 6, 7
OPT_STRUCTURED_REPLY, OPT_EXTENDED_HEADERS = 8, 11
REP_ACK, REP_SERVER, REP_INFO = 1, 2, 3
REP_ERR_UNSUP, REP_ERR_POLICY = 0x80000001, 0x80000002
INFO_EXPORT = 0

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS, RESIZE = range(9)
FLAG_FUA, FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO, FLAG_PAYLOAD_LEN = (
    1 << bit for bit in range(6))
SEND_FAST_ZERO = 1 << 11
EPERM, EIO, EINVAL, ENOSPC, ENOTSUP = 1, 5, 22, 28, 95


class Closed(Exception):
    """The server has closed the connection."""


class RawClient:
    """One connection. `address` is a unix socket path or a TCP port of the loopback."""

    def __init__(self, address, timeout=20.0):
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        self.size = 0
        self.flags = 0

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as problem:
            raise Closed() from problem

    def receive(self, count):
        data = bytearray(count)
        view, there = memoryview(data), 0
        while there < count:
            try:
                part = self.socket.recv_into(view[there:])
            except ConnectionResetError as problem:
                raise Closed() from problem
            if not part:
                raise Closed()
            there += part
        return bytes(data)

    def closed_by_server(self):
        """Reads on and says whether the server closes (True) or stays silent (False)."""
        try:
            while True:
                self.receive(1)
        except Closed:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes so that the peer gets an error, not an end (TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # --- handshake ---
    def greet(self, client_flags=3):
        greeting = self.receive(18)
        if greeting[:16] != b"NBDMAGICIHAVEOPT":
            raise ValueError(f"greeting {greeting!r}")
        self.send(struct.pack(">I", client_flags))
        return self

    def option(self, number, data=b"", length=None):
        self.send(struct.pack(">QII", IHAVEOPT, number, len(data) if length is None else length) +
                  data)

    def option_reply(self):
        magic, option, kind, length = struct.unpack(">QIII", self.receive(20))
        if magic != OPTION_REPLY:
            raise ValueError(f"magic {magic:#x} of an option reply")
        return option, kind, self.receive(length)

    def go(self, export="", number=OPT_GO):
        """Enters transmission; fails with ValueError when the server refuses."""
        name = export.encode()
        self.option(number, struct.pack(">I", len(name)) + name + struct.pack(">H", 0))
        while True:
            _, kind, data = self.option_reply()
            if kind == REP_ACK:
                return self
            if kind == REP_INFO:
                if struct.unpack(">H", data[:2])[0] == INFO_EXPORT:
                    self.size, self.flags = struct.unpack(">QH", data[2:12])
            else:
                raise ValueError(f"GO was refused: {kind:#x} {data!r}")

    def structured(self):
        self.option(OPT_STRUCTURED_REPLY)
        _, kind, _ = self.option_reply()
        if kind != REP_ACK:
            raise ValueError("structured replies were refused")
        return self

    # --- transmission ---
    def request(self, kind, offset=0, length=0, flags=0, cookie=1, payload=b"", magic=REQUEST):
        self.send(struct.pack(">IHHQQI", magic, flags, kind, cookie, offset, length) + payload)

    def simple_reply(self, data_bytes=0):
        """(error, cookie, data)"""
        magic, error, cookie = struct.unpack(">IIQ", self.receive(16))
        if magic != SIMPLE_REPLY:
            raise ValueError(f"magic {magic:#x} of a simple reply")
        return error, cookie, self.receive(data_bytes) if error == 0 else b""


def connect(address, export=""):
    """A client in transmission, with simple replies."""
    return RawClient(address).greet().go(export)
