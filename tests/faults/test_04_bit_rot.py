"""Scenario 4: one bit of the data file flips. What is read is right, or the damage is noticed."""

import collections
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.store.errors import StoreError
from actors.store.partition import Partition
from store_work import commit, contents, fill, in_child, in_memory

COMMITS = 40
MORE = 12


def used_bytes(folder: Path) -> int:
    """The part of the data file that LMDB has used; what follows is reserved, and empty."""
    data = (folder / "data.mdb").read_bytes()
    return len(data.rstrip(b"\0"))


def work(folder: Path) -> tuple[Any, Any]:
    """What there is, and what there is after more commits, which use pages that were free."""
    with Partition.open(folder) as partition:
        before = contents(partition)
        for number in range(COMMITS + 1, COMMITS + MORE + 1):
            commit(partition, number, 900)
        return before, contents(partition)


@pytest.mark.parametrize("flips", [200, pytest.param(1_000, marks=pytest.mark.soak)])
def test_a_flipped_bit_is_harmless_or_noticed(
    tmp_path: Path, flips: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_memory(tmp_path) as folder:
        outcomes = flip_bits(folder, flips)
    # Most of the file is records: the test would be blind if little were noticed.
    assert outcomes["CorruptError"] > flips / 5
    with capsys.disabled():
        print(f"\nscenario 4: {flips} flips, wrong and unnoticed: 0; {dict(outcomes)}")


def flip_bits(folder: Path, flips: int) -> collections.Counter[str]:
    """How often each outcome came; fails if one was wrong and unnoticed."""
    sound = folder / "sound"
    fill(sound, COMMITS, 900)
    end = used_bytes(sound)
    expected = in_child(lambda: work(Path(shutil.copytree(sound, folder / "undamaged"))))
    assert expected[0] == "returned"
    generator = np.random.default_rng(4)
    outcomes: collections.Counter[str] = collections.Counter()
    for place in generator.integers(0, end * 8, flips):
        damaged = Path(shutil.copytree(sound, folder / "damaged"))
        with (damaged / "data.mdb").open("r+b") as file:
            file.seek(place // 8)
            (byte,) = file.read(1)
            file.seek(place // 8)
            file.write(bytes([byte ^ 1 << place % 8]))
        how, answer = in_child(lambda folder=damaged: work(folder))
        if how == "returned":
            assert (how, answer) == expected, f"bit {place} went unnoticed"
            outcomes["harmless"] += 1
        elif how == "raised":
            assert isinstance(answer, StoreError), (place, repr(answer))
            outcomes[type(answer).__name__] += 1
        else:
            outcomes[answer] += 1
        shutil.rmtree(damaged)
    return outcomes
