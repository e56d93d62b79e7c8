from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats as scipy_stats

from harness.model.errors import InputError
from harness.model.path import PathState
from harness.model.trial import Status, Trial
from harness.report.comparison import Comparison, compare_runs
from harness.report.notes import text_of
from harness.report.records import compared_records
from harness.report.trials import RunData, read_run
from tests.unit.synthetic import CLAMPED, META, around, full_run, iperf3, ping, series, trial, write

UNDERLAY = [955e6, 950e6, 960e6, 948e6, 957e6, 953e6]
STEADY = [0.966 * value for value in UNDERLAY]
BEFORE = [100e6, 101e6, 99e6, 100e6, 102e6, 98e6]
NODE = {
    "hostname": "k8s-1",
    "kernel": "Linux 6.1",
    "cpu_model": "Model X",
    "congestion_control": "cubic",
    "qdisc": "qdisc tbf 8001: root refcnt 2 rate 1Gbit",
    "offloads": {"tx-checksum-ip-generic": "on", "tcp-segmentation-offload": "on"},
}


def run_of(
    folder: Path,
    name: str,
    trials: Sequence[Trial],
    meta: Mapping[str, Any] | None = META,
    environment: Mapping[str, Any] | None = None,
) -> RunData:
    """Return a run of these trials under a name of its own."""
    path = write(folder / name, [replace(one, run_id=name) for one in trials], meta and {**meta, "run_id": name})
    if environment:
        (path / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return read_run(path)


def compared(
    folder: Path,
    a: Sequence[Trial],
    b: Sequence[Trial],
    metas: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (META, META),
    environments: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (None, None),
) -> Comparison:
    runs = [run_of(folder, *one) for one in zip(("a", "b"), (a, b), metas, environments, strict=True)]
    return compare_runs(runs[:1], runs[1:])


def beside(vxlan: Sequence[float], underlay: Sequence[float] = UNDERLAY) -> list[Trial]:
    """Return the overlay at 1450 beside the underlay at its NIC's MTU."""
    return [*series("vxlan", iperf3(), vxlan), *series("underlay", iperf3(1500), underlay)]


def row_of(comparison: Comparison, basis: str = "underlay", profile: str = "vxlan", **where: Any) -> dict[str, Any]:  # noqa: ANN401
    wanted = {"metric": "goodput_bps", "basis": basis, "profile": profile} | where
    found = [one for one in compared_records(comparison) if all(one[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return {**found[0], "notes": text_of(found[0]["notes"])}


def test_ratios_to_the_own_underlay_by_welch_on_their_logarithms(tmp_path: Path) -> None:
    after = [0.9 * value for value in BEFORE[:5]] + [91e6, 87e6]
    bases = UNDERLAY, [1.02 * value for value in UNDERLAY] + [960e6]
    row = row_of(compared(tmp_path, beside(BEFORE), beside(after, bases[1])))
    logs = [
        [math.log(ours / base) for ours, base in zip(own, under, strict=True)]
        for own, under in zip((after, BEFORE), reversed(bases), strict=True)
    ]
    low, high = scipy_stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    means = [sum(own) / len(own) for own in logs]
    assert row["ratio"] == pytest.approx(math.exp(means[0] - means[1]))
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(low), math.exp(high)])
    assert (row["sample"], row["samples_a"], row["samples_b"]) == ("block", 6, 7)
    assert [row["figure_a"], row["figure_b"]] == pytest.approx([math.exp(mean) for mean in reversed(means)])
    assert (row["unit"], row["verdict"], row["notes"]) == ("ratio", "worse", "")


def test_absolute_figures_by_welch_on_their_logarithms(tmp_path: Path) -> None:
    after = [0.9 * value for value in BEFORE]
    row = row_of(compared(tmp_path, beside(BEFORE), beside(after)), "absolute")
    low, high = scipy_stats.ttest_ind(
        *([math.log(value) for value in own] for own in (after, BEFORE)), equal_var=False
    ).confidence_interval(0.95)
    assert (row["ratio"], row["unit"]) == (pytest.approx(0.9), "bit/s")
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(low), math.exp(high)])
    assert row["figure_b"] == pytest.approx(0.9 * row["figure_a"])
    assert row["verdict"] == "worse", "the underlay is the same"


