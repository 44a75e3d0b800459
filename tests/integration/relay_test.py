#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""postbox as a sender: MX, preference, 4xx and 5xx, bounces, a queue that lasts, nothing beyond loopback.

The other side is a server of few words (Sink) on loopback addresses of its own, DNS a real nsd.
Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import email
import os
import re
import signal
import smtplib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from lab.dns import Nsd
    from lab.postbox import PASSWORD, Postbox, anyone
    from lab.process import free_ports, remove_folder, temporary_folder, wait_until
    from lab.sink import Sink
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

ALICE = "alice@alice.example"
ONE, TWO, THREE = "127.0.0.11", "127.0.0.12", "127.0.0.13"
ZONE = f"""\
$ORIGIN .
$TTL 300
. IN SOA ns.lab.example. hostmaster.lab.example. 1 3600 600 86400 300
. IN NS ns.lab.example.
ns.lab.example. IN A 127.0.0.1
one.example. IN A {ONE}
two.example. IN A {TWO}
down.example. IN A 127.0.0.14
far.example. IN A 192.0.2.9
mapped.example. IN A 192.0.2.10
mail.alice.example. IN A 127.0.0.1
both.example. IN MX 20 two.example.
both.example. IN MX 10 one.example.
half.example. IN MX 5 down.example.
half.example. IN MX 10 nowhere.example.
half.example. IN MX 20 two.example.
null.example. IN MX 0 .
bare.example. IN A {ONE}
away.example. IN MX 10 far.example.
moved.example. IN MX 10 mapped.example.
loop.example. IN MX 10 mail.alice.example.
loop.example. IN MX 20 two.example.
backup.example. IN MX 10 two.example.
backup.example. IN MX 20 mail.alice.example.
backup.example. IN MX 30 one.example.
"""
passed, failures = [], []


def expect(name, got, want):
    good = got == want
    print(f"{'ok  ' if good else 'FAIL'} {name}" + ("" if good else f": got {got!r}, want {want!r}"), flush=True)
    (passed if good else failures).append(name)


class World:
    """nsd, three sinks on one port, and the postbox that sends."""

    def __init__(self, folder):
        self.folder = folder
        self.nsd = Nsd(folder, ZONE, broken=("broken.example",))
        self.nsd.start()
        self.port, other = free_ports(2)
        self.one, self.two = Sink(ONE, self.port), Sink(TWO, self.port)
        self.three = Sink(THREE, other)
        os.mkdir(os.path.join(folder, "mail"))
        self.box = self.make_box("mail")

    def make_box(self, maildir, *more):
        return Postbox(
            self.folder, host="mail.alice.example", domain="alice.example", users=("alice",), more=(
                "--relay", "--dns", f"127.0.0.1@{self.nsd.port}", "--relay-port", str(self.port),
                "--relay-map", f"192.0.2.10={THREE}:{self.three.port}", "--relay-retry", "300",
                "--relay-lifetime", "5000", "--timeout", "1500",
                "--maildir", os.path.join(self.folder, maildir), *more))

    def submit(self, *recipients, subject="x", sender=ALICE, text="Hello\r\n", options=()):
        """The reply to DATA."""
        with smtplib.SMTP(self.box.address, self.box.ports["submission"], timeout=30) as client:
            client.starttls(context=anyone())
            client.login("alice", PASSWORD)
            client.mail(sender, options)
            for recipient in recipients:
                client.rcpt(recipient)
            return client.data(f"From: {ALICE}\r\nSubject: {subject}\r\n\r\n{text}".encode())[0]

    def bounce(self, recipient):
        """The bounce that names it: the parts of the delivery status, waited for."""
        def look():
            for raw in self.box.read_imap("alice"):
                report = email.message_from_bytes(raw)
                if report.get_content_type() == "multipart/report" and recipient in str(report.get_payload(1)):
                    return report
            return None
        return wait_until(look, 20, f"a bounce of {recipient}")

    def status(self, recipient):
        report = self.bounce(recipient)
        return re.search(r"^Status: (\S+)", str(report.get_payload(1)), re.M).group(1)

    def stop(self):
        self.box.stop()
        for sink in (self.one, self.two, self.three):
            sink.stop()
        self.nsd.stop()


