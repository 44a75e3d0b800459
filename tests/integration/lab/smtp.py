# SPDX-License-Identifier: BSD-2-Clause
"""An SMTP client that can claim to come from anywhere (XCLIENT)."""

import smtplib
from dataclasses import dataclass


@dataclass
class Reply:
    code: int
    text: str  # one line, as the sender sees it, without the code

    def __str__(self):
        return f"{self.code} {self.text}"


def _reply(pair):
    return Reply(pair[0], pair[1].decode("utf-8", "replace").replace("\n", " "))


class Client:
    """One connection. ip and helo are what Postfix, and so assayd, will believe."""

    def __init__(self, port, ip, helo, name="[UNAVAILABLE]", host="127.0.0.1"):
        self.smtp = smtplib.SMTP(timeout=60)
        self.smtp.connect(host, port)
        self.smtp.ehlo("lab.example")
        address = f"IPV6:{ip}" if ":" in ip else ip
        code, text = self.smtp.docmd("XCLIENT", f"ADDR={address} NAME={name}")
        if code != 220:
            raise RuntimeError(f"XCLIENT refused: {code} {text!r}")
        self.smtp.ehlo(helo)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()

    def mail(self, sender, utf8=False, body8=False):
        options = (["SMTPUTF8"] if utf8 else []) + (["BODY=8BITMIME"] if body8 or utf8 else [])
        if utf8:
            self.smtp.command_encoding = "utf-8"
        return _reply(self.smtp.mail(sender, options))

    def rcpt(self, recipient):
        return _reply(self.smtp.rcpt(recipient))

    def data(self, message):
        """message: bytes with CRLF; dots are stuffed here."""
        return _reply(self.smtp.data(message))

    def rset(self):
        return _reply(self.smtp.rset())

    def begin_data(self):
        return _reply(self.smtp.docmd("DATA"))

    def raw(self, octets):
        self.smtp.sock.sendall(octets)

    def answer(self):
        return _reply(self.smtp.getreply())

    def drop(self):
        """Hang up in the middle of it."""
        self.smtp.sock.close()
        self.smtp.close()

    def quit(self):
        try:
            self.smtp.quit()
        except (smtplib.SMTPException, OSError):
            self.smtp.close()

    def send(self, sender, recipient, message, utf8=False, body8=False):
        """A whole transaction; the first reply that says no, else that to the message."""
        for step in (
            lambda: self.mail(sender, utf8, body8),
            lambda: self.rcpt(recipient),
        ):
            reply = step()
            if reply.code >= 400:
                self.rset()
                return reply
        return self.data(message)
