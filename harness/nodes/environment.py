"""The environment of a node: what its figures depend on beside the profile, read once and kept in environment.json.

Pure: the script's text and the parsing of what it prints.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from harness.model.errors import ToolError
from harness.model.jobs import Program
from harness.model.text import brief, printable, shown

# One section a program, so that one call reads everything; what a node does not have leaves its section empty.
_SCRIPT = """
nic=$1 engine=$2
echo @hostname; hostname
echo @kernel; uname -srvm
echo @os; grep '^PRETTY_NAME=' /etc/os-release
echo @cpu_model; grep -m1 '^model name' /proc/cpuinfo
echo @cpus; nproc
echo @memory; grep '^MemTotal' /proc/meminfo
echo @iproute2; ip -V
echo @congestion_control; cat /proc/sys/net/ipv4/tcp_congestion_control
echo @available_congestion_control; cat /proc/sys/net/ipv4/tcp_available_congestion_control
echo @sysctls; for key in tcp_rmem tcp_wmem tcp_timestamps tcp_mtu_probing ip_no_pmtu_disc ip_forward; do
  printf '%s = ' "$key"; cat "/proc/sys/net/ipv4/$key"; done
echo @bridge_netfilter; cat /proc/sys/net/bridge/bridge-nf-call-iptables
echo @nic; ip -j -d link show dev "$nic"
echo @offloads; ethtool -k "$nic"
echo @driver; ethtool -i "$nic"
echo @qdisc; tc qdisc show dev "$nic"
if [ "$engine" != none ]; then
  echo @containers; "$engine" version --format '{{.Server.Version}}'
  echo @containers_mtu; "$engine" network inspect bridge --format '{{index .Options "com.docker.network.driver.mtu"}}'
fi
"""
SECTIONS = tuple(re.findall(r"^ *echo @(\w+)", _SCRIPT, re.MULTILINE))


def argv(nic: str, programs: Mapping[str, Program], engine: str = "none") -> list[str]:
    """Return the command that reads a node's environment: versions of programs, and of the container engine."""
    versions = [f"echo @{name}; {shlex.join(program.version_argv)} 2>&1" for name, program in programs.items()]
    return ["sh", "-c", "\n".join(["exec 2>/dev/null", _SCRIPT, *versions]), "sh", nic, engine]


def parse(text: str, programs: Mapping[str, Program]) -> dict[str, Any]:
    """Return the environment that the script printed, printable; what was not there is None.

    Raises ToolError for what the script does not print.
    """
    try:
        return _environment(printable(text), programs)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ToolError(f"what a node tells of itself is not understood: {brief(repr(error))}") from error


def _environment(text: str, programs: Mapping[str, Program]) -> dict[str, Any]:
    sections: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line[1:]
            sections[name] = ""
        elif name:
            sections[name] += line + "\n"
    if not sections:
        raise ToolError(f"a node tells nothing of itself: {brief(text)!r}")
    known: dict[str, Any] = {key: sections.get(key, "").strip() or None for key in (*SECTIONS, *programs)}
    known["os"] = (known.get("os") or "").partition("=")[2].strip('"') or None
    known["cpu_model"] = (known.get("cpu_model") or "").partition(":")[2].strip() or None
    known |= {name: _version(program.version_pattern, known[name]) for name, program in programs.items()}
    known["offloads"] = _pairs(known.get("offloads"), ":")
    known["sysctls"] = _pairs(known.get("sysctls"), "=")
    known["containers_mtu"] = int(known["containers_mtu"]) if (known.get("containers_mtu") or "").isdecimal() else None
    known["nic"] = dict(shown(json.loads(known["nic"])[0])) if known.get("nic") else None
    return known


def _version(pattern: str, text: str | None) -> str | None:
    match = re.search(pattern, text or "")
    return match[1] if match else None


def _pairs(text: str | None, separator: str) -> dict[str, str]:
    """Parse `name: value` lines; a heading without a value is left out."""
    pairs = (line.partition(separator) for line in (text or "").splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}