def test_a_baseline_is_taken_where_the_run_s_own_table_takes_it(tmp_path: Path) -> None:
    """At its NIC's MTU where that was measured, else at the row's."""
    at_1450 = [*series("vxlan", iperf3(), BEFORE), *series("underlay", iperf3(), [0.5 * value for value in UNDERLAY])]
    both = [*beside(STEADY), *series("underlay", iperf3(), [1.0] * 6)]
    row = row_of(compared(tmp_path, both, beside(STEADY)))
    assert (row["ratio"], row["verdict"]) == (pytest.approx(1), "same")
    lacking = row_of(compared(tmp_path / "2", beside(BEFORE), at_1450))
    assert (lacking["ratio"], lacking["verdict"]) == (None, "no figure")
    assert "B has no underlay to hold this cell against" in lacking["notes"]


def test_what_a_machine_does_to_both_is_no_verdict_on_a_profile(tmp_path: Path) -> None:
    slower = 0.95
    b = beside([slower * value for value in STEADY], [slower * value for value in UNDERLAY])
    comparison = compared(tmp_path, beside(STEADY), b)
    assert row_of(comparison)["verdict"] == "same"
    assert row_of(comparison, "absolute", "underlay")["verdict"] == "moved"
    absolute = row_of(comparison, "absolute")
    assert (absolute["ratio"], absolute["verdict"]) == (pytest.approx(slower), None)
    assert absolute["notes"].startswith("underlay moved by -5.0%: the machines are not the same")


@pytest.mark.parametrize(
    ("underlay", "verdict", "words"),
    [
        (UNDERLAY, "same", ""),
        (around(955e6, 0.2, 4), None, "whether the underlay moved is not known"),
        ([955e6] * 5, None, "whether the underlay moved is not known"),
    ],
)
def test_an_absolute_figure_is_judged_only_where_the_underlay_is_the_same(
    tmp_path: Path, underlay: list[float], verdict: str | None, words: str
) -> None:
    row = row_of(compared(tmp_path, beside(UNDERLAY), beside(UNDERLAY, underlay)), "absolute")
    assert row["verdict"] == verdict
    assert words in row["notes"]
    assert bool(row["notes"]) == bool(words)


def test_each_metric_has_an_underlay_of_its_own(tmp_path: Path) -> None:
    a = [*series("vxlan", iperf3(), STEADY, cpu_s=(2.0, 2.0)), *series("underlay", iperf3(1500), UNDERLAY)]
    b = [*a[:6], *series("underlay", iperf3(1500), UNDERLAY, cpu_s=(1.0, 1.0))]
    comparison = compared(tmp_path, a, b)
    assert row_of(comparison, "absolute")["verdict"] == "same"
    assert row_of(comparison, "absolute", metric="cpu_s_per_gbit")["verdict"] is None
    assert row_of(comparison, metric="cpu_s_per_gbit")["verdict"] == "worse", "relative to an underlay that got cheaper"


def test_equal_runs_on_unequal_machines_get_few_verdicts(tmp_path: Path) -> None:
    """Machines apart by 0.2 % in goodput, the ratio scattering by 0.2 %, at a margin that such an offset exceeds."""
    wrong = {"underlay": 0, "absolute": 0}
    for seed in range(20):
        runs = []
        for number, name in enumerate(("a", "b")):
            machine = around(1, 0.002, 1000 + 2 * seed + number, 1)[0]
            parts = [
                [machine * value for value in around(centre, 0.0015, 10 * seed + number + shift)]
                for centre, shift in ((920e6, 5000), (955e6, 9000))
            ]
            runs.append(run_of(tmp_path / str(seed), name, beside(*parts)))
        comparison = compare_runs(runs[:1], runs[1:], margin=1e-9)
        for basis in wrong:
            own = row_of(comparison, basis)
            wrong[basis] += not own["ratio_low"] <= 1 <= own["ratio_high"]
            assert basis == "underlay" or own["verdict"] is None
    assert wrong["underlay"] <= 3 < wrong["absolute"]


def test_two_runs_of_the_same_are_the_same(tmp_path: Path) -> None:
    records = compared_records(compared(tmp_path, full_run(), full_run()))
    assert [one["ratio"] for one in records] == pytest.approx([1.0] * len(records))
    assert all(one["ratio_low"] <= 1 <= one["ratio_high"] for one in records)
    assert {one["verdict"] for one in records} <= {"same", "inconclusive", None}
    goodput = [one for one in records if one["metric"] == "goodput_bps"]
    assert {one["verdict"] for one in goodput} == {"same"}
    order = [(one["basis"], one["profile"]) for one in goodput]
    assert [key for key, _ in itertools.groupby(order)] == [
        ("underlay", "vxlan"),
        ("absolute", "underlay"),
        ("absolute", "vxlan"),
    ]


