"""kubectl as a subprocess, so that the user's own kubeconfig, plugins and proxies count; and what it says, in words."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.model.errors import ConnectionLostError, HarnessError, InputError, LabError
from harness.model.jobs import Completed

DOCS = "docs/kubernetes.md"
_CONTEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,252}")
_REQUEST_S = 20
"""How long the API server may take for one answer."""
_NOT_INSTALLED = "kubectl is not installed; it is in Debian's package kubernetes-client."
_GRACE_S = 10.0
"""How much longer kubectl itself may take: plugins that log in, a proxy."""
_NOISE = re.compile(r"^(W\d{4} |I\d{4} |Warning: |E\d{4} .*memcache\.go)")
"""Lines on its standard error that are no error of the command's."""
_FORBIDDEN = re.compile(r"forbidden", re.IGNORECASE)
_UNREACHED = re.compile(
    r"unable to connect|connection to the server|connection refused|no such host|timeout|timed out|TLS|x509|"
    r"unauthorized|logged in|certificate|no configuration has been provided|executable|current-context|EOF",
    re.IGNORECASE,
)
_WHERE = re.compile(r'^(?:error: |Error from server(?: \([A-Za-z]+\))?: )+(?:error when \w+ing "[^"]*": )?')


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a context of the user's kubeconfig, its current one where that is empty, and our namespace."""

    context: str = ""
    namespace: str = ""

    @classmethod
    def of(cls, context: str | None, namespace: str) -> Kubectl:
        """Return kubectl for a context that the kubeconfig has; InputError names those that it has otherwise."""
        own = cls(context or "", namespace)
        if context is None:
            return own
        listed = cls().run("config", "get-contexts", "--output=name")
        known = listed.stdout.split()
        if not _CONTEXT.fullmatch(context) or context not in known:
            there = f"there are {', '.join(known)}" if known else "there are none"
            raise InputError(f"--context: the kubeconfig has no context {context!r}; {there}.")
        return own

    @property
    def where(self) -> str:
        """The cluster, in words."""
        return f"the cluster of context {self.context}" if self.context else "the cluster of the current context"

    def argv(self, *words: str) -> list[str]:
        """Return the argv of a kubectl command."""
        context = [f"--context={self.context}"] if self.context else []
        namespace = [f"--namespace={self.namespace}"] if self.namespace else []
        return ["kubectl", *context, *namespace, *words]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command and return its process, whose streams are pipes. Ctrl-C on our terminal does not reach it.

        Raises LabError where there is no kubectl.
        """
        try:
            return subprocess.Popen(
                self.argv(*words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise LabError(_NOT_INSTALLED) from error

    def run(self, *words: str, given: str = "", wait_s: float = 0.0) -> Completed:
        """Run a command to its end, `given` on its standard input; it may wait for something for `wait_s`.

        Raises LabError where there is no kubectl, ConnectionLostError where it does not end.
        """
        argv = self.argv(f"--request-timeout={int(_REQUEST_S + wait_s)}s", *words)
        limit_s = _REQUEST_S + wait_s + _GRACE_S
        try:
            done = subprocess.run(
                argv,
                input=given.encode(),
                capture_output=True,
                check=False,
                timeout=limit_s,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise LabError(_NOT_INSTALLED) from error
        except subprocess.TimeoutExpired as error:
            raise ConnectionLostError(f"{self.where} does not answer within {limit_s:g} s.") from error
        stdout, stderr = (part.decode("utf-8", "replace") for part in (done.stdout, done.stderr))
        return Completed(tuple(argv), done.returncode, stdout, stderr)

    def json(self, what: str, *words: str) -> Mapping[str, Any]:
        """Return what `kubectl get … -o json` prints; raises `refused`, in which `what` is what was wanted."""
        done = self.run("get", *words, "--output=json")
        if done.exit_code != 0:
            raise self.refused(done.stderr, what)
        try:
            value = json.loads(done.stdout)
        except ValueError as error:
            raise LabError(f"kubectl get {' '.join(words)} printed what is no JSON: {done.stdout[-200:]!r}.") from error
        if not isinstance(value, dict):
            raise LabError(f"kubectl get {' '.join(words)} printed no object: {done.stdout[-200:]!r}.")
        return value

    def refused(self, stderr: str, what: str) -> HarnessError:
        """Return the error for what kubectl said instead of doing something, such as `list nodes`."""
        text = said(stderr)
        if _FORBIDDEN.search(text):
            return LabError(f"{self.where} does not let you {what}: {text}. {DOCS} has the roles that a run takes.")
        if _UNREACHED.search(text):
            try_it = f"`{' '.join(self.argv('get', 'nodes'))}`"
            return ConnectionLostError(f"{self.where} cannot be reached: {text}; try {try_it} first.")
        return LabError(f"{self.where} did not {what}: {text}.")


def said(stderr: str) -> str:
    """Return what kubectl said, warnings left out, without a full stop."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _NOISE.match(line)]
    text = " ".join(_WHERE.sub("", line) for line in lines[-3:])
    return text[-600:].rstrip(".") or "it says nothing"


def is_absent(stderr: str) -> bool:
    """Tell whether kubectl said that there is no such object."""
    return "(NotFound)" in stderr or "not found" in stderr


def items(listed: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list, in the order of their names."""
    return sorted(listed.get("items") or (), key=lambda item: str(item["metadata"]["name"]))
