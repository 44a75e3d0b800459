# SPDX-License-Identifier: BSD-2-Clause
"""Tests once more, on the native front."""

import os
import subprocess
import sys

SKIPPED = 77


def run_on_native(tests):
    """Files beside lab/, one after the other; arguments are handed on. 0, 1 for a failure, 77 where none can run."""
    folder = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    environment = {**os.environ, "ASSAY_FRONT": "native"}
    codes = []
    for test in tests:
        print(f"---- {test}", flush=True)
        command = [sys.executable, os.path.join(folder, test), *sys.argv[1:]]
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    if all(code == SKIPPED for code in codes):
        return SKIPPED
    return 0 if all(code in (0, SKIPPED) for code in codes) else 1
