# SPDX-License-Identifier: BSD-2-Clause
"""A filter that does what the message asks for: to see what a mail server makes of it.

Fields of the message named X-Do are orders, obeyed at its end, in their order:

    X-Do: add NAME: VALUE           X-Do: rcpt ADDRESS      one more recipient
    X-Do: insert N NAME: VALUE      X-Do: norcpt ADDRESS    one less
    X-Do: change N NAME: VALUE      X-Do: sender ADDRESS
    X-Do: delete N NAME             X-Do: body TEXT         \\n in it is CR LF; repeat for more
    X-Do: quarantine REASON         X-Do: progress
    X-Do: told                      adds a field X-Told for each macro packet and command heard
    X-Do: reply 450 4.7.1 TEXT      reject, tempfail, discard, shutdown, connfail, gone: the answer

and so is a recipient named user+ANSWER (bob+tempfail), or a client that says EHLO ANSWER.example.
The protocol is the one of libmilter 6; nothing of assay's own code is used.
"""

import socketserver
import struct
import threading

VERSION, ACTIONS, STEPS = 6, 0x3F | 0x40 | 0x80, 0x100000  # every action; leading blanks are kept
ANSWERS = {
    "continue": b"c", "accept": b"a", "reject": b"r", "tempfail": b"t", "discard": b"d",
    "shutdown": b"4", "connfail": b"f",
}


class Gone(Exception):
    """The filter dies here."""


class _Session(socketserver.BaseRequestHandler):
    """One connection of the MTA."""

    def handle(self):
        self.orders, self.heard = [], []
        try:
            while True:
                command, data = self._receive()
                if command == b"Q":
                    return
                self._packet(command, data)
        except (OSError, Gone, EOFError):
            return

    def _read(self, size):
        octets = b""
        while len(octets) < size:
            more = self.request.recv(size - len(octets))
            if not more:
                raise EOFError
            octets += more
        return octets

    def _receive(self):
        (size,) = struct.unpack("!I", self._read(4))
        octets = self._read(size)
        return octets[:1], octets[1:]

    def _send(self, command, data=b""):
        self.request.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def _packet(self, command, data):
        if command == b"O":
            self._send(b"O", struct.pack("!III", VERSION, ACTIONS, STEPS))
        elif command == b"D":
            words = data[1:].split(b"\0")[:-1]
            pairs = sorted(b"=".join(pair) for pair in zip(words[::2], words[1::2]))
            self.heard.append(b"macros %s %s" % (data[:1], b" ".join(pairs)))
        elif command in (b"A", b"K"):
            self.orders = []
        elif command == b"E":
            self._end()
        else:
            self._hear(command, data)

    def _hear(self, command, data):
        texts = data.split(b"\0")
        if command in (b"C", b"H", b"M", b"R", b"U"):
            self.heard.append(command + b" " + texts[0])
        if command == b"M":
            self.orders = []
        elif command == b"L" and texts[0].lower() == b"x-do":
            self.orders.append(texts[1].strip())
        answer = "continue"
        if command == b"R":
            answer = texts[0].partition(b"+")[2].partition(b"@")[0].decode()
        elif command == b"H":
            answer = texts[0].partition(b".")[0].decode()
        self._answer(answer.replace("_", " "))

    def _answer(self, word):
        if word == "gone":
            raise Gone
        if word.startswith("reply "):
            self._send(b"y", word[6:].encode() + b"\0")
        else:
            self._send(ANSWERS.get(word, b"c"))

    def _end(self):
        answer = "accept"
        for order in self.orders:
            word, _, rest = order.partition(b" ")
            word = word.decode()
            if word in ANSWERS or word in ("reply", "gone"):
                answer = order.decode()
            else:
                getattr(self, "_do_" + word)(rest)
        self._answer(answer)

    @staticmethod
    def _field(text):
        name, _, value = text.partition(b":")
        return name + b"\0" + value + b"\0"

    def _do_add(self, rest):
        self._send(b"h", self._field(rest))

    def _do_insert(self, rest):
        index, _, text = rest.partition(b" ")
        self._send(b"i", struct.pack("!I", int(index)) + self._field(text))

    def _do_change(self, rest):
        index, _, text = rest.partition(b" ")
        self._send(b"m", struct.pack("!I", int(index)) + self._field(text))

    _do_delete = _do_change

    def _do_quarantine(self, rest):
        self._send(b"q", rest + b"\0")

    def _do_rcpt(self, rest):
        self._send(b"+", b"<" + rest + b">\0")

    def _do_norcpt(self, rest):
        self._send(b"-", b"<" + rest + b">\0")

    def _do_sender(self, rest):
        self._send(b"e", b"<" + rest + b">\0")

    def _do_body(self, rest):
        self._send(b"b", rest.replace(b"\\n", b"\r\n"))

    def _do_progress(self, _rest):
        self._send(b"p")

    def _do_told(self, _rest):
        for text in self.heard:
            self._send(b"h", b"X-Told\0 " + text + b"\0")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Filter:
    """On a free port of loopback, until stop()."""

    def __init__(self):
        self.server = _Server(("127.0.0.1", 0), _Session)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def for_postfix(self):
        return f"inet:127.0.0.1:{self.port}"

    @property
    def for_postbox(self):
        return f"inet:{self.port}@127.0.0.1"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
