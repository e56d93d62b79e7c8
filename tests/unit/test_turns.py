"""One module at a time changes a node: what an interrupted playbook left at work ends before a teardown begins."""

import os
import subprocess
import sys

import pytest

from tests.unit.on_node import module_utils

node_module = module_utils("harness_node")
HOLDS = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + sys.argv[1]); print(flush=True); input()"
)


@pytest.fixture
def name() -> str:
    return f"vxlan-harness-test-{os.getpid()}"


def test_a_turn_is_waited_for(name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(node_module.NodeError, match="an earlier playbook is still changing this node; wait until"):
            node_module.take_turn(f"\0{name}", 0.0)
        other.kill()  # not closed by its own hand: the kernel gives it up
    with node_module.take_turn(f"\0{name}", 0.0), pytest.raises(node_module.NodeError):
        node_module.take_turn(f"\0{name}", 0.0)


def test_who_waits_gets_it_when_the_other_ends(name: str) -> None:
    ends = "import time; time.sleep(.5)"
    program = HOLDS.replace("input()", ends)
    with subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        node_module.take_turn(f"\0{name}", 30.0).close()
        assert other.wait() == 0


def test_no_program_that_is_started_keeps_it(name: str) -> None:
    with node_module.take_turn(f"\0{name}", 0.0):
        daemon = subprocess.Popen(["sleep", "60"])
    try:
        node_module.take_turn(f"\0{name}", 0.0).close()
    finally:
        daemon.kill()
        daemon.wait()
