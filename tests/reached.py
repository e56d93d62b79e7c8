"""How much of the program the unit tests reach, judged: `make coverage`, or `python -m tests.reached coverage.json`.

Branches are what counts: of each decision, whether both of its ways were taken. A line of the table has branches taken,
of how many, their share, and the share of statements and branches together. Exit code 1 below a bound.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

HARNESS_LEAST, PARSERS_LEAST = 0.90, 0.95
HARNESS = "harness/"
PARSERS: Mapping[str, Sequence[str]] = {
    "profiles": ("fabric/profiles.py", "fabric/profile_file.py"),
    "inventory, ansible-inventory": ("nodes/inventory.py", "labs/static.py"),
    "run.json": ("results/meta.py", "results/plan.py", "results/earlier.py"),
    "environment of a node": ("nodes/environment.py",),
    "trials.csv, series.csv": ("results/schema.py", "results/files.py", "report/trials.py", "report/reading.py"),
    "pairs.json, folders of runs": ("report/pairs.py", "report/past_runs.py"),
    "iperf3": ("measures/iperf3.py", "measures/iperf3_files.py", "measures/udp_search.py", "measures/understood.py"),
    "ping": ("measures/ping.py", "measures/loaded_ping.py"),
    "sockperf, wrk": ("measures/sockperf.py", "measures/connections.py"),
    "tcpdump, pcap": ("inspect/decode.py", "inspect/stack.py", "measures/ecmp.py"),
    "ip, bridge, iptables": ("inspect/tables.py", "inspect/spaces.py"),
    "/proc of a node": ("nodes/readings.py", "nodes/background.py"),
    "owner of a lock": ("nodes/lock.py",),
    "ssh -G, vagrant ssh-config": ("nodes/target.py", "labs/vagrant.py"),
    "kubectl's JSON": ("nodes/kubectl.py", "nodes/pods.py", "labs/cluster.py", "labs/cni.py"),
    "configuration": ("cli/configuration.py",),
    "import, its mapping": ("results/places.py", "results/imported.py"),
    "values of options": (
        *("cli/options.py", "cli/types.py", "measures/factors.py", "measures/offload.py"),
        *("model/found.py", "model/pairs.py", "model/containers.py", "labs/wires.py"),
    ),
}
"""What reads what others wrote, by what that is: the targets of tests/fuzz."""


@dataclass(frozen=True)
class Reached:
    """Branches and statements: how many were taken, of how many."""

    branches: tuple[int, int] = (0, 0)
    statements: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, summaries: Iterable[Mapping[str, Any]]) -> Self:
        """Return the sum of what coverage's JSON says of files."""
        listed = [*summaries]
        return cls(
            (sum(one["covered_branches"] for one in listed), sum(one["num_branches"] for one in listed)),
            (sum(one["covered_lines"] for one in listed), sum(one["num_statements"] for one in listed)),
        )

    @property
    def share(self) -> float:
        """The share of branches; 1 where there are none."""
        return _share(*self.branches)

    @property
    def combined(self) -> float:
        """The share of statements and branches together, which is coverage's own figure."""
        return _share(*(sum(pair) for pair in zip(self.branches, self.statements, strict=True)))


def _share(taken: int, of: int) -> float:
    return taken / of if of else 1.0


def lines(files: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Reached, float | None]]:
    """Return the table: what, what was reached of it, and the least that it has to be.

    Raises KeyError for a parser that is not there any more.
    """
    made: list[tuple[str, Reached, float | None]] = [("harness/", Reached.of(files.values()), HARNESS_LEAST)]
    folders = sorted({name.removeprefix(HARNESS).rpartition("/")[0].partition("/")[0] for name in files})
    for folder in folders:
        own = [summary for name, summary in files.items() if name.removeprefix(HARNESS).partition("/")[0] == folder]
        made += [(f"  {folder}/", Reached.of(own), None)] if own else []
    every = [files[f"{HARNESS}{name}"] for names in PARSERS.values() for name in names]
    made.append(("parsers", Reached.of(every), PARSERS_LEAST))
    for what, names in PARSERS.items():
        made.append((f"  {what}", Reached.of(files[f"{HARNESS}{name}"] for name in names), PARSERS_LEAST))
    return made


def table(made: Sequence[tuple[str, Reached, float | None]]) -> str:
    """Return the lines as text."""
    said = [f"{'':32}{'branches':>13}{'':8}  with statements"]
    for what, reached, least in made:
        taken, of = reached.branches
        short = least is not None and reached.share < least
        mark = f"  below {least:.0%}" if short else ""
        said.append(f"{what:32}{taken:>6} of {of:<5}{reached.share:>6.1%}{reached.combined:>13.1%}{mark}")
    return "\n".join(said)


def main(words: Sequence[str]) -> int:
    """Print the table of coverage's JSON report, and return 1 where something is below its bound."""
    files = json.loads(Path(words[0]).read_text(encoding="utf-8"))["files"]
    made = lines({name: one["summary"] for name, one in files.items()})
    sys.stdout.write(f"{table(made)}\n")
    return int(any(least is not None and reached.share < least for _, reached, least in made))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
