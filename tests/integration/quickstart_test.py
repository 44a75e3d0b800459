#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration of ./quickstart, by postbox and by Postfix: both must tell the same.

Exit: 0, 1 for a failure, 77 where it can't run (with the reason).
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

try:
    from lab.world import why_not
except ImportError as missing:
    print(f"python3 has no module {missing.name}: see tests/packages")
    sys.exit(77)

DEMO = os.path.join(HERE, "..", "demo", "demo.py")
HEAD = ["message", "is told", "arrives"]


def table(output):
    """Rows of the table at the end; columns are two blanks apart."""
    rows, inside = [], False
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip().split("  ") if cell.strip()]
        if cells[:3] == HEAD:
            inside = True
        elif inside and not cells:
            break
        elif inside:
            rows.append(tuple(cells))
    return rows


def play(*options):
    """The table, None if the run failed."""
    done = subprocess.run(
        ["/usr/bin/python3", "-B", DEMO, *options], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode == 0:
        return table(done.stdout)
    print(f"FAIL demo.py {' '.join(options)}: status {done.returncode}\n{done.stdout[-6000:]}{done.stderr}")
    return None


def main():
    reason = why_not()
    if reason is not None:
        print(reason)
        return 77
    passed = failed = 0
    by_postbox, by_postfix = play(), play("--postfix")
    if by_postbox is None or by_postfix is None or len(by_postbox) != len(by_postfix) or len(by_postbox) < 8:
        print("0 passed, 1 failed")
        return 1
    for ours, real in zip(by_postbox, by_postfix):
        good = ours == real and len(ours) == 6
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {'  '.join(ours)}" + ("" if good else f"; Postfix: {'  '.join(real)}"))
    alone = play("--journey")
    good = alone is not None and len(alone) == 1 and alone[0] in by_postbox
    passed, failed = passed + good, failed + (not good)
    print(f"{'ok  ' if good else 'FAIL'} the journey by itself")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
