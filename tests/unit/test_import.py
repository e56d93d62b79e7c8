"""`harness import`: iperf3's own files become a run that everything else reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli.compare import analysed, compare
from harness.cli.history import history
from harness.cli.importing import importing
from harness.measures.iperf3_files import figures_of, report_of
from harness.model.errors import FailedTrialsError, HarnessError, InputError
from harness.model.trial import Cell, Direction
from harness.report.analysis import Analysis
from harness.results.imported import import_folder
from harness.results.meta import read_meta
from harness.results.places import Rules, rules_of
from tests.unit.synthetic import around

GOLDEN = Path(__file__).parent.parent / "golden"
PATTERN = "{profile}/mtu{mtu}/x{flows}/{block}.json"
UNABLE = '{"error": "unable to connect to server: Connection refused"}'


def golden(kind: str, side: str = "client") -> dict[str, Any]:
    report: dict[str, Any] = json.loads((GOLDEN / f"iperf3-3.12-{kind}.{side}.json").read_text(encoding="utf-8"))
    return report


def report(bps: float, flows: int, mtu: int, when: int) -> str:
    """Return a client's report of TCP as iperf3 3.12 prints it, with these figures in it."""
    made = golden("tcp")
    made["start"]["timestamp"]["timesecs"] = when
    made["start"]["tcp_mss_default"] = mtu - 52
    made["start"]["test_start"]["num_streams"] = flows
    received = made["end"]["sum_received"]
    received["bytes"] = round(bps * received["seconds"] / 8)
    return json.dumps(made)


def files(folder: Path, blocks: int = 6) -> Path:
    """Write 24 files of each of three profiles: 4 cells of as many blocks."""
    for profile, share in (("host", 1.0), ("vxlan", 0.9655), ("geneve", 0.96)):
        for flows in (1, 4, 8, 16):
            mtu = 1500 if profile == "host" else 1450
            values = around(941e6 * share, 0.001, flows + len(profile), blocks)
            for block, value in enumerate(values, 1):
                path = folder / profile / f"mtu{mtu}" / f"x{flows}" / f"{block:02}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(report(value, flows, mtu, 1_790_000_000 + 60 * block), encoding="utf-8")
    return folder


