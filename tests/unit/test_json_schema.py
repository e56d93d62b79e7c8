"""What is printed as JSON is as the shipped schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.cli.compare import analysed
from harness.report.comparison import compare_runs
from harness.report.formats import FORMATS
from harness.report.trials import read_run
from tests.unit.schema import SCHEMA, errors
from tests.unit.synthetic import iperf3, series, write

SAMPLES = sorted((Path(__file__).parents[2] / "results" / "sample").iterdir())


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_kept_runs_are_as_it_says(folder: Path) -> None:
    document = json.loads(FORMATS["json"](analysed(folder, 0.01)), parse_constant=pytest.fail)
    assert errors(document, "one_run") == errors(document) == []
    assert len(document["rows"]) > 10


def test_compared_runs_are_as_it_says() -> None:
    runs = [read_run(folder) for folder in SAMPLES]
    document = json.loads(FORMATS["json"](compare_runs(runs[:1], runs[1:])), parse_constant=pytest.fail)
    assert errors(document, "comparison") == errors(document) == []
    assert len(document["rows"]) > 10


def test_a_run_without_run_json_is_as_it_says(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), [1e9] * 6), *series("vxlan", iperf3(), [9e8] * 6)]
    document = json.loads(FORMATS["json"](analysed(write(tmp_path, trials, None), 0.01)))
    assert document["run"] is None
    assert errors(document, "one_run") == []


def test_documents_of_another_shape_are_not() -> None:
    document = json.loads(FORMATS["json"](analysed(SAMPLES[-1], 0.01)))
    for key in ("run", "rows", "notes", "schema_version"):
        assert errors({name: value for name, value in document.items() if name != key})
    for key, value in (("verdict", "perhaps"), ("ratio", "0.9"), ("blocks", -1), ("notes", ["text"])):
        rows = [{**document["rows"][0], key: value}]
        assert errors({**document, "rows": rows}, "one_run"), key
    assert errors({**document, "rows": [{**document["rows"][0], "median": None}]}, "one_run") == []
    lacking = {name: value for name, value in document["rows"][0].items() if name != "ratio_low"}
    assert errors({**document, "rows": [lacking]}, "one_run")
