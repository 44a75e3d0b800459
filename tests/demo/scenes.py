# SPDX-License-Identifier: BSD-2-Clause
"""Seven messages, each a scene: who sends it, what must become of it."""

from dataclasses import dataclass, field

from lab.arrival import Arrival
from lab.mail import message
from stage import BOB, OUR_NAME, our_fields


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
        return message(author, subject, body, more, recipient=BOB)

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
        "The attacker's own domain is in perfect order, so SPF passes. The name that Bob would "
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
        "Bob's old university passes on what the bank sent him. The relay is not the bank's, so "
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


def play(stage):
    for scene in scenes(stage.lab.keys):
        stage.begin(scene.title, scene.story)
        ip, name = scene.client
        with stage.lab.client(ip, name, name) as client:
            reply = client.send(scene.sender, BOB, scene.raw)
        arrival = stage.lab.mta.arrival(reply)
        stage.row("comes from", f"{ip} ({name}), envelope <{scene.sender}>")
        stage.row("From:", f"{scene.author}   ({scene.policy})")
        stage.verdict(reply, arrival)
        stage.judge(faults(scene, reply, arrival))
