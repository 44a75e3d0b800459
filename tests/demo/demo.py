#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mail through a real mail server with assayd attached, told to a person.

The mail server is postbox, the one of tests/harness, or with --postfix a real Postfix (which needs
root). Everything that is played is checked against what must become of it; the exit status is 0 only
when all went that way. Run by ./quickstart. Leaves nothing running and no file.

The show is a list of acts, in this order; an option with an act's name (--journey) plays only that.

    scenes      scenes.py   seven messages, each from where XCLIENT says
    journey     journey.py  one message from alice's client to bob's, through two servers
    list        mailing_list.py  one through a mailing list that changes and seals it, trusted or not
    report      owners_report.py  what the bank is told about all mail in its name

To add one, write a module beside those with a function play(stage) and give it a row in ACTS. The
stage (stage.py) has the laboratory (stage.lab: DNS, assayd, stage.lab.mta the server that receives;
stage.lab.run(part) starts another part that ends with the rest), prints, checks and counts. What
tells about the mail of all acts (such as the report that a domain's owner gets) is a row at the end.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import journey  # noqa: E402
import mailing_list  # noqa: E402
import owners_report  # noqa: E402
import scenes  # noqa: E402
from lab.postbox import Postbox  # noqa: E402
from lab.postfix import Postfix  # noqa: E402
from lab.process import LabError  # noqa: E402
from lab.world import Lab, why_not  # noqa: E402
from stage import Stage  # noqa: E402

ACTS = (
    ("scenes", scenes.play, "seven messages: genuine, forged, forwarded, broken"),
    ("journey", journey.play, "one message from alice's client to bob's mailbox, read by IMAP and POP3"),
    ("list", mailing_list.play, "one message through a mailing list that seals: trusted, not trusted, refused"),
    ("report", owners_report.play, "the report that a domain's owner gets, after one of the others"),
)

# Alice's server sends from 127.0.0.2: for assay a client like any other.
SETTINGS = {"trusted_networks": ["::1"]}


def options():
    parser = argparse.ArgumentParser(
        prog="quickstart", description="Shows assay at work. Without an option: everything, by postbox."
    )
    parser.add_argument("--postfix", action="store_true", help="a real Postfix receives the mail")
    for name, _, text in ACTS:
        parser.add_argument(f"--{name}", action="append_const", const=name, dest="acts", help="only: " + text)
    return parser.parse_args()


def main():
    asked = options()
    mta = Postfix if asked.postfix else Postbox
    reason = why_not(mta)
    if reason is not None:
        print(f"demo: can't run here: {reason}", file=sys.stderr)
        return 1
    try:
        with Lab(SETTINGS, mta=mta) as lab:
            return show(lab, asked.acts)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def show(lab, acts):
    stage = Stage(lab)
    print(
        f"\nRunning in {lab.folder}: nsd on port {lab.nsd.port}, {lab.mta.name} on port {lab.mta.port}, "
        f"assayd on a Unix socket.\nAll mail is for bob@rcpt.example; mx.demo.example takes it.\n"
    )
    for name, play, _ in ACTS:
        if acts is None or name in acts:
            play(stage)
    return stage.close()


if __name__ == "__main__":
    sys.exit(main())
