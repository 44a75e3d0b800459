#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# format_check.sh: is every C file as `make format` would leave it? Names those that are not.
set -u
cd "$(dirname "$0")/../.." || exit 1
license='/* SPDX-License-Identifier: BSD-2-Clause */'

c_files()
{
	find policy report conf milter cli tests -name '*.[ch]' | sort
}

# A file that is not formatted is named by its first warning.
unformatted()
{
	c_files | xargs -n 16 -P "$(nproc)" clang-format --dry-run 2>&1 |
	    sed -n 's/^\([^:]*\):.*\[-Wclang-format-violations\]$/\1: not formatted (make format)/p' | sort -u
}

unlicensed()
{
	c_files | while IFS= read -r file; do
		IFS= read -r first <"$file"
		[ "$first" = "$license" ] || echo "$file: first line is not the license"
	done
}

faults=$(unformatted; unlicensed)
total=$(c_files | wc -l)
bad=$(printf '%s' "$faults" | grep -c .)
[ "$bad" -eq 0 ] || printf '%s\n' "$faults"
echo "$total files, $bad faults"
[ "$bad" -eq 0 ] && [ "$total" -gt 0 ]
