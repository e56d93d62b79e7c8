"""Files of results: whole or not at all, whoever called sudo owns them, and a full disk is one sentence."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from harness.model.errors import InputError, StorageError
from harness.results import files
from harness.results.schema import Columns
from harness.results.store import RunFolder

COLUMNS = Columns.of_measures(["ping"], ["mtu"])
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil has it


@pytest.fixture(name="full")
def disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.usefixtures("full")
def test_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text("head\nrow\n", encoding="utf-8")
    for store in (files.append, files.write):
        with pytest.raises(StorageError, match=r"trials\.csv cannot be written: No space left on device"):
            store(path, "half a row")
        assert path.read_text(encoding="utf-8") == "head\nrow\n"
    assert [*tmp_path.iterdir()] == [path]


def test_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ["vxlan"], COLUMNS)
    shutil.rmtree(folder.path)
    for store in (files.append, files.write):
        with pytest.raises(StorageError, match="cannot be written: No such file or directory"):
            store(folder.path / "trials.csv", "")
    folder.discard_if_empty()


def test_room_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(9, 9, 3_000_000))
    with pytest.raises(InputError, match="only 3 MB are free there, and results may need 50"):
        RunFolder.create(tmp_path / "results", ["vxlan"], COLUMNS)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_belong_to_who_called_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "2001")
    monkeypatch.setenv("SUDO_GID", "2002")
    folder = RunFolder.create(tmp_path / "results" / "deeper", ["vxlan"], COLUMNS)
    folder.write_json("raw/x.json", {})
    made = [tmp_path / "results", *(tmp_path / "results").rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(2001, 2002)}
    assert tmp_path.stat().st_uid == 0, "what was there before stays whose it was"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder = RunFolder.create(tmp_path, ["vxlan"], COLUMNS)
    finally:
        os.umask(before)
    assert (folder.path / "trials.csv").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (folder.path / "raw").stat().st_mode & 0o777 == 0o777 & ~mask


def test_signal_while_a_folder_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_path: Path, _text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(tmp_path, ["vxlan"], COLUMNS)
    assert [*tmp_path.iterdir()] == []
