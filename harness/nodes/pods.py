"""What the API says of a pod, judged: does it run, will it ever, and if not, why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.model.errors import NOT_UNDERSTOOD

_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError")
"""A container waits for these reasons where its image cannot be had (kubelet, images/types.go)."""
_NO_START = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "PreStartHookError",
)


def is_running(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod has its address, and its containers run; one that is no pod as the API has them does not."""
    try:
        return _is_running(pod)
    except NOT_UNDERSTOOD:
        return False


def _is_running(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status") or {}
    states = status.get("containerStatuses") or ()
    return bool(status.get("podIP")) and bool(states) and all("running" in (one.get("state") or {}) for one in states)


def failure(pod: Mapping[str, Any]) -> str | None:
    """Return why a pod does not run and never will, in words that begin with its name; None for one that may.

    They say what to do where there is something. Of what is no pod as the API has them nothing is known.
    """
    try:
        return _failure(pod)
    except NOT_UNDERSTOOD:
        return None


def _failure(pod: Mapping[str, Any]) -> str | None:
    status = pod.get("status") or {}
    who = f"pod {pod['metadata']['name']} on {(pod.get('spec') or {}).get('nodeName', 'no node')}"
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "").strip().rstrip(".")
    if reason == "Evicted":
        return f"{who} was evicted: {message or 'the node does not say why'}; free what the node is short of"
    if pod["metadata"].get("deletionTimestamp"):
        return f"{who} is being deleted by somebody else: a drained node, or a deleted namespace"
    for waiting in _waiting(status):
        why, words = waiting.get("reason"), str(waiting.get("message") or "").strip().rstrip(".")
        if why in _NO_IMAGE:
            return f"{who} cannot have its image ({why}): {words or 'the node does not say why'}"
        if why in _NO_START:
            return f"{who} cannot be started ({why}): {words or 'the node does not say why'}"
    if status.get("phase") in ("Failed", "Succeeded"):
        ended = next(_terminated(status), {})
        why = reason or ended.get("reason") or "it does not say why"
        code = f", exit code {ended['exitCode']}" if "exitCode" in ended else ""
        return f"{who} was ended ({why}{code}){f': {message}' if message else ''}"
    return None


def is_without_image(text: str) -> bool:
    """Tell whether a failure is that of an image that cannot be had."""
    return any(f"({reason})" in text for reason in _NO_IMAGE)


def _waiting(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if (one.get("state") or {}).get("waiting"):
            yield one["state"]["waiting"]


def _terminated(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in status.get("containerStatuses") or ():
        if (one.get("state") or {}).get("terminated"):
            yield one["state"]["terminated"]
