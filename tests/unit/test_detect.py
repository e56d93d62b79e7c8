"""What telling a difference takes, from runs that are there; a pilot is a run, and is tested in the lab."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.model.errors import InputError
from harness.model.trial import ARM, ARMS, Trial
from harness.report import detect
from harness.report.table import table
from harness.report.trials import read_run
from harness.results.plan import SET_UP_S
from harness.truth import power
from tests.unit.synthetic import META, PLAN, around, full_run, iperf3, series, write

CELLS = (iperf3(),)
QUIET = replace(PLAN, cells=CELLS)


def runs(spread: float = 0.01, blocks: int = 6) -> list[Trial]:
    return [
        *series("underlay", iperf3(1500), around(955e6, spread, 1, blocks)),
        *series("vxlan", iperf3(), around(922e6, spread, 2, blocks)),
    ]


def found(folder: Path, made: list[Trial], difference: float, **changes: Any) -> detect.Detection:  # noqa: ANN401 - fields of Plan
    plan = replace(QUIET, **changes)
    return detect.detect(read_run(write(folder, made, META | {"plan": plan.to_json()})), difference)


def test_blocks_and_minutes_follow_from_the_scatter(tmp_path: Path) -> None:
    made = found(tmp_path, runs(), 0.005)
    assert [(row.profile, row.cell, row.metric.name) for row in made.rows] == [
        ("vxlan", iperf3(), "goodput_bps"),
        ("vxlan", iperf3(), "cpu_s_per_gbit"),
    ]
    row = made.rows[0]
    assert row.freedom == 5
    assert 0.004 < row.scatter < 0.03
    assert row.blocks == power.blocks_for(row.scatter, 0.005)
    assert made.block_s == pytest.approx((QUIET.expected_s - SET_UP_S) / QUIET.blocks)
    assert made.block_s == pytest.approx(3 * 3.3), "underlay twice and vxlan, 3 s and what is around them"


def test_a_smaller_difference_takes_more_blocks(tmp_path: Path) -> None:
    counts = [found(tmp_path, runs(), difference).rows[0].blocks for difference in (0.1, 0.01, 0.003, 0.001)]
    known = [count for count in counts if count is not None]
    assert known == sorted(known)
    assert (known[0], len(set(known))) == (6, len(known))


def test_answer_is_that_of_the_row_that_scatters_most(tmp_path: Path) -> None:
    made = found(tmp_path, full_run(), 0.01, cells=PLAN.cells)
    assert made.hardest.scatter == max(row.scatter for row in made.rows)
    assert made.hardest.metric.name.startswith("rtt_")
    assert made.answer.startswith(f"Telling 1 % in 80 % of cases takes {made.hardest.blocks} blocks, ")
    assert "round trip p" in made.answer
    assert "of vxlan, ping mtu 1" in made.answer


def test_what_no_number_of_blocks_tells(tmp_path: Path) -> None:
    made = found(tmp_path, runs(0.3), 0.001)
    assert made.hardest.blocks is None
    assert "takes more than 1000 blocks, for " in made.answer
    assert "> 1000" in table(detect.page(made))
    assert detect.record(made)["blocks"] is None


def test_table_fits_and_says_how_well_the_scatter_is_known(tmp_path: Path) -> None:
    text = table(detect.page(found(tmp_path, full_run(("vxlan", "host-gw")), 0.01, cells=PLAN.cells)))
    assert max(map(len, text.splitlines())) <= 80
    assert "known from 6 blocks: the true one may be 0.62 to 2.5 times as large" in " ".join(text.split())


def test_a_run_against_itself_gives_the_scatter_of_all_its_runs(tmp_path: Path) -> None:
    cells = [iperf3(1500).at(((ARM, arm),)) for arm in ARMS]
    made = [
        one for number, cell in enumerate(cells) for one in series("underlay", cell, around(955e6, 0.01, number, 12))
    ]
    (row, *_) = found(tmp_path, made, 0.01, cells=tuple(cells), blocks=12, runs=2).rows
    assert (row.profile, row.cell, row.freedom) == ("underlay", iperf3(1500), 10)


@pytest.mark.parametrize(
    ("meta", "made", "words"),
    [
        (None, runs(), "run.json does not say what a block consists of"),
        (META | {"plan": replace(QUIET, cells=()).to_json()}, runs(), "give a run of schema 2"),
        (META | {"plan": replace(QUIET, setups=2).to_json()}, runs(), "a run on 2 set-ups, which differ"),
        (META | {"plan": QUIET.to_json()}, runs(blocks=1), "no row has two blocks with a figure on both sides"),
    ],
)
def test_runs_that_tell_nothing(tmp_path: Path, meta: Any, made: list[Trial], words: str) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(InputError, match=words):
        detect.detect(read_run(write(tmp_path, made, meta)), 0.01)


@pytest.fixture(name="plan")
def plan_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", full_run(), META | {"plan": PLAN.to_json()})

    def invoked(words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["plan", *words.split()])
        return done.exit_code, done.stdout if done.exit_code == 0 else str(done.exception) + done.output

    return invoked


def test_plan_goes_by_a_run_that_is_there(plan: Callable[..., tuple[int, str]]) -> None:
    code, text = plan("--detect 1% --from run")
    assert (code, "Telling 1 % in 80 % of cases takes" in text) == (0, True), text
    code, text = plan("--detect 1% --from run --json")
    assert code == 0
    document = json.loads(text)
    assert (document["difference"], document["power"]) == (0.01, 0.8)
    assert document["blocks"] == max(row["blocks"] for row in document["rows"])
    assert document["blocks_s"] == pytest.approx(document["blocks"] * document["block_s"])
    assert [*Path.cwd().iterdir()] == [Path.cwd() / "run"], "nothing is written"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--from run", "--from is of no use without --detect"),
        ("--out elsewhere", "--out is of no use without --detect"),
        ("--detect 0", "'0' is nothing; give a share such as 0.5%"),
        ("--detect 1% --from run --flows 1", "--from takes everything but --detect from that run; leave out --flows"),
        ("--detect 1% --from run --out x", "leave out --out"),
        ("--detect 1% --from missing", "missing/trials.csv|missing does not exist"),
        ("--detect 1% --profile vxlan --blocks 9", "--blocks is what --detect answers; leave it out"),
        ("--detect 1% --profile vxlan --setups 2", "--setups: --detect counts blocks of one set-up; leave it out"),
        ("--detect 1% --profile vxlan --pairs all", "--detect: a pilot is of two hosts; leave out --pairs"),
        ("--detect 1% --profile underlay", "--detect: the underlay alone has nothing to differ from"),
    ],
)
def test_what_plan_cannot_tell(plan: Callable[..., tuple[int, str]], words: str, said: str) -> None:
    code, text = plan(words)
    assert code != 0
    assert any(one in text for one in said.split("|")), text
    assert [*Path.cwd().iterdir()] == [Path.cwd() / "run"]
