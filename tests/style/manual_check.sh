#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# manual_check.sh: does mandoc have anything to say about the manual pages?
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0 total=0
for page in doc/*.[1-8]; do
	[ -e "$page" ] || continue
	total=$((total + 1))
	mandoc -T lint -W warning "$page" || bad=$((bad + 1))
done
echo "$total pages, $bad with faults"
[ "$bad" -eq 0 ] && [ "$total" -gt 0 ]
