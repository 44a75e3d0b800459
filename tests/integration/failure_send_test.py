#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Failure reports on their way: from the queue, where assayd puts them (tests/unit/failure_session_test.c),
to the mail server. Events are put into the store by hand; nsd for the DNS, lab/sink.py for the mail
server, the real assay. Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import email
import email.policy
import os
import sqlite3
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.dns import Nsd
from lab.postgres import Postgres, binaries
from lab.process import free_ports, remove_folder, temporary_folder
from lab.report_case import AT, ZONE_HEAD, Case
from lab.sink import Sink

ZONE = ZONE_HEAD + """\
_dmarc.owner.example. IN TXT "v=DMARC1; p=reject; ruf=mailto:f@owner.example"
owner.example._report._dmarc.helper.example. IN TXT "v=DMARC1"
"""
passed, failures = [], []


def expect(name, got, want):
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"FAIL {name}\n     got {got!r}, want {want!r}", flush=True)


class FailureCase(Case):
    """With the tables of failure reports in its store; nothing waits for more of the same cause."""

    def __init__(self, folder, dns_port, url, settings=""):
        super().__init__(folder, dns_port, url, settings)
        self.now = AT
        self.events = 0
        self.send()  # makes the tables

    def write(self, url, settings=""):
        super().write(url, "failure_wait = 0s\n" + settings)

    def queue(self, ruf="mailto:f@owner.example", domain="owner.example", incidents=1):
        self.events += 1
        with sqlite3.connect(self.file) as db:
            db.execute("INSERT INTO failure_event (id, cause, domain, discovery, ruf, author, subject, fields, header, "
                       "first_s, due_s, incidents, returned, sent) VALUES (?,?,?,0,?,?,?,?,?,?,?,?,0,0)",
                       (self.events, f"{self.events:032}", domain, ruf.encode(), domain.encode(), b"[redacted]",
                        b"Feedback-Type: auth-failure\r\nUser-Agent: assay/test\r\nVersion: 1\r\nAuth-Failure: dmarc\r\n",
                        b"From: <r-x@owner.example>\r\nSubject: [redacted]\r\n", self.now, self.now, incidents))
        db.close()
        return self


ON = "failure_reports = yes\n"


def recipients(sink):
    return sorted(m.recipients[0] for m in sink.messages)


def check_sent(folder, dns_port):
    with Sink() as sink:
        case = FailureCase(folder, dns_port, sink.url, ON)
        case.queue("mailto:f@owner.example mailto:x@helper.example mailto:x@stranger.example https://owner.example/",
                   incidents=3)
        run = case.send()
        expect("to whom", recipients(sink), ["f@owner.example", "x@helper.example"])
        expect("who did not consent is named", "x@stranger.example" in run.text, True)
        expect("the envelope sender is null", {m.sender for m in sink.messages}, {""})
        message = email.message_from_bytes(sink.messages[0].text, policy=email.policy.default)
        expect("an ARF", [p.get_content_type() for p in message.iter_parts()],
               ["text/plain", "message/feedback-report", "text/rfc822-headers"])
        expect("how many", list(message.iter_parts())[1].get_payload()[0]["Incidents"], "3")
        case.send()
        expect("once", len(sink.messages), 2)


def check_off(folder, dns_port):
    with Sink() as sink:
        off = FailureCase(folder, dns_port, sink.url, ON).queue()
        off.write(sink.url)
        off.send()
        expect("off by default, though some are queued", sink.messages, [])


def check_limits(folder, dns_port):
    with Sink() as sink:
        case = FailureCase(folder, dns_port, sink.url, ON + "failure_limit_domain = 2\nfailure_limit = 3\n")
        for i in range(4):
            case.queue()
        for i in range(4):
            case.queue("mailto:f@other.example", "other.example")
        case.send()
        expect("limits of a day", recipients(sink), ["f@other.example", "f@owner.example", "f@owner.example"])
        case.now += 86400 + 1
        case.send()
        expect("three more the next day", len(sink.messages), 6)
    with Sink() as sink:
        case = FailureCase(folder, dns_port, sink.url, ON + "failure_limit_domain = 4\nfailure_limit = 5\n")
        case.queue("mailto:a@owner.example mailto:b@owner.example mailto:c@owner.example")
        run = case.queue("mailto:a@owner.example mailto:b@owner.example").send()
        expect("each address counts", (recipients(sink), "1 more addresses (failure report about owner.example): limit" in
               run.text), (["a@owner.example"] * 2 + ["b@owner.example", "c@owner.example"], True))
        case.queue("mailto:a@other.example mailto:b@other.example", "other.example").send()
        expect("and in all", len(sink.messages), 5)


