"""Target of a connection to a node, as OpenSSH itself sees it: `ssh -G` with what Ansible would give it."""

from __future__ import annotations

import getopt
import re
import shlex
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.model.errors import ConnectionLostError, InputError
from harness.model.node import Node
from harness.model.programs import remedy

_HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9_.:%\[\]-]{0,252}")
SILENCE_S = 30
"""How long a connection may leave what was sent unanswered before it counts as broken."""
ALIVE = ("-o", "ServerAliveInterval=10", "-o", f"ServerAliveCountMax={SILENCE_S // 10}")
"""The same for a connection that is ssh's own."""
SSH_OPTIONS = "1246AaB:b:CcD:e:F:fGgI:i:J:KkL:l:Mm:NnO:o:P:p:QqR:S:sTtVvW:w:XxYy"
"""Options of ssh(1), those with an argument have a colon behind, as getopt wants it."""
SSH_PORT = 22
_SSH_OPTION_OF = {
    ("ansible_port", "ansible_ssh_port"): "-p",
    ("ansible_private_key_file", "ansible_ssh_private_key_file"): "-i",
    ("ansible_user", "ansible_ssh_user"): "-l",
}
_ONLY = {
    "ansible_connection": ("ssh", "smart", "ansible.builtin.ssh"),
    "ansible_become_method": ("sudo", "ansible.builtin.sudo"),
    "ansible_become_user": ("root",),
}
"""Variables that both connections would have to honour, each with the values that they can."""


@dataclass(frozen=True)
class Passwords:
    """What the user was asked for; the inventory's own come first. They go over connections and nowhere else."""

    login: str | None = field(default=None, repr=False)
    become: str | None = field(default=None, repr=False)


NOT_ASKED = Passwords()


@dataclass(frozen=True)
class Target:
    """A node's connection, and `by_hand`, the same as an argv of ssh.

    known_hosts has its key under `host_key_name` and `host_key_port`; `become`: it becomes root by sudo.
    """

    hostname: str
    port: int
    user: str
    by_hand: tuple[str, ...]
    host_key_name: str
    host_key_port: int
    keys: tuple[str, ...]
    known_hosts: tuple[str, ...]
    proxy_argv: tuple[str, ...] = ()
    use_agent: bool = True
    become: bool = False
    password: str | None = field(default=None, repr=False)
    become_password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, node: Node, ssh_config: Path | None, asked: Passwords = NOT_ASKED) -> Target:
        """Return the target of a node.

        Raises InputError for a variable that cannot be honoured, ConnectionLostError where ssh refuses its own
        configuration.
        """
        try:
            return cls._of(node, ssh_config, asked)
        except (ValueError, OSError) as error:  # words that are not quoted to their end, a path that is too long
            raise InputError(f"{node.name}: what ssh says of it cannot be used: {error}.") from error

    @classmethod
    def _of(cls, node: Node, ssh_config: Path | None, asked: Passwords) -> Target:
        own = node.variables
        given = _value(own, "ansible_host", "ansible_ssh_host")
        host = node.name if given is None else given
        if not _HOST.fullmatch(host):
            raise InputError(f"{node.name}: ansible_host {host!r} is not the name or address of a host.")
        options = [*(["-F", str(ssh_config)] if ssh_config else []), *_options(node.name, own)]
        seen = _resolved(node.name, [*options, "--", host])
        hostname, port = _first(seen, "hostname", host), int(_first(seen, "port", "22"))
        for name, known in _ONLY.items():
            if str(own.get(name, known[0])) not in known:
                raise InputError(f"{node.name}: {name} {own[name]!r} cannot be used here; only {known[0]} can.")
        user = _first(seen, "user", "root")
        alias = _first(seen, "hostkeyalias", "")
        return cls(
            hostname=hostname,
            port=port,
            user=user,
            by_hand=("ssh", *options, host),
            host_key_name=alias or hostname,
            host_key_port=SSH_PORT if alias else port,  # an alias stands in known_hosts without a port
            keys=tuple(path for path in map(_expanded, seen.get("identityfile", [])) if Path(path).exists()),
            known_hosts=tuple(
                _expanded(path)
                for name in ("userknownhostsfile", "globalknownhostsfile")
                for path in shlex.split(_first(seen, name, ""))
            ),
            proxy_argv=_proxy(seen, _config(options), hostname, port, user),
            use_agent=_first(seen, "identitiesonly", "no") != "yes",
            become=_truth(own.get("ansible_become", False)) and user != "root",
            password=_value(own, "ansible_password", "ansible_ssh_password", "ansible_ssh_pass") or asked.login,
            become_password=_value(own, "ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
            or asked.become,
        )

    def open_socket(self, timeout_s: float, complaints: IO[bytes] | None = None) -> socket.socket:
        """Return a connected socket, by way of the proxy where there is one; what that says goes to `complaints`.

        Raises OSError.
        """
        if not self.proxy_argv:
            direct = socket.create_connection((self.hostname, self.port), timeout_s)
            direct.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_S * 1000)
            return direct
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                list(self.proxy_argv),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=complaints or subprocess.DEVNULL,
                start_new_session=True,
            )
        process.returncode = 0  # ends by itself when its socket closes
        return ours


def _options(node: str, own: Mapping[str, object]) -> list[str]:
    """Return what Ansible's variables add to ssh's command line, in Ansible's order: ssh takes the first of a kind."""
    words: list[str] = []
    for names, option in _SSH_OPTION_OF.items():
        value = _value(own, *names)
        words += [option, value] if value else []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        try:
            words += shlex.split(str(own.get(name, "")))
        except ValueError as error:
            raise InputError(f"{node}: {name} {own[name]!r} are no words of a command line: {error}.") from error
    return words


def _config(words: list[str]) -> list[str]:
    """Return the option that names ssh's configuration file, of several the last: ssh hands it to its jump hosts."""
    try:
        options, _ = getopt.gnu_getopt(words, SSH_OPTIONS)
    except getopt.GetoptError:  # an option that only a newer ssh knows
        return []
    return [word for option in options if option[0] == "-F" for word in option][-2:]


def _resolved(name: str, words: list[str]) -> dict[str, list[str]]:
    """Return what `ssh -G` makes of a command line: each keyword's values, in lower case."""
    try:
        done = subprocess.run(
            ["ssh", "-G", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ConnectionLostError(f"ssh is not installed; {remedy('ssh')}.") from error
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
        return ("ssh", *config, *through, "-o", "BatchMode=yes", *ALIVE, "-W", f"[{hostname}]:{port}", f"ssh://{last}")
    command = _first(seen, "proxycommand", "none")
    if command == "none":
        return ()
    tokens = {"%h": hostname, "%p": str(port), "%r": user, "%n": hostname, "%%": "%"}
    return tuple(re.sub("%[hprn%]", lambda found: tokens[found[0]], word) for word in shlex.split(command))


def _first(seen: Mapping[str, list[str]], keyword: str, default: str) -> str:
    return seen.get(keyword, [default])[0]


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _value(own: Mapping[str, object], *names: str) -> str | None:
    """Return the first of these variables that is set, as text."""
    return next((str(own[name]) for name in names if own.get(name) is not None), None)


def _truth(value: object) -> bool:
    """Return a variable of an inventory as Ansible's `bool` filter has it."""
    return str(value).lower() in ("true", "yes", "on", "1")
