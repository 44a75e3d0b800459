#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A message through a mailing list that changes it: sealed there by one assayd, judged behind it by another, with
and without trust in the list. Three postboxes, two assayds, nsd, and dkimpy as a second opinion on the chain.

Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import dkim
    from lab import list_server
    from lab.arrival import Arrival
    from lab.assayd import program
    from lab.list_server import ListServer
    from lab.mail import message
    from lab.postbox import Postbox
    from lab.world import Lab, why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

BOB = "bob@rcpt.example"
NOT_LOCAL = {"trusted_networks": ["::1"]}  # the list's server sends from 127.0.0.3
TRUST = {**NOT_LOCAL, "trusted_sealers": ["lists.example"]}
passed, failures = [], []


def expect(name, got, want):
    print(f"{'ok  ' if got == want else 'FAIL'} {name}", flush=True)
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"     got {got!r}, want {want!r}")


def contains(name, text, *parts):
    expect(name, [p for p in parts if p not in text], [])


def by_dkimpy(lab, raw):
    """What another implementation says of the chain."""

    def txt(name, timeout=5):
        name = name.decode().rstrip(".")
        for key in lab.keys.values():
            if name == f"{key.selector}._domainkey.{key.domain}":
                return key.record.encode()
        return None

    cv, _, reason = dkim.arc_verify(raw, dnsfunc=txt)
    return (cv or b"").decode() or reason


def post(lab, server, raw):
    """To the list, through its program, on to bob: what his server said, and what arrived."""
    reply, arrived = server.post("192.0.2.1", "mail.bank.example", "news@bank.example", raw)
    expect("the list takes it", reply.code, 250)
    told = server.send_on(list_server.change(arrived), BOB)
    return told, lab.mta.arrival(told), arrived


def configure(lab, settings):
    lab.assayd.configure(settings)
    lab.assayd.reload()


def log_line(lab, seen):
    return lab.assayd.new_lines(seen)[-1]


def trusted(lab, server):
    configure(lab, TRUST)
    seen = len(lab.assayd.child.log())
    told, arrival, arrived = post(lab, server, list_server.letter(lab))
    expect("trusted: it arrives", (told.code, arrival.place), (250, Arrival.INBOX))
    if arrival.place != Arrival.INBOX:
        return
    contains("the list's server wrote what it found", " ".join(arrived.decode().split()),
             "Authentication-Results: lists.example;", "dmarc=pass", "header.from=bank.example")
    names = [n.lower() for n in arrival.names()]
    order = ["authentication-results", "arc-seal", "arc-message-signature", "arc-authentication-results"]
    expect("one set, in order, and no field of the list's under its name", [n for n in names if n in order], order)
    aar = arrival.fields("ARC-Authentication-Results")[0]
    contains("its results are those of the first hop", aar, "i=1; lists.example;", "dmarc=pass", "spf=pass",
             "header.from=bank.example")
    contains("the seal", arrival.fields("ARC-Seal")[0], "i=1;", "cv=none;", "d=lists.example;")
    results = arrival.fields("Authentication-Results")[0]
    contains("bob's server says how it went", results, "dmarc=fail", "arc=pass", "header.d=lists.example",
             "smtp.remote-ip=127.0.0.3", "override=local_policy: arc=pass as[1].d=lists.example as[1].s=rsa1",
             "dis=none")
    contains("so does its log", log_line(lab, seen), "action=accept", "override=local_policy", "arc=pass",
             'valid without the last ', 'without \\x22[talk]\\x22 in Subject')
    expect("dkimpy validates the chain", by_dkimpy(lab, arrival.raw), "pass")
    check_diagnosis(lab, arrival.raw)
    second_hop(lab, server, arrival.raw)


def check_diagnosis(lab, raw):
    """assay check, told where it came from, says what broke the author's signature."""
    done = subprocess.run(
        [program("assay"), "check", "--config", lab.assayd.conf_path, "--ip", "127.0.0.3", "--from",
         "talk-bounces@lists.example", "--json", "-"],
        input=raw, capture_output=True, timeout=60, check=False)
    found = [s["diagnosis"] for s in json.loads(done.stdout)["dkim"] if s["domain"] == "bank.example"][0]
    expect("assay check: what was changed", (found["complete"], found["changes"], found["bytes"]),
           (True, ["footer", "subject"], len(list_server.FOOTER)))


def second_hop(lab, server, raw):
    """The same message comes to the list once more, and leaves as set 2; with a footer more, cv stays pass."""
    told, arrival, _ = post(lab, server, raw)
    expect("a second round: it arrives", (told.code, arrival.place), (250, Arrival.INBOX))
    seals = arrival.fields("ARC-Seal")
    expect("two seals", [("i=2" in s, "cv=pass" in s) for s in seals], [(True, True), (False, False)])
    expect("dkimpy validates both", by_dkimpy(lab, arrival.raw), "pass")


def untrusted(lab, server):
    """The list rule sets it aside, for the author's signature shows a list's work; without it, it is refused."""
    configure(lab, NOT_LOCAL)
    seen = len(lab.assayd.child.log())
    told, arrival, _ = post(lab, server, list_server.letter(lab))
    expect("not trusted: it is set aside", (told.code, arrival.place), (250, Arrival.HOLD))
    contains("because", log_line(lab, seen), "override=mailing_list", "list talk.lists.example; DKIM of bank.example is valid")
    configure(lab, {**NOT_LOCAL, "list_rule": False})
    told, arrival, _ = post(lab, server, list_server.letter(lab))
    expect("without the list rule: it is refused", (told.code, arrival.place), (550, Arrival.NOWHERE))
    configure(lab, {**TRUST, "on_trusted_seal": "quarantine"})
    told, arrival, _ = post(lab, server, list_server.letter(lab))
    expect("on_trusted_seal = quarantine", (told.code, arrival.place), (250, Arrival.HOLD))


def forged(lab, server):
    """The list seals what it lets through, a forgery too; its results say so, and trust does not help."""
    configure(lab, {**TRUST, "list_rule": False})
    server.assayd.configure({**server.settings, "on_policy_reject": "accept"}, server.sections)
    server.assayd.reload()
    raw = message("CEO <ceo@bank.example>", "Urgent", "Pay.\n", recipient=list_server.ADDRESS)
    reply, arrived = server.post("198.51.100.5", "mail.evil.example", "x@evil.example", raw)
    expect("a careless list takes a forgery", reply.code, 250)
    told = server.send_on(list_server.change(arrived), BOB)
    expect("bob's server does not", told.code, 550)
    own = message("CEO <ceo@bank.example>", "Urgent", "Pay.\n", [
        "Authentication-Results: lists.example; dmarc=pass header.from=bank.example"], list_server.ADDRESS)
    reply, arrived = server.post("198.51.100.5", "mail.evil.example", "x@evil.example", own)
    told = server.send_on(list_server.change(arrived), BOB)
    expect("nor one that brought results in the list's name", (reply.code, told.code), (250, 550))


def main():
    reason = why_not(Postbox)
    if reason is not None:
        print(reason)
        return 77
    with Lab(NOT_LOCAL, mta=Postbox) as lab:
        server = lab.run(ListServer(lab, lab.keys["lists.example"]))
        for play in (trusted, untrusted, forged):
            play(lab, server)
        if failures:
            print("bob's assayd said:\n" + lab.assayd.child.log() + "\nthe list's:\n" + server.assayd.child.log())
            print("the list's postbox:\n" + server.postbox.log()[-3000:])
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
