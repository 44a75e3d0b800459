# SPDX-License-Identifier: BSD-2-Clause
"""What the cases share: senders, messages, and ways to say what was expected."""

import re
import sys
import time
import traceback

from lab.mail import message
from lab.postfix import Arrival

OUR_NAME = "mx.demo.example"
RECIPIENT = "user@rcpt.example"
BANK = ("192.0.2.1", "mail.bank.example")
SHOP = ("192.0.2.17", "mail.shop.example")
FRIEND = ("192.0.2.65", "mail.friend.example")
EVIL = ("198.51.100.5", "mail.evil.example")
RELAY = ("203.0.113.7", "relay.alumni.example")


class Failed(Exception):
    """A case did not get what it must."""


def expect(condition, what, got):
    if not condition:
        raise Failed(f"want {what}\n     got  {got}")


def same(got, want, what):
    expect(got == want, f"{what}: {want!r}", repr(got))


def contains(text, *parts):
    for part in parts:
        expect(part in text, f'"{part}" in it', text)


def code(reply, want):
    expect(str(reply).startswith(want), f"a reply that begins with {want}", reply)


def place(arrival, want):
    expect(arrival.place == want, f"it to arrive: {want}", arrival.place)


def genuine(lab, subject="Statement", body="Hello\r\nthere.\r\n", **sign_options):
    """A message of the bank with its signature."""
    raw = message("news@bank.example", subject, body)
    return lab.keys["bank.example"].sign(raw, **sign_options)


def forgery(subject="Urgent"):
    return message("ceo@bank.example", subject, "Pay this today.\r\n")


def send(lab, client, sender, raw, **options):
    """One message on a connection of its own: the reply, and where it arrived."""
    ip, name = client
    port = options.pop("port", None)
    with lab.client(ip, name, name, port=port) as connection:
        reply = connection.send(sender, RECIPIENT, raw, **options)
    return reply, lab.postfix.arrival(reply)


def results(arrival):
    """The field that we wrote, unfolded; there must be one, above our own Received."""
    ours = [
        v
        for v in arrival.fields("Authentication-Results")
        if v.split(";")[0].strip().lower() == OUR_NAME
    ]
    same(len(ours), 1, f"number of Authentication-Results of {OUR_NAME}")
    names = [name.lower() for name in arrival.names()]
    expect(
        names.index("authentication-results") < names.index("received"),
        "our field above our Received (RFC 8601 4.1)",
        names,
    )
    return ours[0]


def passes(lab, client=BANK, raw=None, **options):
    """A genuine message still goes through; returns what arrived."""
    reply, arrival = send(
        lab, client, "news@bank.example", raw if raw is not None else genuine(lab), **options
    )
    code(reply, "250 2.0.0")
    place(arrival, Arrival.INBOX)
    contains(results(arrival), "dmarc=pass")
    return arrival


def one_line(reply):
    expect(re.fullmatch(r"[ -~]+", reply.text) is not None, "a reply of printable ASCII", reply)


def run_cases(cases, wanted, play, logs, after=lambda: None):
    """play(case) for each, or for those named in wanted, and after() it. logs: name -> what it has said by now, shown
    of a case that failed. The exit status."""
    passed = failed = 0
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        seen, began = {name: len(log()) for name, log in logs.items()}, time.monotonic()
        try:
            play(case)
        except Exception as why:
            failed += 1
            print(f"FAIL {case.__name__}: {case.__doc__}\n     {why}")
            if not isinstance(why, Failed):
                traceback.print_exc(file=sys.stdout)
            for name, log in logs.items():
                print(f"     {name} said:\n{log()[seen[name]:][-3000:]}", flush=True)
        else:
            passed += 1
            print(f"ok   {case.__name__}: {case.__doc__} ({time.monotonic() - began:.1f} s)", flush=True)
        after()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0