def check_trouble(folder, dns_port):
    case = FailureCase(folder, dns_port, f"smtp://127.0.0.1:{free_ports(1)[0]}", ON).queue()
    run = case.send()
    expect("nobody listens", "f@owner.example" in run.text, True)
    with Sink() as sink:
        case.write(sink.url, ON)
        case.send()
        expect("not at once", sink.messages, [])
        case.now += 1000
        case.send()
        expect("once more, later", recipients(sink), ["f@owner.example"])
    with Sink() as sink:
        sink.rcpt = {"gone": ["550 5.1.1 as asked"]}
        case = FailureCase(folder, dns_port, sink.url, ON).queue("mailto:gone@owner.example")
        case.send()
        asked = len(sink.asked)
        case.queue("mailto:gone@owner.example").send()
        expect("who refused one is left alone", len(sink.asked), asked)


def check_store_fails(folder, dns_port):
    """While a message is under way the fate of another can't be recorded."""
    with Sink() as sink:
        sink.slow, sink.rcpt = {"slow"}, {"gone": ["550 5.1.1 as asked"]}
        case = FailureCase(folder, dns_port, sink.url, ON).queue("mailto:slow@owner.example mailto:gone@owner.example")
        with sqlite3.connect(case.file) as db:
            db.execute("CREATE TRIGGER fault BEFORE INSERT ON suppression BEGIN SELECT RAISE(ABORT, 'as asked'); END")
        db.close()
        run = case.send()
        expect("a store that fails: status", (run.returncode, "as asked" in run.text), (70, True))
        expect("what was begun is sent", recipients(sink), ["slow@owner.example"])


def check_fleet(folder, dns_port):
    """Each node sends its own, whoever makes the fleet's reports; who refused one of them is left alone by all."""
    postgres = Postgres(folder)
    try:
        postgres.start()
        with Sink() as sink:
            sink.rcpt = {"gone": ["550 5.1.1 as asked"]}
            settings = ON + f'report_database = "{postgres.conninfo}"\n'
            nodes = [FailureCase(folder, dns_port, sink.url, settings + f"report_node = node{i}\n") for i in range(2)]
            nodes[0].queue("mailto:zero@owner.example mailto:gone@owner.example")
            nodes[1].queue("mailto:one@owner.example mailto:gone@owner.example")
            postgres.sql("INSERT INTO report_leases SELECT 'reports', 'another', "
                         "CAST(extract(epoch FROM now()) AS BIGINT) + 600")
            runs = [node.send() for node in nodes]
            expect("fleet: another makes the reports", ["left to another node" in run.text for run in runs], [True, True])
            expect("fleet: each sends its own", recipients(sink), ["one@owner.example", "zero@owner.example"])
            expect("fleet: who refused one is left alone by the other", ["gone" in asked for asked in sink.asked].count(True), 1)
            expect("fleet: they are in no database but their node's", postgres.sql(
                "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'failure%'"), "0")
            for node in nodes:
                node.send()
            expect("fleet: once", len(sink.messages), 2)
            postgres.stop()
            run = nodes[0].queue().send()
            expect("fleet: without its database they wait", (run.returncode, len(sink.messages)), (70, 2))
    finally:
        postgres.stop()


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    nsd = Nsd(folder, ZONE)
    try:
        nsd.start()
        checks = [check_sent, check_off, check_limits, check_trouble, check_store_fails]
        if binaries() is None:
            print("a fleet: skipped, PostgreSQL is not installed")
        else:
            checks.append(check_fleet)
        for check in checks:
            check(folder, nsd.port)
    finally:
        nsd.stop()
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
