#!/bin/sh
# Installs the programs that the lab and the tests use: real Samba, OpenSSH, net-snmp,
# FRR, rsyslog and openssl. Debian or Ubuntu, as root. Nothing that it installs is left
# running, now or after the next start of the machine; what was there before is not
# touched. "bench" as argument adds what `make bench-exposure` compares airlock with, and
# PostgreSQL, whose dumps it keeps.
set -eu

wanted="samba samba-vfs-modules smbclient snmpd snmp frr openssh-server openssh-client iproute2 nftables netcat-openbsd iputils-ping rsyslog rsyslog-gnutls openssl rclone restic strace"

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
	*"ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed:$missing"
	if [ "${CI:-}" = true ]; then
		echo "the tests need them here: run this as root on Debian, or install them"
		exit 1
	fi
	echo "the tests that need them are skipped; on Debian, sudo lab/install.sh installs them"
	exit 0
fi

# Package scripts ask policy-rc.d whether they may start what they bring.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq -y --no-install-recommends -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install $missing >/dev/null

# They would start with the machine. A unit that has nothing to disable says so.
if command -v systemctl >/dev/null; then
	for package in $missing; do
		dpkg -L "$package" | sed -n 's|.*/systemd/system/\([^@/]*\.\(service\|socket\)\)$|\1|p'
	done | xargs -r systemctl --quiet disable 2>/dev/null || true
fi
