"""`harness completion`."""

from __future__ import annotations

import click

VARIABLE = "_HARNESS_COMPLETE"
"""By what a shell asks for words."""
SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what completes `harness` in a shell; put it where the shell looks for that.

    \b
    D=~/.local/share/bash-completion/completions
    mkdir -p $D && harness completion bash > $D/harness
    mkdir -p ~/.zfunc && harness completion zsh > ~/.zfunc/_harness
    harness completion fish > ~/.config/fish/completions/harness.fish

    zsh looks into ~/.zfunc where ~/.zshrc has `fpath+=~/.zfunc` in front of `compinit`. bash takes its package
    bash-completion for the folder above; without it, `eval "$(harness completion bash)"` in ~/.bashrc does.
    """  # noqa: D301 - click's mark for lines that are to be left as they are
    from click.shell_completion import get_completion_class

    from harness.cli.console import put

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"click completes nothing in {shell}.")
    put(made(context.find_root().command, {}, "harness", VARIABLE).source())


def complete(app: click.Group, instruction: str) -> int:
    """Answer a shell that asks for words, as what `completion` prints has it do; return the exit code."""
    from click.shell_completion import shell_complete

    return shell_complete(app, {}, "harness", VARIABLE, instruction)
