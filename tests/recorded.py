"""What a node really said to each command, kept, and said again by one that is not there."""

from __future__ import annotations

import base64
import json
import lzma
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.nodes.channel import Channel
from harness.nodes.remote import Remote

FOLDER = Path(__file__).parent / "golden" / "recorded"


@dataclass(frozen=True)
class Said:
    """What one command printed, its pid in front, and how it ended."""

    argv: tuple[str, ...]
    stdout: bytes
    stderr: bytes
    exit_code: int


@contextmanager
def nothing_random() -> Iterator[None]:
    """Have the echoes of `inspect` the size and the pattern that they have on record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secrets.randbelow", lambda _below: 7)
        patch.setattr("secrets.token_bytes", lambda count: bytes(range(0xA0, 0xA0 + count)))
        yield


class RecordedChannel:
    """A command's streams, of which everything is kept that comes by them."""

    def __init__(self, channel: Channel, argv: Sequence[str], heard: list[Said]) -> None:
        self._channel, self._argv, self._heard = channel, tuple(argv), heard
        self._stdout, self._stderr = bytearray(), bytearray()

    def settimeout(self, timeout: float) -> None:
        self._channel.settimeout(timeout)

    def recv(self, size: int, /) -> bytes:
        chunk = self._channel.recv(size)
        self._stdout += chunk
        return chunk

    def recv_stderr_ready(self) -> bool:
        return self._channel.recv_stderr_ready()

    def recv_stderr(self, size: int, /) -> bytes:
        chunk = self._channel.recv_stderr(size)
        self._stderr += chunk
        return chunk

    def exit_status_ready(self) -> bool:
        return self._channel.exit_status_ready()

    def recv_exit_status(self) -> int:
        return self._channel.recv_exit_status()

    def shutdown_write(self) -> None:
        self._channel.shutdown_write()

    def sendall(self, data: bytes, /) -> None:
        self._channel.sendall(data)

    def close(self) -> None:
        code = self._channel.recv_exit_status() if self._channel.exit_status_ready() else -1
        self._heard.append(Said(self._argv, bytes(self._stdout), bytes(self._stderr), code))
        self._channel.close()


class Recorder(Remote):
    """A node that is there, of which everything is kept that it says."""

    def __init__(self, node: Remote) -> None:
        self.name, self._node = node.name, node
        self.heard: list[Said] = []

    def open_channel(self, argv: Sequence[str]) -> Channel:
        return RecordedChannel(self._node.open_channel(argv), argv, self.heard)


class SaidAgain:
    """The streams of a command that has been run before."""

    def __init__(self, said: Said) -> None:
        self._left, self._errors, self._code = [said.stdout], [said.stderr], said.exit_code

    def settimeout(self, timeout: float) -> None:
        assert timeout > 0

    def recv(self, _size: int, /) -> bytes:
        return self._left.pop() if self._left else b""

    def recv_stderr_ready(self) -> bool:
        return bool(self._errors)

    def recv_stderr(self, _size: int, /) -> bytes:
        return self._errors.pop() if self._errors else b""

    def exit_status_ready(self) -> bool:
        return not self._left

    def recv_exit_status(self) -> int:
        return self._code

    def shutdown_write(self) -> None:
        """It reads nothing."""

    def sendall(self, data: bytes, /) -> None:
        raise AssertionError(f"{data!r} goes to what reads nothing")

    def close(self) -> None:
        """It holds nothing."""


class Replayed(Remote):
    """A node that says what it said then; the last of several answers to a command again and again."""

    def __init__(self, name: str, heard: Sequence[Said]) -> None:
        self.name = name
        self.asked: list[tuple[str, ...]] = []
        self._answers: dict[tuple[str, ...], list[Said]] = defaultdict(list)
        for said in heard:
            self._answers[said.argv].append(said)

    def open_channel(self, argv: Sequence[str]) -> Channel:
        self.asked.append(tuple(argv))
        answers = self._answers[tuple(argv)]
        assert answers, f"{self.name} was never asked {argv}"
        return SaidAgain(answers.pop(0) if len(answers) > 1 else answers[0])


def write(name: str, nodes: Sequence[Recorder]) -> Path:
    """Keep what nodes said, under a name."""
    document = {
        node.name: [
            [*said.argv, base64.b64encode(said.stdout).decode(), base64.b64encode(said.stderr).decode(), said.exit_code]
            for said in node.heard
        ]
        for node in nodes
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json.xz"
    path.write_bytes(lzma.compress(json.dumps(document, indent=1).encode()))
    return path


def replayed(name: str) -> tuple[Replayed, Replayed]:
    """Return both nodes as they were when a record of that name was made."""
    document = json.loads(lzma.decompress((FOLDER / f"{name}.json.xz").read_bytes()))
    client, server = (
        Replayed(
            node,
            [
                Said(tuple(argv), base64.b64decode(stdout), base64.b64decode(stderr), code)
                for *argv, stdout, stderr, code in heard
            ],
        )
        for node, heard in document.items()
    )
    return client, server
