"""A Kubernetes cluster of two nodes, each with namespaces of its own, from programs that build.py made.

Node 1 has the control plane: etcd, an API server that asks RBAC, controllers and a scheduler. Each node has a Docker
daemon and a kubelet, CNI's plugins `bridge` and `host-local`, and kube-proxy. Who uses it sits at the desk, a third
machine. Kubernetes 1.20 as Debian 12 has it: it speaks to Docker itself and is fine with version 1 of control groups.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

from harness.labs import engine
from harness.model.containers import Engine
from tests.kubernetes import images
from tests.kubernetes.networks import POD_MTU, Network, lay
from tests.kubernetes.spaces import GROUPS, PATH, Space, eventually, join, start_desk, start_node
from tests.proving import REPO, Raised, run

PORT = 6443
POD_RANGE, SERVICE_RANGE = "10.244.0.0/16", "10.96.0.0/16"
CERTIFICATE = "run/apiserver/apiserver.crt"
KUBECONFIG = "kubeconfig"
ADMIN, LIMITED, NOBODY, ELSEWHERE = "admin", "limited", "nobody", "elsewhere"
"""Contexts of the desk's kubeconfig: everything, the documented role, nothing, and a cluster that does not answer."""
_GROUP_OF = {ADMIN: "system:masters", LIMITED: "network-measuring", NOBODY: "people"}
"""The second is whom kubernetes/rbac.yml gives its roles to."""
_COMPONENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
_KUBELET = """
--register-node --network-plugin=cni --cni-bin-dir=/usr/lib/cni --cni-conf-dir=/etc/cni/net.d --cgroups-per-qos=false
--enforce-node-allocatable= --cgroup-driver=cgroupfs --fail-swap-on=false --resolv-conf=/dev/null --oom-score-adj=0
--image-pull-progress-deadline=5s --eviction-pressure-transition-period=1s --cert-dir=/run/kubelet
--volume-plugin-dir=/run/kubelet/plugins
""".split()
_PROXY = "--proxy-mode=iptables --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s".split()
_UP_S = 120.0


