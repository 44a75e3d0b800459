# SPDX-License-Identifier: BSD-2-Clause
"""Messages, and DKIM signatures by dkimpy: an implementation that is not ours."""

import base64
import itertools
import os
import subprocess

import dkim
import nacl.signing

from .dns import txt


_serial = itertools.count(1)


class Key:
    """A signing key made now, with the record that publishes it."""

    def __init__(self, domain, selector, kind="rsa", bits=2048):
        self.domain, self.selector, self.kind = domain, selector, kind
        if kind == "rsa":
            self.private = _openssl("genrsa", str(bits))
            der = _openssl("rsa", "-pubout", "-outform", "DER", stdin=self.private)
            self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
        else:
            seed = nacl.signing.SigningKey.generate()
            self.private = base64.b64encode(bytes(seed))
            public = base64.b64encode(bytes(seed.verify_key)).decode()
            self.record = "v=DKIM1; k=ed25519; p=" + public

    def zone_line(self):
        return txt(f"{self.selector}._domainkey.{self.domain}", self.record)

    def sign(self, message, canon="relaxed/relaxed", fields=None, length=False):
        """message with a DKIM-Signature on top. fields: names for h=, default dkimpy's own choice."""
        header, body = canon.encode().split(b"/")
        signature = dkim.sign(
            message,
            self.selector.encode(),
            self.domain.encode(),
            self.private,
            canonicalize=(header, body),
            signature_algorithm=b"ed25519-sha256" if self.kind == "ed25519" else b"rsa-sha256",
            include_headers=[f.lower().encode() for f in fields] if fields else None,
            length=length,
        )
        return signature + message


def _openssl(*args, stdin=b""):
    done = subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True)
    return done.stdout


def message(sender, subject, body, more=(), recipient="user@rcpt.example", date=None):
    """A plain message as bytes with CRLF. more: whole header lines that go on top."""
    fields = [
        *more,
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: {subject}",
        f"Date: {date or 'Mon, 02 Nov 2026 10:00:00 +0000'}",
        f"Message-ID: <{os.getpid()}.{next(_serial)}@lab.example>",
    ]
    text = "\n".join(fields) + "\n\n" + body
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8")
