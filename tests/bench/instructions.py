#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""instructions.py [--write] FIXED FILE: how many instructions of ours fixed messages take.

Runs FIXED (tests/bench/fixed.c) under callgrind and adds up what was executed in functions whose source is in
policy/, milter/, conf/ or report/: libraries and the tests themselves are left out. Compared with FILE
(tests/bench/instructions.txt): a case that takes more than 10% more fails, and the functions that grew are
named. --write puts the new numbers into FILE. Exits 77, saying why, where the numbers would mean nothing:
another compiler, other flags, no valgrind.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

ALLOWED = 1.10
SHOWN = 5  # functions named of a case that grew
KEPT = 0.004  # part of its case that a function must take to be kept by name
OURS = re.compile(r"(?:^|/)((?:policy|milter|conf|report)/[\w/.-]+\.[ch])$")
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


class Profile:
    """Self cost by function of ours, of one dump of callgrind."""

    def __init__(self, path):
        self.trigger = ""
        self.cost = collections.Counter()
        self.names = {}
        self.function = None
        self.file = None
        behind_call = False
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                line = line.rstrip("\n")
                if line.startswith("desc: Trigger: Client Request: "):
                    self.trigger = line.rsplit(": ", 1)[1]
                elif line.startswith("calls="):
                    behind_call = True  # the next line is the callee's cost
                elif line[:1].isdigit() or line[:1] in "+-*":
                    if not behind_call:
                        self.add(line)
                    behind_call = False
                else:
                    self.take_name(line)

    def take_name(self, line):
        match = re.match(r"(c?)(fn|fl|fi|fe|ob)=\((\d+)\)(?: (.*))?$", line)
        if match is None:
            if line.startswith(("cfi=", "cfl=")):
                match = re.match(r"(c)(f)[il]=\((\d+)\)(?: (.*))?$", line)
            if match is None:
                return
        is_callee, kind, number, text = match.groups()
        table = kind[0] if kind != "fn" else "fn"
        if text is not None:
            self.names[table, number] = text
        name = self.names.get((table, number), "?")
        if is_callee:
            return
        if kind == "fl":
            self.file = name
        elif kind == "fn":
            ours = OURS.search(self.file or "")
            # The compiler's own numbering (".part.0", ".isra.0") says nothing.
            self.function = f"{re.sub(r'[.](part|isra|constprop|cold).*', '', name)} ({ours[1]})" if ours else None

    def add(self, line):
        parts = line.split()
        if self.function is not None and len(parts) > 1:
            self.cost[self.function] += int(parts[1])


def measure(fixed):
    """{case: Counter of instructions by function}, for one round of each case."""
    with tempfile.TemporaryDirectory(prefix="assay-instructions.") as folder:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out", fixed],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        if run.returncode != 0:
            sys.exit(f"{fixed} under callgrind: {run.returncode}\n{run.stderr[-2000:]}")
        rounds = {}
        for line in run.stdout.splitlines():
            name, count = line.split()
            rounds[name] = int(count)
        cases = {}
        for name in os.listdir(folder):
            profile = Profile(os.path.join(folder, name))
            if profile.trigger in rounds:
                cases[profile.trigger] = collections.Counter(
                    {f: round(n / rounds[profile.trigger]) for f, n in profile.cost.items()})
    missing = rounds.keys() - cases.keys()
    if missing or not rounds:
        sys.exit(f"no counts of {', '.join(sorted(missing)) or 'anything'}")
    return {name: cases[name] for name in rounds}


def read(path):
    compiler, cases, case = "", {}, None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("# compiler: "):
                compiler = line[len("# compiler: "):].strip()
            elif line.strip() and not line.startswith("#"):
                name, count = line.rsplit(None, 1)
                if line.startswith(" "):
                    cases[case][1][name.strip()] = int(count)
                else:
                    case = name
                    cases[case] = (int(count), {})
    return compiler, cases


def write(path, compiler, measured):
    with open(path, "w", encoding="utf-8") as out:
        out.write("# Instructions of ours that fixed messages take, by case and function; libraries are left out.\n"
                  "# Made by `make bench-write`, compared by `make bench-check`: see tests/bench/instructions.py.\n"
                  f"# compiler: {compiler}\n")
        for case, cost in measured.items():
            total = sum(cost.values())
            out.write(f"\n{case} {total}\n")
            for name, count in sorted(cost.items(), key=lambda item: (-item[1], item[0])):
                if count >= total * KEPT:
                    out.write(f"  {name} {count}\n")


def compare(wanted, measured):
    """How many cases failed, each said on standard output."""
    failed = 0
    for case, cost in measured.items():
        total = sum(cost.values())
        if case not in wanted:
            print(f"{case}: {total}, not in the file: make bench-write")
            failed += 1
            continue
        before, functions = wanted[case]
        print(f"{case:20} {total:8} instructions, {100 * (total / before - 1):+.1f}%")
        if total <= before * ALLOWED:
            continue
        failed += 1
        grown = sorted(((count - functions.get(name, 0), name) for name, count in cost.items()), reverse=True)
        print(f"    more than {100 * (ALLOWED - 1):.0f}% above {before}; what grew:")
        for more, name in grown[:SHOWN]:
            if more > 0:
                print(f"    {more:+8} {name}")
    for case in wanted.keys() - measured.keys():
        print(f"{case}: not measured any more")
        failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--compiler", default="")
    parser.add_argument("fixed")
    parser.add_argument("file")
    args = parser.parse_args()

    compiler, wanted = ("", {}) if args.write else read(args.file)
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    if not args.write and compiler != args.compiler:
        skip(f"the numbers are those of {compiler}, this was built by {args.compiler}")
    measured = measure(args.fixed)
    if args.write:
        write(args.file, args.compiler, measured)
        print(f"{args.file}: {len(measured)} cases")
        return
    failed = compare(wanted, measured)
    print(f"{len(measured) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