@pytest.mark.parametrize(
    ("b", "verdict", "warning"),
    [
        (series("vxlan", iperf3(), [90e6] * 5), "not enough blocks", "5 blocks: a verdict takes 6"),
        (series("vxlan", iperf3(), around(90e6, 0.3, 4)), "inconclusive", "too wide an interval"),
        (
            series("vxlan", iperf3(), BEFORE, path_state=PathState.parse("inner-fragmented")),
            "no figure",
            "no path state is in both",
        ),
        (series("vxlan", iperf3(8000), BEFORE), "no figure", "B did not measure this cell"),
        (
            [trial("vxlan", block, iperf3(), None, Status.FAILED, reason="refused") for block in range(1, 7)],
            "no figure",
            "B 6 failed: refused",
        ),
    ],
)
@pytest.mark.parametrize("basis", ["underlay", "absolute"])
def test_what_cannot_be_compared_says_why(
    tmp_path: Path, b: list[Trial], verdict: str, warning: str, basis: str
) -> None:
    row = row_of(compared(tmp_path, beside(BEFORE), [*b, *beside([], UNDERLAY)]), basis, mtu=1450)
    assert row["verdict"] == verdict
    assert warning in row["notes"]
    assert (row["ratio"] is None) == (verdict == "no figure")


def test_path_states_are_compared_each_with_its_own(tmp_path: Path) -> None:
    mixed = [*series("vxlan", iperf3(), [50e6] * 8)[:2], *series("vxlan", iperf3(), [90e6] * 8, path_state=CLAMPED)[2:]]
    a = [*mixed, *series("underlay", iperf3(1500), [955e6] * 8)]
    rows = [one for one in compared_records(compared(tmp_path, a, a)) if one["basis"] == "underlay"]
    goodput = [one for one in rows if one["metric"] == "goodput_bps"]
    assert [one["samples_a"] for one in goodput] == [6, 2]
    assert [one["figure_b"] for one in goodput] == pytest.approx([90 / 955, 50 / 955])
    assert [one["verdict"] for one in goodput] == ["same", "not enough blocks"]
    assert "vxlan clamped to 1450 in 12 of 16 blocks" in text_of(goodput[0]["notes"])


def test_lower_cpu_is_better(tmp_path: Path) -> None:
    a, b = (
        [*series("vxlan", iperf3(), BEFORE, cpu_s=(own, own)), *series("underlay", iperf3(1500), UNDERLAY)]
        for own in (2.0, 1.0)
    )
    for basis in ("underlay", "absolute"):
        row = row_of(compared(tmp_path / basis, a, b), basis, metric="cpu_s_per_gbit")
        assert (row["ratio"], row["verdict"]) == (pytest.approx(0.5), "better")


FACTORS = {"a": (1.0, 1.01, 0.99, 1.02), "b": (0.95, 0.96, 0.94, 0.97)}
"""What a run does to the overlay beside what its machine does to both."""


def sides(folder: Path, factors: Mapping[str, Sequence[float]] = FACTORS) -> list[list[RunData]]:
    """Return several runs a side; within a run nothing scatters, each is on a machine of its own."""
    made = []
    for letter, own in factors.items():
        machines = [0.9 + 0.05 * number for number in range(len(own))]
        made.append(
            [
                run_of(
                    folder,
                    f"{letter}{number}",
                    beside([factor * machine * value for value in UNDERLAY], [machine * value for value in UNDERLAY]),
                )
                for number, (factor, machine) in enumerate(zip(own, machines, strict=True))
            ]
        )
    return made


def test_of_several_runs_each_is_one_sample(tmp_path: Path) -> None:
    a, b = sides(tmp_path)
    comparison = compare_runs(a, b)
    row = row_of(comparison)
    logs = [[math.log(factor) for factor in FACTORS[letter]] for letter in "ba"]
    low, high = scipy_stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    assert (row["sample"], row["samples_a"], row["samples_b"]) == ("run", 4, 4)
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([math.exp(low), math.exp(high)])
    assert row["figure_a"] == pytest.approx(math.prod(FACTORS["a"]) ** 0.25)
    assert row["verdict"] == "worse"
    underlay = row_of(comparison, "absolute", "underlay")
    assert (underlay["samples_a"], underlay["verdict"]) == (4, "inconclusive")
    assert underlay["figure_a"] == pytest.approx(
        math.prod((0.9, 0.95, 1.0, 1.05)) ** 0.25 * math.prod(UNDERLAY) ** (1 / 6)
    )


