# SPDX-License-Identifier: BSD-2-Clause
"""The cases of postfix_test.py, by what they are about. Every function that a module lists in its
CASES gets a running Lab and raises Failed when something is not as it must be."""
