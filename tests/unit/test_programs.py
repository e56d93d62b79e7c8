"""What is said of a program that is missing: what a checkout has for that, and what an installed program can say."""

import re
import shutil
from pathlib import Path

import pytest

from harness.inspect import doctor
from harness.labs import engine
from harness.measures.registry import MEASURES, programs
from harness.model import shipped
from harness.model.containers import Engine
from harness.model.errors import LabError
from harness.model.programs import PACKAGES, remedy

SETUP = (Path(__file__).parents[2] / "scripts" / "setup.sh").read_text(encoding="utf-8")
INSTALLED = dict(re.findall(r"([\w-]+):([\w-]+)", SETUP.split("\nprograms='")[1].split("'")[0]))


def test_packages_are_those_that_setup_installs() -> None:
    ours = PACKAGES | {name: program.package for name, program in programs(MEASURES).items()}
    assert {name: package for name, package in ours.items() if name in INSTALLED} == {
        name: package for name, package in INSTALLED.items() if name in ours
    }
    assert set(doctor.PROGRAMS) <= set(PACKAGES)


def test_checkout_points_to_make_and_an_installed_program_to_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remedy("sshd") == "run `make setup`"
    with pytest.raises(LabError, match="`make setup WITH=--docker`"):
        engine.require(Engine.DOCKER, "")
    monkeypatch.setattr(shipped, "IS_INSTALLED", True)
    assert remedy("sshd") == "install it (Debian: apt-get install openssh-server)"
    with pytest.raises(LabError, match=r"`apt-get install docker\.io`"):
        engine.require(Engine.DOCKER, "")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    remedies = {check.what.partition(":")[0]: check.remedy for check in doctor.checks(("connections",))}
    assert remedies["wrk"] == "install it (Debian: apt-get install wrk)"
    assert remedies["tc"] == "install it (Debian: apt-get install iproute2)"