@pytest.mark.parametrize(
    ("count", "verdict", "words"),
    [
        (3, "not enough runs", "3 runs on the smaller side: a verdict takes 4 on each"),
        (1, "not enough runs", "1 run on the smaller side"),
        (4, "worse", ""),
    ],
)
def test_runs_that_are_too_few_decide_nothing(tmp_path: Path, count: int, verdict: str, words: str) -> None:
    a, b = sides(tmp_path, {"a": FACTORS["a"], "b": FACTORS["b"][:count]})
    row = row_of(compare_runs(a, b))
    assert (row["verdict"], row["notes"][: len(words)]) == (verdict, words)
    assert (row["ratio_low"] is None) == (count == 1)


def test_a_cell_of_some_runs_is_compared_among_these(tmp_path: Path) -> None:
    a, b = sides(tmp_path)
    extra = run_of(tmp_path, "b9", [*series("vxlan", ping(), [4e-4] * 6), *series("underlay", ping(1500), [2e-4] * 6)])
    comparison = compare_runs(a, [*b, extra])
    assert row_of(comparison)["samples_b"] == 4
    assert "B5 did not measure this cell" in row_of(comparison)["notes"]
    ping_row = row_of(comparison, metric="rtt_p50_s")
    assert (ping_row["samples_a"], ping_row["samples_b"], ping_row["verdict"]) == (0, 1, "no figure")


def test_a_run_against_itself_is_refused(tmp_path: Path) -> None:
    run, other = (run_of(tmp_path, name, beside(BEFORE)) for name in ("a", "b"))
    with pytest.raises(InputError, match="A and B are the same run, a, and a run says nothing of itself") as caught:
        compare_runs([run], [run])
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="B1 and B2 are the same run, b"):
        compare_runs([run], [other, other])


def test_the_local_lab_against_hosts_takes_a_word(tmp_path: Path) -> None:
    hosts = {**META, "lab": "two", "shared_kernel": False}
    runs = [run_of(tmp_path, name, beside(BEFORE), meta) for name, meta in (("a", META), ("b", hosts))]
    with pytest.raises(InputError, match=r"A was measured in the local lab and B on hosts \(two\).*--across-hosts"):
        compare_runs(runs[:1], runs[1:])
    notes = text_of(compare_runs(runs[:1], runs[1:], across_hosts=True).notes)
    assert "lab differs: A local, B two" in notes


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"rate_bps": None}, "the link's rate differs: A 1gbit, B not known"),
        ({"versions": {"iperf3": {"k8s-1": "3.16", "k8s-2": "3.17"}}}, "server iperf3 differs: A 3.16, B 3.17"),
        ({"versions": {"iperf3": {"x": "3.16", "y": "3.16"}}}, ""),  # nodes are matched by their role
        ({"versions": {"iperf3": {"x": "3.2", "y": "3.2"}}}, "client and server iperf3 differs: A 3.16, B 3.2"),
        ({"versions": {}}, "client and server iperf3 differs: A 3.16, B not known"),
        ({"harness_version": "0.2.0"}, "harness differs: A 0.1.0, B 0.2.0"),
        ({"harness_version": ""}, "harness differs: A 0.1.0, B not known"),
        (
            {"plan": {**META["plan"], "timing": {"duration_s": 10.0, "omit_s": 1.0}}},
            "the length of trials in s differs: A 2.0, B 10.0",
        ),
        ({"plan": {**META["plan"], "seed": 5, "name": "standard"}}, ""),
    ],
)
def test_runs_measured_otherwise_carry_a_warning(tmp_path: Path, changes: dict[str, Any], warning: str) -> None:
    trials = beside(BEFORE)
    assert text_of(compared(tmp_path, trials, trials, (META, {**META, **changes})).notes) == warning


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"qdisc": "qdisc tbf 8002: root refcnt 2 rate 1Gbit"}, ""),  # the handle is drawn anew each time
        ({"qdisc": "qdisc noqueue 0: root refcnt 2"}, "client qdisc differs: A qdisc tbf"),
        ({"cpu_model": "Model Y"}, "client cpu_model differs: A Model X, B Model Y"),
        ({"congestion_control": "bbr"}, "client congestion_control differs: A cubic, B bbr"),
        (
            {"offloads": {**NODE["offloads"], "tcp-segmentation-offload": "off"}},  # type: ignore[dict-item]
            "client offloads differs: A tcp-segmentation-offload on, B tcp-segmentation-offload off",
        ),
    ],
)
def test_hosts_that_differ_carry_a_warning(tmp_path: Path, changes: dict[str, Any], warning: str) -> None:
    trials = beside(BEFORE)
    environments = {"k8s-1": NODE, "k8s-2": NODE}, {"x": {**NODE, **changes}, "y": NODE}
    found = text_of(compared(tmp_path, trials, trials, environments=environments).notes)
    assert found.startswith(warning)
    assert bool(found) == bool(warning)


