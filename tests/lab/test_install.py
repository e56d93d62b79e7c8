"""A wheel, installed where there is no checkout: the main job, from `/`, by root for somebody else."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.machine import OUT, Command, Machine

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

REPO = Path(__file__).parents[2]
SHORTEST = "--blocks 1 --duration 1 --omit 0 --flows 1 --mtu 1450 --measure iperf3".split()
PLAYBOOK = "#!{python}\nfrom ansible.cli.playbook import main\nmain()\n"
"""What pip makes of ansible-core's entry point."""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it, which somebody else owns."""

    folder: Path
    owner: pwd.struct_passwd

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "harness"

    def paths_of_root(self, machine: Machine) -> list[Path]:
        """Return what is root's in it, as the machine sees it, which has written to it."""
        seen = machine.root / str(self.folder)[1:]
        return [path for path in seen.rglob("*") if path.lstat().st_uid == 0]


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone is installed, without bytecode, as uv does; what it depends on is that of the lock."""
    root = tmp_path_factory.mktemp("install")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(root), str(REPO)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = root.glob("*.whl")
    folder = root / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "-q", "--python", str(python), "install", "--no-compile", "--no-index"]
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "lock.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    playbook = folder / "bin" / "ansible-playbook"
    playbook.write_text(PLAYBOOK.format(python=python), encoding="utf-8")
    playbook.chmod(0o755)
    owner = pwd.getpwnam("nobody")
    subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", str(folder)], check=True)
    return Installed(folder, owner)


def test_main_job_runs_from_anywhere_and_leaves_root_nothing(
    installed: Installed, machine: Machine, tmp_path: Path
) -> None:
    owner = installed.owner
    sudo = ["env", "-u", "PYTHONDONTWRITEBYTECODE", f"SUDO_UID={owner.pw_uid}", f"SUDO_GID={owner.pw_gid}"]
    argv = [str(installed.program), "run", *SHORTEST, "--out", OUT]
    with Command([*machine.enter(), "sh", "-c", 'cd / && exec "$@"', "sh", *sudo, *argv], tmp_path) as run:
        assert run.wait() == 0, run.stderr
    assert "vxlan against underlay" in run.stdout
    (results,) = machine.results()
    assert {path.stat().st_uid for path in (results, *results.rglob("*"))} == {owner.pw_uid}
    assert installed.paths_of_root(machine) == []


def test_what_was_shipped_is_found_without_a_checkout(installed: Installed) -> None:
    code = "from harness.model import shipped; print(shipped.IS_INSTALLED, shipped.ROOT)"
    python = installed.folder / "bin" / "python"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    (site,) = installed.folder.glob("lib/python*/site-packages")
    assert said.stdout.split() == ["True", str(site / "harness" / "shipped")]
    profiles = subprocess.run([installed.program, "profiles"], capture_output=True, text=True, check=True, cwd="/")
    assert "swarm-encrypted" in profiles.stdout
    shipped = sorted(path.relative_to(site / "harness/shipped") for path in (site / "harness/shipped").rglob("*"))
    folders = ["playbooks", "Vagrantfile", "inventory", "kubernetes", "results/sample"]
    tracked = subprocess.run(["git", "ls-files", *folders], capture_output=True, text=True, check=True, cwd=REPO)
    assert [str(path) for path in shipped if (site / "harness/shipped" / path).is_file()] == sorted(
        tracked.stdout.split(), key=Path
    )
    assert os.access(installed.program, os.X_OK)
