# SPDX-License-Identifier: BSD-2-Clause
"""The ways of an SMTP connection: several messages, RSET, hanging up, other alphabets, size."""

import os
import time

from lab.mail import message
from lab.postfix import Arrival
from lab.process import wait_until

from .common import (
    BANK,
    EVIL,
    RECIPIENT,
    code,
    contains,
    expect,
    forgery,
    genuine,
    passes,
    place,
    results,
    same,
    send,
)

BIG_BYTES = 50 * 1024 * 1024
# What assayd may grow by while 50 MB pass: its own buffers, never the body.
BIG_GROWTH_KIB = 12 * 1024


def several_messages(lab):
    """Good, forged and good again on one connection: each gets its own verdict"""
    ip, name = BANK
    with lab.client(ip, name, name) as client:
        first = client.send("news@bank.example", RECIPIENT, genuine(lab))
        second = client.send("attacker@evil.example", RECIPIENT, forgery())
        third = client.send("news@bank.example", RECIPIENT, genuine(lab))
    code(first, "250")
    code(second, "550 5.7.26")
    code(third, "250")
    for reply in (first, third):
        contains(results(lab.postfix.arrival(reply)), "spf=pass", "dkim=pass", "dmarc=pass")


def reset(lab):
    """RSET in the middle: nothing of the first transaction is left in the second"""
    ip, name = EVIL
    with lab.client(ip, name, name) as client:
        code(client.mail("news@bank.example"), "250")
        code(client.rcpt(RECIPIENT), "250")
        code(client.rset(), "250")
        code(client.rset(), "250")
        reply = client.send("a@evil.example", RECIPIENT, message("a@evil.example", "x", "x\r\n"))
    code(reply, "250")
    field = results(lab.postfix.arrival(reply))
    contains(field, "spf=pass", "evil.example")
    same("bank.example" in field, False, "something of the first sender")


def hang_up(lab):
    """A client that goes away in DATA, in the header and in the body: no message, no harm"""
    for part in (b"From: a@bank.example\r\nSubj", genuine(lab)[:-5]):
        ip, name = BANK
        client = lab.client(ip, name, name)
        code(client.mail("news@bank.example"), "250")
        code(client.rcpt(RECIPIENT), "250")
        code(client.begin_data(), "354")
        client.raw(part)
        time.sleep(0.1)
        client.drop()
    passes(lab)
    wait_until(lab.postfix.queue_is_empty, 10, "an empty queue")
    expect(lab.assayd.child.alive(), "assayd alive", "dead")


def eight_bit(lab):
    """8BITMIME: octets above 127 in the body, also such as are no UTF-8"""
    body = b"Gr\xc3\xbc\xc3\x9fe\r\n\xff\xfe\x80\r\n"
    head = message("news@bank.example", "8 bit", "").rstrip(b"\r\n")
    head += b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8"
    head += b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    for canon in ("simple/simple", "relaxed/relaxed"):
        raw = lab.keys["bank.example"].sign(head + body, canon=canon)
        arrival = passes(lab, raw=raw, body8=True)
        contains(results(arrival), "dkim=pass")


def smtputf8(lab):
    """SMTPUTF8: an author and an envelope in other letters; names become A-labels (RFC 8616 5, 6)"""
    raw = message("Jürgen <jürgen@bücher.example>", "Grüße", "Hallö\r\n")
    raw = lab.keys["xn--bcher-kva.example"].sign(raw)
    ip, name = ("192.0.2.81", "mail.xn--bcher-kva.example")
    with lab.client(ip, name) as client:
        reply = client.send("jürgen@bücher.example", RECIPIENT, raw, utf8=True)
    code(reply, "250")
    field = results(lab.postfix.arrival(reply))
    contains(field, "spf=pass", "dkim=pass", "dmarc=pass", "header.from=xn--bcher-kva.example")
    ip, name = EVIL
    with lab.client(ip, name) as client:
        reply = client.send("jürgen@evil.example", RECIPIENT, raw + b"x\r\n", utf8=True)
    code(reply, "550 5.7.26")
    contains(reply.text, "xn--bcher-kva.example")


def fifty_megabytes(lab):
    """A signed message of 50 MB in bounded memory, whole hash and l=0 alike"""
    line = (b"0123456789abcdef" * 4)[:62] + b"\r\n"
    body = line * (BIG_BYTES // len(line))
    head = message("news@bank.example", "big", "")
    passes(lab)
    before = lab.assayd.memory_kib()
    for canon in ("simple/simple", "relaxed/relaxed"):
        raw = lab.keys["bank.example"].sign(head + body, canon=canon)
        began = time.monotonic()
        reply, arrival = send(lab, BANK, "news@bank.example", raw)
        code(reply, "250")
        place(arrival, Arrival.INBOX)
        contains(results(arrival), "dkim=pass", "dmarc=pass")
        print(f"     {canon}: {len(raw) >> 20} MB in {time.monotonic() - began:.1f} s")
    grown = lab.assayd.memory_kib() - before
    print(f"     assayd: {before} KiB before, {grown} KiB more at most")
    # A sanitizer keeps freed memory; there the bound means nothing.
    if not os.environ.get("ASSAY_SANITIZED"):
        expect(grown <= BIG_GROWTH_KIB, f"at most {BIG_GROWTH_KIB} KiB more", f"{grown} KiB")


def long_body_line(lab):
    """Bare dots, empty lines at the end, and a line of the longest length that survives Postfix"""
    body = "." * 900 + "\r\n.\r\n..\r\n" + "x" * 900 + "\r\n\r\n\r\n"
    for canon in ("simple/simple", "relaxed/relaxed"):
        passes(lab, raw=genuine(lab, body=body, canon=canon))


CASES = [
    several_messages,
    reset,
    hang_up,
    eight_bit,
    smtputf8,
    fifty_megabytes,
    long_body_line,
]
