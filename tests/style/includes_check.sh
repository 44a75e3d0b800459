#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# includes_check.sh [FOLDER]: who includes whom (doc/architecture.md), checked by reading #include lines.
# Prints one line a violation and "N includes in N files, N violations"; exits 1 if there is any.
#
# A row: the files it speaks of, then what they may include of ours. The first row that fits a file counts.
# A trailing slash is a folder with all below it; internal.h belongs to its own folder whatever stands here.
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 1

ours='
policy/base/	policy/base/
policy/syntax/	policy/base/ policy/syntax/
policy/dns/	policy/base/ policy/dns/
policy/crypto/	policy/base/ policy/crypto/
policy/sig/	policy/base/ policy/syntax/ policy/dns/dns.h policy/crypto/crypto.h policy/sig/
policy/spf/	policy/base/ policy/syntax/ policy/dns/dns.h policy/dns/reverse.h policy/spf/
policy/iprev/	policy/base/ policy/syntax/ policy/dns/dns.h policy/dns/reverse.h policy/iprev/
policy/dkim/	policy/base/ policy/syntax/ policy/dns/dns.h policy/crypto/crypto.h policy/sig/sig.h policy/dkim/
policy/arc/	policy/base/ policy/syntax/ policy/dns/dns.h policy/crypto/crypto.h policy/sig/sig.h policy/arc/
policy/dmarc/	policy/base/ policy/syntax/ policy/dns/dns.h policy/spf/spf.h policy/dkim/dkim.h policy/arc/arc.h policy/dmarc/
policy/authres/	policy/base/ policy/syntax/ policy/authres/
policy/		policy/
report/		policy/ report/
conf/		policy/ conf/
milter/		policy/ report/ conf/ milter/ config.h
cli/		policy/ report/ conf/ cli/ config.h
'

# One door a library: header, then who may include it.
doors='
unbound.h	policy/dns/unbound.c
unbound-event.h	policy/dns/unbound.c policy/dns/events.c
openssl/	policy/crypto/
libmilter/	milter/
confuse.h	conf/
seccomp.h	milter/confine_seccomp.c
libpsl.h	policy/dmarc/psl.c
idn2.h		policy/syntax/
jansson.h	cli/
sqlite3.h	report/db_sqlite.c
libpq-fe.h	report/db_postgres.c
curl/		report/
libxml/		report/
zlib.h		report/
'

find policy report conf milter cli -name '*.[ch]' -exec grep -Hn '^[[:space:]]*#[[:space:]]*include' {} + |
    awk -v ours="$ours" -v doors="$doors" '
function rows(text, names, values,    n, i, line, parts) {
	n = split(text, line, "\n")
	count = 0
	for (i = 1; i <= n; i++) {
		if (line[i] == "")
			continue
		split(line[i], parts, "\t+")
		names[++count] = parts[1]
		values[count] = parts[2]
	}
	return count
}
# Is path the file, or below the folder, of one of the words?
function among(path, words,    n, i, word) {
	n = split(words, word, " ")
	for (i = 1; i <= n; i++)
		if (path == word[i] || (word[i] ~ /\/$/ && index(path, word[i]) == 1))
			return 1
	return 0
}
function complain(text) {
	printf "%s:%s: %s\n", file, line_number, text
	violations++
}
function check_library(header,    i) {
	for (i = 1; i <= door_count; i++)
		if (among(header, door_of[i]) && !among(file, door_to[i]))
			complain("<" header "> has its door in " door_to[i])
}
function check_ours(header,    i, folder) {
	if (header !~ /\// && header != "config.h") {
		complain("\"" header "\" is not written from the root")
		return
	}
	folder = header
	sub(/[^\/]*$/, "", folder)
	if (header ~ /\/internal\.h$/ && index(file, folder) != 1) {
		complain("\"" header "\" is for its own folder alone")
		return
	}
	for (i = 1; i <= rule_count; i++)
		if (among(file, rule_of[i])) {
			if (!among(header, rule_may[i]))
				complain(rule_of[i] " must not include \"" header "\"")
			return
		}
	complain("no rule for this folder: add one to tests/style/includes_check.sh")
}
BEGIN {
	rule_count = rows(ours, rule_of, rule_may)
	door_count = rows(doors, door_of, door_to)
}
{
	match($0, /:[0-9]+:/)
	file = substr($0, 1, RSTART - 1)
	line_number = substr($0, RSTART + 1, RLENGTH - 2)
	files[file] = 1
	total++
	if (match($0, /<[^>]+>/))
		check_library(substr($0, RSTART + 1, RLENGTH - 2))
	else if (match($0, /"[^"]+"/))
		check_ours(substr($0, RSTART + 1, RLENGTH - 2))
}
END {
	for (f in files)
		file_count++
	printf "%d includes in %d files, %d violations\n", total, file_count, violations
	exit violations > 0 || total == 0
}'
