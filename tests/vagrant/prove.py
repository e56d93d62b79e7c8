"""`make test-vagrant`: two real virtual machines from nothing, every profile between them, and nothing left.

`python -m tests.vagrant.prove [--containers none]`, as root. Prints each step with its seconds and ends with 0 only
if all of it held. The machines are emulated in software where KVM is of no use: then this shows that things work, and
its figures say nothing.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.fabric.profiles import known_profiles, load
from harness.fabric.topology import namespace_name
from harness.model.trace import Place
from harness.model.trial import UNDERLAY
from harness.report.trace_json import from_json
from harness.results.schema import Columns
from harness.truth.wire import overhead
from tests import found
from tests.proving import Steps, check, processes_left_in, proven, say
from tests.vagrant import box
from tests.vagrant.hypervisor import FOLDERS, Hypervisor

REPO = box.REPO
CACHE = REPO / ".cache" / "vagrant"
PLAN = "--blocks 2 --duration 1 --omit 0 --flows 1 --mtu 1450 --seed 4".split()
NODES = ("k8s-1", "k8s-2")
INVENTORY = "inventory/vagrant.yml"
KEPT_BOXES = 1
PROGRESS = re.compile(r"\x1b\[K|Progress: \d+%")
"""What Vagrant overwrites hundreds of times while it copies a box."""
ECHO_BYTES = 98
"""The frame in which ping's echo is, unless it was told a size."""
CONNECTION_LOST, NO_LAB = 5, 3
"""Exit codes of `harness`."""


def ready_box() -> Path:
    """Return a box made from what is in box.py and the playbooks, from the cache where they have not changed."""
    key = hashlib.sha256(Path(box.__file__).read_bytes())
    key.update(" ".join(box.wanted_packages()).encode())
    # A volume of libvirt's is known by the box's name, so a box that differs needs a name that does.
    path = CACHE / f"harness-{key.hexdigest()[:12]}.box"
    for old in sorted(CACHE.glob("harness-*.box"), key=lambda each: each.stat().st_mtime)[:-KEPT_BOXES]:
        old.unlink()
        old.with_suffix(".key").unlink(missing_ok=True)
        old.with_suffix(".key.pub").unlink(missing_ok=True)
    if not path.exists():
        # In namespaces of its own, so that its mounts and programs are gone with it, however it ends.
        unshare = "setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --mount-proc"
        build = [sys.executable, "-m", "tests.vagrant.box", str(path)]
        done = subprocess.run([*unshare.split(), *build], check=False)
        check(done.returncode == 0, "the box could not be built")
    return path


