"""`harness doctor --json`: what a report of a fault needs, held against the schema that is shipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from harness.cli import app
from harness.cli import doctor as command
from harness.inspect import doctor
from harness.inspect.doctor import Check
from harness.labs import rootless
from harness.model.errors import InputError, LabError

REPO = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads(
    resources.files("harness.inspect").joinpath("doctor.schema.json").read_text("utf-8")
)
GOOD, BAD = (
    Check("root", passed=True, remedy="run it with sudo"),
    Check("ip: makes links", passed=False, remedy="get it"),
)


@pytest.fixture(autouse=True)
def _on_a_machine_that_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rootless, "is_wanted", lambda: False)
    monkeypatch.setattr(doctor, "checks", lambda _measures: [GOOD])
    monkeypatch.setattr(doctor, "impossible_profiles", lambda: {"gre": ["gretap"]})


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words], standalone_mode=False)


def read(result: Result) -> dict[str, Any]:
    """Return what was printed, which the schema has to describe."""
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(found, SCHEMA)
    return found


def test_machine_that_has_all() -> None:
    result = asked("--json")
    assert result.exception is None
    found = read(result)
    assert found["passed"]
    assert found["checks"] == [{"what": "root", "passed": True, "remedy": None}]
    assert found["impossible_profiles"] == {"gre": ["gretap"]}
    assert (found["lab"], found["profiles"], found["measures"]) == ("local", [], ["iperf3", "ping"])
    assert re.fullmatch(r"\d+\.\d+.*", found["kernel"])


def test_what_is_missing_is_in_it_and_the_exit_code_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "checks", lambda _measures: [GOOD, BAD])
    result = asked("--json", "--profile", "vxlan")
    assert isinstance(result.exception, LabError)
    found = read(result)
    assert not found["passed"]
    assert found["checks"][1] == {"what": "ip: makes links", "passed": False, "remedy": "get it"}
    assert found["profiles"] == ["vxlan"]


def test_checks_of_nodes_are_behind_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_inspected", lambda _options, _passwords: iter([BAD]))
    assert [check["passed"] for check in read(asked("--json", "--profile", "vxlan"))["checks"]] == [True, False]
    printed = asked("--profile", "vxlan").stdout
    assert printed.splitlines() == [
        "ok      root",
        "cannot  profile gre: this kernel has no link type gretap",
        "missing ip: makes links",
        "        get it",
    ]


def test_nodes_that_are_not_reached_are_a_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_options: object, _passwords: object) -> Iterator[Check]:
        yield GOOD
        raise LabError("host-a does not answer.")

    monkeypatch.setattr(command, "_inspected", lost)
    result = asked("--json", "--lab", "secret/mine.yml")
    assert str(result.exception) == "host-a does not answer."
    found = read(result)
    assert found["lab"] == "inventory"
    assert "secret" not in result.stdout
    assert found["checks"][-1] == {
        "what": "the nodes can be looked at",
        "passed": False,
        "remedy": "host-a does not answer.",
    }


def test_bad_input_prints_nothing() -> None:
    result = asked("--json", "--profile", "nothing")
    assert isinstance(result.exception, InputError)
    assert result.stdout == ""


def test_form_for_bugs_asks_for_it() -> None:
    form = yaml.safe_load((REPO / ".github/ISSUE_TEMPLATE/bug.yml").read_text(encoding="utf-8"))
    asks = {part["id"]: part["attributes"] for part in form["body"] if "id" in part}
    assert "harness doctor --json" in asks["doctor"]["label"]
    assert asks["doctor"]["render"] == "json"
