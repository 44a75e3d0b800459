# SPDX-License-Identifier: BSD-2-Clause
"""An SMTP server of few words that says what a test wants it to say, and keeps what it gets."""

import re
import socketserver
import threading
from dataclasses import dataclass, field


@dataclass
class Taken:
    """A message."""

    helo: str = ""
    sender: str = ""
    recipients: list = field(default_factory=list)
    text: bytes = b""
    encrypted: bool = False

    @property
    def subject(self):
        found = re.search(rb"^Subject: (.*?)\r$", self.text, re.M)
        return found.group(1).decode() if found else ""


class _Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        sink = self.server.sink
        with sink.changed:
            sink.open += 1
        try:
            self._talk(sink)
        except (OSError, ValueError):
            pass  # the client is gone
        finally:
            with sink.changed:
                sink.open -= 1
                sink.changed.notify_all()

    def _talk(self, sink):
        if sink.silent:
            sink.awake.wait(30)
            return
        sink.connections += 1
        self.say(sink.greeting or "220 sink ESMTP")
        taken = Taken()
        for line in self.rfile:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb, _, rest = text.partition(" ")
            if verb in ("EHLO", "HELO"):
                taken.helo = rest
                self.say("250-sink\r\n250-STARTTLS\r\n250 SIZE 1000000" if sink.starttls else "250 sink")
            elif verb == "STARTTLS":
                self.say("220 go ahead, it won't work")
                self.wfile.write(b"no TLS\r\n")
                return
            elif verb == "MAIL":
                taken = Taken(taken.helo, re.search("<(.*)>", rest).group(1))
                self.say("250 ok")
            elif verb == "RCPT":
                self._rcpt(sink, taken, re.search("<(.*)>", rest).group(1))
            elif verb == "DATA":
                self._data(sink, taken)
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("500 what?")

    def _rcpt(self, sink, taken, recipient):
        local = recipient.partition("@")[0]
        sink.asked.append(local)
        if local in sink.hanging:
            sink.awake.wait(600)
            return
        reply = sink.next(sink.rcpt, local, "250 ok")
        if reply.startswith("250"):
            taken.recipients.append(recipient)
        self.say(reply)

    def _data(self, sink, taken):
        if taken.recipients[0].partition("@")[0] in sink.slow:
            sink.awake.wait(1)
        self.say("354 go")
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        else:
            return  # cut off
        taken.text = b"".join(lines)
        reply = sink.next(sink.data, taken.recipients[0].partition("@")[0], "250 ok")
        if reply.startswith("250"):
            sink.messages.append(taken)
        self.say(reply)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64
    daemon_threads = True


class Sink:
    """rcpt, data: local part -> replies, one after the other, the last again and again. hanging: local
    parts that get no reply at all; slow: one to DATA after a second. port 0: any that is free; with: stopped at the end."""

    def __init__(self, address="127.0.0.1", port=0):
        self.rcpt, self.data, self.hanging, self.slow = {}, {}, set(), set()
        self.connections = 0
        self.greeting = None
        self.starttls = self.silent = False
        self.awake = threading.Event()
        self.asked, self.messages = [], []
        self.open, self.changed = 0, threading.Condition()
        self.server = _Server((address, port), _Session)
        self.server.sink = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def next(replies, local, default):
        rest = replies.get(local, [default])
        return rest.pop(0) if len(rest) > 1 else rest[0]

    def settle(self):
        """Until all that clients who are gone have said is heard."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.open == 0, 20):
                raise RuntimeError("a client is not gone")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def stop(self):
        self.awake.set()
        self.server.shutdown()
        self.server.server_close()
