"""Tests of `actors.live.data_dir`: making, opening and refusing data directories."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors.live.data_dir import MANIFEST, DataDir, Manifest, is_data_dir, read_manifest
from actors.live.errors import RefusedError
from actors.store.errors import FormatError, InUseError, NoSpaceError, StoreError
from house import CHECKOUT

SHOP = Manifest("shop", 4, salt="s", zone="Europe/Berlin", engine="0.1")


def test_what_it_was_made_with_is_found_again(tmp_path: Path) -> None:
    with DataDir.create(tmp_path / "d", SHOP) as made:
        instance = made.manifest.instance
    with DataDir.open(tmp_path / "d") as data:
        found = data.manifest
        assert (found.tenant, found.partitions, found.salt, found.zone) == (
            *("shop", 4, "s", "Europe/Berlin"),
        )
        assert found.instance == instance
        assert len(instance) == 32
        assert data.partition(7) == tmp_path / "d/partitions/007"
        assert data.people(12) == tmp_path / "d/people/012"
        assert data.socket == tmp_path / "d/headrace.sock"
        assert data.control.is_dir()
    text = json.loads((tmp_path / "d" / MANIFEST).read_text())
    assert text["headrace_data"] == 1
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "d" / MANIFEST).stat().st_mode) == 0o600


def test_two_directories_of_one_tenant_differ(tmp_path: Path) -> None:
    found = set()
    for name in ("a", "b"):
        with DataDir.create(tmp_path / name, SHOP) as data:
            found.add(data.manifest.instance)
    assert len(found) == 2


def test_one_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    code = (
        "from actors.live.data_dir import DataDir\nimport sys\n"
        f"data = DataDir.open({str(tmp_path)!r})\nprint('open', flush=True)\nsys.stdin.read()"
    )
    DataDir.create(tmp_path, SHOP).close()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(InUseError, match=f"in use by process {other.pid}"):
            DataDir.open(tmp_path)
        other.kill()
    DataDir.open(tmp_path).close()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (Manifest("", 1), "1 to 200 characters"),
        (Manifest("x" * 201, 1), "1 to 200 characters"),
        (Manifest("t", 0), "0 partitions: expected 1 to 1,000"),
        (Manifest("t", 1001), "1001 partitions"),
        (Manifest("t", 1, zone="Europe/Atlantis"), "no time zone 'Europe/Atlantis'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_made(
    tmp_path: Path, manifest: Manifest, message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        DataDir.create(tmp_path / "d", manifest)
    assert not (tmp_path / "d").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FormatError, match=r"holds no data directory: there is 'thesis.txt'"):
        DataDir.create(tmp_path, SHOP)
    with pytest.raises(FormatError, match="there is no data directory here"):
        DataDir.open(tmp_path)
    assert not is_data_dir(tmp_path)


def test_a_creation_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / ".headrace.json.123.part").write_text("{")
    DataDir.create(tmp_path, SHOP).close()
    with pytest.raises(FormatError, match="there is a data directory here already"):
        DataDir.create(tmp_path, SHOP)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not say what the folder holds"),
        ("[]", "does not say what the folder holds"),
        ('{"headrace_data": 2}', "format version 2; this release reads 1"),
        ('{"headrace_data": 1, "tenant": "t", "partitions": 0}', "cannot be: 0 partitions"),
        ('{"headrace_data": 1, "tenant": 5, "partitions": 1}', "cannot be"),
        ('{"headrace_data": 1, "tenant": "t", "partitions": 1, "x": 1}', "does not say"),
    ],
)
def test_another_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        DataDir.open(tmp_path)
    assert caught.value.advice


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpaceError, match="no room"):
        DataDir.create(tmp_path / "d", SHOP)
    monkeypatch.undo()
    DataDir.create(tmp_path / "d", SHOP).close()
    assert read_manifest(tmp_path / "d").tenant == "shop"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_missing_right_is_told(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="permission denied"):
        DataDir.create(tmp_path / "d", SHOP)
