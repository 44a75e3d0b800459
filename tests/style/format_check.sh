#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# format_check.sh: is every C file as `make format` would leave it? Names those that are not.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0 total=0
while IFS= read -r file; do
	total=$((total + 1))
	if ! clang-format --dry-run -Werror "$file" >/dev/null 2>&1; then
		echo "$file: not formatted (make format)"
		bad=$((bad + 1))
	fi
	if [ "$(head -n 1 "$file")" != '/* SPDX-License-Identifier: BSD-2-Clause */' ]; then
		echo "$file: first line is not the license"
		bad=$((bad + 1))
	fi
done < <(find policy report conf milter cli tests -name '*.[ch]' | sort)
echo "$total files, $bad faults"
[ "$bad" -eq 0 ] && [ "$total" -gt 0 ]
