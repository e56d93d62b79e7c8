"""Options from harness.toml or pyproject.toml: typed ones go before them, and what no command has is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import pytest

from harness.cli import app, configuration, main
from harness.cli.configuration import FILE, MOST_BYTES, SHARED_FILE, is_typed, options_from_file, words_from_file
from harness.labs import kept
from harness.model.errors import InputError

RUN = '[run]\nprofile = ["vxlan", "flannel"]\nflows = [1, 4]\nmtu = 1450\nmargin = "2%"\nkeep = true\n'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parsed(*words: str) -> click.Context:
    """Return the context of a command, as `main` makes it, without running it."""
    name, *rest = words
    top = click.Context(app, info_name="harness", default_map=options_from_file(app, words), obj=words)
    return app.commands[name].make_context(name, rest, parent=top)


def write(text: str, name: str = FILE) -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_options_of_a_command_come_from_its_table() -> None:
    write(RUN)
    params = parsed("run").params
    assert params["profile"] == ("vxlan", "flannel")
    assert params["factor_flows"] == (1, 4)
    assert params["factor_mtu"] == (1450,)
    assert params["margin"] == 0.02
    assert params["keep"] is True
    assert parsed("compare", "a").params["margin"] == 0.01


def test_typed_before_file_before_default() -> None:
    write(RUN)
    context = parsed("run", "--flows", "8", "--profile", "gre")
    assert context.params["factor_flows"] == (8,)
    assert context.params["profile"] == ("gre",)
    assert context.params["plan"] == "quick"
    assert [name for name in ("factor_flows", "factor_mtu", "plan") if is_typed(context, name)] == ["factor_flows"]


def test_own_file_before_that_of_a_project() -> None:
    write('[project]\nname = "x"\n[tool.harness.run]\nblocks = 7\n[tool.harness.lab.up]\nrate = "none"\n', SHARED_FILE)
    assert parsed("run").params["blocks"] == 7
    up = app.commands["lab"].commands["up"]  # type: ignore[attr-defined]
    lab = click.Context(app.commands["lab"], info_name="lab", parent=click.Context(app))
    lab.default_map = options_from_file(app, ["lab", "up"])["lab"]
    assert up.make_context("up", [], parent=lab).params["rate"] == "none"
    write("[run]\nblocks = 8\n")
    assert parsed("run").params["blocks"] == 8


def test_without_a_file_or_a_table_nothing_changes() -> None:
    assert options_from_file(app, ["run"]) == {}
    write('[tool.ruff]\nline-length = 120\n[project]\nname = "x"\n', SHARED_FILE)
    assert options_from_file(app, ["run"]) == {}
    write("this is no TOML, but nobody asks")
    assert options_from_file(app, ["--version"]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run]\nflow = 1\n", "harness.toml, [run]: there is no option 'flow'; did you mean flows?"),
        ("[rum]\nflows = 1\n", "harness.toml: there is no command 'rum'; did you mean run?"),
        ("[run]\nxyzzy = 1\n", "harness.toml, [run]: there is no option 'xyzzy'; `harness run --help` names them."),
        ("flows = 1\n", "harness.toml: there is no option 'flows'; `harness --help` names them."),
        ("debug = true\n", "harness.toml: there is no option 'debug'; `harness --help` names them."),
        ("[run.up]\nflows = 1\n", "harness.toml, [run]: there is no option 'up'; `harness run --help` names them."),
        ("[run]\nkeep = 1\n", "harness.toml, [run] keep: 1 is neither true nor false."),
        ("[run]\nmtu = true\n", "harness.toml, [run] mtu: give a text, a number, or a list of these."),
        ("[run]\nprofile = []\n", "harness.toml, [run] profile: give a text, a number, or a list of these."),
        ("[run]\nblocks = 0\n", "harness.toml, [run] blocks: 0 is not in the range 1<=x<=1000."),
        ('[run]\nplan = "slow"\n', "harness.toml, [run] plan: 'slow' is not one of"),
        ('[run]\noffload = ["gro"]\n', "harness.toml, [run] offload: "),
        ("[run]\nflows = \n", "harness.toml cannot be read as TOML: "),
        ("[run]\nflows = " + "[" * 5000, "harness.toml cannot be read as TOML: "),
        ("# " + "x" * MOST_BYTES, "harness.toml has more than 1 MB; options take less."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, said: str) -> None:
    write(text)
    with pytest.raises(InputError) as raised:
        options_from_file(app, ["run"])
    assert str(raised.value).startswith(said)


def test_table_of_a_command_that_has_commands() -> None:
    write("[lab]\nup = 1\n")
    with pytest.raises(InputError, match=r"this is a command; write \[lab\.up\]"):
        options_from_file(app, ["lab", "up"])
    write("[tool]\nharness = 1\n", SHARED_FILE)
    Path(FILE).unlink()
    with pytest.raises(InputError, match=r"tool\.harness is not a table"):
        options_from_file(app, ["run"])


def test_not_utf8() -> None:
    Path(FILE).write_bytes(b"[run]\nimage = '\xff'\n")
    with pytest.raises(InputError, match="cannot be read as TOML"):
        options_from_file(app, ["run"])


@pytest.mark.parametrize("name", [FILE, SHARED_FILE])
def test_file_that_somebody_else_can_write_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[run]\nblocks = 7\n" if name == FILE else "[tool.harness.run]\nblocks = 7\n", name)
    path.chmod(0o666)
    with pytest.raises(InputError, match="can be written by somebody else"):
        options_from_file(app, ["run"])
    monkeypatch.setenv(kept.STATE_VARIABLE, "/somewhere")
    assert options_from_file(app, ["run"]) == {"run": {"blocks": "7"}}


@pytest.mark.parametrize(
    ("owner", "sudo", "is_read"), [(0, None, True), (7, None, False), (7, "7", True), (7, "x", False)]
)
def test_owner_is_the_caller_or_root(
    owner: int, sudo: str | None, is_read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("[run]\nblocks = 7\n")
    path.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if sudo is None:
        monkeypatch.delenv("SUDO_UID", raising=False)
    else:
        monkeypatch.setenv("SUDO_UID", sudo)
    real = Path.stat

    def owned(self: Path, **how: bool) -> os.stat_result:
        found = [*real(self, **how)]
        found[4] = owner
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", owned)
    if is_read:
        assert configuration.options_from_file(app, ["run"])["run"] == {"blocks": "7"}
    else:
        with pytest.raises(InputError, match="can be written by somebody else"):
            configuration.options_from_file(app, ["run"])


def test_what_goes_on_with_a_run_has_the_options_of_the_file() -> None:
    """Without the file, or with another one, the run that is resumed has to be the same."""
    write(RUN)
    words = words_from_file(parsed("run", "--mtu", "1500"))
    assert words == tuple("--profile vxlan --profile flannel --flows 1,4 --keep --margin 2%".split())
    Path(FILE).unlink()
    again = parsed("run", *words, "--mtu", "1500").params
    write(RUN)
    assert again == parsed("run", "--mtu", "1500").params


def said_by_main(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["harness", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), "".join(capfd.readouterr())


def test_command_line_reads_it(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write('[plan]\nprofile = ["flannel"]\nblocks = 7\n')
    code, said = said_by_main(monkeypatch, capfd, "plan")
    assert code == 0
    assert "flannel" in said
    assert "7 blocks" in said
    write("[plan]\nblock = 7\n")
    assert said_by_main(monkeypatch, capfd, "plan") == (
        2,
        "harness: harness.toml, [plan]: there is no option 'block'; did you mean blocks?\n",
    )
    code, said = said_by_main(monkeypatch, capfd, "plan", "--help")
    assert (code, "--blocks" in said) == (0, True)
