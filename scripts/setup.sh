#!/bin/sh
# Make this checkout runnable: the system programs it calls, and a .venv made from requirements.lock.
# Does nothing, quickly, when both are there. Exit 2: something is missing that this script cannot get.
#
# --docker: also a Docker daemon, for --containers docker in the local lab and for the tests.
# --tshark: also what the tests hold decoded captures against.
# --browser: also what `make test-browser` opens pages with: Chromium, and what drives it.
# --vagrant: also what `make test-vagrant` needs, which is a lot; see docs/vagrant.md.
# --kubernetes: also what `make test-kubernetes` needs, a compiler among it; see docs/kubernetes.md.
# SETUP_SBIN (default /usr/sbin): where policy-rc.d lives and sbin programs are looked up; for tests and odd layouts.
set -eu
cd "$(dirname "$0")/.."

sbin=${SETUP_SBIN:-/usr/sbin}
PATH=$PATH:$sbin # an ordinary user's PATH leaves the sbin folders out
[ "$sbin" != /usr/sbin ] || PATH=$PATH:/sbin
# With .venv activated, python3 would be the very one about to be replaced.
PATH=${PATH#"$PWD/.venv/bin:"}

for option in "$@"; do
    case $option in
    --docker) docker=yes ;;
    --tshark) tshark=yes ;;
    --browser) browser=yes ;;
    --vagrant) vagrant=yes ;;
    --kubernetes) kubernetes=yes ;;
    *)
        echo "setup: unknown option $option; there are --docker, --tshark, --browser, --vagrant and --kubernetes." >&2
        exit 2
        ;;
    esac
done

# program:Debian package
programs='
    iperf3:iperf3 ping:iputils-ping sockperf:sockperf wrk:wrk apache2:apache2-bin
    ethtool:ethtool tcpdump:tcpdump openvpn:openvpn nft:nftables iptables:iptables
    ip:iproute2 ss:iproute2 tc:iproute2 bridge:iproute2 nstat:iproute2
    sshd:openssh-server ssh:openssh-client ssh-keygen:openssh-client
    unshare:util-linux nsenter:util-linux setpriv:util-linux mount:mount newuidmap:uidmap
'
# libvirt-daemon without libvirt-daemon-system: the test starts a libvirtd of its own, so no service is wanted.
vagrant_programs='
    vagrant:vagrant libvirtd:libvirt-daemon virsh:libvirt-clients dnsmasq:dnsmasq-base
    qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils
    mmdebstrap:mmdebstrap sfdisk:fdisk mkfs.ext4:e2fsprogs losetup:mount
'
# What a cluster needs and Debian has no binary of is built from a source package, hence the compiler.
kubernetes_programs='
    etcd:etcd-server openssl:openssl conntrack:conntrack
    go:golang-go dpkg-source:dpkg-dev make:make rsync:rsync jq:jq gcc:gcc
'
missing=
packages=

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 2
}
has() { command -v "$1" >/dev/null 2>&1; }
has_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

want() { # program package: note both, a package only once
    missing="$missing $1"
    case " $packages " in *" $2 "*) ;; *) packages="$packages $2" ;; esac
}

# --- .venv -----------------------------------------------------------------------------------------------

# What the installed packages depend on. The path counts: scripts in a venv name it. Fails if python is broken.
packages_key() {
    version=$(.venv/bin/python -c 'import sys; print(sys.version)' 2>/dev/null) || return 1
    { printf '%s\n' "$PWD" "$version" && cat requirements.lock; } | sha256sum
}
project_key() { sha256sum <pyproject.toml; }
stamped() { [ -f ".venv/$1" ] && key=$("$2") && [ "$(cat ".venv/$1")" = "$key" ]; }

check_python() {
    if ! has python3; then
        want python3 python3
        want python3-venv python3-venv
        return
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "python3 on PATH is $(python3 -V 2>&1), but Python 3.11 or newer is needed."
    # Debian cuts ensurepip out of python3; without it no venv gets a pip.
    python3 -c 'import ensurepip, venv' 2>/dev/null || want python3-venv python3-venv
}

# A stamp is taken away first and written last, so a build cut short is never trusted.
build_venv() {
    say "building .venv from requirements.lock (a minute or two)"
    rm -f .venv/.packages .venv/.project
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
    packages_key >.venv/.packages
}
# hatchling comes from the lock, hence no isolated build that would fetch an unpinned one.
install_project() {
    rm -f .venv/.project
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    project_key >.venv/.project
}

# What drives the browser, as package-lock.json pins it; npm asks nothing of its registry where it is there.
modules_key() { sha256sum <tests/browser/package-lock.json; }
install_modules() {
    say "installing what drives the browser in tests/browser"
    rm -f .venv/.modules
    npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel=error
    modules_key >.venv/.modules
}

