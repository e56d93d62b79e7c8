"""What every command has in common, and the small ones: version, quiet, colors, completion, examples, man pages."""

from __future__ import annotations

import importlib.util
import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

import harness
from harness.cli import app, console, main
from harness.cli.completion import SHELLS
from harness.cli.examples import EXAMPLES
from harness.cli.progress import RunProgress
from harness.cli.until import prepared_until
from tests.unit.test_plan import PLAN

REPO = Path(__file__).parents[2]
SAMPLE = next(iter(sorted((REPO / "results" / "sample").glob("*/trials.csv")))).parent
PROGRAM = [sys.executable, "-c", "from harness.cli import main; main()"]
LINES = [line for lines in EXAMPLES.values() for line in lines]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    console.set_up(quiet=False, no_color=False)


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*words, name))


@pytest.mark.parametrize("words", [*commands(app)], ids=" ".join)
def test_help_fits_80_columns(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, [*words, "--help"], terminal_width=80).output
    assert max(map(len, said.splitlines())) <= 80
    assert "\b" not in said


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"harness {version('vxlan-harness')}\n"
    assert harness.__version__ == version("vxlan-harness")


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_leaves_the_result_and_errors(
    where: str, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["report", str(SAMPLE), "-o", str(tmp_path / "page.html")]
    assert called(monkeypatch, *words) == 0
    assert "Report: " in capfd.readouterr().err
    assert called(monkeypatch, *([flag, *words] if where == "before" else [*words, flag])) == 0
    assert capfd.readouterr() == ("", "")
    assert called(monkeypatch, flag, "compare", str(SAMPLE)) == 0
    assert "vxlan against underlay" in capfd.readouterr().out
    assert called(monkeypatch, "compare", str(tmp_path), flag) == 2
    assert capfd.readouterr().err.startswith("harness: ")


def test_quiet_draws_no_bar() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, quiet=True)
    with RunProgress(PLAN, terminal) as progress:
        progress.stage("setting up")
    assert progress._bar is None


@pytest.mark.parametrize("way", ["--no-color", "NO_COLOR"])
def test_no_color(way: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In a terminal, which is what `_force_terminal` stands for."""
    monkeypatch.setattr(console.err, "_force_terminal", True)
    monkeypatch.setattr(console.err, "_color_system", 1)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert called(monkeypatch, "compare", "/nowhere") == 2
    assert "\x1b[31m" in capfd.readouterr().err
    if way == "NO_COLOR":
        monkeypatch.setenv(way, "1")
    assert called(monkeypatch, "compare", "/nowhere", *([way] if way.startswith("--") else [])) == 2
    said = capfd.readouterr().err
    assert said.startswith("harness: ")
    assert "\x1b" not in said


def test_what_runs_in_a_node_keeps_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def made(_name: str, words: list[str], **_others: object) -> None:
        seen.append(words)
        sys.exit(0)

    monkeypatch.setattr(app, "make_context", made)
    called(monkeypatch, "lab", "exec", "k8s-1", "ping", "-q")
    assert seen == [["lab", "exec", "k8s-1", "ping", "-q"]]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_asks_for_what_the_program_answers(shell: str) -> None:
    made = CliRunner().invoke(app, ["completion", shell])
    assert made.exit_code == 0
    assert f"_HARNESS_COMPLETE={shell}_complete" in made.output
    environment = {**os.environ, "_HARNESS_COMPLETE": f"{shell}_complete", "COMP_WORDS": "harness compl"}
    environment["COMP_CWORD"] = "1" if shell != "fish" else "compl"
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    assert "completion" in done.stdout, done.stderr
    assert "compare" not in done.stdout


def test_completion_script_is_taken_by_bash(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["completion", "bash"]).output
    program = tmp_path / "harness"
    program.write_text(f"#!/bin/sh\nexec {shlex.join(PROGRAM)}\n", encoding="utf-8")
    program.chmod(0o755)
    asked = "COMP_WORDS=(harness results --la); COMP_CWORD=2; _harness_completion harness; echo ${COMPREPLY[*]}"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{made}\n{asked}"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["--last"], done.stderr


@pytest.mark.parametrize("line", LINES)
def test_example_is_a_command_line(line: str) -> None:
    words = shlex.split(line.removeprefix("sudo "))
    assert words[0] == "harness"
    context = app.make_context("harness", words[1:], obj=tuple(words[1:]))
    name, command, rest = app.resolve_command(context, words[1:])
    assert command is not None
    own = command.make_context(name, rest, parent=context)
    while isinstance(command, click.Group) and own._protected_args:
        name, command, rest = command.resolve_command(own, [*own._protected_args, *own.args])
        assert command is not None
        own = command.make_context(name, rest, parent=own)
    local = own.params.get("lab") == "local" and own.params.get("resume") is None
    if own.info_name in ("run", "plan") and local and "mine" not in words:
        prepared_until(own.params)


def test_examples_are_printed_with_their_sentences() -> None:
    said = CliRunner().invoke(app, ["examples"]).output
    assert all(f"  {line}\n" in said for line in LINES)
    assert max(len(line) for line in said.splitlines() if not line.startswith(("  cp", "  harness compare /"))) <= 80
    words = shlex.split(next(line for line in said.splitlines() if line.startswith("  cp ")))
    assert Path(words[1]).read_text(encoding="utf-8").startswith("---\n# Two hosts of your own")
    compared = shlex.split(said.splitlines()[-1])
    assert CliRunner().invoke(app, compared[1:]).exit_code == 0


def test_man_pages_are_of_every_command_and_taken_by_man(tmp_path: Path) -> None:
    folder = tmp_path / "man"
    subprocess.run([sys.executable, str(REPO / "scripts" / "man.py"), str(folder)], check=True)
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert set(pages) == {"-".join(("harness", *words)) + ".1" for words in commands(app)}
    summary = pages["harness-run.1"].split(".SH NAME\n")[1].splitlines()[0]
    assert summary == "harness\\-run \\- Measure profiles against the underlay and print the comparison"
    assert "..." not in pages["harness.1"].split(".SH COMMANDS")[1]
    assert ".nf\nharness compare A  " in pages["harness-compare.1"]
    assert not any("\b" in text for text in pages.values())
    groff = shutil.which("groff")
    for name in pages if groff else ():
        argv = [str(groff), "-K", "utf8", "-man", "-Tutf8", "-ww", "-z", str(folder / name)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.stderr == "", name


def test_man_is_built_by_what_is_there() -> None:
    assert importlib.util.find_spec("click_man") is not None
