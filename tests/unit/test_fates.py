"""What becomes of a trial, on fakes: where it runs, what is kept of it, and when it is tried or measured again."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from harness.model.errors import ConnectionLostError
from harness.model.jobs import Job, Side
from harness.model.path import Endpoint
from harness.report.trials import read_trials
from harness.run.experiment import Outcome
from harness.run.stage import Meters, Stage
from harness.run.trial import FIRST_PORT, PORTS
from tests.unit.synthetic import path_to
from tests.unit.world import (
    CLIENT,
    ENVIRONMENT,
    IDLE,
    NODES,
    PLAN,
    SERVER,
    TRIALS,
    Answer,
    Behaviour,
    Bench,
    FakeRemote,
    Stolen,
    World,
    job,
    measure,
    number_of,
    raises,
    refuse,
)


def stage_of(world: World, meters: Meters) -> Stage:
    client, server = (FakeRemote(world, node) for node in NODES)
    path = replace(path_to("172.17.0.3"), client=Endpoint("172.17.0.2", ("ip", "netns", "exec", "own")))
    return Stage((client, server), path, ThreadPoolExecutor(2), meters=meters)


def test_job_on_a_node_is_not_started_in_its_endpoint() -> None:
    stage = stage_of(World(), Meters())
    made = {
        name: Job(name, Side.CLIENT, ("ping", name), limit_s=1, on_node=name == "outside")
        for name in ("inside", "outside")
    }
    stage.perform([*made.values()])
    (step,) = stage.record.steps
    assert step["jobs"]["inside"]["argv"] == ("ip", "netns", "exec", "own", "ping", "inside")
    assert step["jobs"]["outside"]["argv"] == ("ping", "outside")


def test_links_carried_what_they_had_more_of_afterwards() -> None:
    moments = iter([((100, 10), (200, 20)), ((150, 11), (200, 22))])
    stage = stage_of(World(), Meters(link_bytes=lambda: next(moments)))
    performed = stage.perform([Job("one", Side.CLIENT, ("ping",), limit_s=1)])
    assert list(performed.link_bytes) == [50, 0]
    (step,) = stage.record.steps
    assert step["link_bytes"] == {"before": ((100, 10), (200, 20)), "after": ((150, 11), (200, 22))}


@pytest.mark.parametrize("tool", ["iperf3", "ping"])
def test_trial_that_fails_twice_is_recorded_once_as_failed(bench: Bench, tool: str) -> None:
    number = number_of("vxlan", tool)
    bench.world.behaviours |= {number: refuse, number + 1: refuse}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1, invalid=0)
    assert len(bench.world.clients) == TRIALS + 1
    row = bench.rows()[number - 1]
    assert (len(bench.rows()), row["status"]) == (TRIALS, "failed")
    assert row["reason"].endswith("(tried 2 times)")
    assert ("Connection refused" if tool == "iperf3" else "no reply at all") in row["reason"]
    assert [row[column] for column in ("goodput_bps", "retransmits", "rtt_p50_s", "ping_lost_ratio")] == [""] * 4
    assert row["raw"].endswith("-try2.json")
    assert (bench.folder.path / row["raw"].replace("-try2", "")).exists()


def in_order(bench: Bench) -> list[tuple[int, int, str, int]]:
    rows = bench.rows()
    return [(int(row["block"]), int(row["attempt"]), row["measure"], int(row["position"])) for row in rows]


def test_group_of_a_disturbed_trial_is_measured_again_and_both_attempts_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second attempt nothing is refused, though it is as disturbed: there is no third."""
    Stolen(monkeypatch, 1, TRIALS + 1)
    bench.plan = replace(PLAN, blocks=2)
    assert bench.run() == Outcome(ok=2 * TRIALS, failed=0, invalid=0)
    stolen = [note["value"] for note in bench.json("run.json")["notes"] if note["about"] == "stolen"]
    assert stolen == [pytest.approx(0.3 / 8)], "of the attempts that count"
    group = [slot for slot in bench.plan.slots if slot.block == 1][:2]
    assert len({slot.cell.measure for slot in group}) == 1
    assert len({slot.profile for slot in group}) == 2
    assert in_order(bench) == [
        *((1, 1, slot.cell.measure, slot.position) for slot in bench.plan.slots if slot.block == 1),
        *((1, 2, slot.cell.measure, slot.position) for slot in group),
        *((2, 1, slot.cell.measure, slot.position) for slot in bench.plan.slots if slot.block == 2),
    ]
    names = [row["raw"] for row in bench.rows()]
    assert len(set(names)) == len(names)
    assert all((bench.folder.path / name).exists() for name in names)
    assert [name for name in names if name.endswith("-attempt2.json")] == names[TRIALS : TRIALS + 2]
    assert any("once more, up to 30% of the CPU time" in text for text in bench.observer.stages)
    counted = read_trials(bench.folder.path)
    assert counted.table.whole["attempt"].tolist() == [1, 1, 2, 2, 1, 1, 1, 1]
    assert "measured once more (underlay 1, vxlan 1)" in counted.notes[0].fact


