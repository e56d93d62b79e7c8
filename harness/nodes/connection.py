"""Opening an SSH connection: strict about host keys, and with a reason that says what to do where it fails."""

from __future__ import annotations

import logging
import shlex
import tempfile
from pathlib import Path

import paramiko

from harness.model.errors import ConnectionLostError
from harness.nodes.channel import BROKEN
from harness.nodes.target import Target

CONNECT_TIMEOUT_S = 20.0
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its threads print tracebacks of their own


def open_client(name: str, target: Target) -> paramiko.SSHClient:
    """Return a connected client; raises ConnectionLostError that says why node `name` cannot be reached."""
    client = paramiko.SSHClient()
    for path in target.known_hosts:
        if Path(path).exists():
            client.load_host_keys(path)
    client.set_missing_host_key_policy(_Refuse())
    with tempfile.TemporaryFile() as complaints:
        try:
            client.connect(
                target.host_key_name,
                port=target.host_key_port,
                username=target.user,
                password=target.password,
                key_filename=list(target.keys) or None,  # type: ignore[arg-type] # the stubs know one, it takes a list
                allow_agent=target.use_agent,
                look_for_keys=False,  # `ssh -G` has named them
                sock=target.open_socket(CONNECT_TIMEOUT_S, complaints),
                timeout=CONNECT_TIMEOUT_S,
                banner_timeout=CONNECT_TIMEOUT_S,
                auth_timeout=CONNECT_TIMEOUT_S,
            )
        except BROKEN as error:
            client.close()
            complaints.seek(0)
            said = " ".join(complaints.read().decode("utf-8", "replace").split())[-200:]
            raise ConnectionLostError(
                f"cannot connect to {name} ({target.hostname}): {_reason(error, target, said)}."
            ) from error
    return client


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Host-key checking is always strict: an unknown key is shown, never taken."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise _UnknownKeyError(f"its {key.get_name()} host key {key.fingerprint} is not in known_hosts")


class _UnknownKeyError(paramiko.SSHException):
    """A host key that nobody has accepted yet."""


def _reason(error: Exception, target: Target, said: str) -> str:
    """Return why a connection failed, in words that say what to do; `said` is what a proxy command had to say."""
    by_hand = shlex.join(target.by_hand)
    if isinstance(error, _UnknownKeyError):
        return f"{error}; if that is the host's own, `{by_hand}` asks and accepts it"
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"its host key {error.key.fingerprint} is not the one in known_hosts ({error.expected_key.fingerprint}); "
            "if the host was installed anew, remove the old one with ssh-keygen -R"
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return f"a key of {', '.join(target.keys)} has a passphrase; `ssh-add` it"
    if isinstance(error, paramiko.AuthenticationException):
        password = " or the password" if target.password else ""
        keys = ", ".join(target.keys) or "(none)"
        return f"it does not accept user {target.user} with the keys {keys}{password}; try `{by_hand}` first"
    return f"{(said or _words(error)).rstrip('.')}; try `{by_hand}` first"


def _words(error: Exception) -> str:
    """Return what an error says, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or "it hung up"
