"""A Vagrant box for libvirt, made from Debian packages: `python -m tests.vagrant.box BOX`, as root.

The box is as bare as a public one: a kernel, sshd, sudo, Python. What a run needs on top lies in it as a package
repository and is not installed, so that provisioning installs it in earnest where no network reaches.
Mounts are made in a namespace of this process, so they are gone with it, however it ends.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from harness.measures.registry import MEASURES, programs

REPO = Path(__file__).resolve().parents[2]
PLAYBOOKS = ("install.yml", "provision.yml")
SYSTEM = """
linux-image-amd64 grub-pc-bin grub2-common systemd-sysv dbus udev kmod ifupdown isc-dhcp-client openssh-server sudo
python3 python3-apt iproute2
""".split()
REPOSITORY = "srv/packages"
SIZE_GIB = 6
SECTOR = 512
FIRST_SECTOR = 2048
"""Where the one partition begins; the boot loader fits in before it."""
_BOOT_CODE_BYTES = 440
"""The partition table's signature and entries follow the boot code in the first sector."""

_GRUB = """
set timeout=0
linux /vmlinuz root=LABEL=root ro net.ifnames=0 biosdevname=0 console=ttyS0
initrd /initrd.img
boot
"""
_INTERFACES = """
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet dhcp
"""
FILES = {
    "boot/grub/grub.cfg": _GRUB,
    "etc/network/interfaces": _INTERFACES,
    "etc/fstab": "LABEL=root / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": "box\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 box\n::1 localhost\n",
    "etc/machine-id": "",
    "etc/ssh/sshd_config.d/box.conf": "UseDNS no\n",
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
    "etc/apt/sources.list": f"deb [trusted=yes] file:/{REPOSITORY} ./\n",
    # Ubuntu and Debian make them when sshd is installed; two machines from one box must not share them.
    "etc/systemd/system/ssh.service.d/keys.conf": "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n",
}


def wanted_packages() -> list[str]:
    """Return what our playbooks install on a node."""
    names: list[str] = []
    for playbook in PLAYBOOKS:
        waiting = yaml.safe_load((REPO / "playbooks" / playbook).read_text(encoding="utf-8"))
        while waiting:
            entry = waiting.pop()
            waiting += [*entry.get("tasks", []), *entry.get("block", [])]
            listed = entry.get("ansible.builtin.apt", {}).get("name", [])
            names += listed if isinstance(listed, list) else []  # those of the measures are known by the registry
    return sorted({*names, *(program.package for program in programs(MEASURES).values())})


def run(argv: Sequence[str | Path], **how: str) -> str:
    """Run a program to its end and return its standard output; raises SystemExit with its own words."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=os.environ | how
    )
    if done.returncode != 0:
        raise SystemExit(f"box: `{' '.join(map(str, argv))}` failed:\n{done.stderr[-4000:] or done.stdout[-4000:]}")
    return done.stdout


def sources() -> list[str]:
    """Return this machine's own Debian package sources as lines of a sources.list."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = run(["apt-get", "indextargets", "--format", form, "Identifier: Packages"]).splitlines()
    ours = [line for line in lines if line.split()[1].partition("-")[0] == codename]
    if not ours:
        raise SystemExit(f"box: apt has no package source for {codename} on this machine.")
    return [f"deb {line}" for line in dict.fromkeys(ours)]


def apt_options() -> list[str]:
    """Return how this machine's apt reaches its sources (proxies) and judges their dates, as options of mmdebstrap."""
    lines = run(["apt-config", "dump", "Acquire"]).splitlines()
    kept = [line for line in lines if line.startswith(("Acquire::http", "Acquire::https", "Acquire::Check-"))]
    return [f"--aptopt={line}" for line in kept]


@contextmanager
def mounted(image: Path, root: Path) -> Iterator[None]:
    """Have the image's file system at `root`; the loop device goes with the mount."""
    run(["mount", "-o", f"loop,offset={FIRST_SECTOR * SECTOR}", image, root])
    try:
        yield
    finally:
        run(["umount", root])


def make_disk(image: Path) -> None:
    """Make a sparse disk with one bootable partition and an empty file system in it."""
    with image.open("wb") as file:
        file.truncate(SIZE_GIB << 30)
    table = f"label: dos\nstart={FIRST_SECTOR}, type=83, bootable\n"
    subprocess.run(["sfdisk", "--quiet", image], input=table, text=True, check=True)
    offset = FIRST_SECTOR * SECTOR
    blocks = ((SIZE_GIB << 30) - offset) // 4096
    # Older GRUBs cannot read what newer mkfs.ext4 switches on.
    features = (
        "^metadata_csum_seed,^orphan_file" if "orphan_file" in Path("/etc/mke2fs.conf").read_text("utf-8") else ""
    )
    extra = ["-O", features] if features else []
    run(["mkfs.ext4", "-q", "-b", "4096", "-L", "root", *extra, "-E", f"offset={offset}", image, str(blocks)])


