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
    with (folder / "state.json").open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state: State = json.load(file)
        yield state
        file.seek(0)
        file.truncate()
        json.dump(state, file)


def fail(text: str, code: int = 1) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(code)


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
    parser.add_argument("--field-selector", default="")
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
        switches = state["switches"]
        if verb == "config":
            print("\n".join(state["contexts"]))
            return
        if given.context not in ("", *state["contexts"]):
            fail(f'error: context "{given.context}" does not exist')
        if "unreachable" in switches:
            fail(_REFUSED)
        for what, resource in switches.get("forbidden", []):
            if what == verb and resource in (words[0] if words else "", {"create": "namespaces"}.get(verb)):
                fail(_FORBIDDEN.format(resource, {"get": "list"}.get(verb, verb)))
        if verb != "exec":
            {"get": get, "create": create, "delete": delete}[verb](state, words, given)
            return
    sys.exit(execute(folder, words[0], theirs, switches))


# ---- get


def get(state: State, words: list[str], given: argparse.Namespace) -> None:
    kind, *names = words
    listed = {"nodes": nodes, "pods": pods, "pod": pods, "daemonsets": daemons, "configmap": settings, "events": list}
    found = listed[kind](state) if kind != "events" else []
    if not names:
        print(json.dumps({"kind": "List", "items": found}))
        return
    one = next((item for item in found if item["metadata"]["name"] == names[0]), None)
    if one is None:
        fail(f'Error from server (NotFound): {kind}s "{names[0]}" not found')
    print(json.dumps(one))


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


def daemons(state: State) -> list[Any]:
    if ["get", "daemonsets"] in state["switches"].get("forbidden", []):
        return []
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
        elif pod["looked"] > STARTING:
            container["state"] = {"running": {}}
            pod["status"] |= {"phase": "Running", "podIP": "192.0.2.7"}
    return [{key: pod[key] for key in ("metadata", "spec", "status")} for pod in state["pods"].values()]


# ---- create and delete


def create(state: State, _words: list[str], given: argparse.Namespace) -> None:
    import yaml  # takes a while, and `exec` has to be quick

    assert given.file == "-"
    for made in yaml.safe_load_all(sys.stdin):
        name = made["metadata"]["name"]
        if made["kind"] == "Namespace":
            if state["namespaces"].get(name):
                fail(
                    f'Error from server (AlreadyExists): error when creating "STDIN": namespaces "{name}" already exists'
                )
            state["namespaces"][name] = made["metadata"]["labels"]
            print(f"namespace/{name} created")
            continue
        assert made["metadata"]["namespace"] in state["namespaces"], "the namespace of a pod has to be there"
        capabilities = made["spec"]["containers"][0]["securityContext"]["capabilities"]
        if "add" in capabilities and "no raw" in state["switches"]:
            fail(_LEVEL.format(name))
        state["pods"][name] = made | {"looked": 0, "status": {"phase": "Pending"}}
        print(f"pod/{name} created")


def delete(state: State, words: list[str], given: argparse.Namespace) -> None:
    assert words == ["namespaces"]
    wanted = dict(word.split("=") for word in given.selector.split(","))
    for name, labels in [*state["namespaces"].items()]:
        if wanted.items() <= labels.items():
            del state["namespaces"][name]
            for pod in [*state["pods"]]:
                end_pod(state, pod)
            state["pods"].clear()
            print(f"namespace/{name}")


# ---- exec


def execute(folder: Path, name: str, argv: list[str], switches: State) -> int:
    """Run argv in a pod, and end as kubectl does."""
    if ["exec", "pods"] in switches.get("forbidden", []):
        fail(
            f'Error from server (Forbidden): pods "{name}" is forbidden: User "tester" cannot create resource "pods/exec" '
            'in API group "" in the namespace "vxlan-harness"'
        )
    with opened(folder) as state:
        pod = state["pods"].get(name)
        if pod is None:
            fail(f'Error from server (NotFound): pods "{name}" not found')
        if pod["status"]["phase"] != "Running":
            fail(_RUNNING_ON[pod["status"]["phase"]])
        node = next(one for one in state["nodes"] if one["name"] == pod["spec"]["nodeName"])
        enter = node["enter"] if pod["spec"]["hostNetwork"] else [*node["enter"], *node["endpoint"]]
        environment = {**os.environ, "PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"}
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