def imported(tmp_path: Path, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(importing, [str(folder), "--out", str(tmp_path / "out"), *words])


def run_in(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "out").iterdir()
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_with_one_file_cut_short_and_one_error(tmp_path: Path) -> None:
    folder = files(tmp_path / "files")
    cut, failed = folder / "vxlan/mtu1450/x4/03.json", folder / "geneve/mtu1450/x8/05.json"
    cut.write_text(cut.read_text(encoding="utf-8")[:2000], encoding="utf-8")
    failed.write_text(UNABLE, encoding="utf-8")
    done = imported(tmp_path, folder, "--path", PATTERN, "--underlay", "host")
    assert isinstance(done.exception, FailedTrialsError)
    said = " ".join(done.stderr.split())
    assert "vxlan/mtu1450/x4/03.json is left out: it is cut short" in said
    assert "geneve/mtu1450/x8/05.json is left out: iperf3: unable to connect to server" in said
    assert said.count("is left out") == 2
    made = run_in(tmp_path)
    assert done.stdout == f"{made}\n"
    trials = rows(made)
    assert len(trials) == 24 * 3 - 2
    assert {row["status"] for row in trials} == {"ok"}
    assert {row["proof"] + row["path_state"] + row["client_cpu_s"] + row["inner_bytes"] for row in trials} == {""}
    meta = read_meta(made / "run.json")
    assert [note.subject for note in meta.notes][1:] == ["geneve/mtu1450/x8/05.json", "vxlan/mtu1450/x4/03.json"]
    assert (meta.rate_bps, meta.created_at) == (None, "2026-09-21T14:14:20+00:00")


def test_the_run_is_read_by_compare_and_history(tmp_path: Path) -> None:
    assert imported(tmp_path, files(tmp_path / "files"), "--path", PATTERN, "--underlay", "host").exit_code == 0
    made = run_in(tmp_path)
    result = analysed(made, 0.01)
    assert isinstance(result, Analysis)
    ratios = {
        (row.contrast.profile, row.cell.flows): row
        for row in result.rows
        if row.metric.name == "goodput_bps" and row.contrast.against == "profile"
    }
    assert len(ratios) == 8
    for (profile, _), row in ratios.items():
        assert row.ratio is not None
        assert row.ratio.ratio == pytest.approx(0.9655 if profile == "vxlan" else 0.96, abs=0.002)
        assert (row.ceiling, row.blocks, row.wire_shares) == (None, 6, (None, None))
    table = CliRunner().invoke(compare, [str(made)], catch_exceptions=False).stdout
    assert "CPU time, headers and so ceilings" in " ".join(table.split())
    assert "CPU time  " not in table
    assert "vxlan against its run's underlay" in CliRunner().invoke(history, [str(tmp_path / "out")]).stdout


@pytest.mark.parametrize("kind", ["tcp", "tcp-reverse", "tcp-bidir", "tcp-mss", "udp", "udp-reverse"])
def test_one_sides_report_tells_what_both_do(kind: str) -> None:
    """The receiver's own report is exact; of the client's copy of it TCP's goodput is as good."""
    whole = golden(kind) | {"server_output_json": golden(kind, "server")}
    alone, both = (report_of(json.dumps(one)) for one in (golden(kind), whole))
    cell = Cell("iperf3", tuple({"mtu": 1450, **both.levels}.items()))
    figures, exact = figures_of(cell, alone), figures_of(cell, both)
    assert figures.figures["goodput_bps"] == pytest.approx(exact.figures["goodput_bps"], rel=0.02)
    assert cell.get("protocol") == kind.partition("-")[0]
    assert cell.direction == {"reverse": Direction.REVERSE, "bidir": Direction.BIDIR}.get(
        kind.partition("-")[2], Direction.FORWARD
    )
    assert bool(figures.series) == (kind.endswith("reverse"))
    assert exact.series
    if kind == "udp":  # its client counts what was lost in the omitted second
        assert "udp_loss_ratio" not in figures.figures
        assert "udp_loss_ratio" in exact.figures


def test_a_servers_report_is_one_too() -> None:
    server = report_of(json.dumps(golden("tcp", "server")))
    cell = Cell("iperf3", tuple({"mtu": 1450, **server.levels}.items()))
    assert figures_of(cell, server).series


@pytest.mark.parametrize(
    ("start", "mtu"),
    [
        ({"tcp_mss_default": 1448}, 1500),
        ({"tcp_mss": 1410}, 1450),
        ({"tcp_mss_default": 1428, "connected": [{"local_host": "fd00::1"}]}, 1500),
        ({}, None),
    ],
)
def test_mtu_is_told_by_the_size_of_segments(start: dict[str, Any], mtu: int | None) -> None:
    made = golden("tcp")
    made["start"].pop("tcp_mss_default")
    made["start"] |= start
    assert report_of(json.dumps(made)).levels.get("mtu") == mtu


def test_blocks_are_numbered_by_time_where_nobody_says(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for profile in ("underlay", "vxlan"):
        for name, when in (("z", 100), ("a", 300), ("m", 200)):
            path = folder / f"{profile}-{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(report(900e6 + when, 1, 1450, 1_790_000_000 + when), encoding="utf-8")
    assert imported(tmp_path, folder, "--path", "{profile}-*.json").exit_code == 0
    found = [(row["profile"], row["block"], row["started_at"][14:19]) for row in rows(run_in(tmp_path))]
    assert found == [
        (profile, str(block), time)
        for block, time in ((1, "15:00"), (2, "16:40"), (3, "18:20"))
        for profile in ("underlay", "vxlan")
    ]


def test_a_mapping_says_what_paths_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("bare1", "bare2", "over1", "over2", "plain1"):
        (folder / f"{name}.json").write_text(report(9e8, 1, 1500, 1_790_000_000 + int(name[-1])), encoding="utf-8")
    mapping = tmp_path / "map.yml"
    mapping.write_text(
        "underlay: host\nrouted: [host-gw]\nfiles:\n"
        "- {match: 'bare*', profile: host}\n- {match: 'over*', profile: vxlan, mtu: 1450}\n"
        "- {match: 'plain*', profile: host-gw}\n",
        encoding="utf-8",
    )
    assert imported(tmp_path, folder, "--map", str(mapping)).exit_code == 0
    found = {(row["profile"], row["kind"], row["mtu"]) for row in rows(run_in(tmp_path))}
    assert found == {
        ("underlay", "underlay", "1500"),
        ("vxlan", "tunnel", "1450"),
        ("host-gw", "routed", "1500"),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": {}}, "iperf3 printed JSON without 'test_start'"),
        ({"end": {}}, "ended without results"),
        ({"end": {"sum_sent": {}}}, "iperf3 printed JSON without"),
    ],
)
def test_files_that_lack_what_they_should_have_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = files(tmp_path / "files", blocks=1)
    broken = folder / "vxlan/mtu1450/x4/01.json"
    broken.write_text(json.dumps({**golden("tcp"), **change}), encoding="utf-8")
    done = imported(tmp_path, folder, "--path", PATTERN, "--underlay", "host")
    assert isinstance(done.exception, FailedTrialsError)
    assert said in " ".join(done.stderr.split())
    assert len(rows(run_in(tmp_path))) == 11


def test_files_that_contradict_their_path_or_each_other_are_named(tmp_path: Path) -> None:
    folder = files(tmp_path / "files", blocks=1)
    (folder / "vxlan/mtu1450/x1/1.json").write_text(report(1e9, 1, 1450, 1), encoding="utf-8")
    (folder / "vxlan/mtu1450/x4/02.json").write_text(report(1e9, 8, 1450, 1), encoding="utf-8")
    (folder / "stray.json").write_text(report(1e9, 8, 1450, 1), encoding="utf-8")
    (folder / "vxlan/mtu9/x4").mkdir(parents=True)
    (folder / "vxlan/mtu9/x4/01.json").write_text(report(1e9, 4, 1450, 1), encoding="utf-8")
    done = imported(tmp_path, folder, "--path", PATTERN, "--underlay", "host")
    said = " ".join(done.stderr.split())
    assert "vxlan/mtu1450/x1/01.json is left out: it is the same trial as vxlan/mtu1450/x1/1.json" in said
    assert "vxlan/mtu1450/x4/02.json is left out: flows is 4 by its place and 8 in the file" in said
    assert "stray.json is left out: its path is not as the pattern says" in said
    assert "vxlan/mtu9/x4/01.json is left out: 9 is out of bounds" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing says which profile a file is of"),
        (["--path", "{colour}/{block}.json"], "{colour} is unknown; there are profile, block, mtu"),
        (["--path", "{profile}/{profile}.json"], "{profile} stands twice"),
        (["--map", "missing.yml"], "cannot be read as YAML"),
        (["--path", "{mtu}.json"], "holds no file of iperf3's that can be used"),
    ],
)
def test_rules_that_cannot_be_used_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = imported(tmp_path, files(tmp_path / "files", blocks=1), *words)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("files: [{match: x, colour: blue}]", "'colour' is unknown"),
        ("colour: blue", "colour: Extra inputs are not permitted"),
        ("files: [{profile: x}]", "files.0.match: Field required"),
        ("[", "cannot be read as YAML"),
    ],
)
def test_mappings_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    mapping = tmp_path / "map.yml"
    mapping.write_text(text, encoding="utf-8")
    with pytest.raises(HarnessError, match=said):
        rules_of(None, mapping, None, {})


