"""Checks what verification finds, how it is printed, and its exit statuses."""

import shutil
from pathlib import Path

import pytest

from actors.store.errors import StoreError
from actors.store.partition import Partition
from actors.store.side_file import SideFile
from actors.store.verify import Finding, main, verify
from store_work import fill


def test_a_sound_partition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "p", 20)
    report = verify(tmp_path / "p")
    assert report.sound
    assert report.findings[1:] == (
        Finding("commit sequence", True, "transaction 30, 30 beside it"),
        Finding("journal", True, "20 records from 1 on, 4,000 bytes"),
        Finding("outbox", True, "16 blocks with 32 effects"),
        Finding("cursors", True, "1 sources"),
        Finding("relay", True, "at commit 1, 2 rows"),
        Finding("snapshot", True, "2 slices, 10,008 bytes, of journal record 14"),
    )
    assert main([str(tmp_path / "p")]) == 0
    printed = capsys.readouterr().out
    assert "20 records from 1 on, 4,000 bytes" in printed
    assert "DAMAGED" not in printed


def test_a_damaged_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "p", 20)
    data = bytearray((tmp_path / "p" / "data.mdb").read_bytes())
    place = 0
    while (place := data.find(b"input 17;", place + 1)) > 0:
        data[place] ^= 1
    (tmp_path / "p" / "data.mdb").write_bytes(data)
    report = verify(tmp_path / "p")
    assert report.first_problem == (
        "journal: journal record 0000000000000011: the record does not match its checksum"
    )
    assert main([str(tmp_path / "p")]) == 1
    assert "DAMAGED" in capsys.readouterr().out


def test_a_vanished_transaction(tmp_path: Path) -> None:
    fill(tmp_path / "p", 3)
    side = SideFile(tmp_path / "p" / "commits")
    side.write(side.number + 2)
    side.close()
    problem = verify(tmp_path / "p").first_problem
    assert "the last 2 transactions are gone" in problem


def test_without_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "there is no partition here" in capsys.readouterr().err
    with (
        Partition.open(tmp_path / "p", create=True),
        pytest.raises(StoreError, match="is open in process"),
    ):
        verify(tmp_path / "p")


def test_a_process_that_dies_of_it_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "p", 1)
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -BUS $$\n")
    killer.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(killer))
    assert shutil.which("sh") is not None
    problem = verify(tmp_path / "p").first_problem
    assert problem == "records: reading it killed the process: SIGBUS"
