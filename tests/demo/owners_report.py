# SPDX-License-Identifier: BSD-2-Clause
"""What the owner of a domain is told about all this: the aggregate report, sent, received and opened."""

import os
import re
import time

from lab.postbox import Postbox
from lab.process import wait_until
from lab.reports import EMAIL, REPORTER, Report, assay_report, key_section
from stage import OUR_NAME

DAY = 86400
XML_LINES = 60
HEADS = ("messages", "from", "was done", "DKIM", "SPF", "author domain")


def settings(server):
    return {
        "hostname": OUR_NAME,
        "report_org_name": "The receiver of this demonstration",
        "report_email": EMAIL,
        "report_server": f"smtp://127.0.0.1:{server.port}",
    }


def configuration(stage, server):
    """assayd's own file with what `assay report` needs behind it."""
    path = os.path.join(stage.lab.folder, "report.conf")
    with open(stage.lab.assayd.conf_path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
        for name, value in settings(server).items():
            f.write(f'{name} = "{value}"\n')
        f.write(key_section(stage.lab.folder, stage.lab.keys[REPORTER]))
    return path


def judged(stage):
    """How many messages by an author of the bank assayd has answered for good."""
    pattern = re.compile(r"action=(accept|reject|quarantine|discard) .*policy_domain=bank\.example")
    return sum(bool(pattern.search(line)) for line in stage.lab.assayd.child.log().splitlines())


def show(stage, report):
    stage.row("From:", re.sub(r"\s+", " ", str(report.message["From"])))
    stage.row("Subject:", re.sub(r"\s+", " ", report.message["Subject"]))
    stage.row("attached", report.file_name)
    stage.row("assay wrote", report.authentication(OUR_NAME) + "   (on the report itself, as it came in)", "cyan")
    rows = [HEADS] + [(str(n), *key) for key, n in sorted(report.rows().items(), key=lambda r: -r[1])]
    sizes = [max(len(r[i]) for r in rows) for i in range(len(HEADS))]
    stage.row("it says", ["  ".join(c.ljust(s) for c, s in zip(row, sizes)).rstrip() for row in rows], "bold")
    lines = report.xml.decode().splitlines()
    more = [f"... and {len(lines) - XML_LINES} lines more"] if len(lines) > XML_LINES else []
    stage.row("as XML", lines[:XML_LINES] + more)


def play(stage):
    expected = judged(stage)
    if expected == 0:
        return  # no act had the bank in it
    owner = Postbox(stage.lab.folder, stage.lab.assayd.socket, host="mail.bank.example", domain="bank.example",
                    users=("dmarc",))
    stage.lab.run(owner)
    conf = configuration(stage, owner)
    tomorrow = (int(time.time()) // DAY + 1) * DAY + 3600
    stage.begin(
        "The report that the bank gets",
        "The bank's DMARC record asks for reports (rua=mailto:dmarc@bank.example). assayd has remembered what came in its "
        "name; after midnight `assay report send` tells the bank, in a message signed by the receiver's domain.",
    )
    # assayd answers when a row is safe; it is in the database a moment later.
    wait_until(lambda: f"Messages:    {expected} in" in assay_report(conf, "preview", "bank.example").text, 10,
               "the messages to be in the database")
    sent = assay_report(conf, "send", time=tomorrow)
    stage.row("is run", f"assay report send --time {tomorrow}")
    stage.row("it says", sent.text.splitlines(), "green" if sent.returncode == 0 else "red")
    arrived = [Report(raw) for raw in owner.read_imap("dmarc")]
    found = [] if len(arrived) == 1 else [f"one report must arrive, not {len(arrived)}"]
    for report in arrived:
        show(stage, report)
        ours = report.authentication(OUR_NAME)
        if "dmarc=pass" not in ours:
            found.append("it must pass DMARC")
        if sum(report.rows().values()) != expected:
            found.append(f"it must count {expected} messages")
    stage.judge(found)
