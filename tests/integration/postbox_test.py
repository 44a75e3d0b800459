#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""postbox with the real assayd behind it: what comes in by SMTP, is judged, and is read by IMAP and POP3.

Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from lab.mail import message
    from lab.postbox import Postbox
    from lab.world import Lab, why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

RECIPIENT = "bob@rcpt.example"
passed, failures = [], []


def expect(name, got, want):
    print(f"{'ok  ' if got == want else 'FAIL'} {name}", flush=True)
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"     got {got!r}, want {want!r}")


def send(lab, address, sender, author, subject):
    """The reply that the sender gets, with a forged field in the message."""
    forged = "Authentication-Results: mx.demo.example; dmarc=pass"
    with lab.client(address, "h.example") as client:
        return client.send(sender, RECIPIENT, message(author, subject, "Hello\n", [forged], RECIPIENT))


def play(lab):
    box = lab.mta
    reply = send(lab, "192.0.2.10", "news@bank.example", "news@bank.example", "one")
    expect("genuine mail is taken", reply.code, 250)
    reply = send(lab, "198.51.100.5", "x@evil.example", "ceo@bank.example", "two")
    expect("a forgery is refused", (reply.code, reply.text[:7]), (550, "5.7.26 "))
    reply = send(lab, "198.51.100.5", "x@evil.example", "sales@shop.example", "three")
    expect("mail to set aside is taken", reply.code, 250)
    reply = send(lab, "192.0.2.65", "someone@friend.example", "a@broken.example", "four")
    expect("mail that can't be judged now is put off", reply.code, 451)
    inbox = [m.decode() for m in box.read_imap("bob")]
    expect("INBOX", ["Subject: one" in m for m in inbox], [True])
    expect("Quarantine", [b"Subject: three" in m for m in box.read_imap("bob", "Quarantine")], [True])
    for m in inbox[:1]:
        expect("the forged field is gone, ours is on top",
               (m.count("Authentication-Results: mx.demo.example"), "dmarc=pass (p=reject" in m,
                m.index("Authentication-Results:") < m.index("Received:")), (1, True, True))
    expect("POP3 shows the inbox", len(box.read_pop3("bob")), 1)
    lab.assayd.stop()
    time.sleep(0.2)
    reply = send(lab, "192.0.2.10", "news@bank.example", "news@bank.example", "five")
    expect("without the filter mail is put off (--milter-default tempfail)", reply.code // 100, 4)


def main():
    reason = why_not(Postbox)
    if reason is not None:
        print(reason)
        return 77
    with Lab(mta=Postbox) as lab:
        play(lab)
        if failures:
            print("assayd said:\n" + lab.assayd.child.log() + "\npostbox said:\n" + lab.mta.log())
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
