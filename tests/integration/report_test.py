#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""From the first message to the domain owner's mailbox: a day of mail through postbox and assayd, the clock moved
to the next day, the report sent, and what arrived opened: it passes DMARC in assayd itself, its XML is valid,
its counts are those of what was sent, and a parser that is not ours reads it.

Exit: 0, 1 for a failure, 77 where it can't run or a part of it can't (with the reason).
"""

import os
import pwd
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    from lab.assayd import Assayd, program
    from lab.dns import Nsd
    from lab.mail import Key, message
    from lab.postbox import Postbox
    from lab.process import remove_folder, temporary_folder, wait_until
    from lab.reports import EMAIL, REPORTER, Report, assay_report, key_section, reporter_key
    from lab.smtp import Client
    from lab.world import ZONE
    from report_readers_test import by_mail_dmarc, have_mail_dmarc
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

HOST = "mx.demo.example"
SOURCE = os.environ.get("ASSAY_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DAY = 86400
BANK, ATTACKER, ALUMNI = "192.0.2.1", "198.51.100.5", "203.0.113.7"
passed, failures, skipped = [], [], []


def expect(name, got, want):
    print(f"{'ok  ' if got == want else 'FAIL'} {name}", flush=True)
    (passed if got == want else failures).append(name)
    if got != want:
        print(f"     got  {got!r}\n     want {want!r}")


def vectors():
    folder = os.environ.get("ASSAY_VECTORS") or os.path.join(SOURCE, "..", "shared", "vectors")
    schema = os.path.join(folder, "report", "dmarc-2.0.xsd")
    return schema if os.path.exists(schema) else None


# ---- the day ----

BOUNCE = ["Content-Type: multipart/report; report-type=delivery-status; boundary=b"]


def day(key):
    """address, HELO, reverse-path, message, how often; and the row it makes, None: none."""
    def letter(author, more=()):
        return message(author, "Hello", "Hello\n", more, recipient=f"bob@{REPORTER}")

    signed = key.sign(letter("news@bank.example"))
    bank = "bank.example"
    return [
        (BANK, "mail.bank.example", "news@bank.example", signed, 5, (BANK, "pass", "pass", "pass", bank)),
        (BANK, "mail.bank.example", "news@bank.example", letter("ceo@bank.example"), 2,
         (BANK, "pass", "fail", "pass", bank)),
        (BANK, "mail.bank.example", "", letter("info@bank.example"), 1, (BANK, "pass", "fail", "pass", bank)),
        (ALUMNI, "relay.alumni.example", "news@bank.example", signed, 3, (ALUMNI, "pass", "pass", "fail", bank)),
        (ATTACKER, "mail.evil.example", "x@evil.example", letter("ceo@bank.example"), 4,
         (ATTACKER, "reject", "fail", "fail", bank)),
        (ATTACKER, "mail.evil.example", "x@evil.example", letter("ceo@branch.bank.example"), 2,
         (ATTACKER, "reject", "fail", "fail", "branch.bank.example")),
        # A bounce counts, though it would cause no report by itself.
        (BANK, "mail.bank.example", "", letter("mailer-daemon@bank.example", BOUNCE), 2, (BANK, "pass", "fail", "pass", bank)),
        # Nobody asks for these: no rua, no DMARC.
        ("192.0.2.17", "mail.shop.example", "sales@shop.example", letter("sales@shop.example"), 2, None),
        (ATTACKER, "mail.evil.example", "x@evil.example", letter("x@evil.example"), 2, None),
    ]


def play(box, key):
    """All of it, as a number of connections; what the report must say."""
    want = {}
    for address, helo, sender, raw, count, row in day(key):
        with Client(box.port, address, helo) as client:
            for _ in range(count):
                client.send(sender, f"bob@{REPORTER}", raw)
        if row is not None:
            want[row] = want.get(row, 0) + count
    return want


# ---- what is sent, and what arrives ----

def check_before(conf, now):
    # assayd answers when a row is safe; it gathers them for a moment before they are in the database.
    listed = wait_until(lambda: (text := assay_report(conf, "list").text) and "19 messages" in text and text, 10,
                        "the rows to be in the database")
    expect("list: the bank's period is open, with its messages", "19 messages in 6 rows: open" in listed, True)
    expect("list: no other domain's", [d for d in ("shop.example", "evil.example", REPORTER) if d in listed], [])
    preview = assay_report(conf, "preview", "bank.example")
    expect("preview in plain words", (preview.returncode, "Messages:    19 in 6 records, 13 passed" in preview.text,
                                      "To:          mailto:dmarc@bank.example: send" in preview.text), (0, True, True))
    expect("nothing is due yet", (assay_report(conf, "send").returncode, "made" in assay_report(conf, "send").text),
           (0, False))
    expect("a period is not over at midnight sharp", "made" in assay_report(conf, "send", time=now - 3600 + 60).text, False)


def check_message(report):
    ours = report.authentication(HOST)
    expect("it passes DMARC in assayd itself, by DKIM of the reporting domain",
           ("dmarc=pass" in ours, f"header.from={REPORTER}" in ours, f"dkim=pass" in ours, f"header.d={REPORTER}" in ours),
           (True, True, True, True))
    expect("it comes from the null sender", report.message["Return-Path"], "<>")
    expect("From", EMAIL in report.message["From"], True)
    expect("names", report.file_name.split("!")[:2], [REPORTER, "bank.example"])
    expect("who reports", (report.text("report_metadata/org_name"), report.text("report_metadata/email")),
           ("Demo Receiver", EMAIL))
    expect("the policy", [report.text(f"policy_published/{x}") for x in ("domain", "p", "discovery_method")],
           ["bank.example", "reject", "treewalk"])


def check_schema(report, folder):
    schema = vectors()
    if schema is None or shutil.which("xmllint") is None:
        skipped.append("no xmllint, or no shared/vectors/report: the XML is not validated by others")
        return
    path = os.path.join(folder, "report.xml")
    with open(path, "wb") as f:
        f.write(report.xml)
    run = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", schema, path], capture_output=True, text=True,
                         check=False)
    expect("xmllint: valid by the schema of RFC 9990", (run.returncode, run.stderr.strip()), (0, f"{path} validates"))


def check_independent(report, folder, want):
    """Debian's Mail::DMARC knows no namespace."""
    if not have_mail_dmarc():
        skipped.append("libmail-dmarc-perl is not installed")
        return
    path = os.path.join(folder, "plain.xml")
    with open(path, "wb") as f:
        f.write(report.xml.replace(b' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"', b""))
    got = by_mail_dmarc(path, "xml")
    expect("Mail::DMARC: no complaint", got["complaints"], [])
    expect("Mail::DMARC: its counts are the same", sum(int(r["count"]) for r in got["records"]), sum(want.values()))
    expect("Mail::DMARC: so is the Report-ID", got["report_id"], report.report_id)


