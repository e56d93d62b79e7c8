"""What is read on both nodes before and after each trial, in one call: counters, CPU time, route cache.

Pure: the script's text and the parsing of what it prints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.model.errors import ToolError
from harness.model.readings import Counters, Reading

USER_HZ = 100
"""Clock ticks a second in /proc/stat: fixed by the kernel's ABI on every architecture that containers run on."""
_CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_BUSY_FIELDS = ("user", "nice", "system", "irq", "softirq")
_READY_TRIES = 200
_READY_POLL_S = 0.02

# $1 endpoint namespace or "", $2 the peer endpoint's address, $3 a port to wait for or "". The wait reads the
# kernel's table: a probing connection would use up the server's one test. Counters come first after a trial and last
# before it, so that the readings themselves stay out of the difference.
_SCRIPT = f"""
in_namespace() {{ if [ -n "$namespace" ]; then ip netns exec "$namespace" "$@"; else "$@"; fi; }}
counters() {{
  echo @stat; grep '^cpu ' /proc/stat
  echo @dev; cat /proc/net/dev
  echo @snmp; cat /proc/net/snmp
  echo @endpoint; in_namespace cat /proc/net/snmp
}}
namespace=$1 destination=$2 port=$3 when=$4
if [ -n "$port" ]; then
  tries=0
  until in_namespace ss -Hltn "sport = :$port" | grep -q .; do
    tries=$((tries + 1))
    if [ "$tries" -ge {_READY_TRIES} ]; then echo @unready; exit 3; fi
    sleep {_READY_POLL_S}
  done
fi
if [ "$when" = after ]; then counters; fi
echo @route; in_namespace ip -j route get "$destination"
echo @load; cat /proc/loadavg
if [ "$when" = before ]; then counters; fi
"""


def argv(namespace: str | None, destination: str, *, before: bool, port: int | None = None) -> list[str]:
    """Return the command that takes one reading on a node; `port`: wait until something listens there."""
    words = [namespace or "", destination, "" if port is None else str(port), "before" if before else "after"]
    return ["sh", "-c", _SCRIPT, "sh", *words]


def parse(text: str) -> Reading:
    """Return the reading that the script printed; raises ToolError where it is not complete."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("@"):
            lines = sections.setdefault(line[1:], [])
        else:
            lines.append(line)
    if "endpoint" in sections and not sections["endpoint"]:
        raise ToolError(f"the endpoint's namespace is gone: {text.strip()[-200:]!r}")
    if "unready" in sections:
        raise ToolError("the server did not listen in time")
    try:
        route = json.loads("".join(sections["route"]) or "[{}]")[0]
        metrics = (route.get("metrics") or [{}])[0]
        return Reading(
            busy_cpu_s=_cpu_s(sections["stat"][0], _BUSY_FIELDS),
            stolen_cpu_s=_cpu_s(sections["stat"][0], ("steal",)),
            total_cpu_s=_cpu_s(sections["stat"][0], _CPU_FIELDS),
            devices=dict(_device(line) for line in sections["dev"] if ":" in line),
            node=_snmp(sections["snmp"]),
            endpoint=_snmp(sections["endpoint"]),
            route_mtu=metrics.get("mtu"),
            route_device=route.get("dev", ""),
            load_1min=float(sections["load"][0].split()[0]),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise ToolError(f"a node's counters could not be read: {error!r} in {text[-300:]!r}") from error


def _cpu_s(line: str, fields: Sequence[str]) -> float:
    """Return the seconds that all CPUs together spent in some states."""
    ticks = dict(zip(_CPU_FIELDS, map(int, line.split()[1:]), strict=False))
    return sum(ticks[name] for name in fields) / USER_HZ


def _device(line: str) -> tuple[str, Counters]:
    """Parse one line of /proc/net/dev: 8 columns received, 8 sent."""
    name, _, rest = line.partition(":")
    numbers = [int(word) for word in rest.split()]
    return name.strip(), Counters(numbers[0], numbers[1], numbers[8], numbers[9])


def _snmp(lines: list[str]) -> dict[str, int]:
    """Parse /proc/net/snmp, pairs of lines of names and values, into `IpFragCreates` and the like."""
    values: dict[str, int] = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        prefix = names.split(":")[0]
        values.update(
            {
                f"{prefix}{name}": int(number)
                for name, number in zip(names.split()[1:], numbers.split()[1:], strict=True)
            }
        )
    return values
