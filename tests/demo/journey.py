# SPDX-License-Identifier: BSD-2-Clause
"""One message all the way: alice's client, her server, MX, bob's server with assayd, bob's client.

Alice's server is always a postbox: it takes mail only from her, and only over TLS, and relays it to
the MX of the recipient's domain as DNS says. Bob's is the server of the laboratory; he reads his mail
by IMAP and POP3 where that is a postbox (Postfix has neither, his mailbox is a folder there). Both
servers ask the same assayd: for alice's it signs what she submits, for bob's it judges what comes.
"""

import email.utils
import os
import re
import smtplib

from lab.arrival import QUEUED_AS, Arrival
from lab.mail import message
from lab.postbox import PASSWORD, Postbox, anyone
from lab.process import wait_until
from lab.smtp import Reply
from stage import BOB, OUR_NAME, our_fields

ALICE = "alice@alice.example"
RELAYED = re.compile(r"^postbox: (?P<id>\w+): to <(?P<to>[^>]*)>: sent: (?P<host>\S+) said: (?P<said>.*)$", re.M)
WANTED = ("spf=pass", "dkim=pass", "header.d=alice.example", "dmarc=pass")
KEY = 'dkim_key "alice" {{ domain = alice.example selector = rsa1 key_file = "{path}" }}\n'


def let_assayd_sign(lab):
    """It gets the key that DNS publishes; only who has logged in is signed for."""
    path = os.path.join(lab.folder, "alice.pem")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(lab.keys["alice.example"].private)
    lab.assayd.configure({**lab.settings, "sign_networks": ["::1"]}, KEY.format(path=path))
    lab.assayd.reload()


def alices_server(lab):
    """It has an address of its own; port 25 of bob's server is where that really listens."""
    here = lab.mta
    return lab.run(
        Postbox(
            lab.folder, milter=lab.assayd.socket, host="mail.alice.example", domain="alice.example", users=("alice",),
            address="127.0.0.2",
            more=("--relay", "--dns", f"127.0.0.1@{lab.nsd.port}", "--relay-map", f"127.0.0.1=127.0.0.1:{here.port}"),
        )
    )


def submit(server, raw):
    """As Alice's mail program does it; a line about the connection, and the reply."""
    with smtplib.SMTP(server.address, server.ports["submission"], timeout=60) as client:
        client.starttls(context=anyone())
        client.login("alice", PASSWORD)
        version, (cipher, _, _) = client.sock.version(), client.sock.cipher()
        client.mail(ALICE)
        client.rcpt(BOB)
        code, text = client.data(raw)
        return f"{version}, {cipher}, AUTH as alice", Reply(code, text.decode())


def letter():
    return message(
        f"Alice <{ALICE}>", "The journey", "Dear Bob,\n\n.this line begins with a dot.\n\nAlice\n",
        recipient=BOB, date=email.utils.formatdate(),
    )


def relayed(server):
    """What bob's server said, as alice's log has it."""
    return wait_until(lambda: RELAYED.search(server.log()), 30, "the message to be relayed")


def read(stage, raw, faults):
    """Bob reads it in both ways; they must agree, and be what Alice wrote."""
    mta = stage.lab.mta
    if not isinstance(mta, Postbox):
        stage.row("bob reads", "the file in his mailbox")
        return
    by_imap = [m for m in mta.read_imap("bob") if b"Subject: The journey" in m]
    by_pop3 = [m for m in mta.read_pop3("bob") if b"Subject: The journey" in m]
    stage.row("bob reads", f"IMAP, TLS, port {mta.ports['imaps']}: {sum(map(len, by_imap))} bytes")
    stage.row("", f"POP3, TLS, port {mta.ports['pop3s']}: {sum(map(len, by_pop3))} bytes")
    if len(by_imap) != 1 or by_imap != by_pop3:
        faults.append("IMAP and POP3 must show the same message, once")
    elif not by_imap[0].endswith(raw):
        faults.append("it must end in what alice sent, byte for byte")


def play(stage):
    lab, faults = stage.lab, []
    stage.begin(
        "A message's whole journey",
        "Alice's mail program submits it to her server, which has assayd sign it, finds the MX of Bob's domain and "
        "relays it; Bob's server asks assayd, and Bob reads it.",
    )
    let_assayd_sign(lab)
    server = alices_server(lab)
    raw = letter()
    connection, accepted = submit(server, raw)
    stage.row("alice", f"submits to {server.host} ({server.address}), port {server.ports['submission']}: {connection}")
    stage.row("", str(accepted), "green" if accepted.code < 400 else "red")
    if accepted.code != 250:
        stage.judge(["alice's server must take it"])
        return
    sent = relayed(server)
    stage.row("her server", f"relays to the MX of {BOB.partition('@')[2]}: {sent['host']}")
    reply = Reply(int(sent["said"][:3]), sent["said"][4:])
    arrival = lab.mta.arrival(reply)
    stage.verdict(reply, arrival)
    read(stage, raw, faults)
    stage.judge(faults + judge(arrival, QUEUED_AS.search(accepted.text)))
    lab.assayd.configure(lab.settings)
    lab.assayd.reload()


def judge(arrival, queued):
    found = []
    ours = our_fields(arrival)
    if arrival.place != Arrival.INBOX:
        found.append(f"it must arrive: {Arrival.INBOX}")
    if len(ours) != 1:
        found.append(f"there must be one Authentication-Results of {OUR_NAME}, not {len(ours)}")
    found += [f'"{part}" must stand there' for part in WANTED if part not in " ".join(ours)]
    hops = arrival.fields("Received")
    if len(hops) != 2 or queued is None or queued.group(1) not in hops[-1]:
        found.append("it must have two Received fields, alice's server's below")
    elif "with ESMTPSA" not in hops[1]:
        found.append("alice's server must say that she came by TLS and AUTH")
    return found
