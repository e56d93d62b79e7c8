"""Whether a ratio and its verdict are right where the truth is known, on the local lab. Prints what each run gave.

`python -m tests.bench.known loss [--times N]` and `python -m tests.bench.known ceilings [--times N]`, as root.

`loss`: each of N seeds measures an overlay that loses nothing, then one whose rate was lowered by 1 % and by 3 %, and
asks for the verdict against the ceiling. `ceilings`: N runs of vxlan and of vxlan-1500, with 1, 4 and 8 flows, and
whether each interval holds the ceiling. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.truth.verdicts import AgainstCeiling
from tests.bench.gate import CLIENT, measured, shaping
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of

LOSSES = (
    (0.0, 12, AgainstCeiling.HEADERS_ONLY),
    (0.01, 20, AgainstCeiling.MORE_THAN_HEADERS),
    (0.03, 12, AgainstCeiling.MORE_THAN_HEADERS),
)
"""What is taken away, the blocks that its verdict may take, and the verdict."""
LOSS = f"run --profile vxlan --measure iperf3 --mtu 1450 --flows 1 --duration 2 --omit 0 --margin 0.5% --out {OUT}"
CEILINGS = (("vxlan", 1450, 0.003), ("vxlan-1500", 1500, 0.005))
"""A profile, the MTU it is measured at, and how far from the ceiling its ratio may lie."""
FLOWS = (1, 4, 8)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def goodput(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a run's summary that say an overlay's goodput against the underlay's."""
    for row in rows_of(folder / "summary.csv"):
        if row["contrast"] == "profile" and row["metric"] == "goodput_bps":
            yield row


def losses(machine: Machine, scratch: Path, times: int) -> None:
    """Print the verdict against the ceiling for each known loss, and how many were right."""
    right = {loss: 0 for loss, _, _ in LOSSES}
    for seed in range(1, times + 1):
        for loss, blocks, expected in LOSSES:
            if loss:
                machine.on_node(CLIENT, *shaping(loss))
            more = ["--blocks", str(blocks), "--seed", str(seed), "--keep"]
            (row,) = goodput(measured(machine, scratch, more, scratch / f"{seed}-{loss:g}", LOSS.split()))
            right[loss] += row["ceiling_verdict"] == expected
            say(
                f"loss {loss:.0%}, seed {seed}: {row['ceiling_verdict']} after {row['blocks']} blocks, ratio "
                f"{float(row['ratio']):.4f} ({float(row['ratio_low']):.4f}-{float(row['ratio_high']):.4f})"
            )
        if machine.run(scratch, "lab", "down").exit_code != 0:
            raise RuntimeError("lab down failed")
    for loss, blocks, expected in LOSSES:
        say(f"loss {loss:.0%}: `{expected}` within {blocks} blocks in {right[loss]} of {times}")


def ceilings(machine: Machine, scratch: Path, times: int, only: str | None) -> None:
    """Print how far ratios lie from their ceilings, and how many intervals hold them."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for number in range(1, times + 1):
        for profile, mtu, _ in (one for one in CEILINGS if only in (None, one[0])):
            words = f"run --profile {profile} --measure iperf3 --mtu {mtu} --flows {','.join(map(str, FLOWS))}"
            words += f" --blocks 6 --duration 1 --omit 0 --seed {number} --out {OUT}"
            folder = measured(machine, scratch, [], scratch / f"{number}-{profile}", words.split())
            for row in goodput(folder):
                found.setdefault((profile, row["flows"]), []).append(row)
                say(
                    f"{profile} x{row['flows']}, run {number}: {float(row['ratio']):.4f} "
                    f"({float(row['ratio_low']):.4f}-{float(row['ratio_high']):.4f})"
                )
    allowed = {profile: share for profile, _, share in CEILINGS}
    for (profile, flows), rows in found.items():
        ceiling = float(rows[0]["ceiling_ratio"])
        ratios = [float(row["ratio"]) for row in rows]
        holding = sum(float(row["ratio_low"]) <= ceiling <= float(row["ratio_high"]) for row in rows)
        furthest = max(abs(ratio / ceiling - 1) for ratio in ratios)
        say(
            f"{profile} x{flows}: ceiling {ceiling:.4f}, median {statistics.median(ratios):.4f}, furthest from it "
            f"{furthest:.2%} (at most {allowed[profile]:.1%}); intervals hold it in {holding} of {len(rows)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=("loss", "ceilings"))
    parser.add_argument("--times", type=int, help="seeds, or runs; 5 for losses and 10 for ceilings unless told")
    parser.add_argument("--only", choices=[profile for profile, _, _ in CEILINGS], help="this profile's ceilings alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as made, Machine() as machine:
        scratch = Path(made)
        if arguments.what == "loss":
            losses(machine, scratch, arguments.times or 5)
        else:
            ceilings(machine, scratch, arguments.times or 10, arguments.only)


if __name__ == "__main__":
    main()
