#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assay report send: what causes no report, what is too much, too old or too slow.

nsd for the DNS, a mail server of our own (lab/sink.py), the real assay. Exit: 0, 1 for a failure, 77 where
it can't run (with the reason).
"""

import os
import re
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.assayd import program
from lab.dns import Nsd, PickyDns
from lab.process import remove_folder, temporary_folder
from lab.report_case import AT, DAY, NOW, ZONE_HEAD, Case, counted, message_of, zone_of
from lab.sink import Sink

passed, failures = [], []


def expect(name, got, want):
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"FAIL {name}\n     got {got!r}, want {want!r}", flush=True)


def check_answers(folder, nsd):
    """Two reporters who have nothing but reports to tell of tell each other nothing; but none is hidden."""
    with Sink() as sink:
        case = Case(folder, nsd.port, sink.url, "report_when = always\n").fill(1, 2, 5, answers=5)
        run = case.send()
        expect("a report is no reason to report", (run.returncode, sink.messages), (0, []))
        expect("and that is said", re.findall("not reported: (.*)", case.report("list", "--all").text),
               ["nothing but reports and bounces"])
        case.now += DAY
        case.fill(1, 2, 5, at=AT + DAY, answers=5).fill(1, 1, 1, at=AT + DAY)
        case.send()
        expect("with other mail they are told too", [counted(message_of(m.text)[3]) for m in sink.messages], [11])
        expect("as one row", [message_of(m.text)[3].count("<record>") for m in sink.messages], [2])


def check_forgotten(folder, nsd):
    """What gets too old before it is reported is said, once."""
    with Sink() as sink:
        case = Case(folder, nsd.port, sink.url, "report_keep = 2d\n").fill(1, 1, 4)
        with sqlite3.connect(case.file) as db:
            db.execute("UPDATE report_rows SET content = x'00'")
        case.fill(2, 1, 3)
        run = case.send()
        expect("what can't be read is not reported", (run.returncode, "report not made: d1.example: 1 of its rows can't be read"
                                                      in run.text, len(sink.messages)), (1, True, 1))
        case.now += 2 * DAY
        run = case.send()
        expect("and said when it is given up", (run.returncode, re.findall("never reported: (.*)", run.text)), (
            1, ["d1.example: 7 messages of 2026-11-26 00:00 to 2026-11-27 00:00, older than report_keep"]))
        run = case.send()
        expect("once", (run.returncode, run.text.count("never")), (0, 0))


def check_full_outbox(folder, nsd):
    """10,000 messages that wait: those that failed or a limit put off make room, else reports are made later."""
    fill = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO outbox_delivery "
            "SELECT 'r', 'a' || i, 'd', 'x', 't' || i, 0, 0, ?, ?, 0, '' FROM n")
    with Sink() as sink:
        case = Case(folder, nsd.port, sink.url).fill(5, 1, 1)
        case.report("list")  # makes the tables
        with sqlite3.connect(case.file) as db:
            db.execute(fill, (NOW + 7200, NOW - 7200))
        run = case.send()
        expect("no room: later", (run.returncode, len(sink.messages), re.findall("report put off: .*: (.*)", run.text)),
               (75, 0, ["too many messages wait to be sent; the others are put off, too"]))
        with sqlite3.connect(case.file) as db:
            db.execute("UPDATE outbox_delivery SET attempts = 4, reply = 'why' WHERE address = 'a7'")
            db.execute("UPDATE outbox_delivery SET reply = 'limit of reports a day' WHERE address = 'a8'")
            db.execute("DELETE FROM outbox_delivery WHERE address IN ('a1', 'a2', 'a3')")
        run = case.send()
        expect("what failed or was put off makes room", (run.returncode, len(sink.messages), "given up: 2 deliveries" in
                                                          run.text), (1, 5, True))


def check_dead_dns(folder, nsd):
    """50 domains whose name servers are silent have the most mail, 50 others don't wait for them."""
    dns = PickyDns(nsd.port, lambda name: any(name.endswith(f"d{i}.example") for i in range(1, 51)))
    with Sink() as sink:
        case = Case(folder, dns.port, sink.url).fill(50, 1, 9).fill(100, 1, 1)
        began = time.monotonic()
        process = subprocess.Popen([program("assay"), "report", "send", "--config", case.conf, "--time", str(NOW)],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while len(sink.messages) < 50 and time.monotonic() < began + 60:
            time.sleep(0.02)
        alive = time.monotonic() - began
        text = process.communicate(timeout=300)[0].decode()
        took = time.monotonic() - began
        print(f"50 domains with dead name servers and 50 others: these were sent after {alive:.1f} s, all was over "
              f"after {took:.1f} s ({dns.dropped} questions without an answer)", flush=True)
        expect("those that answer are sent at once", (len(sink.messages), alive < 15), (50, True))
        expect("those that don't are put off", (process.returncode, text.count("report put off"), took < 60), (75, 50, True))
        expect("the dead are not among them", {m.recipients[0] for m in sink.messages},
               {f"rua@d{i}.example" for i in range(51, 101)})
    dns.close()


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    nsd = Nsd(folder, ZONE_HEAD + zone_of(100))
    try:
        nsd.start()
        for check in (check_answers, check_forgotten, check_full_outbox, check_dead_dns):
            check(folder, nsd)
    finally:
        nsd.stop()
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
