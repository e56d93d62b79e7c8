"""Every error the harness raises on purpose: one tree, each class with its exit code.

A message is one or two sentences: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class HarnessError(Exception):
    """Base of all expected errors; `exit_code` is what the command line exits with."""

    exit_code: ClassVar[int]


class WorseError(HarnessError):
    """What a gate stops at: a figure is decided to be worse by more than allowed, or is gone."""

    exit_code = 1


class InputError(HarnessError):
    """An option, a profile, an inventory or a result file that cannot be used; nothing was changed."""

    exit_code = 2


class LabError(HarnessError):
    """The lab could not be brought up, found or taken down, or something that a run needs on a node is missing."""

    exit_code = 3


class PlaybookError(HarnessError):
    """A playbook failed on a node, or refused because something is in the way."""

    exit_code = 4


class TaskFailedError(PlaybookError):
    """A playbook came to its task, and that failed on a node: what it found there is not as it has to be."""


class ConnectionLostError(HarnessError):
    """A node cannot be reached, or its connection broke."""

    exit_code = 5


class NodeGoneError(ConnectionLostError):
    """What stood for a node is gone for good: no other try reaches it."""


class ToolError(HarnessError):
    """A measuring tool failed, or what a node says of itself cannot be used."""

    exit_code = 6


class OverdueError(ToolError):
    """A measuring tool did not end in its time."""


class VerificationError(HarnessError):
    """A profile or a direction of it does not work, or trials are `invalid`: their bytes took another way."""

    exit_code = 7


class FailedTrialsError(HarnessError):
    """The run is complete, but some of its trials, or of the files that were imported, have no figure."""

    exit_code = 8


class StorageError(HarnessError):
    """Results, or standard output, cannot be written any more: the disk is full, read-only or gone."""

    exit_code = 9


NOT_UNDERSTOOD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading a text raises that is not as it should be: a word for a number, a key that is missing, a pit of `[`."""
INTERNAL = 70
"""Exit code of what is a mistake in the harness (EX_SOFTWARE of sysexits.h)."""
INTERRUPTED = 130
"""Exit code after Ctrl-C (128 + SIGINT)."""
