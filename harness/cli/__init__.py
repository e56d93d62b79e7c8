"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

A command is imported when it is asked for, and imports most of what it needs where it uses that: it must not wait for
what only another one needs.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections import UserDict
from importlib import import_module
from typing import Any

import click

from harness.model.errors import INTERNAL, INTERRUPTED, HarnessError, StorageError
from harness.run.interrupt import RECEIVED, SIGNALS, interrupt

_COMMANDS = tuple(
    "run inspect trace ecmp plan compare report results history import aa "
    "profiles doctor lab examples completion".split()
)
_KEYWORDS = {"import": "importing"}
"""A command is in the module that bears its name, unless Python has that word for itself."""
_ANYWHERE = ("--debug", "--quiet", "-q", "--no-color")
"""Options of `harness` itself, which may stand behind a command as well."""
_HELP = ("-h", "--help")


class _Commands(UserDict[str, Any]):
    """Commands by name, each imported when it is taken out."""

    def __getitem__(self, name: str) -> click.Command:
        module = self.data[name]
        command: click.Command = getattr(import_module(module), module.rpartition(".")[2])
        return command


@click.group(context_settings={"help_option_names": [*_HELP], "max_content_width": 100})
@click.version_option(package_name="vxlan-harness", prog_name="harness", message="%(prog)s %(version)s")
@click.option("-q", "--quiet", is_flag=True, help="Print the result and errors only: no progress, no notes on the way.")
@click.option("--no-color", is_flag=True, help="No colors, as with NO_COLOR in the environment.")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def app(quiet: bool, no_color: bool, debug: bool) -> None:  # noqa: ARG001 - `main` has looked for that one
    """What a container overlay costs against the bare network, and why.

    These options may stand behind a command as well. A command's options may also be set in the current folder's
    harness.toml, such as `flows = [1, 8]` below `[run]`, or in pyproject.toml below `[tool.harness.run]`; what is typed
    counts first, then the file, then the default. `harness examples` shows what to begin with.
    """
    from harness.cli import console

    console.set_up(quiet=quiet, no_color=no_color)


app.commands = _Commands({name: f"{__name__}.{_KEYWORDS.get(name, name)}" for name in _COMMANDS})


def main() -> None:
    """Entry point: run the command line; expected errors become one or two sentences and their exit code."""
    from harness.cli import completion

    if completion.VARIABLE in os.environ:
        sys.exit(completion.complete(app, os.environ[completion.VARIABLE]))
    argv = sys.argv[1:]
    ours = argv[: argv.index("exec")] if "exec" in argv else argv  # what `lab exec` runs may have a --debug of its own
    debug = "--debug" in ours
    _prepare_process()
    try:
        words = [word for word in ours if word in _ANYWHERE]
        words += [word for word in ours if word not in _ANYWHERE] + argv[len(ours) :]
        # Not app.main, which would write to a terminal that may be gone. Commands find their words in the object.
        with app.make_context("harness", [*words], obj=tuple(words), default_map=_from_file(words)) as context:
            app.invoke(context)
        code = 0
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        text, code = _sentence(error, keeps="--keep" in ours)
        _say(text)
    for number in SIGNALS:  # all is done and said: what comes while Python takes itself down changes neither
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _from_file(words: list[str]) -> dict[str, Any]:
    """Return what a file says of options, unless help is asked for, which shall come whatever is in that."""
    from harness.cli.configuration import options_from_file

    return {} if any(word in _HELP for word in words) else options_from_file(app, words)


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
    if RECEIVED:  # a signal, of which what it hit has made something else
        return _sentence(KeyboardInterrupt(), keeps=keeps)
    return f"internal error, {type(error).__name__}: {error}. Run it again with --debug and report it.", INTERNAL


def _prepare_process() -> None:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does, and no letter that a terminal lacks end its output."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(text: str) -> None:
    from harness.cli.console import say

    say(f"harness: {text}", style="red")
