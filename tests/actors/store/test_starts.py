"""Checks that openings which die young add up, and that proof of life takes them back."""

from pathlib import Path

import pytest

from actors.store import starts
from actors.store.errors import QuarantinedError
from actors.store.partition import Partition
from actors.store.verify import main


def test_three_that_died_young_are_enough(tmp_path: Path) -> None:
    for _ in range(3):
        starts.count_start(tmp_path)
    assert starts.unsettled(tmp_path) == 3
    with pytest.raises(QuarantinedError, match="3 openings in a row died young"):
        starts.count_start(tmp_path)
    starts.release(tmp_path)
    starts.count_start(tmp_path)
    assert starts.unsettled(tmp_path) == 1


def test_closing_and_tending_are_proof_of_life(tmp_path: Path) -> None:
    with Partition.open(tmp_path, create=True) as partition:
        assert starts.unsettled(tmp_path) == 1
        assert partition.tend() == 0
        assert starts.unsettled(tmp_path) == 0
    for _ in range(5):
        Partition.open(tmp_path).close()
    assert starts.unsettled(tmp_path) == 0


def test_a_sound_partition_is_released_by_verification(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Partition.open(tmp_path, create=True).close()
    starts.quarantine(tmp_path, "by hand")
    with pytest.raises(QuarantinedError, match="quarantined: by hand"):
        Partition.open(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert "is quarantined" in capsys.readouterr().err
    assert main(["--release", str(tmp_path)]) == 0
    Partition.open(tmp_path).close()
