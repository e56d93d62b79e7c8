"""A libvirtd of our own, in namespaces of its own: networks, processes and mounts go when its holder ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.labs.process import ProcessId, child_of
from tests.proving import Raised

START_TIMEOUT_S = 60.0
_HOLDER = """
set -e
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mount -t tmpfs tmpfs "$folder"
done
for file in passwd group; do
    { cat "/etc/$file"; grep -q ^libvirt-qemu: "/etc/$file" || echo "libvirt-qemu:x:64055:$2"; } >"/run/$file"
    mount --bind "/run/$file" "/etc/$file"
    set -- "$1" ""
done
mkdir -p /run/home /run/tmp /var/lib/libvirt/images "$1/images"
mount --bind "$1/images" /var/lib/libvirt/images
hostname hypervisor
ip link set lo up
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""
_REST_OF_ENTRY = "64055::/nonexistent:/usr/sbin/nologin"
# Why: what libvirt keeps is its namespace's own, except for the machines' disks, which are too large for memory.
# Debian's libvirtd asks for the user libvirt-qemu before it reads that it shall not use it; the package that makes that
# user would make libvirtd a service of this machine as well.
# SIGCHLD ignored makes the kernel reap whatever is orphaned.
FOLDERS = tuple(Path(name) for name in "/etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt".split())

# As root without security drivers, cgroups, mount namespaces or virtlogd: there is neither an init system nor a second
# user in there, and the namespaces around it are the fence.
_QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
"""
_LIBVIRTD_CONF = """
auth_unix_rw = "none"
"""


class Hypervisor(Raised):
    """Namespaces with a libvirtd in them. `work` holds what is too large for memory; the caller removes it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._made = [folder for folder in FOLDERS if not folder.exists()]
        self._holder: ProcessId | None = None
        self._inside: ProcessId | None = None

    def bring_up(self) -> None:
        """Hold namespaces, and start libvirtd in them."""
        self._hold()
        self._start_libvirtd()

    def argv(self, words: Sequence[str | Path]) -> list[str]:
        """Return an argv that runs another one inside."""
        if self._inside is None:
            raise RuntimeError("the hypervisor is not up")
        enter = f"nsenter --target {self._inside.pid} --net --mount --uts --ipc --pid".split()
        return [*enter, f"--wdns={Path.cwd()}", "--", *map(str, words)]

    def environment(self) -> dict[str, str]:
        """Return the environment of everything that runs inside: this one's path and nothing else of it."""
        # Sockets go below /run: a socket's path has at most 107 bytes, and the checkout's may be long.
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/run/home",
            "TMPDIR": "/run/tmp",
            "LC_ALL": "C.UTF-8",
            "VAGRANT_HOME": str(self.work / "home"),
            "VAGRANT_DOTFILE_PATH": str(self.work / "dot"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        }

    def namespaces(self) -> set[str]:
        """Return the names of the namespaces, as /proc has them."""
        if self._inside is None:
            return set()
        own = Path(f"/proc/{self._inside.pid}/ns")
        return {str((own / name).readlink()) for name in ("net", "mnt", "pid")}

    def end(self) -> None:
        """End everything inside; doing it twice does no harm."""
        for process in (self._holder, self._inside):  # the first process of a PID namespace takes all others with it
            if process is not None and not process.kill(timeout_s=30):
                raise RuntimeError(f"process {process.pid} does not end")
        self._holder = self._inside = None
        for folder in self._made:
            if folder.is_dir():
                folder.rmdir()  # only where a mount was; it must be empty

    def _hold(self) -> None:
        for folder in self._made:
            folder.mkdir(parents=True, exist_ok=True)
        unshare = (
            "setpriv --pdeathsig KILL unshare --net --mount --uts --ipc --pid --fork --kill-child=KILL --mount-proc"
        )
        process = subprocess.Popen(
            [*unshare.split(), "sh", "-c", _HOLDER, "sh", str(self.work), _REST_OF_ENTRY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at the terminal is this program's to handle
        )
        process.returncode = 0  # known by pid and start time from here on
        self._holder = ProcessId.of(process.pid)
        with process.stdout if process.stdout is not None else open(os.devnull) as output:  # noqa: PTH123
            if output.readline().strip() != "ready":
                raise RuntimeError("the hypervisor's namespaces could not be made")
        inside = child_of(process.pid)
        if inside is None:
            raise RuntimeError("the hypervisor's namespaces ended at once")
        self._inside = ProcessId.of(inside)

    def _start_libvirtd(self) -> None:
        if self._inside is None:
            raise RuntimeError("the hypervisor is not up")
        root = Path(f"/proc/{self._inside.pid}/root")
        for name, text in (("qemu.conf", _QEMU_CONF), ("libvirtd.conf", _LIBVIRTD_CONF)):
            (root / "etc/libvirt" / name).write_text(text, encoding="utf-8")
        with (self.work / "libvirtd.log").open("w") as log:
            process = subprocess.Popen(
                self.argv(["libvirtd"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(
            self.argv(["virsh", "--connect", "qemu:///system", "version"]), capture_output=True, check=False
        ).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"libvirtd does not answer; see {self.work / 'libvirtd.log'}")
            time.sleep(0.5)
        process.returncode = 0  # ends with its PID namespace
