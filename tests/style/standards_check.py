#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""doc/standards.txt against the sources: a section that is cited must stand in the table, not as No;
one that the table says is done must be cited next to the code or the test that does it.

Citations: "RFC 7208 4.6.4", "RFC 7208 section 4.6.4", with further sections behind commas; and rows of
reason tables: 6376, "6.1.2". Other standards than those of the table may be cited as anyone likes.
"""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TABLE = os.path.join(ROOT, "doc", "standards.txt")
FOLDERS = ("policy", "report", "conf", "milter", "cli", "tests")
DONE_IN = ("policy", "report", "milter", "tests")  # a section marked Yes is cited in one of these
STATES = ("Yes", "Partial", "No", "-")

SECTION = r"(?:[Aa]ppendix )?(?:[A-G](?:\.\d+)*|\d+(?:\.\d+)*)"
CITATION = re.compile(
    rf"RFC ?(\d{{4}}),?(?:'s)? (?:sections? |Sections? )?({SECTION}(?:(?:, | and | to |; )(?:section )?{SECTION})*)(?![\w-])"
)
ROW = re.compile(r"\b(\d{4}), \"(\d+(?:\.\d+)*)\"")
SPF_ROW = re.compile(r"X\(SPF_R_\w+,[^\n]*\"(\d+(?:\.\d+)*)\"\)")
LINE = re.compile(r"(\d{4})\s+(\S+)\s+(Yes|Partial|No|-)\s+(\S.*)")


def read_table():
    """{(rfc, section): state}, and the faults of the table itself."""
    table, faults = {}, []
    with open(TABLE, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not re.match(r"\d", line):
                continue
            row = LINE.fullmatch(line.rstrip())
            if row is None:
                faults.append(f"doc/standards.txt:{number}: not RFC, section, state, title")
                continue
            rfc, section, state, _ = row.groups()
            if (rfc, section) in table:
                faults.append(f"doc/standards.txt:{number}: RFC {rfc} {section} stands there twice")
            table[rfc, section] = state
    return table, faults


def sources():
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".py", ".sh")):
                    path = os.path.join(where, name)
                    yield os.path.relpath(path, ROOT), path


def cited_in(text):
    for section in SPF_ROW.findall(text):
        yield "7208", section
    # A citation may go on behind the line's end and the comment's next star.
    text = re.sub(r"\s*\n\s*(\*|#)?\s*", " ", text)
    for rfc, sections in CITATION.findall(text):
        for section in re.findall(SECTION, sections):
            yield rfc, section.split()[-1]
    yield from ROW.findall(text)


def where_cited(cited, rfc, section):
    """Files that cite the section, or one below it."""
    return {
        name
        for (other, below), names in cited.items()
        if other == rfc and (below == section or below.startswith(section + "."))
        for name in names
    }


def main():
    table, faults = read_table()
    standards = {rfc for rfc, _ in table}
    cited = {}
    for name, path in sources():
        with open(path, encoding="utf-8", errors="replace") as f:
            for citation in cited_in(f.read()):
                cited.setdefault(citation, set()).add(name)
    for (rfc, section), names in sorted(cited.items()):
        if rfc in standards and table.get((rfc, section)) in (None, "No"):
            state = table.get((rfc, section), "not there")
            faults.append(f"RFC {rfc} {section} is cited, in the table it is {state}: {min(names)}")
    for (rfc, section), state in table.items():
        names = where_cited(cited, rfc, section)
        if state == "Yes" and not any(name.split("/")[0] in DONE_IN for name in names):
            faults.append(f"RFC {rfc} {section} is Yes in the table, and cited nowhere")
    for fault in faults:
        print(fault)
    counts = ", ".join(f"{sum(s == x for s in table.values())} {x}" for x in STATES[:3])
    print(f"{len(table)} sections ({counts}), {len(faults)} faults")
    return 1 if faults or not table else 0


if __name__ == "__main__":
    sys.exit(main())
