#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# libunbound against a real name server: nsd on a loopback port, with zones signed here (secure, insecure,
# expired, tampered with), then the program dns_unbound, which brings a silent and a slow server itself.
# Wants: nsd, ldnsutils. Leaves nothing behind. Exit: 0 passed, 77 skipped, else failed.
set -eu

build=${ASSAY_BUILD:-.}
program=${1:-$build/tests/integration/dns_unbound}

for tool in nsd ldns-keygen ldns-signzone drill; do
	PATH=$PATH:/usr/sbin command -v $tool >/dev/null || {
		echo "SKIPPED: $tool is not installed (apt-get install nsd ldnsutils)"
		exit 77
	}
done
PATH=$PATH:/usr/sbin

D=$(mktemp -d "${TMPDIR:-/tmp}/assay-dns.XXXXXX")
nsd_pid=
finish() {
	[ -z "$nsd_pid" ] || { kill "$nsd_pid" 2>/dev/null && wait "$nsd_pid" 2>/dev/null; } || true
	rm -rf "$D"
}
trap finish EXIT

soa() {
	printf '%s. 300 IN SOA ns.%s. hostmaster.%s. 1 3600 600 86400 30\n' "$1" "$1" "$1"
	printf '%s. 300 IN NS ns.%s.\nns.%s. 300 IN A 127.0.0.1\n' "$1" "$1" "$1"
}

big() { # a TXT of 20 strings of 250 bytes: too big for UDP
	local s
	s=$(printf 'x%.0s' {1..250})
	printf 'big.%s. 60 IN TXT' "$1"
	printf " \"$s\"%.0s" {1..20}
	printf '\n'
}

data() {
	soa "$1"
	cat <<-END
	a.$1. 60 IN A 192.0.2.1
	a.$1. 60 IN AAAA 2001:db8::1
	txt.$1. 60 IN TXT "v=spf1 " "-all"
	mx.$1. 60 IN MX 20 b.$1.
	mx.$1. 60 IN MX 10 a.$1.
	alias.$1. 60 IN CNAME a.$1.
	dangling.$1. 60 IN CNAME nowhere.$1.
	sp\\032ace.$1. 60 IN A 192.0.2.2
	tampered.$1. 60 IN A 192.0.2.66
	END
	big "$1"
}

# sign ZONE [option...]: adds the zone's DS to the anchors.
sign() {
	local zone=$1 key
	shift
	key=$(cd "$D" && ldns-keygen -a ECDSAP256SHA256 -k "$zone")
	(cd "$D" && ldns-signzone -f "$zone.zone" "$@" "$zone.unsigned" "$key")
	cat "$D/$key.ds" >>"$D/anchor"
}

data plain.example >"$D/plain.example.zone"
soa 2.0.192.in-addr.arpa >"$D/2.0.192.in-addr.arpa.zone"
echo '1.2.0.192.in-addr.arpa. 60 IN PTR Host.Example.' >>"$D/2.0.192.in-addr.arpa.zone"
data x.test >"$D/x.test.zone"
{
	data signed.example
	echo 'child.signed.example. 300 IN NS ns.child.signed.example.'
	echo 'ns.child.signed.example. 300 IN A 127.0.0.1'
} >"$D/signed.example.unsigned"
data child.signed.example >"$D/child.signed.example.zone"
data old.example >"$D/old.example.unsigned"
sign signed.example
sign old.example -i 20200101000000 -e 20200201000000
sed -i 's/^\(tampered\.signed\.example\..*A[[:space:]]*\)192\.0\.2\.66/\1192.0.2.67/' "$D/signed.example.zone"

config() {
	cat <<-END
	server:
		ip-address: 127.0.0.1@$1
		username: ""
		chroot: ""
		zonesdir: "$D"
		pidfile: "$D/nsd.pid"
		xfrdfile: "$D/xfrd"
		xfrdir: "$D"
		zonelistfile: "$D/zonelist"
		database: ""
		server-count: 1
	remote-control:
		control-enable: no
	END
	for zone in plain.example 2.0.192.in-addr.arpa x.test signed.example child.signed.example old.example; do
		printf 'zone:\n\tname: "%s"\n\tzonefile: "%s.zone"\n' $zone $zone
	done
}

start_nsd() {
	local port
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 20000))
		config $port >"$D/nsd.conf"
		nsd -d -c "$D/nsd.conf" >"$D/nsd.log" 2>&1 &
		nsd_pid=$!
		for _ in $(seq 50); do
			kill -0 $nsd_pid 2>/dev/null || break
			if drill -p $port a.plain.example @127.0.0.1 2>/dev/null | grep -q '192\.0\.2\.1'; then
				server=127.0.0.1@$port
				return 0
			fi
			sleep 0.1
		done
		kill $nsd_pid 2>/dev/null || true
		wait $nsd_pid 2>/dev/null || true
	done
	cat "$D/nsd.log"
	return 1
}

start_nsd
printf 'nameserver 127.0.0.1\n' >"$D/resolv.conf"
DNS_TEST_SERVER=$server DNS_TEST_ANCHOR=$D/anchor DNS_TEST_FOLDER=$D "$program"
