"""Ctrl-C, SIGTERM and SIGHUP stop a run, but never its clean-up; afterwards they mean what they meant before."""

import os
import signal

import pytest

from harness.run.interrupt import SIGNALS, Interruption


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    signal.sigpending()  # the handler runs on the way back from any call


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_interrupts(number: signal.Signals) -> None:
    interruption = Interruption()
    with interruption.installed(), pytest.raises(KeyboardInterrupt):
        send(number)
    assert interruption.requested


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_only_noted_while_shielded(number: signal.Signals) -> None:
    told: list[str] = []
    interruption = Interruption(lambda: told.append("cleaning up"))
    finished = False
    with interruption.installed(), interruption.shielded():
        send(number)
        send(number)
        finished = True
    assert finished
    assert interruption.requested
    assert told == ["cleaning up"] * 2


def test_shields_nest() -> None:
    interruption = Interruption()
    with interruption.installed():
        with interruption.shielded():
            with interruption.shielded():
                send(signal.SIGINT)
            send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_shield_ends_with_an_error_within_it() -> None:
    interruption = Interruption()
    with interruption.installed():
        with pytest.raises(ValueError, match="broken"), interruption.shielded():
            raise ValueError("broken")
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)


def test_noted_signal_is_not_raised_later() -> None:
    interruption = Interruption()
    with interruption.installed():
        with interruption.shielded():
            send(signal.SIGINT)
        assert interruption.requested


def test_nothing_was_requested_at_first() -> None:
    interruption = Interruption()
    with interruption.installed(), interruption.shielded():
        assert not interruption.requested


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_handlers_are_put_back(error: type[BaseException] | None) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with Interruption().installed():
            assert all(signal.getsignal(number) not in before for number in SIGNALS)
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_hangup_that_was_ignored_stays_ignored() -> None:
    """What `nohup` asks for: closing the terminal must not end the run."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupted = False
    try:
        with Interruption().installed():
            send(signal.SIGHUP)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not interrupted
