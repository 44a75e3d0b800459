# SPDX-License-Identifier: BSD-2-Clause
"""Transcripts: a conversation with a mail server as a text file, and the player.

A file has a head and a body, an empty line between them. The head:

    title: RFC 5321 4.5.2: dots
    connect: smtp               the protocol of lines without a name; a name of --print-ports
    connect: watcher imap       the protocol of lines that begin with "watcher"
    server: plain small         how the server is to be started, see VARIANTS of servers.py
    only: postbox               where the real server can't say the same;
    because: the reason, in words

The body, line by line; "#" begins a comment, and every line may have a connection's name in front.
A connection is opened where its first line stands.

    C: text             the client says text, CR LF behind it
    R: text             the same as it stands: \\r \\n \\t \\0 \\\\ and \\xHH are what they are in C
    X: count text       text count times, no line end
    S: pattern          the next line of the server; *** in it stands for anything
    S*: pattern         so must some line from here on; those before are skipped
    S+: pattern         some line up to the S*: that follows matches this as well; in any order
    [TLS handshake]
    [closed]            the server closes, and says no more
    [shut]              the client closes its half
    [hang up]           the client is gone
    [mail for bob]      what follows, behind "> ", is put into his INBOX
    [mailbox bob/INBOX: 2]      so many messages there; behind it, of the newest one,
    | pattern           a line of it is so
    ! pattern           no line of it is so
    [fields A B C]      fields of these names stand in this order; others may stand between
"""

import re
import socket
import ssl
from dataclasses import dataclass, field

from .postbox import anyone

WAIT_S = 20
BODY_LINE = re.compile(r"^(?:(?P<name>[a-z]\w*) +)?(?P<kind>C:|R:|X:|S:|S\*:|S\+:|\[[^]]*\]$|\||!|>) ?(?P<text>.*)$")
MAILBOX = re.compile(r"^\[mailbox (\w+)/(.+): (\d+)\]$")
MAIL_FOR = re.compile(r"^\[mail for (\w+)\]$")
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)")
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


class BadTranscript(Exception):
    """The file is not one."""


class Differs(Exception):
    """What came is not what was expected."""

    def __init__(self, line, want, came):
        super().__init__(f"want {want!r}, came {came!r}")
        self.line, self.want, self.came = line, want, came


@dataclass
class Line:
    number: int
    name: str
    kind: str
    text: str

    def __str__(self):
        return f"{self.name + ' ' if self.name else ''}{self.kind} {self.text}".rstrip()


@dataclass
class Transcript:
    path: str
    title: str = ""
    protocols: dict = field(default_factory=dict)
    variants: frozenset = frozenset()
    only: str = ""
    because: str = ""
    body: list = field(default_factory=list)

    @property
    def family(self):
        """smtp, pop3 or imap: by the first connection."""
        first = next(iter(self.protocols.values()))
        return "smtp" if first in ("smtp", "smtps", "submission") else first[:4]


def read(path):
    with open(path, encoding="latin-1") as f:  # any byte, and the same one back
        lines = f.read().split("\n")
    transcript = Transcript(path)
    end = lines.index("") if "" in lines else len(lines)
    for number, text in enumerate(lines[:end], 1):
        if not text.startswith("#"):
            _read_head(transcript, number, text)
    if not transcript.title or not transcript.protocols or bool(transcript.only) != bool(transcript.because):
        raise BadTranscript(f"{path}: wants title:, connect:, and because: where there is only:")
    for number, text in enumerate(lines[end:], end + 1):
        if text.strip() == "" or text.startswith("#"):
            continue
        found = BODY_LINE.match(text)
        name = found.group("name") or "" if found else ""
        if found is None or (name and name not in transcript.protocols):
            raise BadTranscript(f"{path}:{number}: {text}")
        transcript.body.append(Line(number, name, found.group("kind"), found.group("text")))
    return transcript


def _read_head(transcript, number, text):
    key, _, value = text.partition(": ")
    words = value.split()
    if key == "connect" and len(words) in (1, 2):
        transcript.protocols[words[0] if len(words) == 2 else ""] = words[-1]
    elif key == "server":
        transcript.variants = frozenset(words)
    elif key in ("title", "only", "because"):
        setattr(transcript, key, value)
    else:
        raise BadTranscript(f"{transcript.path}:{number}: {text}")


def matches(pattern, line):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("***"))), line, re.S) is not None


def unescape(text):
    def one(found):
        what = found.group(1)
        return bytes([int(what[1:], 16)]) if what.startswith(b"x") else ESCAPES[what]

    return ESCAPE.sub(one, text.encode("latin-1"))


