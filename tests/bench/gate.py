"""Whether the gate stops where something got worse, and nowhere else, on the local lab. Prints what each time gave.

`python -m tests.bench.gate [--times N] [--into DIR]`, as root: N rounds. In each the base is measured and left up,
then its overlay's rate is lowered so that 3 % of its goodput are gone, and it is measured again. Then
`compare base that --fail-above 1%` has to end with 1, and with 0 for this base beside the one of the round before.
With --into, rounds are added to those that are there. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from harness.truth.wire import efficiency
from tests.lab.machine import OUT, Machine

LOSS = 0.03
"""Share of the overlay's goodput that is taken away."""
ALLOWED = "1%"
PATIENCE_S = 900.0
MTU, NIC_MTU = 1450, 1500
ETHERNET_BYTES = 14
LINK_BPS = 1e9
HEADERS = ("ipv4", "udp", "vxlan", "ethernet")
CLIENT, DEVICE = 0, "vxlan_docker"
SHORT = (
    f"run --profile vxlan --measure iperf3 --mtu {MTU} --flows 1 --blocks 6 --duration 1 --omit 0 --out {OUT}".split()
)


def lowered_bps(loss: float) -> int:
    """Return what the overlay's device may send, its inner frames counted, so that a share of its goodput is gone."""
    payload_bps = LINK_BPS * (efficiency("tcp", MTU, HEADERS, NIC_MTU) or 0) * (1 - loss)
    segment = payload_share() * MTU
    return round(payload_bps * (MTU + ETHERNET_BYTES) / segment)


def payload_share() -> float:
    """Return which share of a full packet of the endpoints is payload: TCP with timestamps."""
    return (MTU - 52) / MTU


def shaping(loss: float) -> list[str]:
    """Return the argv that lowers the overlay's rate on a node.

    The burst is that of the lab's own link, 8 ms. The queue holds more than TCP's window, so nothing is dropped there:
    within trials of a second recovering would cost more than the rate does, and another part of it in each.
    """
    return f"tc qdisc replace dev {DEVICE} root tbf rate {lowered_bps(loss)}bit burst 1mb latency 200ms".split()


@dataclass(frozen=True)
class Round:
    """Folders of a base, and of the same set-up with the overlay's rate lowered."""

    base: Path
    worse: Path


def measured(machine: Machine, scratch: Path, more: Sequence[str], into: Path, words: Sequence[str] = SHORT) -> Path:
    """Measure once, and move the run's folder to another; RuntimeError where the run does not end well."""
    with machine.start(scratch, *words, *more) as command:
        command.wait(PATIENCE_S)
    if command.exit_code != 0:
        raise RuntimeError(command.stderr)
    (folder,) = machine.results()
    shutil.copytree(folder, into)
    shutil.rmtree(folder)
    return into


def one_round(machine: Machine, scratch: Path, into: Path, loss: float = LOSS) -> Round:
    """Measure a base, and what has lost a share of its goodput."""
    base = measured(machine, scratch, ["--keep"], into / "base")
    machine.on_node(CLIENT, *shaping(loss))
    worse = measured(machine, scratch, [], into / "worse")
    taken_down = machine.run(scratch, "lab", "down")
    if taken_down.exit_code != 0:
        raise RuntimeError(taken_down.stderr)
    return Round(base, worse)


def gate(machine: Machine, scratch: Path, a: Path, b: Path) -> tuple[int | None, str]:
    """Return the gate's exit code, and what it says."""
    command = machine.run(scratch, "compare", str(a), str(b), "--fail-above", ALLOWED)
    return command.exit_code, " ".join(command.stderr.split())


@contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    """Give the folder that rounds are kept in, a temporary one where none is asked for."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--times", type=int, default=10, help="rounds that are measured")
    parser.add_argument("--into", type=Path, help="folder to keep rounds in, and to go on from")
    arguments = parser.parse_args()
    with folder(arguments.into) as kept, tempfile.TemporaryDirectory() as made, Machine() as machine:
        scratch = Path(made)
        done = len(list(kept.glob("round*/worse")))
        for number in range(done + 1, done + arguments.times + 1):
            one_round(machine, scratch, kept / f"round{number:02}")
        rounds = [Round(one / "base", one / "worse") for one in sorted(kept.glob("round*")) if (one / "worse").is_dir()]
        stopped = [gate(machine, scratch, one.base, one.worse) for one in rounds]
        repeats = [gate(machine, scratch, a.base, b.base) for a, b in pairwise(rounds)]
        for what, found in (("worse by 3 %", stopped), ("a repeat", repeats)):
            for code, text in found:
                sys.stdout.write(f"{what}: exit code {code}, {text}\n")
        sys.stdout.write(
            f"worse by 3 %: {sum(code == 1 for code, _ in stopped)} of {len(stopped)} stopped; "
            f"a repeat: {sum(code == 0 for code, _ in repeats)} of {len(repeats)} passed\n"
        )


if __name__ == "__main__":
    main()
