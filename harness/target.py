"""Where the connection to a node goes, as OpenSSH itself sees it: `ssh -G` with what Ansible would give it."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import ConnectionLostError, InputError
from harness.model import Node

_HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9_.:%\[\]-]{0,252}")
_BECOME_METHODS = ("sudo",)


@dataclass(frozen=True)
class Target:
    """A node's connection. `host_key_name` is what known_hosts has its key under; `become` how it becomes root.

    The two passwords are the inventory's (from a vault, say); they go over the connection and nowhere else.
    """

    hostname: str
    port: int
    user: str
    host_key_name: str
    keys: tuple[str, ...]
    known_hosts: tuple[str, ...]
    proxy_argv: tuple[str, ...] = ()
    use_agent: bool = True
    become: bool = False
    password: str | None = field(default=None, repr=False)
    become_password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, node: Node, ssh_config: Path | None) -> Target:
        """Return the target of a node.

        Raises InputError for a variable that cannot be honoured, ConnectionLostError where ssh refuses its own
        configuration.
        """
        own = node.variables
        host = str(own.get("ansible_host", node.name))
        if not _HOST.fullmatch(host):
            raise InputError(f"{node.name}: ansible_host {host!r} is not the name or address of a host.")
        config = ["-F", str(ssh_config)] if ssh_config else []
        options = [*config, *_options(own)]
        seen = _resolved(node.name, [*options, "--", host])
        hostname, port = _first(seen, "hostname", host), int(_first(seen, "port", "22"))
        method = str(own.get("ansible_become_method", "sudo"))
        become = _truth(own.get("ansible_become", False))
        if become and method not in _BECOME_METHODS:
            raise InputError(f"{node.name}: ansible_become_method {method!r} cannot be used here; only sudo can.")
        user = _first(seen, "user", "root")
        return cls(
            hostname=hostname,
            port=port,
            user=user,
            host_key_name=_first(seen, "hostkeyalias", hostname),
            keys=tuple(path for path in map(_expanded, seen.get("identityfile", [])) if Path(path).exists()),
            known_hosts=tuple(
                _expanded(path)
                for name in ("userknownhostsfile", "globalknownhostsfile")
                for path in shlex.split(_first(seen, name, ""))
            ),
            proxy_argv=_proxy(seen, config, hostname, port, user),
            use_agent=_first(seen, "identitiesonly", "no") != "yes",
            become=become and user != "root",
            password=_text(own.get("ansible_password", own.get("ansible_ssh_pass"))),
            become_password=_text(own.get("ansible_become_password", own.get("ansible_become_pass"))),
        )

    def open_socket(self, timeout_s: float) -> socket.socket:
        """Return a connected socket, by way of the proxy where there is one. Raises OSError."""
        if not self.proxy_argv:
            return socket.create_connection((self.hostname, self.port), timeout_s)
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                list(self.proxy_argv),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        process.returncode = 0  # ends by itself when its socket closes
        return ours


def _options(own: Mapping[str, object]) -> list[str]:
    """Return what Ansible's variables add to ssh's command line."""
    words: list[str] = []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(str(own.get(name, "")))
    for name, option in (("ansible_port", "-p"), ("ansible_user", "-l"), ("ansible_ssh_private_key_file", "-i")):
        if own.get(name):
            words += [option, str(own[name])]
    return words


def _resolved(name: str, words: list[str]) -> dict[str, list[str]]:
    """Return what `ssh -G` makes of a command line: each keyword's values, in lower case."""
    try:
        done = subprocess.run(
            ["ssh", "-G", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ConnectionLostError("ssh is not installed; run `make setup`.") from error
    if done.returncode != 0:
        raise ConnectionLostError(f"{name}: ssh does not take its configuration: {done.stderr.strip()}")
    seen: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        seen.setdefault(keyword.lower(), []).append(value)
    return seen


def _proxy(seen: Mapping[str, list[str]], config: list[str], hostname: str, port: int, user: str) -> tuple[str, ...]:
    """Return the argv whose standard streams are the connection, empty where it is made directly."""
    jump = _first(seen, "proxyjump", "none")
    if jump != "none":
        *before, last = jump.split(",")
        through = ["-J", ",".join(before)] if before else []
        return ("ssh", *config, *through, "-o", "BatchMode=yes", "-W", f"[{hostname}]:{port}", f"ssh://{last}")
    command = _first(seen, "proxycommand", "none")
    if command == "none":
        return ()
    tokens = {"%h": hostname, "%p": str(port), "%r": user, "%n": hostname, "%%": "%"}
    return tuple(re.sub("%[hprn%]", lambda found: tokens[found[0]], word) for word in shlex.split(command))


def _first(seen: Mapping[str, list[str]], keyword: str, default: str) -> str:
    return seen.get(keyword, [default])[0]


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _truth(value: object) -> bool:
    """Return a variable of an inventory as Ansible's `bool` filter has it."""
    return str(value).lower() in ("true", "yes", "on", "1")