class Cluster(Raised):
    """The cluster and the desk; `work` holds its files and logs, and the caller removes it."""

    def __init__(self, programs: Path, work: Path) -> None:
        self.programs = programs
        self.work = work
        self.nodes: list[Space] = []
        self._desk: Space | None = None
        self._tokens = {name: secrets.token_hex(16) for name in (ADMIN, LIMITED, NOBODY, *_COMPONENTS)}

    @property
    def desk(self) -> Space:
        """The machine from which the cluster is used."""
        if self._desk is None:
            raise RuntimeError("the cluster is not up")
        return self._desk

    def end(self) -> None:
        """End every machine and what runs in it."""
        for space in (*self.nodes, *([self._desk] if self._desk else [])):
            space.held.holder.kill()
        engine.remove_cgroups(Engine.DOCKER, GROUPS)

    def namespaces(self) -> set[str]:
        """Return the names of all machines' namespaces, as /proc has them."""
        return set().union(*(space.namespaces() for space in (*self.nodes, self.desk)))

    def environment(self, context: str = ADMIN) -> dict[str, str]:
        """Return the environment of what runs at the desk; the kubeconfig's current context is `context`."""
        return {
            "PATH": f"{self.programs}:{REPO / '.venv/bin'}:{PATH}",
            "HOME": "/run/home",
            "TMPDIR": "/run/tmp",
            "KUBECONFIG": str(self.work / f"{context}.{KUBECONFIG}"),
            "LC_ALL": "C.UTF-8",
        }

    def argv(self, *words: str | Path) -> list[str]:
        """Return an argv that runs another one at the desk, in the checkout."""
        enter = f"nsenter --target {self.desk.held.inside.pid} --net --mount --uts --ipc --pid --wdns={REPO} --".split()
        return [*enter, *map(str, words)]

    def kubectl(self, *words: str, stdin: str = "", context: str = ADMIN) -> str:
        """Run kubectl at the desk to its end."""
        return run(self.argv("kubectl", *words), stdin=stdin, environment=self.environment(context))

    def get(self, *words: str) -> dict[str, Any]:
        """Return what `kubectl get` finds."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "-o", "json", *words))
        return found

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def lay(self, network: Network) -> None:
        """Have pods on both nodes reach each other this way and no other."""
        lay(network, self.nodes, [self._pod_range(node) for node in self.nodes])

    def bring_up(self) -> None:
        self.nodes.extend(start_node(number) for number in (1, 2))
        self._desk = start_desk()
        join(self.nodes, self._desk)
        self._start_control_plane()
        for node in self.nodes:
            engine.await_docker(node.argv(["docker", "version"]), node.root(), node.name)
        images.load(self.nodes, self.programs, self.work)
        for node in self.nodes:
            self._start_kubelet(node)
        for node in self.nodes:
            eventually(lambda node=node: bool(self._pod_range(node)), f"{node.name} has a range for its pods")  # type: ignore[misc]
            node.write("/etc/cni/net.d/10-pods.conflist", json.dumps(cni(self._pod_range(node))))
            flags = (*_PROXY, f"--cluster-cidr={POD_RANGE}", f"--hostname-override={node.name}")
            self._start(node, "kube-proxy", "kube-proxy", *flags, "--conntrack-tcp-timeout-close-wait=0s")
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", f"--timeout={_UP_S:.0f}s")

    def _start_control_plane(self) -> None:
        first = self.nodes[0]
        peer = "http://127.0.0.1:2380"
        urls = ["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"]
        urls += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        first.daemon(self.work / "etcd.log", "etcd", "--data-dir=/run/etcd", f"--initial-cluster=default={peer}", *urls)
        key = run(["openssl", "genrsa", "2048"])
        first.write("/run/accounts.key", key)
        first.write("/run/tokens.csv", "\n".join(self._token_lines()) + "\n")
        first.daemon(
            self.work / "kube-apiserver.log",
            self.programs / "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={first.address}",
            f"--secure-port={PORT}",
            "--cert-dir=/run/apiserver",
            "--token-auth-file=/run/tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=/run/accounts.key",
            "--service-account-signing-key-file=/run/accounts.key",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
        )
        eventually((first.root() / CERTIFICATE).exists, "the API server has a certificate")
        self._write_kubeconfigs((first.root() / CERTIFICATE).read_text("utf-8"))
        eventually(self._is_ready, "the API server is ready", _UP_S)
        ranges = (f"--cluster-cidr={POD_RANGE}", f"--service-cluster-ip-range={SERVICE_RANGE}")
        keys = ("--service-account-private-key-file=/run/accounts.key", f"--root-ca-file=/{CERTIFICATE}")
        flags = ("--allocate-node-cidrs", "--use-service-account-credentials", "--leader-elect=false", *ranges, *keys)
        self._start(first, "kube-controller-manager", "kube-controller-manager", *flags)
        self._start(first, "kube-scheduler", "kube-scheduler", "--leader-elect=false")

    def _is_ready(self) -> bool:
        argv = self.argv("kubectl", "get", "--raw", "/readyz")
        return subprocess.run(argv, env=self.environment(), capture_output=True, check=False).returncode == 0

    def _token_lines(self) -> list[str]:
        """Return token, user, uid and groups of everybody, as the API server reads them."""
        people = (ADMIN, LIMITED, NOBODY)
        lines = [f'{self._tokens[name]},{name},{name},"{_GROUP_OF[name]}"' for name in people]
        lines += [f"{self._tokens[name]},system:{name},{name}" for name in _COMPONENTS]
        for node in self.nodes:
            self._tokens[node.name] = secrets.token_hex(16)
            lines.append(f'{self._tokens[node.name]},system:node:{node.name},{node.name},"system:nodes"')
        return lines

    def _write_kubeconfigs(self, certificate: str) -> None:
        """Write a kubeconfig for each user; the desk's know every context and differ in the current one."""
        trusted = self.work / "apiserver.crt"
        trusted.write_text(certificate, encoding="utf-8")
        server = {"certificate-authority": str(trusted), "server": f"https://{self.nodes[0].address}:{PORT}"}
        contexts = {name: ("here", name) for name in self._tokens} | {ELSEWHERE: ("nowhere", ADMIN)}
        for current in (*self._tokens, ELSEWHERE):
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": "here", "cluster": server},
                    {"name": "nowhere", "cluster": server | {"server": f"https://{self.nodes[0].address}:1"}},
                ],
                "users": [{"name": name, "user": {"token": token}} for name, token in self._tokens.items()],
                "contexts": [
                    {"name": name, "context": {"cluster": cluster, "user": user}}
                    for name, (cluster, user) in contexts.items()
                ],
                "current-context": current,
            }
            (self.work / f"{current}.{KUBECONFIG}").write_text(json.dumps(config), encoding="utf-8")

    def _start(self, node: Space, program: str, user: str, *flags: str) -> None:
        kubeconfig = f"--kubeconfig={self.work / f'{user}.{KUBECONFIG}'}"
        node.daemon(self.work / f"{program}-{node.name}.log", self.programs / program, kubeconfig, *flags)

    def _start_kubelet(self, node: Space) -> None:
        named = (f"--hostname-override={node.name}", f"--node-ip={node.address}")
        pause = f"--pod-infra-container-image={images.PAUSE_IMAGE}"
        self._start(node, "kubelet", node.name, *_KUBELET, *named, pause)
        # Ranges are given out in the order in which nodes come.
        eventually(lambda: node.name in self.kubectl("get", "nodes", "-o", "name"), f"{node.name} is known", _UP_S)

    def _pod_range(self, node: Space) -> str:
        return self.kubectl("get", "node", node.name, "-o", "jsonpath={.spec.podCIDR}")


def cni(pod_range: str) -> dict[str, Any]:
    """Return a node's CNI configuration: a bridge, with the addresses of its own range."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": pod_range}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "mtu": POD_MTU, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
