#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""assay report send: what causes no report, what is too much, too old or too slow.

nsd for the DNS, a mail server of our own (lab/sink.py), the real assay. Exit: 0, 1 for a failure, 77 where
it can't run (with the reason).
"""

import os
import re
import sqlite3
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.dns import Nsd
from lab.process import remove_folder, temporary_folder
from lab.report_case import AT, DAY, ZONE_HEAD, Case, counted, message_of, zone_of
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


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    folder = temporary_folder()
    nsd = Nsd(folder, ZONE_HEAD + zone_of(99))
    try:
        nsd.start()
        for check in (check_answers, check_forgotten):
            check(folder, nsd)
    finally:
        nsd.stop()
        remove_folder(folder)
    print(f"{len(passed)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
