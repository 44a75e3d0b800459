#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does tests/bench/instructions.py add up what is ours, and name what grew?"""

import collections
import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import instructions

# Two functions of ours, one of them inlined into the other, one of the tests, one of a library, and a
# call whose cost is the callee's.
DUMP = """\
desc: Trigger: Client Request: spf
ob=(1) /x/fixed
fl=(1) ../policy/spf/eval.c
fn=(1) spf_evaluate.part.0
10 100
fi=(2) ../policy/base/slice.c
20 50
fe=(1)
calls=1 30
11 7000
fl=(2)
fn=(2) slice_next
30 40
fl=(3) ../tests/bench/fixed.c
fn=(3) run_spf
5 9
ob=(2) /lib/libc.so.6
fl=(4) string/memchr.S
fn=(4) memchr
1 7000
ob=(1)
fl=(2)
fn=(2)
+1 2
"""
EVALUATE = "spf_evaluate (policy/spf/eval.c)"
NEXT = "slice_next (policy/base/slice.c)"


class Instructions(unittest.TestCase):
    def test_adds_up_ours(self):
        with tempfile.NamedTemporaryFile("w", suffix=".out") as dump:
            dump.write(DUMP)
            dump.flush()
            profile = instructions.Profile(dump.name)
        self.assertEqual(profile.trigger, "spf")
        self.assertEqual(profile.cost, {EVALUATE: 150, NEXT: 42})

    def compare(self, total, functions, measured):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            failed = instructions.compare({"spf": (total, functions)}, {"spf": collections.Counter(measured)})
        return failed, said.getvalue()

    def test_ten_percent_are_allowed(self):
        failed, said = self.compare(1000, {EVALUATE: 900, NEXT: 100}, {EVALUATE: 1000, NEXT: 100})
        self.assertEqual(failed, 0, said)

    def test_names_what_grew(self):
        failed, said = self.compare(1000, {EVALUATE: 900, NEXT: 100}, {EVALUATE: 890, NEXT: 211})
        self.assertEqual(failed, 1)
        self.assertIn("+111 " + NEXT, said)
        self.assertNotIn(EVALUATE, said)

    def test_reads_what_it_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "numbers")
            instructions.write(path, "cc 1", {"spf": collections.Counter({EVALUATE: 900, NEXT: 100})})
            self.assertEqual(instructions.read(path), ("cc 1", {"spf": (1000, {EVALUATE: 900, NEXT: 100})}))


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(not result.wasSuccessful())
