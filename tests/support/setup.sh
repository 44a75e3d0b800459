# SPDX-License-Identifier: BSD-2-Clause
# Sourced by quickstart and check: packages, and the words to the person who watches.
# Wants $top, the folder of the checkout.

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' yellow='' plain=''
fi

die()
{
	printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
	exit 1
}

# as_root COMMAND...: sudo is asked for only where it is needed.
as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "run me as root, or install sudo"
	fi
}

# missing_packages GROUP...: those of tests/packages that are not installed.
missing_packages()
{
	local group name
	while read -r group name; do
		case " $* " in
		*" $group "*)
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
			    printf '%s\n' "$name"
			;;
		esac
	done <"$top/tests/packages"
}

# need_packages LOG GROUP...: install what is missing. Nothing that comes along is started or enabled:
# neither a Postfix nor an nsd of the system is wanted here.
need_packages()
{
	local log=$1 missing
	shift
	command -v dpkg-query >/dev/null || die "this is made for Debian 12: no dpkg here"
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	printf 'Installing %d Debian packages: %s\n' ${#missing[@]} "${missing[*]}"
	as_root bash "$top/tests/support/install_packages.sh" "${missing[@]}" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		die "packages could not be installed (all of it in $log)"
	}
}

# Is configure missing, older than what it is made from, or half cleaned away?
configure_stale()
{
	[ ! -x configure ] || [ ! -f build-aux/install-sh ] || [ configure.ac -nt configure ]
}
