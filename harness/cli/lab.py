"""`harness lab`: a lab by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import out
from harness.cli.equipment import asked_passwords, equipped
from harness.cli.options import (
    ask_become_pass_option,
    ask_pass_option,
    containers_option,
    context_option,
    lab_option,
    links_option,
    made_lab_option,
    nodes_option,
    profiles_dir_option,
    wires_options,
)
from harness.model.errors import InputError, LabError

if TYPE_CHECKING:
    from harness.nodes.target import Passwords


@click.group()
def lab() -> None:
    """Handle a lab by itself."""


@lab.command("up")
@made_lab_option
@wires_options
@containers_option
@nodes_option
@links_option
def lab_up(which: str, rate: str, nic_mtu: int, containers: str, nodes: int | None, links: int | None) -> None:
    """Bring a lab up and leave it standing."""
    from harness.labs import vagrant
    from harness.labs.kept import MIN_NODES, find_kept, require_root
    from harness.labs.local import LocalLab
    from harness.labs.wires import Wires
    from harness.model.containers import Containers
    from harness.run.interrupt import Interruption

    engine = Containers.parse(containers).engine

    if which == "vagrant":
        vagrant.bring_up()
        out.print("Both machines are up; `harness run --lab vagrant` measures between them.")
        return
    require_root()
    interruption = Interruption()
    with interruption.installed(), interruption.shielded():
        if find_kept() is not None:
            raise LabError("the local lab is already up; `harness lab down` takes it down.")
        wires = Wires(rate, nodes or MIN_NODES, links or 0, nic_mtu)
        source = LocalLab(wires, keep=True, containers=engine)
        made = source.up()
        if interruption.requested:
            source.down()
            raise KeyboardInterrupt
    *names, last = [node.name for node in made.nodes]
    out.print(f"{', '.join(names)} and {last} are up, {wires.words()}.")
    out.print(f"Ansible inventory: {made.inventory}\nSSH configuration: {made.ssh_config}", soft_wrap=True)


@lab.command("down")
@lab_option
@context_option
@click.option("--force", is_flag=True, help="Also in the middle of somebody's run.")
@profiles_dir_option
@ask_pass_option
@ask_become_pass_option
def lab_down(
    lab: str,
    context: str | None,
    force: bool,
    profiles_dirs: tuple[Path, ...],
    ask_pass: bool,
    ask_become_pass: bool,
) -> None:
    """Take a lab down, and whatever killed local runs left behind; virtual machines go with their disks.

    Of an inventory's hosts the profiles are taken down, whichever of them is there; the hosts stay. Of a cluster only
    the namespaces that runs made are removed, with what is in them.
    """
    from harness.cli.cluster import KUBERNETES, kubectl
    from harness.cli.prepare import LOCAL, VAGRANT
    from harness.labs import kubernetes, vagrant
    from harness.labs.kept import take_down_all

    if context is not None and lab != KUBERNETES:
        raise InputError("--context is for --lab kubernetes.")
    if lab == KUBERNETES:
        gone = kubernetes.take_down(kubectl(context))
        out.print(f"Removed: {', '.join(f'namespace {name}' for name in gone)}." if gone else "There was nothing left.")
    elif lab == VAGRANT:
        vagrant.take_down()
    elif lab == LOCAL:
        removed = take_down_all(force=force)
        out.print(f"Taken down: {', '.join(removed)}." if removed else "There was nothing to take down.")
    else:
        passwords = asked_passwords(lab, login=ask_pass, become=ask_become_pass)
        names = _clear_hosts(Path(lab), profiles_dirs, passwords, force=force)
        out.print(f"Nothing of these profiles is left on the hosts of {lab}: {', '.join(names)}.", soft_wrap=True)


def _clear_hosts(
    inventory: Path, profiles_dirs: tuple[Path, ...], passwords: Passwords, *, force: bool
) -> tuple[str, ...]:
    """Take down every profile on the hosts of an inventory; return the profiles' names."""
    from harness.cli.prepare import Prepared
    from harness.fabric.profiles import known_profiles, load_file
    from harness.labs.static import StaticLab
    from harness.model.trial import UNDERLAY, Timing
    from harness.results.plan import Plan
    from harness.run.removal import removable, remove_all

    source = StaticLab(inventory, several=True)
    files = known_profiles(profiles_dirs)
    profiles = {name: load_file(path) for name, path in files.items() if name != UNDERLAY}
    setup = removable(profiles, source.nodes(), profiles_dirs)
    plan = Plan("removal", setup, (), blocks=1, timing=Timing(0, 0), seed=0)
    with equipped(Prepared(plan, profiles, source), passwords) as (equipment, _):
        remove_all(equipment, profiles, setup, force=force)
    return setup.profiles


@lab.command("status")
@made_lab_option
def lab_status(which: str) -> None:
    """Say whether a lab is up; exit code 3 where it is not."""
    from harness.labs import vagrant
    from harness.labs.kept import kept_state, standing_profiles
    from harness.labs.wires import Wires

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
    out.print(Wires.of(state).words())
    names = standing_profiles(state)
    first = state["nodes"][0]["name"]
    if not names:
        out.print("No profile stands on it.")
        return
    out.print(f"On it stands: {', '.join(names)}. Look at it, and follow a packet through it, with")
    out.print(f"  harness lab exec {first} -- ip -d link\n  harness trace --profile {names[0]}", soft_wrap=True)


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
