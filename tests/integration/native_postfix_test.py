#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests with a real Postfix once more, on the native front."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.fronts import run_on_native

if __name__ == "__main__":
    sys.exit(run_on_native(("postfix_test.py", "signing_test.py", "submission_test.py")))
