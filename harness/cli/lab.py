"""`harness lab`: a lab by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

import click

from harness.cli.console import out
from harness.cli.options import (
    any_lab_option,
    containers_option,
    context_option,
    links_option,
    made_lab_option,
    nodes_option,
    rate_option,
)
from harness.model.errors import InputError, LabError


@click.group()
def lab() -> None:
    """Handle a lab by itself."""


@lab.command("up")
@made_lab_option
@rate_option
@containers_option
@nodes_option
@links_option
def lab_up(which: str, rate: str, containers: str, nodes: int | None, links: int | None) -> None:
    """Bring a lab up and leave it standing."""
    from harness.labs import vagrant
    from harness.labs.kept import MIN_NODES, find_kept
    from harness.labs.local import LocalLab
    from harness.model.containers import Containers

    engine = Containers.parse(containers).engine

    if which == "vagrant":
        vagrant.bring_up()
        out.print("Both machines are up; `harness run --lab vagrant` measures between them.")
        return
    if find_kept() is not None:
        raise LabError("the local lab is already up; `harness lab down` takes it down.")
    made = LocalLab(rate, count=nodes or MIN_NODES, keep=True, containers=engine, links=links or 0).up()
    *names, last = [node.name for node in made.nodes]
    out.print(f"{', '.join(names)} and {last} are up, {_linked(rate, links or 0)}.")
    out.print(f"Ansible inventory: {made.inventory}\nSSH configuration: {made.ssh_config}", soft_wrap=True)


@lab.command("down")
@any_lab_option
@context_option
def lab_down(which: str, context: str | None) -> None:
    """Take a lab down, and whatever killed runs left behind; virtual machines go with their disks.

    Of a cluster only the namespaces that runs made are removed, with what is in them.
    """
    from harness.cli.cluster import KUBERNETES, kubectl
    from harness.labs import kubernetes, vagrant
    from harness.labs.kept import take_down_all

    if which == KUBERNETES:
        gone = kubernetes.take_down(kubectl(context))
        out.print(f"Removed: {', '.join(f'namespace {name}' for name in gone)}." if gone else "There was nothing left.")
        return
    if context is not None:
        raise InputError("--context is for --lab kubernetes.")
    if which == "vagrant":
        vagrant.take_down()
        return
    removed = take_down_all()
    out.print(f"Taken down: {', '.join(removed)}." if removed else "There was nothing to take down.")


@lab.command("status")
@made_lab_option
def lab_status(which: str) -> None:
    """Say whether a lab is up; exit code 3 where it is not."""
    from harness.labs import vagrant
    from harness.labs.kept import kept_state

    if which == "vagrant":
        states = vagrant.states()
        for name, word in states.items():
            out.print(f"{name}  {word}")
        if set(states.values()) != {vagrant.RUNNING}:
            raise LabError(f"the Vagrant lab is not up. {vagrant.NOT_UP}")
        return
    state = kept_state()
    for node in state["nodes"]:
        out.print(f"{node['name']}  {node['address']}  pid {node['inside']['pid']}")
    for router in state.get("routers", []):
        out.print(f"{router['name']}  pid {router['inside']['pid']}")
    out.print(_linked(state["rate"], state.get("links", 0)))


def _linked(rate: str, links: int) -> str:
    """Return what joins the nodes, in words."""
    return f"{links} links of {rate} each between two routers" if links else f"link {rate}"


@lab.command("shell")
@click.argument("node")
def lab_shell(node: str) -> None:
    """Open a shell on NODE."""
    shell = ["bash", "--norc"] if shutil.which("bash") else ["sh"]
    _become(node, ["env", f"PS1={node} # ", *shell])


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def lab_exec(node: str, argv: tuple[str, ...]) -> None:
    """Run ARGV on NODE; its output and exit code are passed through."""
    _become(node, argv[1:] if argv[0] == "--" else argv)


def _become(node: str, argv: Iterable[str]) -> None:
    """Replace this process by argv inside a node."""
    from harness.labs.holder import enter_argv
    from harness.labs.kept import kept_state

    nodes = {entry["name"]: entry for entry in kept_state()["nodes"]}
    if node not in nodes:
        raise InputError(f"unknown node {node!r}; the lab has {', '.join(nodes)}.")
    entered = [*enter_argv(nodes[node]["inside"]["pid"]), *argv]
    os.execvp(entered[0], entered)  # noqa: S606 - no shell is wanted
