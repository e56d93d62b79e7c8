"""A kubectl for tests: the API server of a cluster is a file, and its pods are the local lab's namespaces.

Runs as a program of its own, with KUBECTL_STUB naming the folder of that file. What it says was taken down from kubectl
1.20 and 1.32. A pod of the nodes' network runs commands on the lab's node, any other in an endpoint that a profile has
there; all else is as far as a run sees it: pods come up by and by, and what runs in them ends when they do.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

FOLDER = "KUBECTL_STUB"
PROGRAMS = "/tmp/kubectl-stub"  # noqa: S108 - of a node of the test's own
"""Programs as an image has them, where they differ from this machine's."""
STARTING = 2
"""How often a pod is looked at before it runs."""
_FORBIDDEN = (
    'Error from server (Forbidden): {0} is forbidden: User "tester" cannot {1} resource "{0}" in API group "" at the '
    "cluster scope"
)
_RUNNING_ON = {"Failed": "error: cannot exec into a container in a completed pod; current phase is Failed"}
_REFUSED = "The connection to the server 192.0.2.1:6443 was refused - did you specify the right host or port?"
_LEVEL = (
    'Error from server (Forbidden): error when creating "STDIN": pods "{}" is forbidden: violates PodSecurity '
    '"baseline:latest": non-default capabilities (container "tools" must not include "NET_RAW" in '
    "securityContext.capabilities.add)"
)

State = dict[str, Any]


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    """Give the cluster's state, nobody else's for so long, and keep what was changed of it."""
    path, partial = folder / "state.json", folder / "state.json.partial"
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state: State = json.loads(path.read_text(encoding="utf-8"))
        yield state
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(path)  # whoever started this may kill it at any time


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def fail(text: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    sys.exit(code)


def require(state: State, verb: str, resource: str, name: str = "") -> None:
    """Fail as the API server does unless the roles in kubernetes/rbac.yml allow this, and no switch takes it away."""
    allowed = any(
        resource in rule["resources"] and verb in rule["verbs"] and name in rule.get("resourceNames", [name])
        for rule in state["rules"]
    )
    if not allowed or [verb, resource] in state["switches"].get("forbidden", []):
        fail(_FORBIDDEN.format(resource, verb))


def end_pod(state: State, name: str) -> None:
    """End everything that runs in a pod: each command, and what it started, is a session."""
    sessions = {str(pid) for pid in state["running"].pop(name, [])}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ProcessLookupError):
            if path.read_text(encoding="utf-8").rpartition(")")[2].split()[3] in sessions:
                os.kill(int(path.parent.name), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="kubectl", allow_abbrev=False)
    for option in ("--context", "--namespace", "--request-timeout", "--output", "--selector", "--timeout"):
        parser.add_argument(option, default="")
    for option in ("--field-selector", "--type", "--patch"):
        parser.add_argument(option, default="")
    parser.add_argument("--container", default="")
    parser.add_argument("--all-namespaces", action="store_true")
    parser.add_argument("-f", dest="file", default="")
    parser.add_argument("-i", dest="stdin", action="store_true")
    parser.add_argument("words", nargs="+")
    ours, theirs = sys.argv[1:], list[str]()
    if "--" in ours:
        ours, theirs = ours[: ours.index("--")], ours[ours.index("--") + 1 :]
    given = parser.parse_intermixed_args(ours)
    folder = Path(os.environ[FOLDER])
    verb, *words = given.words
    with opened(folder) as state:
        state["asked"].append(sys.argv[1:])
        if verb == "config":
            say("\n".join(state["contexts"]))
            return
        if given.context not in ("", *state["contexts"]):
            fail(f'error: context "{given.context}" does not exist')
        if "unreachable" in state["switches"]:
            fail(_REFUSED)
        if verb != "exec":
            {"get": get, "create": create, "delete": delete, "patch": patch}[verb](state, words, given)
            return
    sys.exit(execute(folder, words[0], theirs))


# ---- get


def get(state: State, words: list[str], _given: argparse.Namespace) -> None:
    kind, *names = words
    plural = kind if kind.endswith("s") else f"{kind}s"
    require(state, "get" if names else "list", plural, *names)
    listed = {"nodes": nodes, "pods": pods, "services": services, "daemonsets": daemons, "configmaps": settings}
    found = listed[plural](state) if plural in listed else []
    if not names:
        say(json.dumps({"kind": "List", "items": found}))
        return
    one = next((item for item in found if item["metadata"]["name"] == names[0]), None)
    if one is None:
        fail(f'Error from server (NotFound): {kind}s "{names[0]}" not found')
    say(json.dumps(one))


