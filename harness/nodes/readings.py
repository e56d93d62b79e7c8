"""Reading a node before and after each trial, in one call: counters, CPU time, route cache.

Pure: the script's text and the parsing of what it prints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from harness.model.errors import ToolError
from harness.model.jobs import Port
from harness.model.path import Counted
from harness.model.readings import Counters, Reading
from harness.model.text import brief
from harness.nodes.running import ASKED, SIGNAL

USER_HZ = 100
"""Clock ticks a second in /proc/stat: fixed by the kernel's ABI on every architecture that containers run on."""
_CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_READY_TRIES = 1000
_READY_POLL_S = 0.002
_TOO_LARGE = 2**64
_STAT_CUTIME, _STAT_CSTIME = 13, 14
"""Fields of /proc/PID/stat, counted behind the program's name (proc_pid_stat(5))."""

# $1 the peer endpoint's address, $2 `before` or `after`, $3 ports to wait for, such as `-t:5201 -u:5202`, $4 another
# namespace whose devices count, or nothing; behind them the words that enter the endpoint. The wait reads the kernel's
# table: a probing connection would use up the server's one test. Counters come first after a trial and last before it,
# so that the readings themselves stay out of the difference, and few programs are started for them. The programs of a
# connection are children of its sshd, which counts what those that have ended used.
_SCRIPT = f"""
inside='cat /proc/net/snmp && {{ echo @route; ip -j route get "$1" 2>/dev/null || :; }}'
ancestors() {{
  pid=$PPID
  while [ "$pid" -gt 1 ] && read -r line <"/proc/$pid/stat"; do
    echo "$line"
    line=${{line##*) }}
    line=${{line#* }}
    pid=${{line%% *}}
  done
}}
counters() {{
  echo @clock; date +%s.%N
  echo @proc; cat /proc/uptime /proc/stat - /proc/net/dev /proc/net/snmp <<DEV
@dev
DEV
  [ -z "$hidden" ] || {{ echo @hidden; nsenter --net="$hidden" cat /proc/net/dev || exit 5; }}
  echo @ancestors; ancestors 2>/dev/null
  echo @endpoint
}}
reading() {{
  destination=$1 when=$2 ports=$3 hidden=$4
  shift 4
  for port in $ports; do
    tries=0
    until [ -n "$("$@" ss -Hln "${{port%%:*}}" "sport = :${{port#*:}}")" ]; do
      tries=$((tries + 1))
      if [ "$tries" -ge {_READY_TRIES} ]; then echo @unready; exit 3; fi
      sleep {_READY_POLL_S}
    done
  done
  counters
  if [ "$when" = before ]; then "$@" cat /proc/net/snmp || exit 4
  else "$@" sh -c "$inside" sh "$destination" || exit 4; fi
  echo @end
}}
{SIGNAL}
errand() {{
  what=$1
  shift
  "$what" "$@"
}}
{ASKED.format(answer="errand")}
"""
PROGRAM = ("sh", "-c", _SCRIPT, "sh")
"""What takes readings and sends signals: once by the words behind it, or as often as it is asked to."""


def words(
    enter: Sequence[str],
    destination: str,
    *,
    before: bool,
    ports: Sequence[Port] = (),
    counted: Counted | None = None,
) -> list[str]:
    """Return the words that have PROGRAM take a reading; `ports`: once something listens on each of them.

    `enter` are the words that run a command in the node's endpoint, `destination` is the address of the peer's,
    `counted` a device that may be in another namespace.
    """
    waited_for = " ".join(f"-{port.protocol[0]}:{port.number}" for port in ports)
    hidden = counted.namespace if counted else ""
    return ["reading", destination, "before" if before else "after", waited_for, hidden, *enter]


def signal_words(signal: str, pid: str) -> list[str]:
    """Return the words that have PROGRAM send a signal to a process and its group."""
    return ["signal", signal, pid]


def argv(
    enter: Sequence[str],
    destination: str,
    *,
    before: bool,
    ports: Sequence[Port] = (),
    counted: Counted | None = None,
) -> list[str]:
    """Return the command that takes one such reading and ends."""
    return [*PROGRAM, *words(enter, destination, before=before, ports=ports, counted=counted)]


