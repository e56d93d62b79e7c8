"""What a run says that was set up several times: set-ups are its samples, and their spread is shown."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.model.path import PathState
from harness.model.trial import Trial
from harness.report.analysis import Analysis, Row, analyse
from harness.report.contrasts import Against
from harness.report.formats import FORMATS
from harness.report.layout import page
from harness.report.notes import text_of
from harness.report.records import summary_records
from harness.report.spreads import LEGEND
from harness.report.trials import read_run
from tests.unit.synthetic import META, around, dealt, full_run, iperf3, series, write

BLOCKS = 12
CLAMPED = PathState.parse("clamped to 1450")


def run_of(setups: int, levels: Sequence[float], scatter: float = 0.001, blocks: int = BLOCKS) -> list[Trial]:
    """Return a run in which the overlay has these levels, one a set-up, and scatters about them from block to block."""
    base, own = around(100e6, 0.01, 1, blocks), around(1.0, scatter, 2, blocks)
    trials = dealt(series("underlay", iperf3(1500), base), setups, blocks)
    factors = [levels[one.slot.setup - 1] for one in trials]
    overlay = [factor * value * noise for factor, value, noise in zip(factors, base, own, strict=True)]
    return [*trials, *dealt(series("vxlan", iperf3(1500), overlay), setups, blocks)]


def analysed(folder: Path, trials: Sequence[Trial], meta: dict[str, Any] = META) -> Analysis:
    return analyse(read_run(write(folder, trials, meta)))


def goodput(analysis: Analysis) -> Row:
    (row,) = [
        row for row in analysis.rows if (row.metric.name, row.contrast.against) == ("goodput_bps", Against.PROFILE)
    ]
    return row


SIX = [0.90, 0.91, 0.92, 0.90, 0.91, 0.92]


def test_set_ups_are_the_samples_of_ratio_and_interval(tmp_path: Path) -> None:
    row = goodput(analysed(tmp_path, run_of(6, SIX, scatter=0.0)))
    logs = [math.log(level) for level in SIX]
    mean = sum(logs) / 6
    spread = math.sqrt(sum((log - mean) ** 2 for log in logs) / 5)
    half = 2.570582 * spread / math.sqrt(6)
    assert row.ratio is not None
    interval = row.ratio.interval()
    assert interval is not None
    assert [row.ratio.ratio, interval.low, interval.high] == pytest.approx(
        [math.exp(mean), math.exp(mean - half), math.exp(mean + half)]
    )
    assert (row.blocks, row.ratio.n, row.verdict) == (BLOCKS, 6, "worse")


def test_record_has_set_ups_and_both_spreads(tmp_path: Path) -> None:
    """Of one standard deviation, as a share: set-ups differ by about 1 %, blocks by .1 %."""
    records = summary_records(analysed(tmp_path, run_of(6, SIX)))
    (record,) = [one for one in records if (one["metric"], one["contrast"]) == ("goodput_bps", "profile")]
    assert record["setups"] == 6
    assert record["between_setups_ratio"] == pytest.approx(0.0099, abs=0.001)
    assert record["within_setups_ratio"] == pytest.approx(0.001, rel=0.4)


def test_run_with_one_set_up_is_as_it_ever_was(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, full_run())
    assert all(row.ratio is None or row.ratio.spread is None for row in analysis.rows)
    records = summary_records(analysis)
    assert {(one["setups"], one["between_setups_ratio"], one["setups_to_tell"]) for one in records} == {(None,) * 3}
    assert "set-up" not in FORMATS["table"](analysis)


@pytest.mark.parametrize("setups", [2, 5])
def test_few_set_ups_have_an_interval_and_no_verdict(tmp_path: Path, setups: int) -> None:
    row = goodput(analysed(tmp_path, run_of(setups, SIX)))
    assert row.interval is not None
    assert (row.verdict, row.against_ceiling) == ("not enough set-ups", None)
    assert f"{setups} set-ups: " in text_of(row.notes)
    assert "--setups 6 or more" in text_of(row.notes)


def test_few_blocks_come_first(tmp_path: Path) -> None:
    assert goodput(analysed(tmp_path, run_of(2, SIX, blocks=4))).verdict == "not enough blocks"


def test_path_state_of_one_set_up_alone_is_one_sample(tmp_path: Path) -> None:
    """Six blocks of it say nothing of the next set-up, which may find another one."""
    trials = [
        *run_of(2, SIX)[:BLOCKS],
        *dealt(series("vxlan", iperf3(1500), around(9e7, 0.001, 3, BLOCKS))[:6], 2, BLOCKS),
        *dealt(series("vxlan", iperf3(1500), around(8e7, 0.001, 4, BLOCKS), path_state=CLAMPED)[6:], 2, BLOCKS),
    ]
    rows = [
        row
        for row in analysed(tmp_path, trials).rows
        if (row.metric.name, row.contrast.against) == ("goodput_bps", Against.PROFILE)
    ]
    assert [(row.blocks, row.interval, row.verdict) for row in rows] == [(6, None, "not enough set-ups")] * 2
    assert all("1 set-up: " in text_of(row.notes) for row in rows)


def test_what_is_inconclusive_says_how_many_set_ups_would_tell(tmp_path: Path) -> None:
    levels = [0.95, 0.99, 0.96, 1.0, 0.95, 0.99]
    analysis = analysed(tmp_path, run_of(6, levels))
    row = goodput(analysis)
    assert row.verdict == "inconclusive"
    assert row.blocks_to_tell is None
    assert row.setups_to_tell is not None
    assert row.setups_to_tell > 6
    assert f"({row.setups_to_tell} set-ups)" in FORMATS["markdown"](analysis)
    assert "more set-ups or a quieter machine" in text_of(row.notes)


def test_table_has_the_spreads_beside_each_other_and_fits(tmp_path: Path) -> None:
    meta = {**META, "plan": {**META["plan"], "blocks": 6, "setups": 6}}
    analysis = analysed(tmp_path, dealt(full_run(), 6), meta)
    laid_out = page(analysis)
    sections = [section for section in laid_out.sections if section.group.startswith("Spread of the ratios")]
    assert [section.title for section in sections] == ["vxlan against underlay"]
    (section,) = sections
    assert section.headings == ("", "set-ups", "between", "blocks", "within")
    assert len(section.rows) == 2 * (2 + 3 * 2)
    assert all(row[1] == row[3] == "6" and row[2].startswith("± ") and row[4] == "" for row in section.rows)
    assert laid_out.legend.endswith(LEGEND)
    assert "6 blocks on 6 set-ups" in laid_out.title
    lines = FORMATS["table"](analysis).splitlines()
    assert max(map(len, lines)) <= 80


def test_formats_hold_the_set_ups(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, run_of(3, SIX))
    header = FORMATS["csv"](analysis).splitlines()[0].split(",")
    assert {"setups", "between_setups_ratio", "within_setups_ratio", "setups_to_tell"} < set(header)
    assert all(row["setups"] in (3, None) for row in json.loads(FORMATS["json"](analysis))["rows"])
    assert "| set-ups | between | blocks | within |" in FORMATS["markdown"](analysis)
