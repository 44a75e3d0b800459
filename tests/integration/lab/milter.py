# SPDX-License-Identifier: BSD-2-Clause
"""An MTA for a filter that is not ours."""

import re
import socket
import struct


class Milter:
    """The MTA's side of the milter protocol, as much as a filter needs that is told one message at a time."""

    LEADSPC = 0x100000
    NO_STEP = {b"C": 0x1, b"H": 0x2, b"M": 0x4, b"R": 0x8, b"B": 0x10, b"L": 0x20, b"N": 0x40, b"T": 0x200}

    def __init__(self, path, ip):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self._send(b"O", struct.pack(">III", 6, 0x1FF, self.LEADSPC | sum(self.NO_STEP.values())))
        _, data = self._receive()
        self.steps = struct.unpack(">III", data[:12])[2]
        self._step(b"C", b"peer.example\0" + b"4" + struct.pack(">H", 1025) + ip.encode() + b"\0")
        self._step(b"H", b"peer.example\0")

    def _send(self, command, data=b""):
        self.socket.sendall(struct.pack(">I", len(data) + 1) + command + data)

    def _exactly(self, count):
        octets = b""
        while len(octets) < count:
            more = self.socket.recv(count - len(octets))
            if not more:
                raise OSError("the filter hung up")
            octets += more
        return octets

    def _receive(self):
        length = struct.unpack(">I", self._exactly(4))[0]
        packet = self._exactly(length)
        return packet[:1], packet[1:]

    def _step(self, command, data=b""):
        if self.steps & self.NO_STEP[command]:
            return
        self._send(command, data)
        answer, _ = self._receive()
        if answer not in b"cas":
            raise OSError(f"the filter answers {answer!r} to {command!r}")

    def message(self, raw, login=None):
        """What the filter puts in: a list of (name, value). login: of SMTP AUTH."""
        head, _, text = raw.partition(b"\r\n\r\n")
        if login is not None:
            self._send(b"D", b"M{auth_type}\0PLAIN\0{auth_authen}\0" + login.encode() + b"\0")
        self._step(b"M", b"<sender@peer.example>\0")
        self._step(b"R", b"<recipient@peer.example>\0")
        self._step(b"T")
        for line in re.split(rb"\r\n(?![ \t])", head):
            name, _, value = line.partition(b":")
            self._step(b"L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0")
        self._step(b"N")
        for at in range(0, len(text), 60000):
            self._step(b"B", text[at:at + 60000])
        self._send(b"E")
        inserted = []
        while True:
            answer, data = self._receive()
            if answer == b"i":
                inserted.append(tuple(data[4:].rstrip(b"\0").split(b"\0", 1)))
            elif answer in b"cardty":
                return inserted

    def close(self):
        self._send(b"Q")
        self.socket.close()