class Connection:
    """A client's socket; the server's greeting is still to be read."""

    def __init__(self, server, protocol, variants, wait_s):
        address, source = server.address(protocol, variants)
        self.socket = socket.create_connection(address, wait_s, source)
        self.wait_s = wait_s
        self.unread = b""
        if protocol in ("smtps", "pop3s", "imaps"):
            self.handshake()

    def handshake(self):
        self.socket = anyone().wrap_socket(self.socket, server_hostname="localhost")

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:
            pass  # closed: what is read next will show it

    def line(self):
        """Without its line end; None at the end of the connection."""
        while b"\n" not in self.unread:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return f"(nothing for {self.wait_s} s{', but ' + repr(self.unread) if self.unread else ''})"
            except OSError:
                more = b""
            if not more:
                return None
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line.removesuffix(b"\r").decode("latin-1")

    def close(self):
        self.socket.close()


class Player:
    """One transcript on one server, which must be fresh. wait_s: how long for what does not come."""

    def __init__(self, transcript, server, wait_s=WAIT_S):
        self.transcript, self.server, self.wait_s = transcript, server, wait_s
        self.connections = {}
        self.said = []  # what passed, for whoever looks for the fault
        self.box = None  # lines of the newest message
        self.letter, self.reader = [], ""  # the mail that is being written, and whose it is
        self.also = []  # patterns of S+
        self.checks = 0

    def play(self):
        """Differs where it does."""
        body = self.transcript.body
        try:
            for i, line in enumerate(body):
                self._line(line)
                if self.letter and (i + 1 == len(body) or body[i + 1].kind != ">"):
                    self._post()
        finally:
            for connection in self.connections.values():
                connection.close()

    def _connection(self, line):
        if line.name not in self.connections:
            protocol = self.transcript.protocols[line.name]
            self.connections[line.name] = Connection(self.server, protocol, self.transcript.variants, self.wait_s)
        return self.connections[line.name]

    def _line(self, line):
        if line.kind.startswith("["):
            self._directive(line)
        elif line.kind in ("|", "!"):
            found = self.box is not None and any(matches(line.text, text) for text in self.box)
            self._expect(line, found == (line.kind == "|"), self.box)
        elif line.kind == ">":
            self.letter.append(line.text)
        elif line.kind == "S+:":
            self.also.append(line)
        elif line.kind.startswith("S"):
            self._server(line)
        else:
            self._client(line)

    def _client(self, line):
        if line.kind == "C:":
            octets = line.text.encode("latin-1") + b"\r\n"
        elif line.kind == "R:":
            octets = unescape(line.text)
        else:
            count, _, text = line.text.partition(" ")
            octets = text.encode("latin-1") * int(count)
        self.said.append(f"{line.name} C: {octets[:200]!r}".strip())
        self._connection(line).send(octets)

    def _server(self, line):
        seen = []
        while True:
            text = self._connection(line).line()
            self.said.append(f"{line.name} S: {text}".strip())
            if text is None or text.startswith("(nothing"):
                raise Differs(line, line.text, "the end of the connection" if text is None else text)
            seen.append(text)
            if matches(line.text, text):
                break
            if line.kind == "S:":
                raise Differs(line, line.text, text)
        self.checks += 1
        for other in self.also:
            self._expect(other, any(matches(other.text, text) for text in seen), seen)
        self.also = []

    def _expect(self, line, good, came):
        if not good:
            raise Differs(line, line.text or line.kind, came)
        self.checks += 1

    def _directive(self, line):
        mailbox, mail = MAILBOX.match(line.kind), MAIL_FOR.match(line.kind)
        if mailbox:
            user, folder, count = mailbox.groups()
            mail = self.server.mail(user, folder, int(count), self.wait_s)
            self._expect(line, len(mail) == int(count), f"{len(mail)} messages")
            self.box = mail[-1].decode("latin-1").split("\r\n") if mail else []
        elif mail:
            self.letter, self.reader = [], mail.group(1)
        elif line.kind.startswith("[fields "):
            self._fields(line)
        elif line.kind == "[TLS handshake]":
            try:
                self._connection(line).handshake()
            except (OSError, ssl.SSLError) as error:
                raise Differs(line, "a handshake", str(error)) from error
        elif line.kind == "[closed]":
            came = self._connection(line).line()
            self._expect(line, came is None, came)
        elif line.kind == "[shut]":
            self._connection(line).socket.shutdown(socket.SHUT_WR)
        elif line.kind == "[hang up]":
            self._connection(line).close()
        else:
            raise BadTranscript(f"{self.transcript.path}:{line.number}: {line.kind}")

    def _fields(self, line):
        want = line.kind[:-1].split()[1:]
        head = self.box[: self.box.index("")] if "" in self.box else self.box
        found = [text.partition(":")[0] for text in head if text[:1] not in (" ", "\t")]
        found = [name for name in found if name in want]
        if found != want:
            raise Differs(line, " ".join(want), " ".join(found))
        self.checks += 1

    def _post(self):
        self.server.put(self.reader, "".join(text + "\r\n" for text in self.letter).encode("latin-1"))
        self.letter = []
