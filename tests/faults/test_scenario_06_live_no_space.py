"""Scenarios 6 and 10: a live partition whose disk is full, or fails.

Where there is no room nothing is taken in, and all goes on when there is some, without an opening.
Where forcing fails it halts, and the next opening has what was acknowledged.
"""

import resource
from pathlib import Path

import numpy as np
import pytest

from actors.store.errors import HaltedError, NoSpaceError
from live_journey import journey
from live_work import armed, carry_out, counted, keys, open_partition, plan_of
from store_work import in_child, in_memory

LIMIT_BYTES = 3 << 20


def until_full(folder: Path) -> dict[str, int]:
    """Carry a plan out under a limit; lift it when it is hit, go on, and compare with no limit."""
    plan = plan_of(journey(20_000), 4_000, snapshots=0)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with open_partition(folder / "free", plan) as partition:
        for step in plan.steps:
            carry_out(partition, step)
        expected = (partition.digest(), keys(partition), counted(partition.counts(plan.flow)))
    refused = 0
    with open_partition(folder / "full", plan) as partition:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
        for step in plan.steps:
            before = (partition.digest(), partition.row_counts, dict(partition.cursors))
            due = partition.next_due_ms
            try:
                carry_out(partition, step)
            except NoSpaceError:
                refused += 1
                after = (partition.digest(), partition.row_counts, dict(partition.cursors))
                assert after == before
                assert partition.next_due_ms == due
                with pytest.raises(NoSpaceError):
                    carry_out(partition, step)
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                carry_out(partition, step)
        found = (partition.digest(), keys(partition), counted(partition.counts(plan.flow)))
        assert found == expected
    with open_partition(folder / "full", plan) as partition:
        assert partition.digest() == expected[0]
    return {"refused": refused}


def test_a_full_disk_refuses_all_of_a_batch_and_no_opening_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how, answer = in_child(lambda: until_full(tmp_path))
    assert how == "returned", repr(answer)
    assert answer["refused"] == 1
    with capsys.disabled():
        print(f"\nscenario 6: {answer['refused']} batch refused whole, then taken in whole")


@pytest.mark.parametrize("action", ["enospc", "eio"])
@pytest.mark.parametrize("point", ["in_transaction", "side_file"])
def test_a_commit_that_fails_counts_whole_or_not_at_all(
    tmp_path: Path, point: str, action: str
) -> None:
    plan = plan_of(journey(50), 16, 3, snapshots=0.3)
    halted = 0
    with in_memory(tmp_path) as folder:
        with open_partition(folder / "expected", plan) as partition:
            digests = [partition.digest()]
            for step in plan.steps:
                carry_out(partition, step)
                digests.append(partition.digest())
            expected = keys(partition)
        for number in np.linspace(1, len(plan.steps) - 2, 6).astype(int):
            path = folder / f"{number}"
            with open_partition(path, plan) as partition:
                for step in plan.steps[:number]:
                    carry_out(partition, step)
                with armed(point, action):
                    try:
                        carry_out(partition, plan.steps[number])
                    except NoSpaceError:
                        assert action == "enospc"
                        assert partition.digest() == digests[number]
                    except HaltedError:
                        halted += 1
                        with pytest.raises(HaltedError):
                            carry_out(partition, plan.steps[number])
            with open_partition(path, plan) as partition:
                assert partition.digest() in digests[number : number + 2]
                for step in plan.steps[number:]:
                    carry_out(partition, step)
                assert partition.digest() == digests[-1]
                assert sorted(keys(partition)) == sorted(expected)
    print(f"scenario 10: {action} at {point}: halted {halted} times of 6, lost 0, sent twice 0")
    assert halted > 0 or action == "enospc"
