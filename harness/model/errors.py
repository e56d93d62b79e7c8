"""Every error the harness raises on purpose: one tree, each class with its exit code.

A message is one or two sentences: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class HarnessError(Exception):
    """Base of all expected errors; `exit_code` is what the command line exits with."""

    exit_code: ClassVar[int] = 1


class InputError(HarnessError):
    """An option, a profile, an inventory or a result file that cannot be used; nothing was changed."""

    exit_code = 2


class LabError(HarnessError):
    """The lab could not be brought up, found or taken down."""

    exit_code = 3


class PlaybookError(HarnessError):
    """A playbook failed on a node."""

    exit_code = 4


class ConnectionLostError(HarnessError):
    """A node cannot be reached, or its connection broke."""

    exit_code = 5


class NodeGoneError(ConnectionLostError):
    """What stood for a node is gone for good: no other try reaches it."""


class ToolError(HarnessError):
    """A measuring tool failed, or printed what its parser does not know."""

    exit_code = 6


class OverdueError(ToolError):
    """A measuring tool did not end in its time."""


class VerificationError(HarnessError):
    """The set-up does not do what its profile says, or trials took another way."""

    exit_code = 7


class FailedTrialsError(HarnessError):
    """The run is complete, but some of its trials have no figure."""

    exit_code = 8


INTERRUPTED = 130
"""Exit code after Ctrl-C (128 + SIGINT)."""