def check_after(conf, box, report, now):
    # It came by this assayd, and its domain asks for reports: one of its own is remembered, and causes none.
    wait_until(lambda: f"  {REPORTER} " in assay_report(conf, "list").text, 10, "the report's own row to be in the database")
    again = assay_report(conf, "send", time=now)
    expect("sent once", (again.returncode, again.text.count("report made"), len(box.read_imap("dmarc"))), (0, 0, 1))
    expect("a report causes no report", again.text.split(": ", 1)[1], f"{REPORTER}: nothing but reports and bounces\n")
    shown = assay_report(conf, "show", report.report_id, time=now).text
    expect("show: what came of it", "dmarc@bank.example: sent" in shown, True)
    resent = assay_report(conf, "send", "--again", report.report_id, time=now)
    both = [Report(raw) for raw in box.read_imap("dmarc")]
    expect("a re-send is the same report", (resent.returncode, len(both), {r.xml for r in both} == {report.xml},
                                            {r.file_name for r in both}, {r.message["Message-ID"] for r in both}),
           (0, 2, True, {report.file_name}, {report.message["Message-ID"]}))


def check_tls(assayd, box, settings, key_text, now):
    """STARTTLS where it is offered; a certificate that nobody vouches for is not good; and a log-in."""
    password = os.path.join(assayd.folder, "password")
    with open(password, "w", encoding="ascii") as f:
        f.write("not-a-secret\n")
    os.chmod(password, 0o600)
    report_id = Report(box.read_imap("dmarc")[0]).report_id
    for name, more, status, arrives in (
            ("STARTTLS is used where it is offered", {}, 0, "with ESMTPS id"),
            ("report_tls = never", {"report_tls": "never"}, 0, "with ESMTP id"),
            ("report_tls = require: a certificate that is not good", {"report_tls": "require"}, 75, None),
            ("with a log-in", {"report_server": f"smtp://127.0.0.1:{box.ports['submission']}", "report_user": "bob",
                               "report_password_file": password}, 0, "with ESMTPSA id")):
        assayd.configure({**settings, **more}, key_text)
        before = len(box.read_imap("dmarc"))
        sent = assay_report(assayd.conf_path, "send", "--again", report_id, time=now)
        after = box.read_imap("dmarc")
        expect(name, (sent.returncode, [arrives in Report(raw).message["Received"] for raw in after[before:]]),
               (status, [True] if arrives else []))
        if arrives is None:
            print("     " + sent.text.strip().splitlines()[-1])
    assayd.configure(settings, key_text)


