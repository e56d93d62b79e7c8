"""The command that a page gives repeats the run: its options make the same plan."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.prepare import Options, prepare
from harness.cli.run import run
from harness.report.command import command_of, rate_text
from harness.results.meta import RunMeta, read_meta
from harness.results.plan import Plan
from tests.unit.synthetic import META, PLAN

SAMPLES = Path("results/sample")


def parsed(words: list[str]) -> dict[str, Any]:
    context = run.make_context("run", words)
    return dict(context.params)


def planned(words: list[str]) -> Plan:
    return prepare(Options.of(parsed(words))).plan


def meta_of(plan: Plan, **changed: object) -> RunMeta:
    return RunMeta.model_validate({**META, **changed, "plan": plan})


@pytest.mark.parametrize(
    "words",
    [
        "--profile vxlan",
        "--profile vxlan --profile host-gw --mtu 1450 --flows 1,8 --plan standard --blocks 7 --rate none",
        "--profile vxlan --measure udp-search,sockperf,connections,iperf3 --mtu 1450 --size 64,1450 --flows 2",
        "--profile vxlan --measure iperf3,udp-search,ping --duration 5 --omit 2 --setups 3",
        "--profile flannel --protocol tcp,udp --udp-rate 10%,500mbit,none --direction forward,bidir --mtu 1450,1500",
        "--profile vxlan --measure iperf3 --mtu 1450 --offload gro=on,off --offload tunnel:tso=off --max-rate 100mbit",
        "--profile vxlan --measure ping,loaded-ping --loss 0 --measure udp-search --mtu 1450",
    ],
)
def test_options_make_the_same_plan_again(words: str) -> None:
    plan = planned(shlex.split(words))
    given = parsed(shlex.split(words))
    rate = {} if given["rate"] != "none" else {"rate_bps": None}
    command = shlex.split(command_of(meta_of(plan, **rate)))
    assert command[:3] == ["sudo", "harness", "run"]
    again = prepare(Options.of(parsed(command[3:])))
    assert again.plan == plan
    assert parsed(command[3:])["rate"] == given["rate"]


@pytest.mark.parametrize("folder", sorted(SAMPLES.iterdir()), ids=str)
def test_kept_runs_have_one_where_their_cells_are_known(folder: Path) -> None:
    meta = read_meta(folder / "run.json")
    command = shlex.split(command_of(meta))
    assert bool(command) == bool(meta.plan.cells)
    if command:
        assert planned(command[3:]).slots == meta.plan.slots


def test_says_what_else_there_is() -> None:
    waves = [("a:b", "c:d"), ("a:c",)]
    assert "--pairs a:b,c:d,a:c --parallel-pairs" in command_of(meta_of(PLAN), waves)
    assert "--lab INVENTORY" in command_of(meta_of(PLAN, lab="racks"))
    assert "--until-width 0.5% --max-blocks 6" in command_of(meta_of(replace(PLAN, until_width=0.005)))
    assert "harness aa" in command_of(meta_of(replace(PLAN, blocks=12, runs=2)))
    found = {"client": {"spot": "web"}, "server": {"spot": "netns:db"}}
    profiles = {**META["profiles"], "found": {"kind": "tunnel", "headers": [], "found": found}}
    plan = replace(PLAN, setup=replace(PLAN.setup, profiles=("underlay", "found")))
    assert "--between found=web,netns:db" in command_of(meta_of(plan, profiles=profiles))
    assert command_of(meta_of(replace(PLAN, links=2))) == ""


@pytest.mark.parametrize(("rate_bps", "text"), [(1e9, "1gbit"), (5e8, "500mbit"), (2.5e9, "2.5gbit"), (64e3, "64kbit")])
def test_rates_are_as_options_take_them(rate_bps: float, text: str) -> None:
    assert rate_text(rate_bps) == text
