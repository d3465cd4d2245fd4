"""Scenario 10: forcing data to the disk fails. The store halts; what was acknowledged is there."""

import shutil
import subprocess
from pathlib import Path

import pytest

from actors import failpoints
from actors.store.errors import HaltedError
from actors.store.partition import Partition
from store_work import check, command, commit, environment


def commit_many(partition: Partition) -> None:
    """Commits so much that the file has to grow."""
    for number in range(2, 100):
        commit(partition, number, 100_000)


@pytest.mark.parametrize("point", ["in_transaction", "side_file", "reserve"])
def test_an_io_error_halts_for_good(tmp_path: Path, point: str) -> None:
    with Partition.open(tmp_path / "p", create=True) as partition:
        commit(partition, 1)
        failpoints.arm(point, "eio")
        try:
            with pytest.raises(HaltedError, match="Input/output error"):
                commit_many(partition)
        finally:
            failpoints.disarm()
        told = partition.head.journal_last
        # Nothing is tried again on what may be false in the page cache, not even reading.
        with pytest.raises(HaltedError):
            commit(partition, told + 1)
        with pytest.raises(HaltedError):
            list(partition.journal())
        with pytest.raises(HaltedError):
            partition.tend()
    with Partition.open(tmp_path / "p") as partition:
        stored = partition.head.journal_last - told
        assert stored == (1 if point == "side_file" else 0)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_an_io_error_of_the_system_halts(
    tmp_path: Path, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    halted = 0
    for when in (30, 31, 32):
        folder = tmp_path / f"{when}"
        inject = [strace, "-f", "-o", "/dev/null", "-e", f"inject={call}:error=EIO:when={when}"]
        done = subprocess.run(
            [*inject, *command(folder, 40)],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if "ptrace" in done.stderr:
            pytest.skip("strace may not trace here")
        assert done.returncode == 1
        assert "HaltedError" in done.stderr
        halted += 1
        acked = int(done.stdout.split()[-1])
        with Partition.open(folder) as partition:
            assert acked <= check(partition) <= acked + 1
    with capsys.disabled():
        print(f"\nscenario 10: {call} failed {halted} times, halted {halted} times, lost 0")