def subjects(sink):
    return [m.subject for m in sink.messages]


def arrived(sink, subject, seconds=30):
    """The message of that subject, waited for."""
    return wait_until(lambda: next((m for m in sink.messages if m.subject == subject), None), seconds, subject)


# ---- the cases ----

def who_may(w):
    with smtplib.SMTP(w.box.address, w.box.port, timeout=30) as client:
        client.ehlo("x.example")
        client.mail("x@y.example")
        expect("a stranger can't relay", client.rcpt("bob@both.example")[0], 554)
    with smtplib.SMTP(w.box.address, w.box.ports["submission"], timeout=30) as client:
        client.ehlo("x.example")
        expect("nor submit", client.mail(ALICE)[0], 530)


def by_preference(w):
    expect("submitted", w.submit("bob@both.example", subject="first", text=".dot\r\n..\r\nend\r\n"), 250)
    got = arrived(w.one, "first")
    expect("the preferred MX has it, whole", got.text.endswith(b"\r\n\r\n.dot\r\n..\r\nend\r\n"), True)
    expect("envelope", (got.sender, got.recipients, got.helo), (ALICE, ["bob@both.example"], "mail.alice.example"))
    expect("one copy", subjects(w.two), [])
    w.submit("bob@half.example", subject="second")
    arrived(w.two, "second")
    expect("one MX is down, one has no address: the third", True, True)
    w.one.rcpt["later"] = ["450 4.2.0 greylisted"]
    w.submit("later@both.example", subject="third")
    arrived(w.two, "third")
    expect("4xx at the first: the second, at once", True, True)
    w.submit("bob@bare.example", subject="fourth")
    expect("no MX: the domain itself", arrived(w.one, "fourth").recipients, ["bob@bare.example"])
    w.submit("bob@moved.example", subject="fifth")
    expect("--relay-map", arrived(w.three, "fifth").recipients, ["bob@moved.example"])
    w.submit("bob@backup.example", subject="sixth")
    arrived(w.two, "sixth")
    expect("we are MX 20: 10 is tried", True, True)


def for_good(w):
    w.one.rcpt["nobody"] = ["550 5.1.1 no such user"]
    w.submit("nobody@both.example", "bob@both.example", subject="two at once")
    report = w.bounce("nobody@both.example")
    expect("550: status", w.status("nobody@both.example"), "5.1.1")
    expect("... and who is not to blame is not named", "bob@both" in str(report.get_payload(1)), False)
    expect("... is a report to alice from nobody", (report["Return-Path"], report["To"]), ("<>", f"<{ALICE}>"))
    expect("... and the other recipient has it", arrived(w.one, "two at once").recipients, ["bob@both.example"])
    expect("... and no other MX was asked", [m for m in w.two.messages if m.subject == "two at once"], [])
    w.one.data["unwanted"] = ["554 5.7.1 not that"]
    for recipient, want, why in (
            ("unwanted@both.example", "5.7.1", "554 after DATA"),
            ("bob@null.example", "5.1.10", "null MX"),
            ("bob@none.example", "5.1.2", "no such domain"),
            ("bob@away.example", "5.4.4", "not loopback"),
            ("bob@[192.0.2.77]", "5.4.4", "not loopback, a literal"),
            ("bob@loop.example", "5.4.6", "its MX are ourselves")):
        w.submit(recipient, subject=why)
        expect(f"{why}: bounced as", w.status(recipient), want)
    w.submit("latin@both.example", subject="eight", options=["BODY=8BITMIME"])
    expect("8BITMIME is not to be had: bounced as", w.status("latin@both.example"), "5.6.3")


