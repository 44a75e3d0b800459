# SPDX-License-Identifier: BSD-2-Clause
"""What the acts of the demonstration share: printing, checking, counting, the table at the end."""

import os
import re
import sys
import textwrap

from lab.arrival import Arrival

OUR_NAME = "mx.demo.example"
BOB = "bob@rcpt.example"
WIDTH = 92
PLACES = {
    "postbox": {Arrival.INBOX: "in Bob's inbox", Arrival.HOLD: "in Bob's folder Quarantine"},
    "Postfix": {Arrival.INBOX: "in Bob's inbox", Arrival.HOLD: "in Postfix's hold queue"},
}


class Paint:
    """Colours for a terminal, plain text for everything else."""

    def __init__(self, out):
        on = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"} if on else {}
        try:
            "✓─".encode(out.encoding or "ascii")
            self.ok, self.no, self.rule = "✓", "✗", "─"
        except (UnicodeEncodeError, LookupError):
            self.ok, self.no, self.rule = "ok:", "NO:", "-"

    def __call__(self, style, text):
        code = self.codes.get(style)
        return f"\033[{code}m{text}\033[0m" if code else text


class Stage:
    """Each piece of an act: begin(), row() as often as wanted, verdict() if there is one, judge()."""

    def __init__(self, lab):
        self.lab, self.paint, self.failed, self.shown = lab, Paint(sys.stdout), 0, 0
        self.table = []
        self.title, self.seen = "", 0

    def begin(self, title, story):
        self.shown += 1
        self.title, self.seen = title, len(self.lab.assayd.child.log())
        head = f" {self.shown}  {title} "
        print(self.paint("bold", head) + self.paint("dim", self.paint.rule * (WIDTH - len(head))))
        for line in textwrap.wrap(story, WIDTH - 3):
            print("   " + line)

    def row(self, label, text, style=None):
        lines = text if isinstance(text, list) else textwrap.wrap(text, WIDTH - 15)
        for i, line in enumerate(lines or [""]):
            head = f"   {label if i == 0 else '':<11} "
            print(self.paint("dim", head) + (self.paint(style, line) if style else line))

    def verdict(self, reply, arrival):
        """What the sender is told, where the message is, what assay wrote; and a line of the table."""
        self.row("is told", str(reply), "green" if reply.code < 400 else "red")
        self.row("arrives", PLACES[self.lab.mta.name].get(arrival.place, "nowhere"), "bold")
        if arrival.place != Arrival.NOWHERE:
            self.row("assay wrote", our_field_as_written(arrival), "cyan")
        told = re.match(r"\d+( \d\.\d+\.\d+)?", str(reply)).group()
        results = (self.logged(method) for method in ("spf", "dkim", "dmarc"))
        self.table.append((self.title, told, arrival.place, *results))

    def logged(self, method):
        """What assayd's log says of it since begin(); of several signatures a good one, if any is."""
        lines = self.lab.assayd.new_lines(self.seen)
        words = re.findall(rf'\b{method}="?(\w+)', lines[-1]) if lines else []
        return "pass" if "pass" in words else words[0] if words else "-"

    def judge(self, found):
        """found: what is not as it must be, in words."""
        if not found:
            print(self.paint("green", f"   {self.paint.ok} as it must be\n"))
            return
        self.failed += 1
        for fault in found:
            print(self.paint("red", f"   {self.paint.no} {fault}"))
        print()

    def close(self):
        """The table and the sum; the exit status."""
        print_table(self.paint, self.table)
        done = self.shown - self.failed
        sentence = f"{done} of {self.shown} messages went where they must."
        print(self.paint("green" if self.failed == 0 else "red", sentence))
        if self.failed == 0:
            print("Next: README.md shows how to attach assayd to your own Postfix.")
            return 0
        print("assayd's log of the run:\n" + self.lab.assayd.child.log())
        print(f"{self.lab.mta.name}'s:\n" + self.lab.mta.log()[-5000:])
        return 1


def print_table(paint, table):
    heads = ("message", "is told", "arrives", "spf", "dkim", "dmarc")
    sizes = [max(len(row[i]) for row in [heads, *table]) for i in range(len(heads))]
    for row in [heads, *table]:
        line = "   " + "  ".join(cell.ljust(size) for cell, size in zip(row, sizes)).rstrip()
        print(paint("dim", line) if row is heads else line)
    print()


def our_fields(arrival):
    """Values of the Authentication-Results fields that are ours."""
    fields = arrival.fields("Authentication-Results")
    return [v for v in fields if v.split(";")[0].strip().lower() == OUR_NAME]


def our_field_as_written(arrival):
    """The lines of it, folded as assay folded them."""
    for name, value in arrival.message.items():
        if name.lower() == "authentication-results" and OUR_NAME in str(value).split(";")[0]:
            lines = f"{name}: {value}".splitlines()
            return [lines[0]] + ["    " + line.strip() for line in lines[1:]]
    return []