def install_system(root: Path, public_key: str) -> None:
    """Fill the file system: Debian, the package repository, the user and what makes it boot."""
    fetch = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get install --yes --download-only --no-install-recommends '
    run([
        "mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(SYSTEM)}", *apt_options(),
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*", "--skip=cleanup/apt",
        f"--customize-hook={fetch} {' '.join(wanted_packages())}",
        platform.freedesktop_os_release()["VERSION_CODENAME"], root, *sources(),
    ])  # fmt: skip
    make_repository(root)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "etc/sudoers.d/vagrant").chmod(0o440)
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    run(["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", "vagrant"])
    keys = root / "home/vagrant/.ssh/authorized_keys"
    keys.parent.mkdir(mode=0o700)
    keys.write_text(public_key, encoding="utf-8")
    run(["chroot", root, "chown", "-R", "vagrant:vagrant", "/home/vagrant/.ssh"])


def make_repository(root: Path) -> None:
    """Move what apt fetched without installing it into a repository that apt can read, and forget apt's own lists."""
    repository = root / REPOSITORY
    repository.mkdir(parents=True)
    installed = set(run(["chroot", root, "dpkg-query", "-W", "-f", "${Package}=${Version}\n"]).split())
    entries = []
    for path in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        control = run(["dpkg-deb", "--field", path])
        name, version = (run(["dpkg-deb", "--field", path, field]).strip() for field in ("Package", "Version"))
        if f"{name}={version}" in installed:
            path.unlink()
            continue
        digest = run(["sha256sum", path]).split()[0]
        entries.append(f"{control.strip()}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n")
        shutil.move(path, repository / path.name)
    (repository / "Packages").write_text("\n".join(entries), encoding="utf-8")
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)  # how this machine reaches its sources


def install_boot_loader(image: Path, root: Path) -> bytes:
    """Return GRUB's first stage and core for the disk's first sectors, made by the system's own GRUB."""
    core = root / "tmp/core.img"
    modules = "biosdisk part_msdos ext2 normal linux configfile".split()
    run([
        "chroot", root, "grub-mkimage", "--format=i386-pc", "--prefix=(hd0,msdos1)/boot/grub", "--output=/tmp/core.img",
        *modules,
    ])  # fmt: skip
    first = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()
    both = first[:_BOOT_CODE_BYTES].ljust(SECTOR, b"\0") + core.read_bytes()
    core.unlink()
    if len(both) > FIRST_SECTOR * SECTOR:
        raise SystemExit(f"box: GRUB's core of {len(both)} bytes does not fit before the partition of {image}.")
    return both


def write_boot_loader(image: Path, sectors: bytes) -> None:
    """Write the boot loader, leaving the partition table in the first sector as it is."""
    with image.open("r+b") as file:
        file.write(sectors[:_BOOT_CODE_BYTES])
        file.seek(SECTOR)
        file.write(sectors[SECTOR:])


def pack(image: Path, work: Path, box: Path) -> None:
    """Make the box from the disk: compressed, with its metadata."""
    disk = work / "box.img"
    run(["qemu-img", "convert", "-c", "-O", "qcow2", image, disk])
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": SIZE_GIB}
    (work / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (work / "Vagrantfile").write_text('Vagrant.configure("2") { |config| }\n', encoding="utf-8")
    partial = box.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:  # the disk is compressed already
        for name in ("metadata.json", "Vagrantfile", "box.img"):
            archive.add(work / name, name)
    partial.rename(box)


def main() -> None:
    """Build the box that argv names, and beside it the key that opens it."""
    box = Path(sys.argv[1])
    key = box.with_suffix(".key")
    for path in (key, key.with_suffix(".key.pub")):
        path.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "key of a test box", "-f", key])
    with tempfile.TemporaryDirectory(dir=box.parent, prefix="build-") as folder:
        work = Path(folder)
        image, root = work / "disk", work / "root"
        root.mkdir()
        make_disk(image)
        with mounted(image, root):
            install_system(root, key.with_suffix(".key.pub").read_text("utf-8"))
            sectors = install_boot_loader(image, root)
            for path in (root / "var/cache/apt").glob("*.bin"):
                path.unlink()
        write_boot_loader(image, sectors)
        pack(image, work, box)


if __name__ == "__main__":
    main()
