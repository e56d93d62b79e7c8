"""`harness lab`, and what `harness run --keep` leaves: what stands there, how to look at it, and what removes it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli import app
from harness.cli.run import _stays as stays
from harness.labs import kept
from tests.unit.test_commands import commands

STATE: dict[str, Any] = {
    "nodes": [
        {"name": "k8s-1", "address": "172.12.1.11", "inside": {"pid": 41}},
        {"name": "k8s-2", "address": "172.12.1.12", "inside": {"pid": 42}},
    ],
    "rate": "1gbit",
    "links": 0,
    "nic_mtu": 1500,
}


def status(monkeypatch: pytest.MonkeyPatch, profiles: list[str]) -> list[str]:
    monkeypatch.setattr(kept, "kept_state", lambda: STATE)
    monkeypatch.setattr(kept, "standing_profiles", lambda _state: profiles)
    done = CliRunner().invoke(app, ["lab", "status"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_status_names_what_stands_and_how_to_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = status(monkeypatch, ["vxlan", "flannel"])
    assert lines[:2] == ["k8s-1  172.12.1.11  pid 41", "k8s-2  172.12.1.12  pid 42"]
    assert any(line.startswith("On it stands: vxlan, flannel. ") for line in lines)
    assert [shlex.split(line) for line in lines[-2:]] == [
        shlex.split("harness lab exec k8s-1 -- ip -d link"),
        shlex.split("harness trace --profile vxlan"),
    ]


def test_status_says_where_nothing_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(monkeypatch, [])[-1] == "No profile stands on it."


@pytest.mark.parametrize("lab", ["local", "vagrant", "inventory/mine.yml"])
def test_keep_says_what_stays_and_what_takes_it_down(lab: str) -> None:
    text = stays(lab)
    assert "stay" in text
    assert "down" in text
    names = {" ".join(words) for words in commands(app)}
    quoted = [part for part in text.split("`")[1::2] if part.startswith("harness ")]
    assert bool(quoted) == (lab != "vagrant")
    for part in quoted:
        assert " ".join(shlex.split(part)[1:3]) in names
