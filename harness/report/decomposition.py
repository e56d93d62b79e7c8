"""Where the goodput goes: underlay -> routed is the container's path, routed -> tunnel the encapsulation."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from harness.model.trial import UNDERLAY

_CELL = ["tool", "protocol", "direction", "mtu", "flows"]


@dataclass(frozen=True)
class Steps:
    """One tunnel cell's loss in two steps, as ratios; both are of one MTU, so their product is the whole."""

    profile: str
    routed: str
    cell: str
    container_path: float
    encapsulation: float
    whole: float
    whole_low: float
    whole_high: float

    @property
    def product(self) -> float:
        """The two steps multiplied; it differs from `whole` by the scatter of what was measured."""
        return self.container_path * self.encapsulation


def steps(frame: pd.DataFrame) -> list[Steps]:
    """Return the steps of every tunnel cell of a summary that has a routed baseline beside the underlay."""
    if "baseline" not in frame or "same_mtu_ratio" not in frame:
        return []
    goodput = frame[frame["metric"] == "goodput_bps"]
    against_underlay = {
        (row["profile"], *(row[column] for column in _CELL)): row
        for row in goodput[goodput["baseline"] == UNDERLAY].to_dict("records")
    }
    found = []
    for row in goodput[goodput["baseline"] != UNDERLAY].to_dict("records"):
        cell = tuple(row[column] for column in _CELL)
        routed = against_underlay.get((row["baseline"], *cell))
        whole = against_underlay.get((row["profile"], *cell))
        if routed is None or whole is None:
            continue
        figures = (routed["ratio"], row["same_mtu_ratio"], whole["ratio"])
        if all(pd.notna(figure) for figure in figures):
            name = f"{row['protocol']} {row['mtu']} x{row['flows']}"
            interval = (whole["ratio_low"], whole["ratio_high"])
            found.append(Steps(str(row["profile"]), str(row["baseline"]), name, *figures, *interval))
    return found