def test_failure_in_the_attempt_that_does_not_count_is_none_of_the_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stolen(monkeypatch, 1)
    bench.world.behaviours |= {2: refuse, 3: refuse}
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    statuses = [(row["attempt"], row["status"]) for row in bench.rows()]
    assert statuses[:2] == [("1", "ok"), ("1", "failed")]
    assert {row for row in statuses if row[0] == "2"} == {("2", "ok")}


def test_interruption_in_a_repeat_leaves_the_first_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    Stolen(monkeypatch, 1)
    bench.world.behaviours[TRIALS + 2] = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert [row["attempt"] for row in bench.rows()] == ["1"] * TRIALS + ["2"]
    counted = read_trials(bench.folder.path)
    assert counted.table.whole["attempt"].tolist() == [1] * TRIALS
    assert "cut short" in counted.notes[0].fact


def test_trial_that_fails_once_is_ok(bench: Bench) -> None:
    number = number_of("vxlan", "iperf3")
    bench.world.behaviours[number] = refuse
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    row = bench.rows()[number - 1]
    assert row["status"] == "ok"
    assert row["reason"].startswith("tried 2 times: iperf3 client")
    assert float(row["goodput_bps"]) == pytest.approx(878269575.3)
    assert "Connection refused" in job(bench.raw({"raw": row["raw"].replace("-try2", "")}), "client")["stdout"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionLostError("lost the connection to k8s-1:\n  Broken pipe."), "lost the connection to k8s-1: Broken"),
        (TimeoutError("`iperf3` on k8s-1 did not end in time"), r"`iperf3` on k8s-1 did not end in time (18 s)"),
    ],
)
def test_lost_connection_is_a_failed_trial_and_the_run_goes_on(bench: Bench, error: Exception, reason: str) -> None:
    number = number_of("vxlan", "iperf3")
    bench.world.behaviours |= {number: raises(error), number + 1: raises(error)}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1, invalid=0)
    row = bench.rows()[number - 1]
    assert row["reason"].startswith(reason)
    assert row["goodput_bps"] == ""


def test_client_that_never_ends_on_a_path_too_small_is_a_black_hole(bench: Bench) -> None:
    number = number_of("vxlan", "iperf3")
    late = raises(TimeoutError("`iperf3` on k8s-1 did not end in time"))
    bench.world.behaviours |= {number: late, number + 1: late}
    bench.run()
    assert bench.rows()[number - 1]["path_state"] == "black-holed"


def test_nothing_arrived_is_a_failed_trial_without_a_figure(bench: Bench) -> None:
    """iperf3's control connection lives where full-size packets do not: it then ends well, with 0 bytes received."""
    report = json.loads(SERVER)
    report["end"]["sum_received"] |= {"bytes": 0, "bits_per_second": 0}
    for interval in report["intervals"]:
        interval["sum"] |= {"bytes": 0, "bits_per_second": 0}
    bench.world.server_output = json.dumps(report)
    outcome = bench.run()
    figures = {row["goodput_bps"] for row in bench.rows() if row["measure"] == "iperf3"}
    assert (outcome.failed, figures) == (2, {""})
    assert bench.rows()[number_of("vxlan", "iperf3") - 1]["path_state"] == "black-holed"


def test_invalid_trial_is_not_tried_again_and_has_no_figure(bench: Bench) -> None:
    bench.world.around = True
    assert bench.run() == Outcome(ok=2, failed=0, invalid=2)
    assert len(bench.world.clients) == TRIALS
    for row in bench.rows():
        expected = "invalid" if row["profile"] == "vxlan" else "ok"
        assert row["status"] == expected
        assert ("went around the tunnel" in row["reason"]) == (expected == "invalid")
        assert (row["goodput_bps"] + row["rtt_p50_s"] == "") == (expected == "invalid")


def test_each_trial_has_its_own_server_and_waits_for_it(bench: Bench) -> None:
    bench.run()
    ports = [argv[argv.index("-p") + 1] for argv in bench.world.servers]
    assert len(set(ports)) == len(ports) == 2
    awaited = [words.removeprefix("-t:") for words in bench.world.waited_for if words]
    assert [port for port in awaited if int(port) <= FIRST_PORT + PORTS] == ports
    assert [argv[argv.index("-p") + 1] for argv in bench.world.clients if "iperf3" in argv] == ports
    assert bench.world.events.count("server ended") == 2