def test_what_holds_for_both_nodes_is_said_once_and_what_matters_most_first(tmp_path: Path) -> None:
    other = {**NODE, "cpu_model": "Model Y", "kernel": "Linux 6.2", "congestion_control": "bbr"}
    metas = META, {**META, "versions": {"iperf3": {"x": "3.17", "y": "3.17"}}, "rate_bps": 2e9}
    environments = {"k8s-1": NODE, "k8s-2": NODE}, {"x": other, "y": other}
    notes = compared(tmp_path, beside(BEFORE), beside(BEFORE), metas, environments).notes
    assert [one.subject.removeprefix("client and server ") for one in notes] == [
        *("cpu_model", "kernel", "rate_bps", "congestion_control", "iperf3")
    ]


def test_an_environment_that_one_side_lacks_is_said(tmp_path: Path) -> None:
    environments = ({"k8s-1": NODE, "k8s-2": NODE}, None)
    notes = text_of(compared(tmp_path, beside(BEFORE), beside(BEFORE), environments=environments).notes)
    assert notes == "B has no environment.json: CPUs, offloads and other settings of the nodes are not compared"


def profiles(**hashes: str) -> dict[str, Any]:
    """Return a run.json with the contents of these profiles beside the underlay's."""
    kept = {name: META["profiles"][name] for name in ("underlay", "vxlan", "flannel")}
    return {
        **META,
        "profiles": {n: own | ({"content_sha256": hashes[n]} if n in hashes else {}) for n, own in kept.items()},
    }


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (profiles(vxlan="1" * 64), profiles(vxlan="1" * 64), ""),
        (profiles(vxlan="1" * 64), profiles(vxlan="2" * 64), f"content of vxlan differs: A {'1' * 12}, B {'2' * 12}"),
        (profiles(), profiles(vxlan="2" * 64), "profiles' content differs: A not known, B kept"),
        (profiles(), META, "profiles differs: A flannel underlay vxlan, B flannel host-gw underlay vxlan"),
    ],
)
def test_contents_of_profiles_are_compared(tmp_path: Path, a: dict[str, Any], b: dict[str, Any], words: str) -> None:
    assert text_of(compared(tmp_path, beside(BEFORE), beside(BEFORE), (a, b)).notes) == words


def test_between_several_runs_each_difference_is_said_once(tmp_path: Path) -> None:
    metas = [{**META, "versions": {"iperf3": {"x": version, "y": version}}} for version in ("3.1", "3.1", "3.2", "3.3")]
    runs = [run_of(tmp_path, f"r{number}", beside(BEFORE), meta) for number, meta in enumerate(metas)]
    notes = [one for one in compare_runs(runs[:2], runs[2:]).notes if one.about == "difference"]
    assert text_of(notes) == "client and server iperf3 differs: A 3.1, B 3.2 or 3.3"


def test_many_differences_are_counted_not_listed(tmp_path: Path) -> None:
    metas = [
        {**META, "versions": {f"p{n}": {"x": version, "y": version} for n in range(20)}} for version in ("1.0", "2.0")
    ]
    notes = text_of(compared(tmp_path, beside(BEFORE), beside(BEFORE), (metas[0], metas[1])).notes)
    assert notes.count("differs") == 8
    assert notes.endswith("12 more differences between A and B")


def test_a_bare_csv_can_be_compared(tmp_path: Path) -> None:
    trials = beside(BEFORE)
    comparison = compared(tmp_path, trials, trials, (META, None))
    assert row_of(comparison)["verdict"] == "inconclusive"
    assert "B: no run.json beside trials.csv" in text_of(comparison.notes)
    assert row_of(comparison, metric="cpu_s_per_gbit")["verdict"] == "no figure"