def check_run(assayd, settings, key_text, key_file):
    """assayd starts assay report run itself, and it ends with assayd."""
    assayd.stop()
    if os.geteuid() == 0:  # it signs by itself, as whom assayd becomes
        os.chown(key_file, 0, pwd.getpwnam(assayd.fixed["user"]).pw_gid)
        os.chmod(key_file, 0o640)
    assayd.configure({**settings, "report_run": True, "report_program": program("assay"), "report_period": "1s",
                      "report_when": "always"}, key_text)
    assayd.start()
    log = lambda: assayd.child.log()[assayd.began:]
    wait_until(lambda: "report run started" in log(), 10, "assayd to start assay report run")
    pid = int(log().split("report run started, pid=")[1].split()[0])
    expect("assayd starts it", os.path.realpath(f"/proc/{pid}/exe"), os.path.realpath(program("assay")))
    expect("with nothing open but what it needs", [os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
                                                    for fd in ("0", "1", "2")], [False, False, False])
    assayd.reload()
    wait_until(lambda: log().count("report run started") == 2, 10, "a reload to start it anew")
    second = int(log().split("report run started, pid=")[2].split()[0])
    os.kill(second, 9)
    wait_until(lambda: log().count("report run started") == 3, 10, "it to be started again after a kill")
    third = int(log().split("report run started, pid=")[3].split()[0])
    expect("it does not end by itself", "reports: it ended" in log(), False)
    expect("assayd stops", assayd.stop(), 0)
    expect("and it with assayd", os.path.exists(f"/proc/{third}"), False)


def run(folder, parts):
    key, own = Key("bank.example", "rsa1"), reporter_key()
    with open(ZONE, encoding="ascii") as f:
        nsd = Nsd(folder, f.read() + key.zone_line() + own.zone_line(), broken=("broken.example",))
    parts.append(nsd)
    nsd.start()
    settings = {"report_org_name": "Demo Receiver", "report_email": EMAIL, "hostname": HOST,
                "trusted_networks": ["192.0.2.250"]}
    key_text = key_section(folder, own)
    assayd = Assayd(folder, nsd.port)
    parts.append(assayd)
    assayd.configure(settings, key_text)
    assayd.start()
    box = Postbox(folder, assayd.socket, users=("bob", "dmarc"), more=("--domain", "bank.example"))
    parts.append(box)
    box.start()
    settings["report_server"] = f"smtp://127.0.0.1:{box.port}"
    assayd.configure(settings, key_text)
    now = (int(time.time()) // DAY + 1) * DAY + 3600
    want = play(box, key)
    check_before(assayd.conf_path, now)
    sent = assay_report(assayd.conf_path, "send", time=now)
    expect("send", (sent.returncode, "sent to: dmarc@bank.example" in sent.text), (0, True))
    arrived = box.read_imap("dmarc")
    expect("one report arrives in the owner's mailbox", len(arrived), 1)
    if len(arrived) == 1:
        report = Report(arrived[0])
        expect("its rows and counts are what was sent, exactly", report.rows(), want)
        check_message(report)
        check_schema(report, folder)
        check_independent(report, folder, want)
        check_after(assayd.conf_path, box, report, now)
        check_tls(assayd, box, settings, key_text, now + DAY)
    check_run(assayd, settings, key_text, os.path.join(folder, "report1.pem"))
    if failures:
        print("assayd said:\n" + assayd.child.log() + "\nassay report said:\n" + sent.text)


def main():
    if not os.access("/usr/sbin/nsd", os.X_OK):
        print("not installed: nsd")
        return 77
    if time.time() % DAY > DAY - 120:
        time.sleep(121)  # the day shall not end in the middle of it
    folder = temporary_folder()
    parts = []
    try:
        run(folder, parts)
    finally:
        for part in reversed(parts):
            part.stop()
        remove_folder(folder)
    for reason in skipped:
        print(f"skipped: {reason}")
    print(f"{len(passed)} passed, {len(failures)} failed, {len(skipped)} skipped")
    return 1 if failures else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