def test_a_profile_is_a_name_and_no_path(tmp_path: Path) -> None:
    mapping = tmp_path / "map.yml"
    mapping.write_text("files: [{match: '*', profile: ../../etc}]", encoding="utf-8")
    with pytest.raises(InputError, match="is no name of a profile"):
        rules_of(None, mapping, None, {}).place("x.json")


def test_what_cannot_be_read_at_all_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = files(tmp_path / "files", blocks=1)
    broken = folder / "vxlan/mtu1450/x4/01.json"
    rules = rules_of(PATTERN, None, "host", {})
    for content, said in ((b"", "it is empty"), (b"\xff\xfe{}", "it cannot be read: "), (b"{", "it is cut short")):
        broken.write_bytes(content)
        made = import_folder(folder, rules, tmp_path / "out")
        assert [(one.path, one.reason.startswith(said)) for one in made.refused] == [("vxlan/mtu1450/x4/01.json", True)]
    monkeypatch.setattr("harness.results.imported._MOST_BYTES", 3 * 2**20)
    broken.write_bytes(b"{" + b" " * 3 * 2**20 + b"}")
    (refused,) = import_folder(folder, rules, tmp_path / "out").refused
    assert refused.reason == "it is larger than 3 MiB"


@pytest.mark.parametrize(
    ("pattern", "usual", "said"),
    [
        ("{profile}/{block}.json", {}, "nothing says what MTU it is of"),
        ("{profile}/mtu{mtu}/x{flows}/{block}.json", {"size": 128}, "udp_rate and size are of UDP only"),
    ],
)
def test_files_of_unknown_or_impossible_cells_are_left_out(
    tmp_path: Path, pattern: str, usual: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "files"
    path = folder / pattern.format(profile="vxlan", mtu=1450, flows=1, block=1)
    path.parent.mkdir(parents=True)
    text = json.loads(report(9e8, 1, 1450, 1))
    if "mtu" not in pattern:
        del text["start"]["tcp_mss_default"]
    path.write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(InputError, match=f"holds no file of iperf3's that can be used: .*{said}"):
        import_folder(folder, rules_of(pattern, None, None, usual), tmp_path / "out")


def test_nothing_to_import_is_said(tmp_path: Path) -> None:
    rules = rules_of(PATTERN, None, None, {})
    with pytest.raises(InputError, match="is no folder; give the one that holds iperf3's files"):
        import_folder(tmp_path / "none", rules, tmp_path / "out")
    (tmp_path / "files").mkdir()
    with pytest.raises(InputError, match=r"that can be used, which are called \*\.json"):
        import_folder(tmp_path / "files", rules, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_without_a_host_or_a_baseline_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    path = folder / "vxlan" / "mtu1450" / "x1" / "1.json"
    path.parent.mkdir(parents=True)
    text = json.loads(report(9e8, 1, 1450, 1))
    del text["start"]["system_info"]
    path.write_text(json.dumps(text), encoding="utf-8")
    lossy = golden("udp")
    lossy["start"]["system_info"] = ""
    lossy["start"]["test_start"]["num_streams"] = 1
    (path.parent / "2.json").write_text(json.dumps(lossy), encoding="utf-8")
    made = import_folder(folder, rules_of(PATTERN, None, None, {}), tmp_path / "out").folder
    assert not (made / "environment.json").exists()
    facts = [note.fact for note in read_meta(made / "run.json").notes]
    assert facts[1:] == ["no file is of the bare network", "the loss of 1 files is left out"]


def test_a_place_without_a_profile_is_refused() -> None:
    rules = Rules(path=None, files=(("*", {"mtu": "1450"}),))
    with pytest.raises(InputError, match="nothing says which profile it is of"):
        rules.place("x.json")
