"""`harness compare`: which words are runs of which side, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.compare import compare
from harness.model.errors import InputError
from tests.unit.synthetic import META, iperf3, series, write

GOODPUT = [955e6, 950e6, 960e6, 948e6, 957e6, 953e6]
HOSTS = {"lab": "two", "shared_kernel": False}


def run(folder: Path, name: str, changes: dict[str, Any] | None = None) -> str:
    """Write a run under a name and return its path."""
    trials = [*series("underlay", iperf3(1500), GOODPUT), *series("vxlan", iperf3(), [0.966 * one for one in GOODPUT])]
    meta = {**META, **(changes or {}), "run_id": name}
    return str(write(folder / name, [replace(one, run_id=name) for one in trials], meta))


def compared(*argv: str) -> dict[str, Any]:
    """Return what the command prints as JSON."""
    done = CliRunner().invoke(compare, [*argv, "--format", "json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize(
    ("words", "a", "b", "sample"),
    [
        ("a b", "a", "b", "block"),
        ("a -- b", "a", "b", "block"),
        ("a b -- c", "a b", "c", "run"),
        ("a -- b c", "a", "b c", "run"),
        ("--margin 2% a b -- c d", "a b", "c d", "run"),
        ("a --margin 2% b -- --margin 2% c", "a b", "c", "run"),
    ],
)
def test_sides_are_told_by_a_separator(tmp_path: Path, words: str, a: str, b: str, sample: str) -> None:
    paths = {name: run(tmp_path, name) for name in "abcd"}
    document = compared(*(paths.get(word, word) for word in words.split()))
    assert [[one["run_id"] for one in document[letter]] for letter in "ab"] == [a.split(), b.split()]
    assert {row["sample"] for row in document["rows"]} == {sample}


def test_one_run_is_shown_by_itself(tmp_path: Path) -> None:
    assert compared(run(tmp_path, "a"))["run"]["run_id"] == "a"


@pytest.mark.parametrize("words", [(), ("--",), ("--", "b"), ("a", "--"), ("a", "b", "c"), ("a", "--", "b", "--", "c")])
def test_what_does_not_say_which_runs_is_refused(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(compare, list(words))
    assert done.exit_code != 0
    assert done.stdout == ""
    assert isinstance(done.exception, InputError | SystemExit)


def test_a_run_against_itself_is_refused(tmp_path: Path) -> None:
    path = run(tmp_path, "a")
    for words in ([path, path], [path, f"{path}/trials.csv"]):
        with pytest.raises(InputError, match="A and B are the same run, a"):
            CliRunner().invoke(compare, words, catch_exceptions=False)


def test_the_local_lab_against_hosts_is_refused_unless_asked_for(tmp_path: Path) -> None:
    words = [run(tmp_path, "a"), run(tmp_path, "b", HOSTS)]
    with pytest.raises(InputError, match="give --across-hosts"):
        CliRunner().invoke(compare, words, catch_exceptions=False)
    document = compared(*words, "--across-hosts")
    assert [one["lab"] for letter in "ab" for one in document[letter]] == ["local", "two"]


def test_a_folder_with_one_run_in_it_is_that_run_and_several_are_named(tmp_path: Path) -> None:
    run(tmp_path, "a")
    assert compared(str(tmp_path))["run"]["run_id"] == "a"
    run(tmp_path, "b")
    done = CliRunner().invoke(compare, [str(tmp_path)])
    assert "has 2 runs in it (a, b); give one" in str(done.exception)


def table(*argv: str) -> str:
    done = CliRunner().invoke(compare, argv, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def test_a_profile_of_one_side_is_named_and_takes_no_pages(tmp_path: Path) -> None:
    trials = [*series("underlay", iperf3(1500), GOODPUT), *series("flannel", iperf3(), [0.9 * one for one in GOODPUT])]
    profiles = {"underlay": META["profiles"]["underlay"], "flannel": META["profiles"]["vxlan"]}
    meta = {**META, "run_id": "b", "profiles": profiles}
    other = str(write(tmp_path / "b", [replace(one, run_id="b") for one in trials], meta))
    of_a = {name: META["profiles"][name] for name in ("underlay", "vxlan")}
    text = table(run(tmp_path, "a", {"profiles": of_a}), other)
    assert "profiles differs: A underlay vxlan, B flannel underlay" in text
    assert "flannel: only in B, not compared. vxlan: only in A, not compared." in text
    assert "no figure" not in text
    assert "the underlay itself: B against A" in text


def test_differences_are_in_words_and_begin_where_they_differ(tmp_path: Path) -> None:
    paths = [run(tmp_path, name, {"rate_bps": rate}) for name, rate in (("a", 1e9), ("b", 5e8))]
    for path, burst in zip(paths, ("1000000b", "2000000b"), strict=True):
        qdisc = f"qdisc tbf 1: root refcnt 3 rate 973Mbit and so on for a while burst {burst} lat 24ms"
        node = {"qdisc": qdisc}
        Path(path, "environment.json").write_text(json.dumps({"k8s-1": node, "k8s-2": node}), encoding="utf-8")
    text = table(*paths)
    assert "the link's rate differs: A 1gbit, B 500mbit" in text
    assert "A ... 1000000b lat 24ms, B ... 2000000b lat 24ms" in text


def test_what_everything_means_is_said_on_demand(tmp_path: Path) -> None:
    path = run(tmp_path, "a")
    short = CliRunner().invoke(compare, [path])
    long = CliRunner().invoke(compare, [path, "--explain"])
    assert (short.exit_code, long.exit_code) == (0, 0)
    assert "which is what a user loses" in " ".join(long.stdout.split())
    assert "which is what a user loses" not in " ".join(short.stdout.split())
    assert "`harness compare --explain`" in short.stdout
    with pytest.raises(InputError, match="--explain is for the table"):
        CliRunner().invoke(compare, [path, "--explain", "--format", "csv"], catch_exceptions=False)
