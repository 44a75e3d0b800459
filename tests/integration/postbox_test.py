#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""postbox with the real assayd behind it: what comes in by SMTP, is judged, and is read by IMAP and POP3.

Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import imaplib
import os
import poplib
import smtplib
import ssl
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from lab.assayd import Assayd, program
    from lab.dns import Nsd
    from lab.process import Child, remove_folder, temporary_folder, wait_until
    from lab.world import ZONE
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

PASSWORD = "not-a-secret"
passed, failures = [], []


def expect(name, got, want):
    print(f"{'ok  ' if got == want else 'FAIL'} {name}", flush=True)
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"     got {got!r}, want {want!r}")


def tls():
    """postbox makes its certificate at start: there is nobody to vouch for it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Postbox:
    def __init__(self, folder, milter):
        self.log_path = os.path.join(folder, "postbox.log")
        self.child = Child("postbox", [
            program("postbox"), "--host", "mx.demo.example", "--domain", "rcpt.example",
            "--user", f"alice:{PASSWORD}", "--any-port", "--print-ports", "--xclient", "127.0.0.0/8",
            "--milter", milter, "--verbose"], self.log_path)
        wait_until(lambda: "imaps=" in self.child.log(), 20, "postbox to listen")
        words = next(line for line in self.child.log().splitlines() if "imaps=" in line).split()
        self.ports = {k: int(v) for k, v in (w.split("=", 1) for w in words if "=" in w)}

    def send(self, address, sender, author, subject):
        """The code and text that the sender is told: at the end of DATA, or where he was stopped."""
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=30) as s:
            s.ehlo("client.example")
            code, text = s.docmd("XCLIENT", f"ADDR={address} NAME=[UNAVAILABLE] HELO=h.example")
            if code != 220:
                return code, text.decode()
            s.ehlo("h.example")
            code, text = s.mail(sender)
            if code != 250:
                return code, text.decode()
            s.rcpt("alice@rcpt.example")
            code, text = s.data(f"From: {author}\r\nTo: alice@rcpt.example\r\nSubject: {subject}\r\n"
                                f"Authentication-Results: mx.demo.example; dmarc=pass\r\n\r\nHello\r\n".encode())
            return code, text.decode()

    def read(self, folder):
        """All messages of a folder, over IMAP with TLS."""
        with imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=tls(), timeout=30) as m:
            m.login("alice", PASSWORD)
            if m.select(folder, readonly=True)[0] != "OK":
                return []
            numbers = m.search(None, "ALL")[1][0].split()
            return [m.fetch(n, "(RFC822)")[1][0][1].decode() for n in numbers]

    def count_by_pop3(self):
        box = poplib.POP3_SSL("127.0.0.1", self.ports["pop3s"], context=tls(), timeout=30)
        box.user("alice")
        box.pass_(PASSWORD)
        count = box.stat()[0]
        box.quit()
        return count


def play(box, assayd):
    expect("genuine mail is taken", box.send("192.0.2.10", "news@bank.example", "news@bank.example", "one")[0], 250)
    code, text = box.send("198.51.100.5", "x@evil.example", "ceo@bank.example", "two")
    expect("a forgery is refused", (code, text[:7]), (550, "5.7.26 "))
    expect("mail to set aside is taken",
           box.send("198.51.100.5", "x@evil.example", "sales@shop.example", "three")[0], 250)
    expect("mail that can't be judged now is put off",
           box.send("192.0.2.65", "someone@friend.example", "a@broken.example", "four")[0], 451)
    inbox, aside = box.read("INBOX"), box.read("Quarantine")
    expect("INBOX", [("Subject: one" in m) for m in inbox], [True])
    expect("Quarantine", [("Subject: three" in m) for m in aside], [True])
    for m in inbox[:1]:
        expect("the forged field is gone, ours is on top",
               (m.count("Authentication-Results: mx.demo.example"), "dmarc=pass (p=reject" in m,
                m.startswith("Authentication-Results:") or m.index("Authentication-Results:") < m.index("Received:")),
               (1, True, True))
    expect("POP3 shows the inbox", box.count_by_pop3(), 1)
    assayd.stop()
    time.sleep(0.2)
    expect("without the filter mail is put off (--milter-default tempfail)",
           box.send("192.0.2.10", "news@bank.example", "news@bank.example", "five")[0] // 100, 4)


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    parts = []
    try:
        with open(ZONE, encoding="ascii") as f:
            nsd = Nsd(folder, f.read(), broken=("broken.example",))
        parts.append(nsd)
        nsd.start()
        assayd = Assayd(folder, nsd.port)
        parts.append(assayd)
        assayd.start()
        box = Postbox(folder, assayd.socket)
        parts.append(box.child)
        play(box, assayd)
        if failures:
            print("assayd said:\n" + assayd.child.log() + "\npostbox said:\n" + box.child.log())
    finally:
        for part in reversed(parts):
            part.stop()
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
