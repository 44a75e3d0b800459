#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# install_packages.sh PACKAGE...: as root, without a question, and without starting a service.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Debian starts what it installs unless this file says no; one that stands there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi

apt-get update
for package in "$@"; do
	if [ "$package" = postfix ]; then
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
	fi
done
apt-get install -y --no-install-recommends "$@"

# Nor at the next boot, for those that were not there before.
if [ -d /run/systemd/system ]; then
	for package in "$@"; do
		case $package in
		nsd | postfix) systemctl disable "$package" || true ;;
		dovecot-*) systemctl disable dovecot || true ;;
		esac
	done
fi
