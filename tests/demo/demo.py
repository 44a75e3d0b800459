#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Seven messages through a real Postfix with assayd attached, told to a person.

Each is checked against what must become of it; the exit status is 0 only when all went that way.
Run by ./quickstart; needs root for Postfix. Leaves nothing running and no file.
"""

import os
import sys
import textwrap
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from lab.mail import message  # noqa: E402
from lab.postfix import Arrival  # noqa: E402
from lab.process import LabError  # noqa: E402
from lab.world import Lab, why_not  # noqa: E402

OUR_NAME = "mx.demo.example"
RECIPIENT = "alice@rcpt.example"
WIDTH = 92


class Paint:
    """Colours for a terminal, plain text for everything else."""

    def __init__(self, out):
        on = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"} if on else {}
        try:
            "✓─".encode(out.encoding or "ascii")
            self.ok, self.no, self.rule = "✓", "✗", "─"
        except (UnicodeEncodeError, LookupError):
            self.ok, self.no, self.rule = "ok:", "NO:", "-"

    def __call__(self, style, text):
        code = self.codes.get(style)
        return f"\033[{code}m{text}\033[0m" if code else text


@dataclass
class Scene:
    """One message, where it comes from, and what must become of it."""

    title: str
    story: str
    client: tuple  # address, name
    sender: str
    author: str
    policy: str  # what the author domain asks for, in words
    raw: bytes
    code: str  # how the reply must begin
    place: str
    says: list = field(default_factory=list)  # of the field that assay wrote, or of the reply
    says_not: list = field(default_factory=list)  # of any header field of the message that arrived


def scenes(keys):
    bank, shop, friend = keys["bank.example"], keys["shop.example"], keys["friend.example"]
    attacker = ("198.51.100.5", "mail.evil.example")
    alumni = ("203.0.113.7", "relay.alumni.example")

    def letter(author, subject, body, more=()):
        return message(author, subject, body, more, recipient=RECIPIENT)

    statement = bank.sign(
        keys["ed25519"].sign(
            letter("Bank <news@bank.example>", "Your statement", "It is ready.\n")
        )
    )
    yield Scene(
        "A genuine message",
        "The bank's own server sends it; SPF agrees, and two DKIM signatures (RSA, Ed25519) verify.",
        ("192.0.2.1", "mail.bank.example"),
        "news@bank.example",
        "news@bank.example",
        "its domain publishes p=reject",
        statement,
        "250 2.0.0",
        Arrival.INBOX,
        ["spf=pass", "dkim=pass", "header.a=ed25519-sha256", "dmarc=pass"],
    )
    yield Scene(
        "The classic forgery",
        "The attacker's own domain is in perfect order, so SPF passes. The name that Alice would "
        "see in From: is not his.",
        attacker,
        "attacker@evil.example",
        "ceo@bank.example",
        "its domain publishes p=reject",
        letter("CEO <ceo@bank.example>", "Urgent", "Pay this today.\n"),
        "550 5.7.26",
        Arrival.NOWHERE,
        ["bank.example", "evil.example", "reject"],
    )
    yield Scene(
        "A forwarded message",
        "Alice's old university passes on what the bank sent her. The relay is not the bank's, so "
        "SPF fails; the signature survives the way, and is enough.",
        alumni,
        "news@bank.example",
        "news@bank.example",
        "its domain publishes p=reject",
        statement,
        "250 2.0.0",
        Arrival.INBOX,
        ["spf=fail", "dkim=pass", "dmarc=pass"],
    )
    offer = shop.sign(letter("Shop <sales@shop.example>", "Offer", "Three for two.\n"))
    yield Scene(
        "A message broken on the way",
        "The same relay adds a line to a message of the shop. The signature no longer fits the "
        "body; the shop asks that such mail be set aside.",
        alumni,
        "sales@shop.example",
        "sales@shop.example",
        "its domain publishes p=quarantine",
        offer + b"-- \r\nForwarded by your university\r\n",
        "250 2.0.0",
        Arrival.HOLD,
        ["spf=fail", "dkim=fail", "dmarc=fail"],
    )
    yield Scene(
        "A subdomain that does not exist",
        "The city has no policy for itself (p=none), but says that names it never made are forged.",
        attacker,
        "attacker@evil.example",
        "tax@office.city.example",
        "the city publishes p=none; np=reject",
        letter("Tax office <tax@office.city.example>", "Refund", "Click here.\n"),
        "550 5.7.26",
        Arrival.NOWHERE,
        ["office.city.example", "reject"],
    )
    forged = f"Authentication-Results: {OUR_NAME}; dmarc=pass header.from=bank.example"
    yield Scene(
        "A forged Authentication-Results",
        f"The sender writes his own certificate, in the name of {OUR_NAME}. It is removed; what "
        "another server wrote stays.",
        attacker,
        "attacker@evil.example",
        "attacker@evil.example",
        "its domain publishes no DMARC policy",
        letter(
            "attacker@evil.example",
            "Trust me",
            "I was checked.\n",
            [forged, "Authentication-Results: mx.elsewhere.example; spf=none"],
        ),
        "250 2.0.0",
        Arrival.INBOX,
        ["spf=pass", "dmarc=none"],
        ["header.from=bank.example"],
    )
    yield Scene(
        "A domain whose DNS is out of order",
        "Nobody can tell now whether this is genuine, so the sender is asked to come again.",
        ("192.0.2.65", "mail.friend.example"),
        "someone@friend.example",
        "someone@broken.example",
        "the server of its domain answers SERVFAIL",
        friend.sign(letter("someone@broken.example", "Hello", "Are you there?\n")),
        "451 4.",
        Arrival.NOWHERE,
        ["broken.example"],
    )


def faults(scene, reply, arrival):
    """What is not as it must be, in words."""
    found = []
    if not str(reply).startswith(scene.code):
        found.append(f"the reply must begin with {scene.code}")
    if arrival.place != scene.place:
        found.append(f"it must arrive: {scene.place}")
    if scene.place == Arrival.NOWHERE:
        text = str(reply)
    else:
        ours = our_fields(arrival)
        if len(ours) != 1 or arrival.names()[:1] == []:
            found.append(f"there must be one Authentication-Results of {OUR_NAME}, not {len(ours)}")
        text = " ".join(ours)
    found += [f'"{part}" must stand there' for part in scene.says if part not in text]
    every = " ".join(arrival.fields("Authentication-Results"))
    found += [f'"{part}" must be gone' for part in scene.says_not if part in every]
    return found


def our_fields(arrival):
    fields = arrival.fields("Authentication-Results")
    return [v for v in fields if v.split(";")[0].strip().lower() == OUR_NAME]


def our_field_as_written(arrival):
    """The lines of it, folded as assay folded them."""
    for name, value in arrival.message.items():
        if name.lower() == "authentication-results" and OUR_NAME in str(value).split(";")[0]:
            lines = f"{name}: {value}".splitlines()
            return [lines[0]] + ["    " + line.strip() for line in lines[1:]]
    return []


class Stage:
    """Shows scenes, counts what went wrong."""

    def __init__(self, lab):
        self.lab, self.paint, self.failed, self.shown = lab, Paint(sys.stdout), 0, 0

    def row(self, label, text, style=None):
        lines = text if isinstance(text, list) else textwrap.wrap(text, WIDTH - 15)
        for i, line in enumerate(lines or [""]):
            head = f"   {label if i == 0 else '':<11} "
            print(self.paint("dim", head) + (self.paint(style, line) if style else line))

    def play(self, scene):
        self.shown += 1
        title = f" {self.shown}  {scene.title} "
        print(self.paint("bold", title) + self.paint("dim", self.paint.rule * (WIDTH - len(title))))
        for line in textwrap.wrap(scene.story, WIDTH - 3):
            print("   " + line)
        ip, name = scene.client
        with self.lab.client(ip, name, name) as client:
            reply = client.send(scene.sender, RECIPIENT, scene.raw)
        arrival = self.lab.postfix.arrival(reply)
        self.row("comes from", f"{ip} ({name}), envelope <{scene.sender}>")
        self.row("From:", f"{scene.author}   ({scene.policy})")
        self.row("is told", str(reply), "green" if reply.code < 400 else "red")
        self.row("arrives", {"inbox": "in Alice's inbox", "hold queue": "in Postfix's hold queue"}.get(
            arrival.place, "nowhere"), "bold")
        if arrival.place != Arrival.NOWHERE:
            self.row("assay wrote", our_field_as_written(arrival), "cyan")
        self.judge(faults(scene, reply, arrival))

    def judge(self, found):
        if not found:
            print(self.paint("green", f"   {self.paint.ok} as it must be\n"))
            return
        self.failed += 1
        for fault in found:
            print(self.paint("red", f"   {self.paint.no} {fault}"))
        print()


def main():
    reason = why_not()
    if reason is not None:
        print(f"demo: can't run here: {reason}", file=sys.stderr)
        return 1
    try:
        with Lab() as lab:
            return show(lab)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def show(lab):
    stage = Stage(lab)
    print(
        f"\nRunning in {lab.folder}: nsd on port {lab.nsd.port}, Postfix on port {lab.postfix.port}, "
        f"assayd on a Unix socket.\nAll mail is for {RECIPIENT}; {OUR_NAME} takes it.\n"
    )
    for scene in scenes(lab.keys):
        stage.play(scene)
    done = stage.shown - stage.failed
    verdict = f"{done} of {stage.shown} messages went where they must."
    print(stage.paint("green" if stage.failed == 0 else "red", verdict))
    if stage.failed == 0:
        print("Next: README.md shows how to attach assayd to your own Postfix.")
    else:
        print("assayd's log of the run:\n" + lab.assayd.child.log())
    return 1 if stage.failed else 0


if __name__ == "__main__":
    sys.exit(main())
