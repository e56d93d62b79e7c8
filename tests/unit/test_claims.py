"""Claims of what cannot carry a mark: kept for as long as any profile wants the change, and foreseen when planned."""

from pathlib import Path

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


def test_an_unknown_kind_is_no_file_to_be_removed(folder: Path) -> None:
    claims.claim("p", "future", "/etc/passwd", "")
    with pytest.raises(claims.NodeError, match="known are sysctl, chain, file"):
        claims.release("p", "future", "/etc/passwd")
    assert len(list(folder.iterdir())) == 1


def test_a_claim_that_somebody_else_gave_up_is_no_error() -> None:
    claims.release("p", "sysctl", FORWARD["key"])