def nodes(state: State) -> list[Any]:
    cordoned = state["switches"].get("cordoned", "")
    return [
        {
            "metadata": {
                "name": node["name"],
                "annotations": {
                    "flannel.alpha.coreos.com/backend-type": "vxlan",
                    "flannel.alpha.coreos.com/backend-data": '{"VNI":1,"VtepMAC":"00:00:00:00:00:01"}',
                },
            },
            "spec": {
                "podCIDR": f"10.244.{number}.0/24",
                **({"unschedulable": True} if node["name"] == cordoned else {}),
            },
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": node["name"]},
                    {"type": "InternalIP", "address": node["address"]},
                ],
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
        for number, node in enumerate(state["nodes"])
    ]


def services(state: State) -> list[Any]:
    return [*state["services"].values()]


def daemons(_state: State) -> list[Any]:
    named = (("kube-flannel", "kube-flannel-ds"), ("kube-system", "kube-proxy"))
    return [{"metadata": {"name": name, "namespace": space}} for space, name in named]


def settings(_state: State) -> list[Any]:
    return [{"metadata": {"name": "kube-proxy"}, "data": {"config.conf": 'kind: KubeProxyConfiguration\nmode: ""\n'}}]


def pods(state: State) -> list[Any]:
    """Return the pods, each a little further on its way than when it was looked at before."""
    image = state["switches"].get("image")
    for pod in state["pods"].values():
        pod["looked"] += 1
        if pod["status"].get("phase") == "Failed" or pod["looked"] <= 1:
            continue
        container: dict[str, Any] = {"name": "tools", "state": {"waiting": {"reason": "ContainerCreating"}}}
        pod["status"] = {"phase": "Pending", "containerStatuses": [container]}
        if image:
            words = f'Back-off pulling image "{pod["spec"]["containers"][0]["image"]}"'
            container["state"] = {"waiting": {"reason": image, "message": words}}
        elif pod["looked"] > STARTING and "slow" not in state["switches"]:
            container["state"] = {"running": {}}
            pod["status"] |= {"phase": "Running", "podIP": "192.0.2.7"}
    return [{key: pod[key] for key in ("metadata", "spec", "status")} for pod in state["pods"].values()]


# ---- create and delete


def create(state: State, _words: list[str], given: argparse.Namespace) -> None:
    import yaml  # noqa: PLC0415 - it takes a while, and `exec` has to be quick

    assert given.file == "-"
    for made in yaml.safe_load_all(sys.stdin):
        name = made["metadata"]["name"]
        require(state, "create", f"{made['kind'].lower()}s")
        if made["kind"] == "Namespace":
            if state["namespaces"].get(name):
                fail(f'Error from server (AlreadyExists): error when creating "": namespaces "{name}" already exists')
            state["namespaces"][name] = made["metadata"]["labels"]
            say(f"namespace/{name} created")
            continue
        if made["kind"] == "Service":
            serve(state, made)
            continue
        assert made["metadata"]["namespace"] in state["namespaces"], "the namespace of a pod has to be there"
        capabilities = made["spec"]["containers"][0]["securityContext"]["capabilities"]
        if "add" in capabilities and "no raw" in state["switches"]:
            fail(_LEVEL.format(name))
        state["pods"][name] = made | {"looked": 0, "status": {"phase": "Pending"}}
        say(f"pod/{name} created")


def delete(state: State, words: list[str], given: argparse.Namespace) -> None:
    assert words == ["namespaces"]
    require(state, "list", "namespaces")
    wanted = dict(word.split("=") for word in given.selector.split(","))
    for name, labels in [*state["namespaces"].items()]:
        if wanted.items() <= labels.items():
            for verb in ("delete", "get", "watch"):
                require(state, verb, "namespaces", name)
            del state["namespaces"][name]
            for pod in [*state["pods"]]:
                end_pod(state, pod)
            state["pods"].clear()
            state["services"].clear()
            while state["undo"]:
                subprocess.run(state["undo"].pop(), check=True)
            say(f"namespace/{name}")


# ---- services: what kube-proxy would have iptables do


