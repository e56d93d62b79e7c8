"""What judges the tests themselves: `make coverage` and `make mutants`, their tables, bounds and exit codes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import mutated, reached
from tests.fuzz.targets import TARGETS
from tests.mutated import KILLED, OVERDUE, SURVIVED, UNREACHED

REPO = Path(__file__).parents[2]


def summary(taken: int, of: int, lines: int = 10) -> dict[str, int]:
    return {"covered_branches": taken, "num_branches": of, "covered_lines": lines, "num_statements": 10}


def report(tmp_path: Path, parsers: tuple[int, int], others: tuple[int, int]) -> Path:
    """Write a report in which each parser, and one other file, was reached so far."""
    names = [name for listed in reached.PARSERS.values() for name in listed]
    files = {f"harness/{name}": {"summary": summary(*parsers)} for name in names}
    files["harness/cli/run.py"] = {"summary": summary(*others, lines=5)}
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"files": files}), encoding="utf-8")
    return path


def test_every_parser_is_there() -> None:
    names = [name for listed in reached.PARSERS.values() for name in listed]
    assert [name for name in names if not (REPO / "harness" / name).is_file()] == []
    assert len(set(names)) == len(names)


def test_every_module_that_a_fuzzed_reader_is_in_counts_as_a_parser() -> None:
    """Those of the fuzzer's targets that are functions of the harness themselves."""
    text = (REPO / "tests" / "fuzz" / "targets.py").read_text(encoding="utf-8")
    names = {name for listed in reached.PARSERS.values() for name in listed}
    assert TARGETS
    for module in ("inventory", "readings", "background", "environment", "lock", "pods"):
        assert f"{module}." in text
        assert f"nodes/{module}.py" in names


@pytest.mark.parametrize(
    ("parsers", "others", "code", "marked"),
    [
        ((20, 20), (20, 20), 0, []),
        ((19, 20), (0, 20), 0, []),
        ((18, 20), (20, 20), 1, ["parsers"]),
        ((19, 20), (0, 200), 1, ["harness/"]),
    ],
)
def test_table_and_bounds(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    parsers: tuple[int, int],
    others: tuple[int, int],
    code: int,
    marked: list[str],
) -> None:
    assert reached.main([str(report(tmp_path, parsers, others))]) == code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "below" in line and not line.startswith("  ")] == marked
    assert max(map(len, lines)) <= 80
    (own,) = [line for line in lines if line.startswith("  ping ")]
    assert own.split()[1:5] == [str(2 * parsers[0]), "of", str(2 * parsers[1]), f"{parsers[0] / parsers[1]:.1%}"]


def test_shares_are_of_branches_and_of_both() -> None:
    made = reached.Reached.of([summary(3, 4, lines=5), summary(1, 4)])
    assert (made.branches, made.statements) == ((4, 8), (15, 20))
    assert (made.share, made.combined) == (0.5, 19 / 28)
    assert reached.Reached().share == 1.0


def left(tmp_path: Path, **codes: Sequence[int | None]) -> Path:
    """Write what mutmut leaves of modules."""
    folder = tmp_path / "mutants" / "harness" / "truth"
    folder.mkdir(parents=True)
    for module, own in codes.items():
        found = {f"harness.truth.{module}.x_f__mutmut_{number}": code for number, code in enumerate(own, 1)}
        (folder / f"{module}.py.meta").write_text(json.dumps({"exit_code_by_key": found}), encoding="utf-8")
    return folder


def test_whatever_is_not_killed_counts_against_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left(tmp_path, proof=[1] * 17 + [0, 33, -24], wire=[1, 3, -11], empty=[])
    monkeypatch.chdir(tmp_path)
    assert mutated.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["mutants", "killed", "survived", "out", "of", "time", "no", "test", "share"]
    assert lines[1].split() == ["proof.py", "20", "17", "1", "1", "1", "85.0%"]
    assert lines[2].split() == ["wire.py", "3", "3", "0", "0", "0", "100.0%"]
    assert lines[3].split() == ["all", "23", "20", "1", "1", "1", "87.0%"]
    names = (tmp_path / "mutants" / "survivors.txt").read_text(encoding="utf-8").splitlines()
    assert names == [f"harness.truth.proof.x_f__mutmut_{number}" for number in (18, 19, 20)]


def test_below_its_bound_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mutated.main() == 2, "nothing was run"
    left(tmp_path, proof=[1] * 16 + [0, 0, 0, None])
    assert mutated.main() == 1


def test_ends_are_told_by_exit_codes() -> None:
    codes = (0, 1, 33, -24, 152, -9)
    assert Counter(map(mutated.state_of, codes)) == {SURVIVED: 1, KILLED: 2, UNREACHED: 1, OVERDUE: 2}
