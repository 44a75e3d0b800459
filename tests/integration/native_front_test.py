#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The tests with a whole mail system once more, on the native front.

Arguments, if any, are handed on. Exit: 0, 1 for a failure, 77 where none can run (with the reason).
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = ("postbox_test.py", "postfix_test.py")
SKIPPED = 77


def main():
    environment = {**os.environ, "ASSAY_FRONT": "native"}
    codes = []
    for test in TESTS:
        print(f"---- {test}", flush=True)
        command = [sys.executable, os.path.join(HERE, test), *sys.argv[1:]]
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    if all(code == SKIPPED for code in codes):
        return SKIPPED
    return 0 if all(code in (0, SKIPPED) for code in codes) else 1


if __name__ == "__main__":
    sys.exit(main())
