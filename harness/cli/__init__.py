"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

A command is imported when it is asked for, and imports most of what it needs where it uses that: it must not wait for
what only another one needs.
"""

from __future__ import annotations

import io
import signal
import sys
from collections import UserDict
from importlib import import_module
from types import FrameType
from typing import Any

import click

from harness.model.errors import INTERNAL, INTERRUPTED, HarnessError, StorageError

_COMMANDS = tuple("run inspect trace ecmp plan compare report history import aa profiles doctor lab".split())
_KEYWORDS = {"import": "importing"}
"""A command is in the module that bears its name, unless Python has that word for itself."""


class _Commands(UserDict[str, Any]):
    """Commands by name, each imported when it is taken out."""

    def __getitem__(self, name: str) -> click.Command:
        module = self.data[name]
        command: click.Command = getattr(import_module(module), module.rpartition(".")[2])
        return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def app(debug: bool) -> None:
    """What a container overlay costs against the bare network, and why."""


app.commands = _Commands({name: f"{__name__}.{_KEYWORDS.get(name, name)}" for name in _COMMANDS})


def main() -> None:
    """Entry point: run the command line; expected errors become one or two sentences and their exit code."""
    argv = sys.argv[1:]
    ours = argv[: argv.index("exec")] if "exec" in argv else argv  # what `lab exec` runs may have a --debug of its own
    debug = "--debug" in ours
    _prepare_process()
    try:
        words = [word for word in ours if word != "--debug"] + argv[len(ours) :]
        # Not app.main, which would write to a terminal that may be gone. Commands find their words in the object.
        with app.make_context("harness", words, obj=tuple(words)) as context:
            app.invoke(context)
        code = 0
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        text, code = _sentence(error, keeps="--keep" in ours)
        _say(text)
    sys.exit(code)


def _sentence(error: BaseException, *, keeps: bool) -> tuple[str, int]:
    """Return what is said of an error, and the exit code."""
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, HarnessError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        left = "stays, as --keep says" if keeps else "has been taken down"
        return f"interrupted; {str(error) or 'what was measured is kept'}. What was set up {left}.", INTERRUPTED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; make that possible, and run it again.", StorageError.exit_code
    return f"internal error, {type(error).__name__}: {error}. Run it again with --debug and report it.", INTERNAL


def _prepare_process() -> None:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does, and no letter that a terminal lacks end its output."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # not where it is ignored, as under nohup
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    from harness.cli.console import err

    err.print(f"harness: {text}", style="red", soft_wrap=True)
