"""A run of several pairs read back and laid out: what it shows, that it fits, and what it says of missing pairs."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import InputError
from harness.model.path import PathState
from harness.model.trial import Direction, Status, Trial
from harness.report.formats import FORMATS
from harness.report.matrix import page
from harness.report.pairs import analyse_pairs, has_pairs
from harness.report.records import SUMMARY_HEAD, SUMMARY_TAIL
from harness.report.trials import read_run
from tests.unit.schema import errors
from tests.unit.synthetic import META, around, iperf3, note, ping, series, trial, write

GOLDEN = Path(__file__).parent.parent / "golden" / "report-pairs.txt"
HOSTS = ["k8s-1", "k8s-2", "k8s-3", "k8s-4"]
LOAD = note("k8s-3 is busy with something else (load 3.1 on 2 CPUs)", "let it finish first", "load")


def one_pair(seed: int, goodput: float = 955e6, loss: float = 0.9655) -> list[Trial]:
    """Return TCP over one flow at 1450, and ping there."""
    return [
        *series("underlay", iperf3(1500), around(goodput, 0.001, seed)),
        *series("vxlan", iperf3(1450), around(goodput * loss, 0.001, seed + 1)),
        *series("underlay", ping(1500), around(60e-6, 0.02, seed + 2)),
        *series("vxlan", ping(1450), around(105e-6, 0.02, seed + 3)),
    ]


def is_ping(one: Trial) -> bool:
    return one.slot.cell.measure == "ping"


def run_of(
    folder: Path,
    measured: dict[str, list[Trial]],
    waves: list[list[str]],
    hosts: list[str],
    **more: Any,  # noqa: ANN401
) -> Path:
    """Write a run of several pairs."""
    for number, (pair, trials) in enumerate(measured.items()):
        write(folder / pair.replace(":", "--"), trials, {**META, "notes": [LOAD] if number == 2 else []})
    folder.mkdir(exist_ok=True)
    described = {"schema_version": 2, "run_id": "20250101T000000Z-vxlan-abcd", "hosts": hosts, "waves": waves, **more}
    (folder / "pairs.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Four hosts: one slow, one pair without a figure, one mixed, one that failed, one that was never reached."""
    failing = [trial("vxlan", block, iperf3(1450), None, Status.FAILED, reason="refused") for block in range(1, 7)]
    mixed = series("vxlan", iperf3(1450), [9e8] * 6, path_state=PathState.parse("clamped to 1400"))[3:]
    measured = {
        "k8s-1:k8s-2": one_pair(10),
        "k8s-1:k8s-3": one_pair(20, 480e6, 0.97),
        "k8s-2:k8s-3": [
            one for one in one_pair(30) if one.slot.profile == "underlay" or one.slot.cell.measure == "ping"
        ]
        + failing,
        "k8s-3:k8s-4": [*(one for one in one_pair(40) if one.slot.profile != "vxlan" or one.slot.block <= 3), *mixed],
    }
    waves = [["k8s-1:k8s-2", "k8s-3:k8s-4"], ["k8s-1:k8s-3", "k8s-2:k8s-4"], ["k8s-1:k8s-4", "k8s-2:k8s-3"]]
    found = run_of(
        tmp_path / "run",
        measured,
        waves,
        HOSTS,
        errors={
            "k8s-1:k8s-4": "playbook apply: k8s-4: no such device",
            "k8s-1:k8s-2": "playbook teardown: k8s-2 unreachable",
        },
    )
    write(found / "k8s-2--k8s-4", [])
    return found


def test_matrix_is_the_golden_one(four: Path) -> None:
    assert FORMATS["table"](analyse_pairs(four)) == GOLDEN.read_text(encoding="utf-8")


