"""Claims of what cannot carry a mark: kept for as long as any profile wants the change, and foreseen when planned."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.on_node import module_utils

claims = module_utils("harness_claims")
FORWARD = {"netns": "", "key": "net.ipv4.ip_forward"}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(claims, "DIRECTORY", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_the_last_to_leave_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "read_sysctl", lambda _: "1")
    for profile in ("p", "q"):
        claims.claim(profile, "sysctl", FORWARD["key"], "0")
    foreseen = claims.Claims()
    assert foreseen.is_claimed("sysctl", FORWARD["key"], "p") == (True, True)
    assert foreseen.leave("p") == [("sysctl", FORWARD["key"], False)]
    assert foreseen.is_claimed("sysctl", FORWARD["key"], "p") == (False, True)
    assert foreseen.sysctl(FORWARD) == "1"
    assert foreseen.leave("q") == [("sysctl", FORWARD["key"], True)]
    assert foreseen.is_claimed("sysctl", FORWARD["key"], "q") == (False, False)
    assert foreseen.sysctl(FORWARD) == "0"
    assert foreseen.sysctl(FORWARD | {"netns": "n"}) == "1"
    assert claims.Claims().is_claimed("sysctl", FORWARD["key"], "p") == (True, True), "foreseeing changes nothing"


def test_a_file_that_will_be_removed_is_foreseen(tmp_path: Path) -> None:
    path = str(tmp_path / "subnet.env")
    claims.write_file("p", path, "MTU=1450\n")
    foreseen = claims.Claims()
    assert foreseen.file(path) == "MTU=1450\n"
    foreseen.leave("p")
    assert foreseen.file(path) is None


def test_offload_is_a_claim_as_others_are(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    restored: list[tuple[Any, ...]] = []
    monkeypatch.setattr(claims, "switch_back", lambda *given: restored.append(given))
    before = {"generic-segmentation-offload": "on"}
    claims.claim("p", "offload", "ens33", before)
    claims.claim("q", "offload", "ens33", {"generic-segmentation-offload": "off"})
    (file,) = folder.iterdir()
    kept = {"kind": "offload", "target": "ens33", "before": before, "profiles": ["p", "q"]}
    assert (file.name, json.loads(file.read_text(encoding="utf-8"))) == ("offloadens33.json", kept)
    claims.release("p", "offload", "ens33")
    assert restored == []
    claims.release("q", "offload", "ens33")
    assert restored == [("ens33", before)]
    assert not folder.exists()


def test_an_unknown_kind_is_no_file_to_be_removed(folder: Path) -> None:
    claims.claim("p", "future", "/etc/passwd", "")
    with pytest.raises(claims.NodeError, match="known are sysctl, chain, offload, file"):
        claims.release("p", "future", "/etc/passwd")
    assert len(list(folder.iterdir())) == 1


def test_a_claim_that_somebody_else_gave_up_is_no_error() -> None:
    claims.release("p", "sysctl", FORWARD["key"])
