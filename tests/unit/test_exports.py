"""OpenMetrics and Parquet: what is written is read back by others, and is what the CSV has."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_textfile

from harness.cli.compare import analysed, compare
from harness.model.errors import InputError
from harness.report import exports
from harness.report.comparison import compare_runs
from harness.report.exports import exported
from harness.report.formats import FORMATS, Result
from harness.report.parquet import METADATA
from harness.report.trials import read_run

SAMPLES = sorted((Path(__file__).parents[2] / "results" / "sample").iterdir())
NEWEST = SAMPLES[-1]


@pytest.fixture(name="results", scope="module")
def both() -> dict[str, Result]:
    runs = [read_run(folder) for folder in SAMPLES]
    return {"one": analysed(NEWEST, 0.01), "compared": compare_runs(runs[:1], runs[1:2])}


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))


@pytest.mark.parametrize("name", ["one", "compared"])
@pytest.mark.parametrize("read", [read_openmetrics, read_textfile], ids=["OpenMetrics", "textfile"])
def test_gauges_are_the_figures_of_the_csv(results: dict[str, Result], name: str, read: object) -> None:
    assert callable(read)
    text = exported(results[name], "openmetrics").decode()
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in read(text)}
    assert {family.type for family in families.values()} == {"gauge"}
    for column in ("ratio", "ratio_low", "adjusted_high", "lost"):
        found = sorted(sample.value for sample in families[f"vxlan_harness_{column}"].samples)
        assert found == sorted(float(row[column]) for row in rows(results[name]) if row[column])
    verdicts = families["vxlan_harness_verdict"].samples
    assert {sample.labels["verdict"] for sample in verdicts} == {row["verdict"] for row in rows(results[name])} - {""}
    assert all("run_id" not in sample.labels for sample in verdicts), "a new run would be a new series"
    runs = families["vxlan_harness_run_timestamp_seconds"].samples
    assert {sample.labels["run_id"] for sample in runs} <= {folder.name for folder in SAMPLES}
    assert len(runs) == (1 if name == "one" else 2)


@pytest.mark.parametrize("name", ["one", "compared"])
def test_parquet_has_the_columns_and_rows_of_the_csv(results: dict[str, Result], name: str) -> None:
    table = pq.read_table(io.BytesIO(exported(results[name], "parquet")))
    expected = rows(results[name])
    assert table.column_names == list(expected[0])
    read = table.to_pylist()
    assert len(read) == len(expected)
    for column, kind in (("metric", str), ("ratio", float), ("mtu", int), ("lost", int), ("notes", str)):
        for row, text in zip(read, expected, strict=True):
            assert str(row[column] if row[column] is not None else "") == text[column]
            assert row[column] is None or type(row[column]) is kind
    runs = json.loads(table.schema.metadata[METADATA])
    assert {meta["run_id"] for meta in runs.values()} <= {folder.name for folder in SAMPLES}


def test_types_are_the_same_where_a_column_is_empty() -> None:
    schemas = [
        pq.read_schema(io.BytesIO(exported(analysed(folder, 0.01), "parquet"))) for folder in (SAMPLES[0], NEWEST)
    ]
    types = [dict(zip(schema.names, map(str, schema.types), strict=True)) for schema in schemas]
    assert types[0] == types[1]


def test_a_library_that_is_not_here_is_named_with_what_installs_it(
    results: dict[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(_result: Result) -> bytes:
        raise ModuleNotFoundError("no such module", name="pyarrow")

    monkeypatch.setattr(exports, "EXPORTS", {"parquet": lacking})
    with pytest.raises(InputError, match=r"pyarrow.*pip install 'vxlan-harness\[parquet\]'"):
        exported(results["one"], "parquet")


def test_output_is_put_in_the_place_of_a_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "vxlan.prom"
    file.write_text("before", encoding="utf-8")
    done = CliRunner().invoke(compare, [str(NEWEST), "--format", "openmetrics", "-o", str(file)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert file.read_text(encoding="utf-8").endswith("# EOF\n")
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(InputError, match="cannot write"):
        CliRunner().invoke(compare, [str(NEWEST), "-o", str(tmp_path / "no" / "x")], catch_exceptions=False)


def test_bytes_go_to_a_pipe() -> None:
    done = CliRunner().invoke(compare, [str(NEWEST), "--format", "parquet"])
    assert pq.read_table(io.BytesIO(done.stdout_bytes)).num_rows == len(rows(analysed(NEWEST, 0.01)))