def for_now(w):
    w.one.rcpt["soon"] = ["450 4.2.0 wait", "450 4.2.0 wait", "250 2.1.5 ok"]
    w.two.rcpt["soon"] = ["451 4.3.0 wait"]
    w.submit("soon@both.example", subject="patience")
    arrived(w.one, "patience")
    expect("450 twice, then taken", w.one.asked.count("soon"), 3)
    w.one.rcpt["never"] = ["451 4.3.0 never"]
    w.two.rcpt["never"] = ["421 4.3.2 going down"]
    w.submit("never@both.example", subject="too old")
    w.submit("bob@broken.example", subject="no DNS")
    expect("4xx until it is too old: bounced as", w.status("never@both.example"), "4.4.7")
    expect("SERVFAIL until it is too old: bounced as", w.status("bob@broken.example"), "4.4.7")


def odd_servers(w):
    w.one.starttls = True
    w.submit("bob@bare.example", subject="no TLS after all")
    expect("TLS that fails is tried without", arrived(w.one, "no TLS after all").encrypted, False)
    w.one.starttls = False
    w.one.greeting = "554 5.3.2 not you"
    w.submit("bob@both.example", subject="unfriendly")
    arrived(w.two, "unfriendly")
    w.one.greeting = None
    expect("a greeting of 554: the next", True, True)
    w.one.silent = True
    w.submit("bob@bare.example", subject="silence")
    w.submit("bob@moved.example", subject="past it")
    arrived(w.three, "past it")
    expect("a server that says nothing holds nobody else up", "silence" in subjects(w.one), False)
    w.one.silent = False
    arrived(w.one, "silence")
    expect("and is tried again", True, True)


def no_bounce_of_a_bounce(w):
    w.submit("bob@null.example", sender="", subject="from nobody")
    wait_until(lambda: "nobody is told" in w.box.log(), 10, "the log to say so")
    expect("mail without a sender comes back to nobody",
           any(b"from nobody" in m for m in w.box.read_imap("alice")), False)


def queue_lasts(w):
    """Killed while it waits; the next life delivers it."""
    w.three.rcpt["sleeper"] = ["450 4.2.0 wait"]
    w.submit("sleeper@moved.example", subject="through a kill", text="kept\r\n")
    wait_until(lambda: "sleeper" in w.three.asked, 10, "the first attempt")
    w.box.child.signal(signal.SIGKILL)
    w.box.child.popen.wait()
    queue = os.path.join(w.folder, "mail", ".queue")
    expect("a file in the queue", len(os.listdir(queue)), 1)
    with open(os.path.join(queue, "rubbish"), "w", encoding="ascii") as f:
        f.write("not a message\n")
    w.three.rcpt.clear()
    w.box.start()
    got = arrived(w.three, "through a kill")
    expect("the next life sends it", (got.sender, got.recipients), (ALICE, ["sleeper@moved.example"]))
    expect("... whole", got.text.endswith(b"\r\n\r\nkept\r\n"), True)
    wait_until(lambda: os.listdir(queue) == ["rubbish"], 10, "an empty queue")
    expect("... and what is no message stays where it is", os.listdir(queue), ["rubbish"])


def stops(w):
    """A stop in the middle of a conversation comes to an end, and says what is left."""
    w.three.silent = True
    w.submit("bob@moved.example", subject="left")
    before = time.monotonic()
    expect("stops", w.box.stop(), 0)
    expect("... in time", time.monotonic() - before < 5, True)
    expect("... and says so", "still in the queue" in w.box.log(), True)


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    world = World(folder)
    try:
        world.box.start()
        for case in (who_may, by_preference, for_good, for_now, odd_servers, no_bounce_of_a_bounce, queue_lasts, stops):
            case(world)
    finally:
        world.stop()
        if failures:
            print("postbox said:\n" + world.box.log())
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
