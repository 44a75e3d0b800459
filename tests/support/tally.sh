# SPDX-License-Identifier: BSD-2-Clause
# Sourced by check: what passed, failed and was skipped, with names and reasons.

passed=0 failed=0 skipped=0
failures=() skips=()

# count PASSED FAILED SKIPPED
count()
{
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

note_failure()
{
	failures+=("$1")
	printf '    %sFAILED: %s%s\n' "$red" "$1" "$plain"
}

# counts_of LOG: "passed failed skipped" as the program's own output tells them; nothing if it doesn't.
# Lines that count: "SUITE: N cases, N passed[, N failed], N skipped" of the vector runners, "N passed,
# N failed[, N skipped]" of the integration tests, and cmocka's.
counts_of()
{
	awk '
	/: [0-9]+ cases?, [0-9]+ passed/ {
		match($0, /[0-9]+ cases?/); cases = substr($0, RSTART) + 0
		match($0, /[0-9]+ passed/); p = substr($0, RSTART) + 0
		s = match($0, /[0-9]+ skipped/) ? substr($0, RSTART) + 0 : 0
		f = cases - p - s	# some suites leave what they skip out of the cases
		vector[0] += p; vector[1] += f > 0 ? f : 0; vector[2] += s; vectors++
	}
	/^[0-9]+ passed, [0-9]+ failed/ {
		plain[0] += $1; plain[1] += $3; plain[2] += $5; plains++
	}
	/^\[  PASSED  \] [0-9]+ test/ { unit[0] += $4; units++ }
	/^\[  FAILED  \] [0-9]+ test/ { unit[1] += $4; units++ }
	/^\[  SKIPPED \] [0-9]+ test/ { unit[2] += $4; units++ }
	END {
		if (vectors) print vector[0], vector[1], vector[2]
		else if (plains) print plain[0], plain[1], plain[2] + 0
		else if (units) print unit[0] + 0, unit[1] + 0, unit[2] + 0
	}' "$1"
}

# tally BUILD NAME STATUS: read what `make check` left in BUILD.
tally()
{
	local build=$1 name=$2 status=$3 trs log result test line p f s
	local before_passed=$passed before_failed=$failed before_skipped=$skipped programs=0
	while IFS= read -r trs; do
		log=${trs%.trs}.log
		test=${trs#"$build"/}
		test=${test%.trs}
		result=$(sed -n 's/^:test-result: *//p' "$trs" | head -n 1)
		programs=$((programs + 1))
		read -r p f s < <(counts_of "$log"; echo)
		case $result in
		SKIP*)
			count 0 0 1
			skips+=("$name: $test: $(grep -v '^SKIP ' "$log" | grep . | tail -n 1)")
			;;
		PASS*)
			count "${p:-1}" "${f:-0}" "${s:-0}"
			[ "${f:-0}" -eq 0 ] || note_failure "$name: $test passes, but counts $f failures"
			;;
		*)
			[ "${f:-0}" -gt 0 ] || f=1
			count "${p:-0}" "$f" "${s:-0}"
			note_failure "$name: $test"
			tail -n 60 "$log"
			;;
		esac
		while IFS= read -r line; do
			skips+=("$name: $test: $line")
		done < <([ "${s:-0}" -gt 0 ] && grep -iE '^ *(skip|\[  SKIPPED \] [^0-9])' "$log")
		[ "$name" != gcc ] || grep -hE ': [0-9]+ cases?, [0-9]+ passed' "$log" | sed 's/^/    /'
	done < <(find "$build/tests" -name '*.trs' | sort)
	if [ "$programs" -eq 0 ] || { [ "$status" -ne 0 ] && [ "$failed" -eq "$before_failed" ]; }; then
		count 0 1 0
		note_failure "$name: make check ended with status $status after $programs test programs"
		tail -n 40 "$work/$name.check.log"
	fi
	printf '    %d programs: %d passed, %d failed, %d skipped\n' "$programs" \
	    $((passed - before_passed)) $((failed - before_failed)) $((skipped - before_skipped))
}

# The last words. Exits.
summary()
{
	local text
	printf '\n'
	for text in "${skips[@]}"; do
		printf '%sskipped: %s%s\n' "$yellow" "$text" "$plain"
	done
	for text in "${failures[@]}"; do
		printf '%sfailed: %s%s\n' "$red" "$text" "$plain"
	done
	printf 'Took %d min %d s; logs are in build-check/.\n' $((SECONDS / 60)) $((SECONDS % 60))
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}
