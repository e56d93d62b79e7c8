"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

A command is imported when it is asked for, and imports most of what it needs where it uses that: it must not wait for
what only another one needs.
"""

from __future__ import annotations

import sys
from collections import UserDict
from importlib import import_module
from typing import Any

import click

from harness.model.errors import INTERRUPTED, HarnessError

_COMMANDS = ("run", "inspect", "trace", "ecmp", "plan", "compare", "report", "aa", "profiles", "doctor", "lab")
"""Each is in the module that bears its name."""


class _Commands(UserDict[str, Any]):
    """Commands by name, each imported when it is taken out."""

    def __getitem__(self, name: str) -> click.Command:
        command: click.Command = getattr(import_module(self.data[name]), name)
        return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def app(debug: bool) -> None:
    """What a container overlay costs against the bare network, and why."""


app.commands = _Commands({name: f"{__name__}.{name}" for name in _COMMANDS})


def main() -> None:
    """Entry point: run the command line; expected errors become one or two sentences and their exit code."""
    argv = sys.argv[1:]
    ours = argv[: argv.index("exec")] if "exec" in argv else argv  # what `lab exec` runs may have a --debug of its own
    debug = "--debug" in ours
    try:
        words = [word for word in ours if word != "--debug"] + argv[len(ours) :]
        code = app.main(words, prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        if debug:
            raise
        _say(error.format_message(), style="red", markup=False, soft_wrap=True)
        code = error.exit_code
    except HarnessError as error:
        if debug:
            raise
        _say(str(error), style="red", markup=False, soft_wrap=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        left = "stays, as --keep says" if "--keep" in ours else "has been taken down"
        _say(f"interrupted; what was measured is kept, what was set up {left}.")
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        _say(f"internal error, {type(error).__name__}: {error}. Run it again with --debug and report it.")
        code = 1
    sys.exit(code)


def _say(text: str, **how: Any) -> None:  # noqa: ANN401 - rich's own
    from harness.cli.console import err

    err.print(f"harness: {text}", **how)