def serve(state: State, made: State) -> None:
    """Take a service in, and give it its address and ports."""
    name, spec = made["metadata"]["name"], made["spec"]
    if name in state["services"]:
        fail(f'Error from server (AlreadyExists): error when creating "": services "{name}" already exists')
    spec["clusterIP"] = f"10.96.0.{len(state['services']) + 10}"
    for port in spec["ports"]:
        port |= {
            "targetPort": port["port"],
            **({"nodePort": 25000 + port["port"]} if spec["type"] == "NodePort" else {}),
        }
    state["services"][name] = made
    if spec["type"] == "ClusterIP":
        for node in state["nodes"]:
            change(state, [*node["enter"], *node["endpoint"], "ip", "route"], "add", "10.96.0.0/16", node["via"])
            forward(state, node, made, spec["clusterIP"], "port")
    say(f"service/{name} created")


def patch(state: State, words: list[str], given: argparse.Namespace) -> None:
    """Change the ports of a service that is reached by a node's, to which its packets go from now on."""
    require(state, "patch", "services")
    made = state["services"][words[1]]
    for change_ in json.loads(given.patch):
        number = int(change_["path"].split("/")[3])
        made["spec"]["ports"][number]["targetPort"] = change_["value"]
    client, server = state["nodes"]
    assert all(port["targetPort"] == port["nodePort"] for port in made["spec"]["ports"])
    into = [*client["enter"], *client["endpoint"], "ip", "route"]
    change(state, into, "add", f"{server['address']}/32", client["via"])
    masked = "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE".split()
    change(state, [*client["enter"], "iptables", "-w", "-t", "nat"], "-A", "POSTROUTING", *masked)
    forward(state, server, made, server["address"], "nodePort")


def forward(state: State, node: State, service: State, address: str, key: str) -> None:
    """Have a node send what comes for some ports of an address to the one pod that is meant."""
    pod = state["pods"][service["spec"]["selector"]["vxlan-harness/pod"]]
    target = next(one["pod"] for one in state["nodes"] if one["name"] == pod["spec"]["nodeName"])
    ports = sorted({port[key] for port in service["spec"]["ports"]})
    for protocol in ("tcp", "udp"):
        rule = f"-d {address} -p {protocol} --dport {ports[0]}:{ports[-1]} -j DNAT --to-destination {target}".split()
        change(state, [*node["enter"], "iptables", "-w", "-t", "nat"], "-A", "PREROUTING", *rule)


def change(state: State, words: list[str], verb: str, *more: str) -> None:
    """Change something on a node, unless it is so already, and note how it is undone."""
    own = [word for text in more for word in text.split()]
    done = subprocess.run([*words, verb, *own], check=False, capture_output=True)
    if done.returncode == 0:
        state["undo"].append([*words, {"add": "del", "-A": "-D"}[verb], *own])


# ---- exec


def execute(folder: Path, name: str, argv: list[str]) -> int:
    """Run argv in a pod, and end as kubectl does."""
    with opened(folder) as state:
        require(state, "create", "pods/exec")
        pod = state["pods"].get(name)
        if pod is None:
            fail(f'Error from server (NotFound): pods "{name}" not found')
        if pod["status"]["phase"] != "Running":
            fail(_RUNNING_ON[pod["status"]["phase"]])
        node = next(one for one in state["nodes"] if one["name"] == pod["spec"]["nodeName"])
        enter = node["enter"] if pod["spec"]["hostNetwork"] else [*node["enter"], *node["endpoint"]]
        environment = {**os.environ, "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin"}
        process = subprocess.Popen([*enter, *rights(pod["spec"]), *argv], env=environment, start_new_session=True)
        state["running"].setdefault(name, []).append(process.pid)
    code = process.wait()
    with opened(folder) as state:
        running = state["running"].get(name, [])
        if process.pid not in running:  # the pod was ended, and kubectl's connection with it
            return 0
        running.remove(process.pid)
    if code == 0:
        return 0
    code = code if code > 0 else 128 - code
    fail(f"command terminated with exit code {code}", code)


def rights(spec: State) -> list[str]:
    """Return the words that run the rest with what a pod's specification gives it, and no more."""
    container = spec["containers"][0]["securityContext"]
    assert container["capabilities"]["drop"] == ["ALL"]
    added = [f"+{name.lower()}" for name in container["capabilities"].get("add", [])]
    user = str(spec["securityContext"]["runAsUser"])
    words = ["setpriv", f"--bounding-set={','.join(['-all', *added])}", "--inh-caps=-all", "--no-new-privs"]
    return [*words, *([] if user == "0" else ["--reuid", user, "--regid", user, "--clear-groups"])]


if __name__ == "__main__":
    main()
