"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

Most imports are made where they are used: a command must not wait for what only another one needs.
"""

from __future__ import annotations

import sys

import click

from harness.cli.aa import aa
from harness.cli.compare import compare
from harness.cli.console import err
from harness.cli.doctor import doctor
from harness.cli.ecmp import ecmp
from harness.cli.inspect import inspect
from harness.cli.lab import lab
from harness.cli.plan import plan
from harness.cli.profiles import profiles
from harness.cli.run import run
from harness.cli.trace import trace
from harness.model.errors import INTERRUPTED, HarnessError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def app(debug: bool) -> None:
    """What a container overlay costs against the bare network, and why."""


for command in (run, inspect, trace, ecmp, plan, compare, aa, profiles, doctor, lab):
    app.add_command(command)


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
        err.print(f"harness: {error.format_message()}", style="red", markup=False, soft_wrap=True)
        code = error.exit_code
    except HarnessError as error:
        if debug:
            raise
        err.print(f"harness: {error}", style="red", markup=False, soft_wrap=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        left = "stays, as --keep says" if "--keep" in ours else "has been taken down"
        err.print(f"harness: interrupted; what was measured is kept, what was set up {left}.")
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        err.print(f"harness: internal error, {type(error).__name__}: {error}. Run it again with --debug and report it.")
        code = 1
    sys.exit(code)
