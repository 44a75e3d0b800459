# SPDX-License-Identifier: BSD-2-Clause
"""A message through a mailing list, three times: the list seals it, and bob's server trusts the list, or not.

The list's server is always a postbox, with an assayd of its own that judges what comes in and seals what goes
out. The list program tags the subject and adds a footer, which breaks the author's signature.
"""

from lab import list_server
from lab.arrival import Arrival
from lab.list_server import ListServer
from stage import BOB, our_fields

BANK = ("192.0.2.1", "mail.bank.example")


def play(stage):
    lab = stage.lab
    server = lab.run(ListServer(lab, lab.keys["lists.example"]))
    rounds = (
        (
            "A list that is trusted",
            "The bank writes to a mailing list, which tags the subject, adds a footer, and seals what it found when "
            "the message came in (ARC). Bob's server trusts that list: trusted_sealers = { lists.example }.",
            {"trusted_sealers": [list_server.DOMAIN]},
            Arrival.INBOX,
            ["dmarc=fail", "arc=pass", "override=local_policy: arc=pass as[1].d=lists.example"],
        ),
        (
            "The same list, not trusted",
            "The chain passes as before, but nobody has said that this list is to be believed. assayd finds what the "
            "list has done to the bank's signature, so the message is set aside and not refused (list_rule).",
            {},
            Arrival.HOLD,
            ["dmarc=fail", "arc=pass", "override=mailing_list", "is valid without the last"],
        ),
        (
            "Not trusted, and no rule for lists",
            "list_rule = no: the bank asks that what fails be refused, and so it is.",
            {"list_rule": False},
            Arrival.NOWHERE,
            [],
        ),
    )
    for title, story, settings, place, says in rounds:
        stage.begin(title, story)
        lab.assayd.configure({**lab.settings, **settings})
        lab.assayd.reload()
        one(stage, server, place, says)
    lab.assayd.configure(lab.settings)
    lab.assayd.reload()


def one(stage, server, place, says):
    """From the bank by the list to bob."""
    raw = list_server.letter(stage.lab)
    reply, arrived = server.post(*BANK, "news@bank.example", raw)
    stage.row("the bank", f"writes to {list_server.ADDRESS}: {reply}")
    if arrived is None:
        stage.judge(["the list must take it"])
        return
    stage.row("the list", f'puts "{list_server.TAG.strip()}" into Subject, adds {len(list_server.FOOTER)} bytes, seals, sends it on')
    told = server.send_on(list_server.change(arrived), BOB)
    arrival = stage.lab.mta.arrival(told)
    stage.verdict(told, arrival)
    found = [] if arrival.place == place else [f"it must arrive: {place}"]
    text = " ".join(our_fields(arrival))
    stage.judge(found + [f'"{part}" must stand there' for part in says if part not in text])
