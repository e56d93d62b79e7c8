"""What an interrupted playbook left at work on a node ends before the next one changes anything there."""

import pytest

from tests.lab.bench import Bench, done

pytestmark = pytest.mark.lab

WAITED = "/run/somebody-waited"
AT_WORK = f"""
import glob, pathlib, socket, sys, time
turn = socket.socket(socket.AF_UNIX)
turn.bind("\\0vxlan-harness-module")
seen = 0
while seen < 80:  # somebody has been waiting for eight seconds, many times what a module takes
    lines = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            lines.append(pathlib.Path(path).read_bytes())
        except OSError:
            pass
    seen += any(b"AnsiballZ_netstate" in line for line in lines)
    time.sleep(0.1)
pathlib.Path("{WAITED}").touch()
"""


def test_a_playbook_waits_for_what_is_still_at_work(bench: Bench) -> None:
    before = bench.snapshot()
    done(bench.server, "sh", "-c", 'python3 -c "$1" >/dev/null 2>&1 </dev/null &', "sh", AT_WORK)
    bench.play("apply", ["vxlan"])
    done(bench.server, "rm", WAITED)  # not there where the playbook did not wait
    bench.play("teardown", ["vxlan"])
    assert bench.changes(before) == []
