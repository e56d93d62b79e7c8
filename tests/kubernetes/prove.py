"""`make test-kubernetes`: a real cluster of two nodes from nothing, its pods' path found and measured, nothing left.

`python -m tests.kubernetes.prove`, as root. Prints each step with its seconds and ends with 0 only if all of it held.
Everything runs in namespaces that end with this program; what is built is kept in .cache/kubernetes for the next time.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from harness.model.trial import UNDERLAY
from tests.kubernetes import failures
from tests.kubernetes.build import ready_programs
from tests.kubernetes.cluster import LIMITED, Cluster
from tests.kubernetes.desk import LAB, Desk
from tests.kubernetes.networks import UDP_PORT, VNI, Network
from tests.kubernetes.others import deploy
from tests.kubernetes.state import OBJECTS, State
from tests.proving import REPO, Steps, check, processes_left_in, proven, say

CACHE = REPO / ".cache" / "kubernetes"
ROLES = REPO / "kubernetes" / "rbac.yml"
CEILING = {Network.VXLAN: 0.96547, Network.ROUTES: 0.99788}
"""TCP in packets of 1450 bytes, with VXLAN's 50 bytes and without, against the nodes' own network at 1500."""
EXACTLY, TOLERANCE = 1e-4, 0.01
PROOF = {Network.VXLAN: "flannel.1", Network.ROUTES: "ens33"}
"""A device whose counters prove a trial."""
HEADERS = {
    Network.VXLAN: f"ipv4/udp/vxlan/ethernet, VNI {VNI}, UDP port {UDP_PORT}: 50 bytes in front of each packet",
    Network.ROUTES: "no tunnel, packets cross the wire as they were sent",
}
COLLECTED_S = 100.0
SHORT = "--blocks 1 --duration 1 --omit 0 --flows 1 --seed 4".split()
PLAN = "--measure iperf3,ping --blocks 6 --duration 2 --omit 1 --flows 4 --seed 4".split()


def finds(desk: Desk, network: Network) -> None:
    """What lies between pods is named with the right headers."""
    said = desk.show("inspect", *LAB)
    check(HEADERS[network] in said, f"not found: {HEADERS[network]}")


def runs(desk: Desk, network: Network, *words: str) -> Path:
    """Every trial of a run has a figure and is proven; returns its folder."""
    results = desk.new_folder()
    desk.show("run", *LAB, "--profile", "cluster", "--out", str(results), *words)
    (run,) = (path for path in results.iterdir() if path.is_dir())
    trials = rows(run / "trials.csv")
    bad = [f"{row['profile']} {row['status']}: {row['reason']}" for row in trials if row["status"] != "ok"]
    check(not bad, "trials without a figure:\n" + "\n".join(bad))
    proofs = [row["proof"] for row in trials if row["profile"] == "cluster"]
    unproven = [proof for proof in proofs if PROOF[network] not in proof]
    check(proofs and not unproven, f"not proven by {PROOF[network]}: {unproven}")
    check(all(row["proof"] for row in trials), "trials without a proof")
    say(f"   {len(trials)} trials of {', '.join(sorted({row['profile'] for row in trials}))}: all ok, all proven")
    return run


def measures(desk: Desk, network: Network) -> None:
    """The pods' network costs what its headers cost."""
    run = runs(desk, network, *PLAN)
    against = {"metric": "goodput_bps", "profile": "cluster", "baseline": UNDERLAY, "baseline_cell": "mtu=1500"}
    (tcp,) = (row for row in rows(run / "summary.csv") if against.items() <= row.items())
    ratio, ceiling = float(tcp["ratio"]), float(tcp["ceiling_ratio"])
    say(f"   goodput {ratio:.4f} of the nodes' own network's, ceiling {ceiling:.4f}")
    check(abs(ceiling - CEILING[network]) < EXACTLY, f"the ceiling is not {CEILING[network]}")
    check(abs(ratio - ceiling) < TOLERANCE, f"the ratio is not within {TOLERANCE} of its ceiling")


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def unchanged(cluster: Cluster, before: State) -> None:
    """Whatever was in the cluster and on its nodes is as it was, and nothing was added.

    Objects are looked at once. A kubelet may take a minute to remove the containers of a pod that is gone.
    """
    changes = State.of(cluster).differences(before)
    objects = [change for change in changes if change.startswith(OBJECTS)]
    check(not objects, "changed:\n" + "\n".join(objects))
    deadline = time.monotonic() + COLLECTED_S
    while changes and time.monotonic() < deadline:
        time.sleep(2)
        changes = State.of(cluster).differences(before)
    check(not changes, "changed:\n" + "\n".join(changes))


def may_do_no_more_than_documented(desk: Desk, network: Network) -> None:
    """A user who has the documented roles and no other right does it all."""
    cluster = desk.cluster
    cluster.kubectl("apply", "-f", str(ROLES))
    try:
        runs(desk, network, *SHORT, "--context", LIMITED)
    finally:
        cluster.kubectl("delete", "-f", str(ROLES))


def prove_paths(steps: Steps, cluster: Cluster, desk: Desk) -> None:
    for network in Network:
        cluster.lay(network)
        before = State.settled(cluster)
        with steps(f"{network}: the path is found"):
            finds(desk, network)
            unchanged(cluster, before)
        with steps(f"{network}: a run, every trial proven"):
            measures(desk, network)
            unchanged(cluster, before)
    with steps(f"services as further paths ({network})"):
        run = runs(desk, network, *SHORT, "--measure", "iperf3", "--service", "ClusterIP,NodePort")
        profiles = {row["profile"] for row in rows(run / "trials.csv")}
        check(profiles == {UNDERLAY, "cluster", "cluster-ip", "node-port"}, f"measured were {profiles}")
        unchanged(cluster, before)
    with steps(f"a run with the documented roles alone ({network})"):
        may_do_no_more_than_documented(desk, network)
        unchanged(cluster, before)


def prove_ends(steps: Steps, cluster: Cluster, desk: Desk) -> None:
    before = State.settled(cluster)
    for name, step in failures.STEPS.items():
        with steps(name):
            step(desk)
            unchanged(cluster, before)


def install(steps: Steps) -> None:
    with steps("packages"):
        done = subprocess.run([REPO / "scripts" / "setup.sh", "--docker", "--kubernetes"], check=False)
        check(done.returncode == 0, "scripts/setup.sh --docker --kubernetes failed")


def prove(steps: Steps, work: Path) -> None:
    with steps("programs"):
        programs = ready_programs(CACHE)
    with ExitStack() as stack:
        with steps("cluster up"):
            cluster = stack.enter_context(Cluster(programs, work))
        namespaces = cluster.namespaces()
        desk = Desk(cluster, work)
        with steps("others' pods"):
            deploy(cluster)
        prove_paths(steps, cluster, desk)
        prove_ends(steps, cluster, desk)
    left = processes_left_in(namespaces)
    check(not left, "processes left:\n" + "\n".join(left))


def main() -> int:
    """Prove it; return the exit code."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    return proven("kubernetes", (), install, prove)


if __name__ == "__main__":
    sys.exit(main())
