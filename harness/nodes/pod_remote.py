"""A node of a cluster, reached by its pods: each command is a `kubectl exec -i` of its own.

The node's own network is that of a pod with hostNetwork; pods with a network of their own are places of the node. The
exit code comes from the pod itself: kubectl tells one that failed from a connection that broke by its words only, and
may end with 0 where a pod was killed.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from collections.abc import Callable, Mapping, Sequence

from harness.model.errors import ConnectionLostError, HarnessError, LabError, NodeGoneError
from harness.nodes import pods
from harness.nodes.kubectl import Kubectl, is_absent, said
from harness.nodes.remote import Remote

CONTAINER = "tools"
"""What the one container of each of our pods is called."""
_CHUNK_BYTES = 65536
_SIGNALLED = 128
"""A shell's exit code for a command that a signal ended is this and the signal's number (POSIX shell, 2.8.2)."""
_ENDED = b"vxlan-harness-exit "
# In the background, so that a shell is left to report; without `<&0` it would read nothing.
_REPORTING = f'"$@" <&0 & wait "$!"; echo "{_ENDED.decode()}$?" >&2'
_CLOSING_S = 2.0


class PodRemote(Remote):
    """A node of a cluster (`name`), by a pod on it; `places` are its other pods, each under its own name."""

    def __init__(self, name: str, kubectl: Kubectl, pod: str, places: Sequence[str] = ()) -> None:
        self.name = name
        self._kubectl = kubectl
        self._pod = pod
        self._places = {place: PodRemote(name, kubectl, place) for place in places}

    def connect(self) -> None:
        """See that commands run in each of the pods; raises ConnectionLostError and LabError with the reason."""
        for one in (self, *self._places.values()):
            one.run(["true"])

    def within(self, place: str) -> Remote:
        """Return what runs commands in the pod of that name."""
        return self._places[place] if place else self

    def open_channel(self, argv: Sequence[str]) -> PodChannel:
        """Start argv in the pod; raises LabError where there is no kubectl."""
        words = ["exec", "-i", self._pod, f"--container={CONTAINER}", "--"]
        wrapped = ["env", "LC_ALL=C", "sh", "-c", _REPORTING, "sh", *argv]
        return PodChannel(self._kubectl.start(*words, *wrapped), self._broken)

    def _broken(self, stderr: str) -> HarnessError:
        """Return why a command has no exit code: what became of its pod, or of kubectl."""
        seen = self._kubectl.run("get", "pod", self._pod, "--output=json")
        if seen.exit_code != 0 and is_absent(seen.stderr):
            return NodeGoneError(
                f"pod {self._pod} on {self.name} is gone: somebody deleted it, or its node was drained."
            )
        pod: Mapping[str, object] = json.loads(seen.stdout) if seen.exit_code == 0 else {}
        why = pods.failure(pod) if pod else None
        if why is not None:
            return NodeGoneError(f"{why}.")
        refusal = self._kubectl.refused(stderr, f"run commands in pod {self._pod}")
        if isinstance(refusal, LabError) and "does not let" in str(refusal):
            return refusal
        return ConnectionLostError(f"{self.name}: kubectl exec into pod {self._pod} broke: {said(stderr)}.")


class PodChannel:
    """The streams of one `kubectl exec`, and the exit code that its command reported; see `running.Channel`.

    `broken` makes the error of a command that reported none, from what kubectl said.
    """

    def __init__(self, process: subprocess.Popen[bytes], broken: Callable[[str], HarnessError]) -> None:
        self._process = process
        self._broken = broken
        self._timeout_s = 0.0
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self._selector.register(stream, selectors.EVENT_READ, stream is process.stdout)
        self._stderr = bytearray()
        self._given = 0
        self._stdout = bytearray()

    def settimeout(self, timeout: float) -> None:
        """Say how many seconds a read may block."""
        self._timeout_s = timeout

    def recv(self, size: int, /) -> bytes:
        """Return some of its output, nothing at its end; raises TimeoutError."""
        if not self._stdout:
            self._take(self._timeout_s)
        if not self._stdout and self._is_open(is_stdout=True):
            raise TimeoutError
        taken = bytes(self._stdout[:size])
        del self._stdout[:size]
        return taken

    def recv_stderr_ready(self) -> bool:
        """Tell whether there are errors that were not returned yet."""
        self._take(0)
        return len(self._said) > self._given

    def recv_stderr(self, size: int, /) -> bytes:
        """Return some of its errors, nothing at their end; raises TimeoutError."""
        while len(self._said) == self._given and self._is_open(is_stdout=False):
            before = len(self._stderr)
            self._take(self._timeout_s)
            if len(self._stderr) == before and self._is_open(is_stdout=False):
                raise TimeoutError
        taken = self._said[self._given :][:size]
        self._given += len(taken)
        return taken

    @property
    def _said(self) -> bytes:
        """What came of the command's own errors: up to its report, what may be the beginning of that left out."""
        head, found, _ = bytes(self._stderr).partition(_ENDED)
        if found or not self._is_open(is_stdout=False):
            return head
        return head[: head.rfind(b"\n") + 1]

    def exit_status_ready(self) -> bool:
        """Tell whether it is known to have ended."""
        self._take(0)
        return _ENDED in self._stderr or self._process.poll() is not None

    def recv_exit_status(self) -> int:
        """Return the exit code that it reported, -1 where a signal ended it; raises what became of its pod."""
        while self._is_open(is_stdout=False):
            self._take(None)
        _, found, rest = bytes(self._stderr).partition(_ENDED)
        word = rest.split()[:1]
        if not found or not word or not word[0].isdigit():
            raise self._broken(bytes(self._stderr).decode("utf-8", "replace"))
        code = int(word[0])
        return code if code <= _SIGNALLED else -1

    def sendall(self, data: bytes, /) -> None:
        """Raise OSError: its standard input is empty and closed."""
        raise BrokenPipeError(f"kubectl exec takes no input ({len(data)} bytes)")

    def shutdown_write(self) -> None:
        """End its standard input, which is empty as it is."""

    def close(self) -> None:
        """Let go of it: kubectl is ended, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_CLOSING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _is_open(self, *, is_stdout: bool) -> bool:
        return any(key.data is is_stdout for key in self._selector.get_map().values())

    def _take(self, timeout_s: float | None) -> None:
        """Take in what is there of both streams; wait for so long for the first of it."""
        if not self._selector.get_map():
            return
        for key, _ in self._selector.select(timeout_s):
            chunk = os.read(key.fd, _CHUNK_BYTES)
            if chunk:
                (self._stdout if key.data else self._stderr).extend(chunk)
            else:
                self._selector.unregister(key.fileobj)
