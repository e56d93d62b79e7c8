"""Offload switches that somebody changed for a profile are as before once the last such profile is torn down."""

import json

import pytest

from harness.labs.access import DEVICE
from tests.lab.bench import Bench, commands, done
from tests.unit.on_node import module_utils

pytestmark = pytest.mark.lab

claims = module_utils("harness_claims")
offload = module_utils("harness_offload")


def test_teardown_brings_offload_back(bench: Bench) -> None:
    node = bench.client
    snapshot, before = bench.snapshot(), done(node, "ethtool", "-k", DEVICE)
    claim = {"kind": "offload", "target": DEVICE, "before": offload.switches(before), "profiles": ["vxlan", "host-gw"]}
    path = f"{claims.DIRECTORY}/{claims.claim_name('offload', DEVICE)}"
    script = 'mkdir -m 700 -p "${1%/*}"; printf %s "$2" >"$1"'
    done(node, "sh", "-ec", script, "sh", path, json.dumps(claim))
    # Without checksums there is no segmentation either: both have to come back.
    done(node, "ethtool", "-K", DEVICE, "tx", "off", "generic-receive-offload", "on", "gso", "off")
    changed = done(node, "ethtool", "-k", DEVICE)
    assert "tx-tcp-segmentation: off [requested on]" in changed

    bench.play("teardown", ["vxlan"])
    assert done(node, "ethtool", "-k", DEVICE) == changed, "the other profile still wants it so"
    told = bench.play("teardown", ["host-gw"], check=True)
    assert done(node, "ethtool", "-k", DEVICE) == changed
    assert commands(told, node.name) == [f"restore offload {DEVICE}"]
    assert bench.play("teardown", ["host-gw"]).changed == {"k8s-1": 1, "k8s-2": 0}
    assert done(node, "ethtool", "-k", DEVICE) == before
    assert bench.changes(snapshot) == []
