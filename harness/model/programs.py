"""Programs that the local machine may lack, and what brings them."""

from __future__ import annotations

from harness.model import shipped

PACKAGES = {
    program: package
    for package, programs in {
        "iproute2": "ip ss tc bridge",
        "openssh-client": "ssh ssh-keygen",
        "openssh-server": "sshd",
        "util-linux": "unshare nsenter setpriv",
        "mount": "mount",
        "ethtool": "ethtool",
        "tcpdump": "tcpdump",
        "openvpn": "openvpn",
        "python3": "python3",
    }.items()
    for program in programs.split()
}
"""The Debian package of each program that the harness itself runs; those of measures name theirs."""


def remedy(program: str, package: str | None = None) -> str:
    """Return what brings a program that is missing here: `make setup` in a checkout, else a Debian package by name."""
    if not shipped.IS_INSTALLED:
        return "run `make setup`"
    return f"install it (Debian: apt-get install {package or PACKAGES.get(program, program)})"
