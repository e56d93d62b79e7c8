"""Output that nobody reads, that cannot be written, or that a terminal cannot show never ends what a command does."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import _sentence as sentence_of
from harness.cli.console import err, put

COMMAND = [sys.executable, "-c", "from harness.cli import main; main()"]
PLAN = [*COMMAND, "plan", "--profile", "vxlan", "--seed", "1"]


def test_reader_that_leaves_ends_only_the_output() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(PLAN, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["plan", "--seed", "1"], ["plan", "--seed", "1", "--json"], ["profiles"]])
def test_full_disk_behind_standard_output_is_an_error(words: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr == "harness: standard output cannot be written: No space left on device.\n"


def test_closed_terminal_does_not_end_a_command() -> None:
    """Its reader gone, a terminal gives EIO for everything."""
    leader, follower = pty.openpty()
    os.close(leader)
    code = "from harness.cli.console import err; err.print('x' * 9000); err.print('again'); print('done')"
    done = subprocess.run([sys.executable, "-c", code], stderr=follower, stdout=subprocess.PIPE, text=True, check=False)
    os.close(follower)
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_that_lacks_letters_shows_the_rest(encoding: str) -> None:
    code = "from harness.cli import _prepare_process; from harness.cli.console import put; "
    code += "_prepare_process(); put('\\u2500 \\u00b5s whole\\n')"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"s whole\n")


@pytest.mark.parametrize("out", ["x/[/b]", "[/x]", "[red]"])
def test_brackets_in_a_path_are_no_markup(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [*COMMAND, "compare", f"{tmp_path}/{out}"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert out in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_said_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    err.print("k8s-1: \x1b[2J[bold]told\x07")
    assert capsys.readouterr().err == "k8s-1: \\x1b[2J[bold]told\\x07\n"
    put("rows\n")
    assert capsys.readouterr().out == "rows\n"


def command_of(*body: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of these lines as `harness` runs any, and return what became of its process."""
    lines = "".join(f"    {line}\n" for line in body)
    code = (
        f"import atexit, os, sys, click, harness.cli as cli\n{before}\n@click.command()\ndef plan():\n{lines}"
        "cli.app.commands = {'plan': plan}\nsys.argv = ['harness', 'plan']\ncli.main()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_any_command_with_its_sentence(number: signal.Signals) -> None:
    """As in a summary: nothing of a run handles the signal any more."""
    done = command_of(f"os.kill(os.getpid(), {number:d})")
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("harness: interrupted; what was measured is kept")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_that_what_it_hit_makes_something_else_of_is_told_as_what_it_was(number: signal.Signals) -> None:
    """Python does: a module that is being compiled, and loads unicodedata for a name in it, raises SyntaxError."""
    made = "raise SyntaxError('cannot load unicodedata')"
    done = command_of("try:", f"    os.kill(os.getpid(), {number:d})", "except KeyboardInterrupt:", f"    {made}")
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("harness: interrupted; what was measured is kept")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("moment", ["atexit.register(end)", "sys.modules['last'] = type('', (), {'__del__': end})()"])
def test_signal_while_python_takes_itself_down_changes_nothing(number: signal.Signals, moment: str) -> None:
    """A run's last tenth of a second: its results are on disk, and its last line is out."""
    end = f"def end(*_, kill=os.kill, pid=os.getpid()): kill(pid, {number:d})"
    done = command_of(moment, "print('done')", before=end)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("error", "keeps", "said", "code"),
    [
        (OSError(28, "No space left on device", "/r/x.csv"), False, "/r/x.csv: No space left on device; make that", 9),
        (
            KeyboardInterrupt(),
            False,
            "interrupted; what was measured is kept. What was set up has been taken down.",
            130,
        ),
        (
            KeyboardInterrupt("nothing had been measured"),
            False,
            "interrupted; nothing had been measured. What was",
            130,
        ),
        (KeyboardInterrupt("2 of 8 trials"), True, "interrupted; 2 of 8 trials. What was set up stays, as", 130),
    ],
)
def test_what_ends_a_command_is_told_as_it_is(error: BaseException, keeps: bool, said: str, code: int) -> None:
    text, number = sentence_of(error, keeps=keeps)
    assert (text[: len(said)], number) == (said, code)
    assert "internal error" not in text