def test_csv_is_every_pairs_summary_one_below_the_other(four: Path) -> None:
    analysis = analyse_pairs(four)
    back = list(csv.DictReader(io.StringIO(FORMATS["csv"](analysis))))
    factors = ("protocol", "direction", "mtu", "flows")
    assert tuple(back[0]) == ("client", "server", *SUMMARY_HEAD, *factors, *SUMMARY_TAIL)
    assert list(dict.fromkeys((row["client"], row["server"]) for row in back)) == [
        ("k8s-1", "k8s-2"),
        ("k8s-3", "k8s-4"),
        ("k8s-1", "k8s-3"),
        ("k8s-2", "k8s-3"),
    ]
    assert {row["metric"] for row in back} >= {"goodput_bps", "cpu_s_per_gbit", "rtt_p50_s", "rtt_p99_s"}
    document = json.loads(FORMATS["json"](analysis), parse_constant=pytest.fail)
    assert errors(document, "pairs") == []
    assert len(document["rows"]) == len(back)


def test_markdown_has_a_cell_for_every_column(four: Path) -> None:
    lines = [line for line in FORMATS["markdown"](analyse_pairs(four)).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(HOSTS) + 1}
    assert any("0.9658 headers<br>0." in line for line in lines), lines


@pytest.mark.parametrize("names", [[f"k8s-{n}" for n in range(1, 9)], [f"host-{n}-{'x' * 50}" for n in range(1, 9)]])
def test_many_hosts_are_cut_between_columns(tmp_path: Path, names: list[str]) -> None:
    trials = [
        *one_pair(50),
        *series("underlay", iperf3(1500, 128, "tcp", Direction.BIDIR), around(1.9e9, 0.001, 60)),
        *series("vxlan", iperf3(1500, 128, "tcp", Direction.BIDIR), around(1.8e9, 0.001, 61)),
    ]
    measured = {f"{a}:{b}": trials for n, a in enumerate(names) for b in names[n + 1 :]}
    analysis = analyse_pairs(run_of(tmp_path / "run", measured, [[pair] for pair in measured], names))
    shown = FORMATS["table"](analysis)
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    entries = [
        cell for part in page(analysis).sections if "ratio" in part.title for row in part.rows for cell in row[1:]
    ]
    assert len([cell for cell in entries if cell]) == 28 * 3
    for line in {line for cell in entries for line in cell.split("\n") if line}:
        assert line in shown


def test_ceilings_that_differ_are_all_named(tmp_path: Path) -> None:
    measured = {"a:b": one_pair(1), "a:c": one_pair(2)}
    folder = run_of(tmp_path / "run", measured, [["a:b"], ["a:c"]], ["a", "b", "c"])
    meta = {**META, "profiles": META["profiles"] | {"vxlan": {"kind": "tunnel", "headers": ["ipv4", "udp"]}}}
    (folder / "a--c" / "run.json").write_text(json.dumps(meta), encoding="utf-8")
    captions = [section.caption for section in page(analyse_pairs(folder)).sections if section.caption]
    assert len(captions) == 1
    assert re.fullmatch(r"ceiling 0\.9\d{3} or 0\.9\d{3}", captions[0])


def test_run_without_any_trial_says_so(tmp_path: Path) -> None:
    folder = run_of(tmp_path / "run", {}, [["a:b"]], ["a", "b"])
    for name in FORMATS:
        assert FORMATS[name](analyse_pairs(folder)).endswith("\n")


def test_each_pairs_folder_is_a_run_by_itself(four: Path) -> None:
    assert has_pairs(four)
    assert not has_pairs(four / "k8s-1--k8s-2")
    assert len(read_run(four / "k8s-1--k8s-2").trials.table) == 24
    with pytest.raises(InputError, match="is a run of several pairs; give the folder of one of them"):
        read_run(four)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 3}, r"pairs\.json has schema_version 3, this harness reads 1 and 2"),
        ({"waves": "a:b"}, r"pairs\.json: waves: Input should be a valid tuple"),
        ({"hosts": None}, r"pairs\.json: hosts: Input should be a valid tuple"),
    ],
)
def test_description_that_cannot_be_used(four: Path, change: dict[str, Any], words: str) -> None:
    path = four / "pairs.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        analyse_pairs(four)
