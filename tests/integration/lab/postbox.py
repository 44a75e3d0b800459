# SPDX-License-Identifier: BSD-2-Clause
"""postbox out of the build: a mail server for a test, on ports that were free."""

import contextlib
import imaplib
import os
import poplib
import ssl

from .arrival import QUEUED_AS, Arrival
from .assayd import program
from .process import Child, wait_until

PASSWORD = "not-a-secret"
RECIPIENT_DOMAIN = "rcpt.example"
FOLDERS = {"INBOX": Arrival.INBOX, "Quarantine": Arrival.HOLD}


def anyone():
    """A TLS context that asks for no certificate: postbox makes its own at start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Postbox:
    """milter: the socket of the filter, None for none. more: further options of the command line."""

    name = "postbox"

    def __init__(
        self, folder, milter=None, host="mx.demo.example", domain=RECIPIENT_DOMAIN,
        users=("bob", "user"), address="127.0.0.1", xclient=("127.0.0.0/8",), more=(),
    ):
        self.log_path = os.path.join(folder, f"postbox-{host}.log")
        self.host, self.address, self.users = host, address, users
        self.argv = [
            program("postbox"), "--host", host, "--domain", domain, "--bind", address,
            "--any-port", "--print-ports", "--verbose",
        ]
        for network in xclient:
            self.argv += ["--xclient", network]
        for user in users:
            self.argv += ["--user", f"{user}:{PASSWORD}"]
        if milter is not None:
            self.argv += ["--milter", milter]
        self.argv += more
        self.child = None
        self.ports = {}

    @property
    def port(self):
        return self.ports["smtp"]

    def start(self):
        began = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.child = Child("postbox", self.argv, self.log_path)
        line = wait_until(lambda: self._ports_line(began), 20, "postbox to listen")
        self.ports = {k: int(v) for k, v in (word.split("=") for word in line.split())}

    def _ports_line(self, began):
        self.child.must_live()
        lines = self.child.log()[began:].split("\n")[:-1]
        return next((line for line in lines if line.startswith("smtp=")), None)

    def stop(self):
        return self.child.stop() if self.child is not None else 0

    def log(self):
        return self.child.log() if self.child is not None else ""

    # ---- what a user's program sees ----

    @contextlib.contextmanager
    def imap(self, user):
        """Logged in, over TLS from the first byte."""
        client = imaplib.IMAP4_SSL(
            self.address, self.ports["imaps"], ssl_context=anyone(), timeout=30
        )
        try:
            client.login(user, PASSWORD)
            yield client
        finally:
            client.logout()

    @contextlib.contextmanager
    def pop3(self, user):
        """The same."""
        client = poplib.POP3_SSL(self.address, self.ports["pop3s"], context=anyone(), timeout=30)
        try:
            client.user(user)
            client.pass_(PASSWORD)
            yield client
        finally:
            client.quit()

    def read_imap(self, user, folder="INBOX"):
        """All messages of a folder; none if there is no such folder."""
        with self.imap(user) as client:
            if client.select(folder, readonly=True)[0] != "OK":
                return []
            numbers = client.search(None, "ALL")[1][0].split()
            return [client.fetch(n, "(RFC822)")[1][0][1] for n in numbers]

    def read_pop3(self, user):
        """All messages of the inbox."""
        with self.pop3(user) as client:
            count = client.stat()[0]
            return [b"\r\n".join(client.retr(n + 1)[1]) + b"\r\n" for n in range(count)]

    # ---- what became of a message ----

    def arrival(self, reply):
        """Of a message that was answered with `reply`: it is delivered before that."""
        queued = QUEUED_AS.search(reply.text)
        if reply.code != 250 or queued is None:
            return Arrival(Arrival.NOWHERE)
        return self.find(queued.group(1)) or Arrival(Arrival.NOWHERE)

    def find(self, queue_id):
        """The message of that queue id, in whose mailbox ever; None if there is none."""
        mark = f"id {queue_id}".encode()
        for user in self.users:
            for folder, place in FOLDERS.items():
                for raw in self.read_imap(user, folder):
                    if mark in raw.partition(b"\r\n\r\n")[0]:
                        return Arrival(place, raw)
        return None
