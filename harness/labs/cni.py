"""Which network a cluster says that it has: by its daemonsets, its nodes and the settings of kube-proxy and Cilium.

Each of these a user may be refused; that is said, and nothing is guessed. What the packets show stands beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.nodes.kubectl import Kubectl, items

NETWORKS: Mapping[str, str] = {
    "kube-flannel": "flannel",
    "kube-flannel-ds": "flannel",
    "calico-node": "Calico",
    "canal": "Canal (flannel with Calico's policies)",
    "cilium": "Cilium",
    "anetd": "Dataplane V2 (Cilium)",
    "weave-net": "Weave Net",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "kube-ovn-cni": "Kube-OVN",
    "ovnkube-node": "OVN-Kubernetes",
    "aws-node": "Amazon VPC CNI",
    "azure-cns": "Azure CNI",
    "kindnet": "kindnet",
}
"""Networks by the name of the daemonset that their documentation installs."""
_FLANNEL = "flannel.alpha.coreos.com"
_CALICO = "projectcalico.org"
_MODE = re.compile(r'^\s*mode:\s*"?([a-z]*)"?\s*$', re.MULTILINE)
_CILIUM = ("routing-mode", "tunnel-protocol", "tunnel", "kube-proxy-replacement", "enable-wireguard", "enable-ipsec")
"""What of Cilium's settings tells how packets go (`tunnel` before 1.14)."""


def said(kubectl: Kubectl, nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return in a sentence which network the cluster says that it has; what it does not tell is said to be unknown."""
    daemons, refusal = _listed(kubectl, "daemonsets", "--all-namespaces")
    names = {str(item["metadata"]["name"]): str(item["metadata"].get("namespace", "")) for item in daemons}
    networks = [f"{NETWORKS[name]} (daemonset {space}/{name})" for name, space in names.items() if name in NETWORKS]
    parts = [" and ".join(networks) or f"network unknown, {refusal or 'no daemonset known here'}"]
    parts += _of_nodes(nodes)
    if "cilium" in names:
        parts += _cilium(_settings(kubectl, names["cilium"], "cilium-config"))
    parts.append(_proxy(kubectl, names, refusal))
    return f"the cluster says: {'; '.join(parts)}"


def _listed(kubectl: Kubectl, *words: str) -> tuple[Sequence[Mapping[str, Any]], str]:
    """Return objects of a kind, or why there are none to be had."""
    done = kubectl.run("get", *words, "--output=json")
    if done.exit_code != 0:
        return (), "you may not list daemonsets" if "orbidden" in done.stderr else "daemonsets cannot be listed"
    return items(json.loads(done.stdout)), ""


def _settings(kubectl: Kubectl, namespace: str, name: str) -> Mapping[str, str]:
    """Return what a ConfigMap holds, nothing where it may not be read."""
    done = kubectl.run("get", "configmap", name, f"--namespace={namespace}", "--output=json")
    found: Mapping[str, str] = json.loads(done.stdout).get("data") or {} if done.exit_code == 0 else {}
    return found


def _of_nodes(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the nodes' annotations and specifications tell, each thing once."""
    notes = [item["metadata"].get("annotations") or {} for item in nodes]
    backends = dict.fromkeys(_backend(note) for note in notes if f"{_FLANNEL}/backend-type" in note)
    yield from (f"flannel's backend {backend}" for backend in backends)
    for key, what in (("IPv4IPIPTunnelAddr", "IPIP"), ("IPv4VXLANTunnelAddr", "VXLAN")):
        if any(f"{_CALICO}/{key}" in note for note in notes):
            yield f"Calico's {what} is on"
    specs = [item.get("spec") or {} for item in nodes]
    networks = [network for spec in specs for network in spec.get("podCIDRs") or [spec.get("podCIDR")] if network]
    yield f"pod networks {' '.join(networks)}" if networks else "its nodes have no podCIDR"


def _backend(note: Mapping[str, str]) -> str:
    """Return flannel's backend on a node, with its VNI where it has one."""
    kind = note[f"{_FLANNEL}/backend-type"]
    try:
        vni = json.loads(note.get(f"{_FLANNEL}/backend-data") or "{}").get("VNI")
    except (ValueError, AttributeError):
        vni = None
    return f"{kind}, VNI {vni}" if vni is not None else kind


def _cilium(settings: Mapping[str, str]) -> Iterator[str]:
    told = [f"{key} {settings[key]}" for key in _CILIUM if settings.get(key)]
    yield f"Cilium's settings: {', '.join(told)}" if told else "Cilium's settings unknown"


def _proxy(kubectl: Kubectl, names: Mapping[str, str], refusal: str) -> str:
    """Return what is known of kube-proxy: which mode, or that there is none."""
    if refusal:
        return "kube-proxy unknown"
    if "kube-proxy" not in names:
        return "no daemonset kube-proxy"
    settings = _settings(kubectl, names["kube-proxy"], "kube-proxy")
    mode = next((found[1] for text in settings.values() if (found := _MODE.search(text))), None)
    if mode is None:
        return "kube-proxy, mode unknown"
    return f"kube-proxy, mode {mode or 'the default (iptables on Linux)'}"