class Inside:
    """Runs programs where the virtual machines are."""

    def __init__(self, hypervisor: Hypervisor, box_path: Path) -> None:
        self.hypervisor = hypervisor
        self.environment = hypervisor.environment() | {
            "HARNESS_VM_BOX": box_path.stem,
            "HARNESS_VM_BOX_URL": box_path.as_uri(),
            "HARNESS_VM_KEY": str(box_path.with_suffix(".key")),
            "HARNESS_VM_DRIVER": "kvm" if has_kvm() else "qemu",
            "HARNESS_VM_BOOT_TIMEOUT": "1200",
        }

    def show(self, *argv: str) -> None:
        """Run a program with its output on the terminal; its failure is ours."""
        with subprocess.Popen(
            self.hypervisor.argv(argv),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                if not PROGRESS.search(line):
                    say(f"   {line.rstrip()}")
        check(process.returncode == 0, f"`{' '.join(argv)}` ended with {process.returncode}")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it said."""
        return subprocess.run(
            self.hypervisor.argv(argv),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def has_kvm() -> bool:
    """Tell whether a machine really starts with KVM; that the device is there does not say so."""
    argv = (
        "qemu-system-x86_64 -accel kvm -cpu host -machine pc -S -nodefaults -display none -daemonize -pidfile".split()
    )
    with tempfile.TemporaryDirectory() as folder:
        pid = Path(folder) / "pid"
        done = subprocess.run([*argv, str(pid)], capture_output=True, check=False)
        if done.returncode == 0:
            os.kill(int(pid.read_text("ascii")), signal.SIGKILL)
    return done.returncode == 0


def refuses_without_machines(inside: Inside) -> None:
    done = inside.run("harness", "run", "--lab", "vagrant", "--profile", "vxlan")
    check(done.returncode == NO_LAB, f"without machines `harness run` ended with {done.returncode}: {done.stderr}")
    check("harness lab up --lab vagrant" in done.stderr, f"no remedy in: {done.stderr}")
    say(f"   {done.stderr.strip()}")


def answers_plain_ansible(inside: Inside) -> None:
    inside.show("ansible", "-i", INVENTORY, "nodes", "-m", "ansible.builtin.ping")
    inside.show("harness", "lab", "status", "--lab", "vagrant")


def provisioning_changes_nothing_more(inside: Inside) -> None:
    done = inside.run("ansible-playbook", "-i", INVENTORY, "playbooks/provision.yml")
    changes = re.findall(r"changed=(\d+)", done.stdout)
    check(done.returncode == 0, f"provisioning again failed:\n{done.stdout}{done.stderr}")
    check(changes == ["0", "0"], f"provisioning again changed something:\n{done.stdout}")


def profiles_with(containers: str) -> list[str]:
    """Return every profile but the underlay; Docker's own only where endpoints are its containers."""
    return [name for name in known_profiles() if name != UNDERLAY and (containers == "docker" or not load(name).swarm)]


def measures_every_profile(inside: Inside, results: Path, containers: str) -> None:
    profiles = profiles_with(containers)
    wanted = [word for name in profiles for word in ("--profile", name)]
    command = ["harness", "run", "--lab", "vagrant", "--skip-unsupported", "--out", str(results)]
    inside.show(*command, "--containers", containers, *PLAN, *wanted)
    run = next(results.iterdir())
    with (run / "trials.csv").open(encoding="utf-8", newline="") as file:
        trials = list(csv.DictReader(file))
    description = json.loads((run / "run.json").read_text(encoding="utf-8"))
    varied = description["factors"]
    columns = Columns.of_measures(dict.fromkeys(row["measure"] for row in trials), varied).names
    check(tuple(trials[0]) == columns, "the columns of trials.csv are not those of every lab")
    measured = {row["profile"] for row in trials}
    check(measured == {UNDERLAY, *profiles}, f"left out: {', '.join(sorted({UNDERLAY, *profiles} - measured))}")
    bad = [f"{row['profile']} {row['status']}: {row['reason']}" for row in trials if row["status"] != "ok"]
    check(not bad, "trials without a figure:\n" + "\n".join(bad))
    say(f"   {len(trials)} trials of {len(measured)} profiles, all ok; run {description['run_id']}")


def follows_a_packet_of_every_profile(inside: Inside, containers: str) -> None:
    """Each profile's echoes arrive, are seen at every point, and are on the wire with the headers that it declares.

    But those of Docker's own, whose devices it hides.
    """
    for name in [name for name in known_profiles() if not load(name).swarm]:
        words = ("--lab", "vagrant", "--profile", name, "--count", "2", "--format", "json", "--containers", containers)
        done = inside.run("harness", "trace", *words)
        check(done.returncode == 0, f"trace of {name} ended with {done.returncode}:\n{done.stderr}")
        trace = from_json(done.stdout)
        walk = next(walk for walk in trace.walks if walk.name == "echo request 1")
        check(tuple(hop.point for hop in walk.hops) == trace.points, f"{name}: not seen everywhere: {walk.hops}")
        added = overhead(load(name).headers)
        sizes = {hop.frames[0].length - ECHO_BYTES - added for hop in walk.hops if hop.point.place is Place.NIC}
        padding = range(16) if name == "wireguard" else range(1)
        check(sizes <= {*padding}, f"{name}: {added} bytes of headers, and these too many: {sizes}")
        say(f"   {name}: {trace.answered} of {trace.sent} answered, {len(walk.hops)} hops, {trace.clock} clock")


def finds_the_path_of_every_profile(inside: Inside, containers: str) -> None:
    """A set-up that stands is found from its endpoints alone, with the headers, VNI, devices and MTU that it has."""
    profiles = profiles_with(containers)
    given = {"overlay_profiles": profiles, "overlay_mtus": [found.MTU], "overlay_containers": containers}
    play = ["ansible-playbook", "-i", INVENTORY, "-e", json.dumps(given)]
    done = inside.run(*play, "playbooks/apply.yml")
    check(done.returncode == 0, f"setting every profile up failed:\n{done.stdout}{done.stderr}")
    try:
        for name in profiles:
            endpoint = f"netns:{namespace_name(name, found.MTU)}"
            words = ("inspect", "--lab", "vagrant", "--between", f"{endpoint},{endpoint}", "--json")
            seen = inside.run("harness", *words)
            if "esp" in load(name).headers:  # what is sealed cannot be told from outside, and that is said
                check(seen.returncode == NO_LAB, f"{name}: inspect ended with {seen.returncode}:\n{seen.stderr}")
                check(json.loads(seen.stdout)["wire"]["headers"] is None, f"{name}: {seen.stdout}")
                say(f"   {name}: cannot be told, and that is said")
                continue
            check(seen.returncode == 0, f"inspect of {name} ended with {seen.returncode}:\n{seen.stderr}")
            path = json.loads(seen.stdout)
            wrong = found.unlike(name, path)
            check(not wrong, f"{name} is not recognised: {'; '.join(wrong)}")
            say(f"   {name}: {'/'.join(path['wire']['headers']) or 'no headers'}")
    finally:
        down = inside.run(*play, "playbooks/teardown.yml")
    check(down.returncode == 0, f"taking every profile down failed:\n{down.stdout}{down.stderr}")


def refuses_another_host_key(inside: Inside) -> None:
    """A machine whose key is not the recorded one is neither measured, nor set up, nor recorded anew."""
    known = Path(inside.environment["VAGRANT_DOTFILE_PATH"]) / "lab" / f"{NODES[0]}.known_hosts"
    right = known.read_text(encoding="utf-8")
    machine = right.splitlines()[0]
    _, *others = known.with_name(f"{NODES[1]}.known_hosts").read_text(encoding="utf-8").splitlines()
    known.write_text("\n".join([machine, *others, ""]).replace(NODES[1], NODES[0]), encoding="utf-8")
    try:
        done = inside.run("harness", "run", "--lab", "vagrant", *PLAN)
        check(done.returncode == CONNECTION_LOST, f"with another host key, exit code {done.returncode}: {done.stderr}")
        say(f"   {done.stderr.strip().splitlines()[-1]}")
        # By a connection of its own: one that a playbook of the step before left open asks for no key.
        alone = ("env", "ANSIBLE_SSH_ARGS=-C")
        ansible = inside.run(*alone, "ansible", "-i", INVENTORY, NODES[0], "-m", "ansible.builtin.ping")
        check(
            "REMOTE HOST IDENTIFICATION HAS CHANGED" in ansible.stdout + ansible.stderr, "Ansible took another host key"
        )
        again = inside.run("vagrant", "provision", "--provision-with", "access", NODES[0])
        check(again.returncode != 0, "vagrant provision took another host key")
        check("shows other SSH host keys than when it was made" in again.stderr, again.stdout + again.stderr)
    finally:
        known.write_text(right, encoding="utf-8")
    inside.show("vagrant", "provision", "--provision-with", "access", "lab")


def is_destroyed(inside: Inside) -> None:
    inside.show("vagrant", "destroy", "-f", "lab")
    left = inside.run("virsh", "--connect", "qemu:///system", "list", "--all", "--name").stdout.split()
    check(not left, f"domains left after destroy: {', '.join(left)}")
    files = list(Path(inside.environment["VAGRANT_DOTFILE_PATH"]).glob("lab/*"))
    check(not files, f"files left after destroy: {files}")


def install(steps: Steps) -> None:
    with steps("packages"):
        done = subprocess.run([REPO / "scripts" / "setup.sh", "--vagrant"], check=False)
        check(done.returncode == 0, "scripts/setup.sh --vagrant failed")


def prove(steps: Steps, work: Path, containers: str, *, with_run: bool) -> None:
    with steps("ruby -c Vagrantfile"):
        check(subprocess.run(["ruby", "-c", "Vagrantfile"], check=False).returncode == 0, "Vagrantfile is not Ruby")
    with steps("box"):
        made = ready_box()
    with Hypervisor(work) as hypervisor:
        namespaces = hypervisor.namespaces()
        inside = Inside(hypervisor, made)
        with steps("a run without machines is refused"):
            refuses_without_machines(inside)
        with steps("vagrant up lab"):
            inside.show("vagrant", "up", "lab")
        with steps("plain ansible, harness lab status"):
            answers_plain_ansible(inside)
        with steps("provisioning again changes nothing"):
            provisioning_changes_nothing_more(inside)
        if with_run:
            with steps(f"a run of every profile, containers {containers}"):
                measures_every_profile(inside, work / "results", containers)
        with steps("a packet of every profile is followed"):
            follows_a_packet_of_every_profile(inside, containers)
        with steps("the path of every profile is found"):
            finds_the_path_of_every_profile(inside, containers)
        with steps("another host key is refused"):
            refuses_another_host_key(inside)
        with steps("vagrant destroy -f lab"):
            is_destroyed(inside)
    left = processes_left_in(namespaces)
    check(not left, "processes left:\n" + "\n".join(left))


def main() -> int:
    """Prove it; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--containers", choices=("docker", "none"), default="docker", help="what the endpoints are")
    parser.add_argument("--without-run", action="store_true", help="leave the run of every profile out; traces stay")
    options = parser.parse_args()
    folders = (*FOLDERS, Path("/run/libvirt"))
    return proven(
        "vagrant",
        folders,
        install,
        lambda steps, work: prove(steps, work, options.containers, with_run=not options.without_run),
    )


if __name__ == "__main__":
    sys.exit(main())
