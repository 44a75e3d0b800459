#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests with a mail system of our own once more, on the native front."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab.fronts import run_on_native

if __name__ == "__main__":
    sys.exit(run_on_native(("arc_chain_test.py", "postbox_test.py", "quickstart_test.py", "report_test.py")))