# --- system packages -------------------------------------------------------------------------------------

policy=$sbin/policy-rc.d
set_aside=$policy.before-harness-setup
scratch=

# Package scripts ask policy-rc.d before they start a service; 101 is "forbidden". It is the one switch that
# works under systemd, sysv and no init alike, and only this apt-get run may see it.
forbid_services() {
    scratch=$(mktemp -d)
    trap allow_services EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\n# harness-setup: temporary\nexit 101\n' >"$scratch/policy-rc.d"
    # One of ours is the leftover of a killed run, not the owner's: never put that aside as theirs.
    if [ -e "$policy" ] && ! grep -qs '^# harness-setup: temporary' "$policy"; then
        as_root mv "$policy" "$set_aside"
    fi
    as_root install -m 755 "$scratch/policy-rc.d" "$policy"
}
allow_services() {
    trap - EXIT
    # Still the owner's own if we were stopped before putting ours there.
    if grep -qs '^# harness-setup: temporary' "$policy"; then as_root rm -f "$policy"; fi
    if [ -e "$set_aside" ]; then as_root mv "$set_aside" "$policy"; fi
    rm -rf "$scratch"
}

# The harness starts its own sshd and dockerd inside its namespaces; the machine itself must not become a server.
# policy-rc.d holds only for now, this holds after the next boot. Before the install: no moment in between.
keep_off_systemd() { # package unit...
    package=$1
    shift
    say "$package stays off: $* get masked (undo: systemctl unmask $*)"
    as_root systemctl --quiet mask "$@" 2>/dev/null ||
        die "systemctl could not mask $*, so $package was not installed."
}
# Without systemd there is nothing to disable until the package has put its init script there.
keep_off_sysv() { # package script
    say "$1 stays off: its init script gets disabled (undo: update-rc.d $2 enable)"
    ! has update-rc.d || as_root update-rc.d "$2" disable >/dev/null
}
is_new() { case " $packages " in *" $1 "*) ;; *) false ;; esac; }

# needrestart would restart unrelated services or ask; debconf and changed conffiles would ask. iperf3 asks
# whether to run as a daemon; its default, taken here, is no.
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        "$@" </dev/null >"$scratch/apt.log" 2>&1
}

install_packages() {
    has apt-get || die "these programs are missing and there is no apt-get to install them:$missing."
    [ "$(id -u)" = 0 ] || has sudo ||
        die "these programs are missing and installing them needs root or sudo:$missing."
    say "installing Debian packages:$packages"

    forbid_services
    if has systemctl; then
        ! is_new openssh-server || keep_off_systemd openssh-server ssh.service ssh.socket
        ! is_new docker.io || keep_off_systemd docker.io docker.service docker.socket containerd.service
        ! is_new etcd-server || keep_off_systemd etcd-server etcd.service
    fi
    apt update || say "apt-get update failed; trying with the package lists at hand"
    # shellcheck disable=SC2086 # one word per package is meant
    if ! apt install -y --no-install-recommends $packages; then
        cat "$scratch/apt.log" >&2
        die "apt-get could not install:$packages."
    fi
    if ! has systemctl; then
        ! is_new openssh-server || keep_off_sysv openssh-server ssh
        ! is_new docker.io || keep_off_sysv docker.io docker
        ! is_new etcd-server || keep_off_sysv etcd-server etcd
    fi
    allow_services
}

# --- main ------------------------------------------------------------------------------------------------

[ -z "${docker-}" ] || programs="$programs dockerd:docker.io docker:docker.io"
[ -z "${tshark-}" ] || programs="$programs tshark:tshark"
[ -z "${browser-}" ] || programs="$programs chromium:chromium node:nodejs npm:npm"
[ -z "${vagrant-}" ] || programs="$programs $vagrant_programs"
[ -z "${kubernetes-}" ] || programs="$programs $kubernetes_programs"
for entry in $programs; do
    has "${entry%%:*}" || want "${entry%%:*}" "${entry#*:}"
done
# For the tests, which also come in as an ordinary user. Who is not root could not have it installed anyway.
[ "$(id -u)" != 0 ] || has sudo || want sudo sudo
# A plugin of vagrant's has no program to be known by.
[ -z "${vagrant-}" ] || has_package vagrant-libvirt || want vagrant-libvirt vagrant-libvirt
# Its programs are in /usr/lib/cni, not on PATH.
[ -z "${kubernetes-}" ] || has_package containernetworking-plugins ||
    want containernetworking-plugins containernetworking-plugins
if stamped .packages packages_key; then build=; else build=yes && check_python; fi

[ -z "$packages" ] || install_packages
[ -z "$build" ] || build_venv
stamped .project project_key || install_project
[ -z "${browser-}" ] || stamped .modules modules_key || install_modules
