"""Why no lab can be made without root, and what mends that."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.labs import rootless
from harness.model.errors import LabError


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have newuidmap, and a kernel that says no."""
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    said = "unshare: failed to find subordinate uid range\x1b[2J"
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: subprocess.CompletedProcess(argv, 1, "", said))


def switch(proc: Path, name: str, value: str) -> None:
    path = proc / "sys" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n", encoding="ascii")


def test_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, **_: None)
    assert "takes newuidmap, which is not installed (Debian: `apt install uidmap`)" in rootless.refusal()


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=65536"),
    ],
)
def test_switch_that_forbids_it(tmp_path: Path, name: str, value: str, said: str) -> None:
    switch(tmp_path, name, value)
    assert f"`sysctl -w {said}`" in rootless.refusal(tmp_path)


@pytest.mark.usefixtures("refused")
def test_no_range_of_ids(tmp_path: Path) -> None:
    switch(tmp_path, "kernel/apparmor_restrict_unprivileged_userns", "0")
    why = rootless.refusal(tmp_path)
    assert "usermod --add-subuids" in why
    assert "subordinate uid range" in why
    assert "\x1b" not in why


@pytest.mark.usefixtures("refused")
def test_nothing_is_replaced_where_none_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.execvpe", lambda *_: pytest.fail("replaced"))
    with pytest.raises(LabError, match=r"takes root: run this with sudo\. Or else: "):
        rootless.enter(["run"])


def test_program_is_started_again_with_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(rootless, "refusal", lambda: "")
    monkeypatch.setattr("os.execvpe", lambda _file, argv, environment: started.append((argv, environment)))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    rootless.enter(["run", "--profile", "a; b"])
    ((argv, environment),) = started
    assert argv[-3:] == ["run", "--profile", "a; b"]
    assert environment["VXLAN_HARNESS_STATE"] == str(tmp_path / "vxlan-harness")
