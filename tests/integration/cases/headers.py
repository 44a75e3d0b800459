# SPDX-License-Identifier: BSD-2-Clause
"""Header fields that a filter can spoil, and those that lie."""

from lab.mail import message
from lab.postfix import Arrival

from .common import EVIL, OUR_NAME, code, contains, passes, place, results, same, send

ODD = [
    "X-Folded: one\r\n\ttwo\r\n   three",
    "X-Folded-At-Once:\r\n value",
    "X-No-Blank:value",
    "X-Two-Blanks:  value",
    "X-Tab:\tvalue",
    "X-Blanks-Behind: value  ",
    "X-Empty:",
    "x-LOWER-and-UPPER: Value",
    "X-Twice: first",
    "X-Twice: second",
    "X-Percent: 100% %s %n %%",
]
ODD_NAMES = sorted({line.split(":")[0] for line in ODD})
CANONS = ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed")


def _signed(lab, canon, more):
    raw = message("news@bank.example", "Odd  subject", "a  b \r\n\r\n.\r\n..\r\n\r\n", more)
    names = ["From", "To", "Subject", "Date", *(n for n in ODD_NAMES if more)]
    return lab.keys["bank.example"].sign(raw, canon=canon, fields=names)


def odd_fields(lab):
    """Folded and odd fields: the signature survives in all four canonicalizations"""
    for canon in CANONS:
        arrival = passes(lab, raw=_signed(lab, canon, ODD))
        contains(results(arrival), "dkim=pass")
        names = arrival.names()
        for name in ODD_NAMES:
            same(names.count(name), sum(x.startswith(name + ":") for x in ODD), name)


def without_leading_blanks(lab):
    """An MTA that strips the blank behind the colon (milter protocol 4): we put it back"""
    port = lab.postfix.old_port
    for canon in CANONS:
        arrival = passes(lab, raw=_signed(lab, canon, []), port=port)
        contains(results(arrival), "dkim=pass")
    for canon in CANONS[2:]:
        passes(lab, raw=_signed(lab, canon, ODD), port=port)


def inserted_blank(lab):
    """Our field has exactly one blank behind its colon, with both kinds of MTA"""
    for port in (lab.postfix.port, lab.postfix.old_port):
        arrival = passes(lab, port=port)
        contains(arrival.raw.decode(), f"Authentication-Results: {OUR_NAME};")


def forged_results(lab):
    """Of several Authentication-Results those in our name go, whatever their form; others stay
    (RFC 8601 5, 7.1, 2.6)"""
    ours = [
        f"Authentication-Results: {OUR_NAME}; dmarc=pass header.from=forged1.example",
        f"Authentication-Results: {OUR_NAME.upper()} 1; spf=pass smtp.mailfrom=forged2.example",
        f"Authentication-Results: (hello) {OUR_NAME} (there) ; dkim=pass header.d=forged3.example",
        f'Authentication-Results:\r\n "{OUR_NAME}"\r\n ; dmarc=pass header.from=forged4.example',
        f"authentication-results: {OUR_NAME}; none",
    ]
    others = [
        "Authentication-Results: other.example; spf=pass smtp.mailfrom=kept1.example",
        f"Authentication-Results: {OUR_NAME}.evil; spf=pass smtp.mailfrom=kept2.example",
        f"Authentication-Results: not-{OUR_NAME}; spf=pass smtp.mailfrom=kept3.example",
    ]
    more = [ours[0], others[0], ours[1], ours[2], others[1], ours[3], ours[4], others[2]]
    raw = message("a@evil.example", "Trust me", "x\r\n", more)
    reply, arrival = send(lab, EVIL, "a@evil.example", raw)
    code(reply, "250")
    place(arrival, Arrival.INBOX)
    results(arrival)
    every = arrival.fields("Authentication-Results")
    same([v for v in every if "forged" in v], [], "forged fields left")
    same(every[1:], [line.split(": ", 1)[1] for line in others], "fields of others, in order")


def injection(lab):
    """Nothing that a sender says can put a line of its own into our field or reply (RFC 8601 7.8)"""
    sender = '"a;dmarc=pass b\\"c"@evil.example'
    raw = message('"x; dkim=pass" <a@evil.example>', "x", "x\r\n")
    reply, arrival = send(lab, EVIL, sender, raw)
    code(reply, "250")
    field = results(arrival)
    contains(field, "dmarc=none")
    for line in arrival.raw.split(b"\n\n")[0].split(b"\n"):
        same(line.startswith(b"dmarc="), False, "a header line of the sender's making")


CASES = [odd_fields, without_leading_blanks, inserted_blank, forged_results, injection]
