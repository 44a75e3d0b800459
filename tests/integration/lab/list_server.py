# SPDX-License-Identifier: BSD-2-Clause
"""A mailing list on a host of its own: postbox takes the mail and sends it on, an assayd of its own judges what
comes in and seals what goes out, and between the two a list program of the plain sort.

It does what lists do: it puts its tag into Subject and a footer under the text, adds List-Id, and leaves
From as it is. The author's signature is broken by that, and SPF is the list's.
"""

import email.utils
import os
import re
import smtplib

from .arrival import QUEUED_AS
from .assayd import Assayd
from .postbox import Postbox
from .process import wait_until
from .smtp import Client, Reply

DOMAIN = "lists.example"
ADDRESS = f"talk@{DOMAIN}"
TAG = "[talk] "
FOOTER = b"_______________________________________________\r\ntalk mailing list, talk@lists.example\r\n"
RELAYED = re.compile(r"^postbox: (?P<id>\w+): to <[^>]*>: sent: \S+ said: (?P<said>.*)$", re.M)
SEALING = """
dkim_key "seal" {{
	domain = {domain}
	selector = {selector}
	key_file = "{file}"
}}
"""


def change(raw):
    """What the list program makes of a message."""
    header, _, body = raw.partition(b"\r\n\r\n")
    header = re.sub(rb"(?m)^(Subject: )", rb"\1" + TAG.encode(), header, count=1)
    header += f"\r\nList-Id: Talk <talk.{DOMAIN}>\r\nList-Post: <mailto:{ADDRESS}>".encode()
    return header + b"\r\n\r\n" + body + FOOTER


class ListServer:
    """To be started by lab.run(). key: of DOMAIN, published; bob's server must not trust 127.0.0.3."""

    def __init__(self, lab, key):
        self.lab = lab
        file = os.path.join(lab.folder, "seal.pem")
        with open(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(key.private)
        self.settings = settings = {
            "authserv_id": DOMAIN,
            "seal": "forwarded",
            "seal_key": "seal",
            "local_domains": [DOMAIN],
        }
        self.assayd = Assayd(lab.folder, lab.nsd.port, settings, name="assayd-list")
        self.sections = SEALING.format(domain=DOMAIN, selector=key.selector, file=file)
        self.assayd.configure(settings, self.sections)
        here = lab.mta
        self.postbox = Postbox(
            lab.folder, milter=self.assayd.socket, host=f"mail.{DOMAIN}", domain=DOMAIN, users=("talk",),
            address="127.0.0.3",
            more=("--relay", "--relay-for", "127.0.0.1", "--dns", f"127.0.0.1@{lab.nsd.port}", "--relay-map", f"127.0.0.1=127.0.0.1:{here.port}"),
        )
        self.taken = 0

    def start(self):
        self.assayd.start()
        self.postbox.start()

    def stop(self):
        self.postbox.stop()
        self.assayd.stop()

    def post(self, ip, name, sender, raw):
        """Somebody writes to the list: the reply, and the message as it lies in the list's mailbox."""
        with Client(self.postbox.port, ip, name, name, host=self.postbox.address) as client:
            reply = client.send(sender, ADDRESS, raw)
        if reply.code != 250:
            return reply, None
        arrived = self.postbox.read_imap("talk")[self.taken:]
        self.taken += len(arrived)
        return reply, arrived[-1]

    def send_on(self, raw, subscriber):
        """The list program sends it to a subscriber; what the subscriber's server said. It does not log in:
        what a login sends is never sealed as found by us."""
        seen = len(self.postbox.log())
        with smtplib.SMTP(self.postbox.address, self.postbox.port, timeout=60) as client:
            client.ehlo()
            client.mail(f"talk-bounces@{DOMAIN}")
            client.rcpt(subscriber)
            code, text = client.data(raw)
        if code != 250 or not QUEUED_AS.search(text.decode()):
            return Reply(code, text.decode())
        told = wait_until(lambda: relayed(self.postbox.log()[seen:]), 30, "the list's message to be relayed")
        return Reply(int(told[:3]), told[4:])


def relayed(log):
    """What the next server said, yes or no; None: nothing yet."""
    found = RELAYED.search(log)
    if found:
        return found["said"]
    refused = re.search(r"^postbox: \w+: to <[^>]*>: [^:]+: .*?said: (5.*)$", log, re.M)
    return refused[1] if refused else None


def letter(lab, author="news@bank.example", subject="Interest rates"):
    """What the bank's server sends to the list, signed."""
    from .mail import message  # dkimpy: not everybody has it

    raw = message(
        f"Bank <{author}>", subject, "They are rising.\n\nThe bank\n", recipient=ADDRESS, date=email.utils.formatdate()
    )
    return lab.keys["bank.example"].sign(raw)