def test_overlay_runs_in_its_endpoint_and_the_underlay_on_the_node(bench: Bench) -> None:
    bench.run()
    inside = ["ip", "netns", "exec", "harness-vxlan-1500"]
    for slot, argv in zip(PLAN.slots, bench.world.clients, strict=True):
        address = "172.17.0.3" if slot.profile == "vxlan" else "172.12.1.12"
        assert (list(argv[:4]) == inside) == (slot.profile == "vxlan")
        assert address in argv


def test_raw_record_keeps_argv_output_and_readings(bench: Bench) -> None:
    bench.run()
    row = bench.rows()[number_of("vxlan", "iperf3") - 1]
    record = bench.raw(row)
    assert job(record, "client")["stdout"] == CLIENT
    assert job(record, "server")["stdout"] == SERVER
    assert "-C" in job(record, "client")["argv"]
    (step,) = record["steps"]
    assert list(step["readings"]) == ["before", "after"]
    moved = [both[0]["devices"]["vxlan_docker"]["tx_bytes"] for both in step["readings"].values()]
    assert moved[1] - moved[0] == 5 * 10**8
    assert row["inner_bytes"] == str(2 * 5 * 10**8)


def test_each_trial_looks_first_at_what_else_runs_on_both_nodes(bench: Bench) -> None:
    bench.world.background = f"2\n10.000\n{IDLE}\n10.160\n{IDLE.replace('9 0 0 9', '9 0 0 17')}\n"
    bench.run()
    rows = bench.rows()
    assert {row[f"{side}_background_cpus"] for row in rows for side in ("client", "server")} == {"1.5"}
    events = [event for event in bench.world.events if event == "background" or event.startswith("trial")]
    assert events == [event for n in range(1, TRIALS + 1) for event in (f"trial {n}", "background", "background")]


def test_node_of_which_that_cannot_be_read_costs_the_trial(bench: Bench) -> None:
    bench.world.background = "sh: not found\n"
    assert bench.run() == Outcome(ok=0, failed=TRIALS, invalid=0)
    assert all("how busy a node is could not be read" in row["reason"] for row in bench.rows())


def test_node_whose_clock_was_set_meanwhile_has_none_and_is_measured_all_the_same(bench: Bench) -> None:
    bench.world.background = f"2\n10.000\n{IDLE}\n3610.150\n{IDLE}\n"
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)
    assert {row["client_background_cpus"] for row in bench.rows()} == {""}


def test_node_that_does_not_know_its_cpus_is_measured_all_the_same(bench: Bench) -> None:
    bench.world.environment = ENVIRONMENT.replace("@cpus\n2\n", "@cpus\n")
    assert bench.run() == Outcome(ok=TRIALS, failed=0, invalid=0)


@pytest.mark.parametrize(("version", "flag"), [("3.12", "-J"), ("3.16.1", "-J"), ("3.17", "--json-stream")])
def test_client_streams_where_its_version_can(bench: Bench, version: str, flag: str) -> None:
    bench.world.environment = ENVIRONMENT.replace("iperf 3.12", f"iperf {version}")
    bench.run()
    assert all(flag in argv for argv in bench.world.clients if "iperf3" in argv)


def pausing(seconds: float) -> Behaviour:
    def behave(world: World, argv: Sequence[str]) -> Answer:
        world.uptime_s += seconds
        return measure(world, argv)

    return behave


@pytest.mark.parametrize(("seconds", "tries"), [(7.0, 1), (12.0, 2)])
def test_trial_that_was_paused_is_measured_once_more(bench: Bench, seconds: float, tries: int) -> None:
    """Three seconds of measuring, or two of ping."""
    bench.world.behaviours[1] = pausing(seconds)
    assert bench.run() == Outcome(ok=TRIALS)
    reason = bench.rows()[0]["reason"]
    assert reason.startswith("tried 2 times: the readings lie 12.0 s apart for") == (tries > 1)
    assert len(bench.world.clients) == TRIALS + tries - 1


def test_trial_that_is_paused_each_time_has_no_figure(bench: Bench) -> None:
    bench.world.behaviours |= {1: pausing(20.0), 2: pausing(20.0)}
    assert bench.run() == Outcome(ok=TRIALS - 1, failed=1)
    assert bench.rows()[0]["goodput_bps"] == bench.rows()[0]["rtt_p50_s"] == ""
