"""Scenario 8: readers elsewhere are killed; their places and the pages they held come back."""

import subprocess
import sys
from pathlib import Path

import pytest

from actors.store.partition import Partition
from store_work import SOURCE

READERS = 200
EACH = 50
READ = """
import lmdb, os, signal, sys
environment = lmdb.open(sys.argv[1], readonly=True, max_dbs=6, lib_version=0)
held = [environment.begin() for _ in range(int(sys.argv[2]))]
os.kill(os.getpid(), signal.SIGKILL)
"""


def used_bytes(partition: Partition) -> int:
    """The length of the used part of the file."""
    with partition.environment.using() as environment:
        return (int(environment.info()["last_pgno"]) + 1) * 4096


def turn_over(partition: Partition, count: int) -> None:
    """Commits and trims, so that the same pages are used over and over."""
    for _ in range(count):
        number = partition.commit(bytes(8000), (), {SOURCE: partition.head.journal_last + 1})
        if number % 10 == 0:
            writer = partition.begin_snapshot()
            writer.flip()
            partition.trim_journal(number)


def test_killed_readers_do_not_make_the_file_grow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Partition.open(tmp_path / "p", create=True) as partition:
        turn_over(partition, 40)
        before = used_bytes(partition)
        cleared = 0
        for _ in range(READERS // EACH):
            command = [sys.executable, "-c", READ, str(tmp_path / "p"), str(EACH)]
            assert subprocess.run(command, check=False).returncode == -9
            cleared += partition.tend()
            turn_over(partition, 40)
        assert cleared == READERS
        after = used_bytes(partition)
        assert after <= 2 * before
    with capsys.disabled():
        print(f"\nscenario 8: {READERS} readers killed, file {before:,} to {after:,} bytes")
