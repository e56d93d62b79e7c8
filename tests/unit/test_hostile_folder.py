"""A run folder in which a node has had its say: nothing of it reaches a terminal or a spreadsheet as a command."""

import csv
import io
from pathlib import Path

from harness.model.path import Kind
from harness.model.trial import Cell, Slot, Status, Trial
from harness.results.meta import read_json
from harness.results.schema import Columns
from harness.results.store import RunFolder

REASON = '=HYPERLINK("http://example.org","\x1b[2J")'


def test_reason_of_a_node_is_text_in_trials_csv(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], Columns.of_measures(["ping"], ["mtu"]))
    slot = Slot(1, 1, "vxlan", Cell.of("ping", mtu=1450))
    folder.append(Trial("run", slot, Kind.TUNNEL, 1, "", Status.FAILED, reason=REASON, figures={"rtt_min_s": -0.5}))
    text = (folder.path / "trials.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["reason"] == "'" + REASON.replace("\x1b", r"\x1b")
    assert row["rtt_min_s"] == "-0.5"
    assert "\x1b" not in text


def test_json_of_a_folder_is_printable_whoever_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('\ufeff{"lab": "\\u001b]0;owned\\u0007", "notes": [{"fact": "\\u009b31m"}]}', encoding="utf-8")
    assert read_json(path) == {"lab": r"\x1b]0;owned\x07", "notes": [{"fact": r"\x9b31m"}]}
