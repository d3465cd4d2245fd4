"""Scenario 1: a writer killed at random moments, and at every point where it may be in between."""

import itertools
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from actors.store.partition import Partition
from actors.store.verify import verify
from store_work import check, start

COMMITS = 7
# Points at which a commit may be stored although nobody was told.
UNKNOWN = ("after_transaction", "side_file", "before_acknowledgement")
POINTS = ("before_transaction", "in_transaction", *UNKNOWN, "snapshot_slice", "snapshot_flip")
# The others are passed by every transaction: an opening, the commits, and four of a snapshot.
PASSAGES = {"snapshot_slice": 2, "snapshot_flip": 1}


def acknowledged(output: str, before: int) -> int:
    """The last whole line; a torn one was not read by anybody."""
    lines = output.split("\n")[:-1]
    return int(lines[-1]) if lines else before


@pytest.mark.parametrize("kills", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_random_kills_lose_nothing_that_was_acknowledged(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    acked = last = 0
    for _ in range(kills):
        writer = start(tmp_path / "p", 100_000)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(generator.uniform(0, 0.06))
        writer.send_signal(signal.SIGKILL)
        output, _ = writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        acked = acknowledged(first + output, acked)
        with Partition.open(tmp_path / "p") as partition:
            last = check(partition)
        assert acked <= last <= acked + 1
        acked = last
    assert verify(tmp_path / "p").first_problem == ""
    with capsys.disabled():
        print(f"\nscenario 1: {kills} kills, {last} commits, acknowledged and lost: 0")


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_each_point_leaves_all_of_a_commit_or_nothing(tmp_path: Path, point: str) -> None:
    fired = 0
    for hit in itertools.count(1):
        folder = tmp_path / f"{hit}"
        writer = start(folder, COMMITS, failpoints=f"{point}=kill@{hit}")
        output, _ = writer.communicate()
        if writer.returncode == 0:
            break
        assert writer.returncode == -signal.SIGKILL
        fired += 1
        with Partition.open(folder, create=True) as partition:
            last = check(partition)
            assert last - acknowledged(output, 0) in ((0, 1) if point in UNKNOWN else (0,))
    assert fired == PASSAGES.get(point, 12)