def parse(text: str, counted: Counted | None = None) -> Reading:
    """Return the reading that the script printed; raises ToolError where it is not complete.

    `counted`, as it was given to `argv`, is among its devices under its own label, unless it is gone.
    """
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("@"):
            lines = sections.setdefault(line[1:], [])
        else:
            lines.append(line)
    if not any(line.startswith("Ip:") for line in sections.get("endpoint", ["Ip:"])):
        raise ToolError(f"the endpoint's namespace is gone: {brief(text)!r}")
    if "unready" in sections:
        raise ToolError("the server did not listen in time")
    try:
        return _reading(sections, counted)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ToolError(f"a node's counters could not be read: {brief(repr(error))} in {brief(text, 300)!r}") from error


def joined(node: Reading, endpoint: Reading) -> Reading:
    """Return a node's reading with what only one taken in its endpoint tells."""
    return replace(node, endpoint=endpoint.endpoint, route_mtu=endpoint.route_mtu)


def _reading(sections: dict[str, list[str]], counted: Counted | None) -> Reading:
    if "end" not in sections:
        raise KeyError("end")
    route = json.loads("".join(sections.get("route", [])) or "[{}]")[0]
    mtu = (route.get("metrics") or [{}])[0].get("mtu")
    uptime, *stat = sections["proc"]
    cpus = [_cpu_s(line) for line in stat if line.startswith("cpu")]  # the first line is that of all of them
    named = sections["dev"]
    first = [line.partition(":")[0] for line in named].index("Ip")
    own = devices(named[:first])
    if counted is not None:
        others = devices(sections["hidden"]) if counted.namespace else own
        own |= {counted.label: others[counted.device]} if counted.device in others else {}
    return Reading(
        clock_s=_seconds(sections["clock"][0]),
        uptime_s=_seconds(uptime.split()[0]),
        idle_cpus_s=tuple(round(cpu["idle"] + cpu["iowait"], 2) for cpu in cpus[1:]),
        stolen_cpu_s=cpus[0]["steal"],
        softirq_cpu_s=round(cpus[0]["irq"] + cpus[0]["softirq"], 2),
        tools_cpu_s=_tools_cpu_s(sections.get("ancestors", [])),
        devices=own,
        node=snmp(named[first:]),
        endpoint=snmp(sections["endpoint"]),
        route_mtu=None if mtu is None else _count(mtu),
    )


def _count(word: str | int) -> int:
    """Return a number as the kernel has them, in 64 bits."""
    number = int(word)
    if abs(number) >= _TOO_LARGE:
        raise ValueError("a counter of more than 64 bits")
    return number


def _seconds(word: str) -> float:
    seconds = float(word)
    if not 0 <= seconds < _TOO_LARGE:
        raise ValueError(f"a time of {word}")
    return seconds


def _cpu_s(line: str) -> dict[str, float]:
    """Return the seconds that a CPU, or all of them together, spent in each state."""
    ticks = dict(zip(_CPU_FIELDS, map(_count, line.split()[1:]), strict=False))
    return {name: ticks[name] / USER_HZ for name in _CPU_FIELDS}


def _tools_cpu_s(ancestors: Sequence[str]) -> float | None:
    """Return what the ended children of this connection's sshd used; its name has parentheses around it."""
    for line in ancestors:
        name, _, rest = line.partition("(")[2].rpartition(")")
        if name.startswith("sshd"):
            fields = rest.split()
            return (_count(fields[_STAT_CUTIME]) + _count(fields[_STAT_CSTIME])) / USER_HZ
    return None


def devices(lines: Sequence[str]) -> dict[str, Counters]:
    """Return the counters of each device that /proc/net/dev has."""
    return dict(_device(line) for line in lines if ":" in line)


def _device(line: str) -> tuple[str, Counters]:
    """Parse one line of /proc/net/dev: 8 columns received, 8 sent."""
    name, _, rest = line.partition(":")
    numbers = [_count(word) for word in rest.split()]
    return name.strip(), Counters(numbers[0], numbers[1], numbers[8], numbers[9])


def snmp(lines: Sequence[str]) -> dict[str, int]:
    """Return what /proc/net/snmp says in pairs of lines, names and values, as `IpFragCreates` and the like."""
    values: dict[str, int] = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        prefix = names.split(":")[0]
        values.update(
            {
                f"{prefix}{name}": _count(number)
                for name, number in zip(names.split()[1:], numbers.split()[1:], strict=True)
            }
        )
    return values
