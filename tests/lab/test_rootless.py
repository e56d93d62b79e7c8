"""The local lab of somebody who is not root: the main job, by a user of his own with nothing but a range of ids."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.machine import OWN, Command, Machine
from tests.lab.runs import rows_of

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

REPO = Path(__file__).parents[2]
UID = "12345"
HOME = f"{OWN}/person"
WORDS = "run --profile vxlan --measure iperf3 --mtu 1450 --flows 1 --blocks 1 --duration 1 --omit 0 --out".split()
# The person may not be able to reach what this test runs from, so Python, its packages and the harness are put where
# everybody can: bound there, with a virtual environment that joins them.
_PERSON = """
set -e
own=$1 uid=$2 home=$3 prefix=$4 packages=$5 scripts=$6 repo=$7
printf 'person:x:%s:%s::%s:/bin/sh\\n' "$uid" "$uid" "$home" | cat /etc/passwd - > "$own/passwd"
printf 'person:x:%s:\\n' "$uid" | cat /etc/group - > "$own/group"
printf '%s:200000:65536\\n' "$uid" > "$own/ids"
for file in passwd group; do mount --bind "$own/$file" "/etc/$file"; done
for file in subuid subgid; do [ -e "/etc/$file" ] || touch "/etc/$file"; mount --bind "$own/ids" "/etc/$file"; done
mkdir -p "$own/python" "$own/packages" "$own/repo" "$home"
mount --bind "$prefix" "$own/python"
mount --bind "$packages" "$own/packages"
mount --bind "$repo" "$own/repo"
"$own/python/bin/python3" -m venv --without-pip "$own/venv"
site=$("$own/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
printf '%s\\n' "$own/repo" "$own/packages" > "$site/own.pth"
for name in ansible ansible-playbook ansible-runner ansible-inventory; do
  sed "1s|.*|#!$own/venv/bin/python|" "$scripts/$name" > "$own/venv/bin/$name"
  chmod 755 "$own/venv/bin/$name"
done
chmod 755 "$own"
chown "$uid:$uid" "$home"
"""


@pytest.fixture(scope="module", name="person")
def machine_with_a_person() -> Iterator[Machine]:
    with Machine() as made:
        script = ["sh", "-c", _PERSON, "sh", OWN, UID, HOME, sys.base_prefix, sysconfig.get_path("purelib")]
        made.on_machine(*script, str(Path(sys.executable).parent), str(REPO))
        yield made


def by_person(machine: Machine, tmp_path: Path, *words: str) -> Command:
    """Run the harness as somebody without any right."""
    become = f"setpriv --reuid {UID} --regid {UID} --clear-groups --inh-caps -all".split()
    python = [f"{OWN}/venv/bin/python", "-P", "-c", "from harness.cli import main; main()"]
    environment = ["env", "-C", HOME, f"HOME={HOME}"]
    with Command([*machine.enter(), *become, *environment, *python, *words], tmp_path) as command:
        command.wait()
    return command


def test_main_job_without_root(person: Machine, tmp_path: Path) -> None:
    before = person.state()
    command = by_person(person, tmp_path, *WORDS, f"{HOME}/results")
    assert command.exit_code == 0, command.stderr
    (folder,) = (person.root / HOME[1:] / "results").iterdir()
    trials = rows_of(folder / "trials.csv")
    assert {trial["status"] for trial in trials} == {"ok"}
    assert {trial["profile"] for trial in trials} == {"underlay", "vxlan"}
    assert {path.stat().st_uid for path in (folder, folder / "trials.csv")} == {int(UID)}, "results are the caller's"
    assert person.changes(before) == []
    assert not (person.root / HOME[1:] / ".cache/vxlan-harness").exists(), "the lab's files went with it"


def test_what_takes_root_says_so(person: Machine, tmp_path: Path) -> None:
    for words in (["lab", "up"], [*WORDS, f"{HOME}/results", "--keep"]):
        command = by_person(person, tmp_path, *words)
        assert command.exit_code == 3
        assert command.stderr.strip() == (
            "harness: the local lab is made of namespaces, which takes root; run this with sudo."
        )


def test_doctor_looks_from_inside(person: Machine, tmp_path: Path) -> None:
    command = by_person(person, tmp_path, "doctor")
    assert command.exit_code == 0, command.stdout
    assert "kernel: vxlan" in command.stdout


def test_without_ids_of_his_own(person: Machine, tmp_path: Path) -> None:
    person.on_machine("cp", f"{OWN}/ids", f"{OWN}/ids.kept")
    person.on_machine("truncate", "-s", "0", f"{OWN}/ids")
    try:
        command = by_person(person, tmp_path, *WORDS, f"{HOME}/none")
    finally:
        person.on_machine("sh", "-c", f"cat {OWN}/ids.kept > {OWN}/ids")
    assert command.exit_code == 3
    assert "takes root: run this with sudo. Or else: no user namespace can be made" in command.stderr
    assert "usermod --add-subuids" in command.stderr
    assert not (person.root / HOME[1:] / "none").exists()
