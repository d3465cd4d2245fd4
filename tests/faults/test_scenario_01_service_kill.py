"""Scenario 1 for the control plane: killed at every failpoint of every write, and at any moment.

Each write changes rows of two tenants and of the operator, deletes, and appends to a numbered
table. Afterwards all of it is there or nothing, and what was acknowledged is.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from actors import failpoints
from actors.service.plane import Plane
from live_work import fork
from store_work import in_memory

WRITES = 6
BEFORE = ("plane_before_commit", "before_transaction", "in_transaction")
AFTER = ("after_transaction", "side_file", "before_acknowledgement", "plane_after_commit")


def write(plane: Plane, number: int) -> None:
    """Write `number`, which must be the next."""
    with plane.tenant("a").write() as txn:
        assert txn.append("audit", {"of": number}) == number
        txn.put("flows", "f", {"version": number})
        other = txn.within(plane.tenant("b"))
        other.put("flows", f"{number}", {"body": "x" * 3_000})
        other.delete("flows", f"{number - 2}")
        txn.within(plane.operator).put("tenants", "a", {"writes": number})


def check(plane: Plane) -> int:
    """Asserts that it is the state after a number of whole writes; returns the number."""
    assert plane.verify().first_problem == ""
    with plane.tenant("a").read() as txn:
        last = (txn.get("flows", "f") or {"version": 0})["version"]
        assert [record["of"] for _, record in txn.scan("audit")] == list(range(1, last + 1))
        other = [key for key, _ in txn.within(plane.tenant("b")).scan("flows")]
        assert other == sorted(f"{n}" for n in range(max(1, last - 1), last + 1))
        told = txn.within(plane.operator).get("tenants", "a")
        assert told == ({"writes": last} if last else None)
    assert isinstance(last, int)
    return last


def work(folder: Path, armed: str, tell: Callable[[object], None]) -> None:
    """Write on from where it stands, and tell each write that is acknowledged."""
    failpoints.disarm()
    with Plane.open(folder, map_bytes=1 << 20) as plane:
        failpoints.arm_from(armed)
        first = check(plane) + 1
        for number in range(first, first + WRITES):
            write(plane, number)
            tell(number)


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_a_kill_at_each_failpoint_leaves_all_of_a_write_or_nothing(
    tmp_path: Path, point: str
) -> None:
    fired = 0
    with in_memory(tmp_path) as folder:
        for hit in itertools.count(1):
            path = folder / f"{hit}"
            told, code = fork(lambda tell, p=path, h=hit: work(p, f"{point}=kill@{h}", tell)).wait()
            if code == 0:
                break
            assert code == -signal.SIGKILL, told
            fired += 1
            with Plane.open(path) as plane:
                assert check(plane) == len(told) + (point in AFTER)
    print(f"scenario 1: {fired} kills of the control plane at {point}, half there 0")
    assert fired == WRITES


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_a_kill_while_it_is_made_lets_it_be_made_anew(tmp_path: Path, point: str) -> None:
    with in_memory(tmp_path) as folder:

        def make(tell: Callable[[object], None]) -> None:
            failpoints.disarm()
            failpoints.arm_from(f"{point}=kill")
            with Plane.open(folder / "p") as plane:
                write(plane, 1)

        _, code = fork(make).wait()
        assert code == -signal.SIGKILL
        with Plane.open(folder / "p") as plane:
            last = check(plane)
            write(plane, last + 1)
            assert check(plane) == last + 1


@pytest.mark.parametrize("kills", [15, pytest.param(500, marks=pytest.mark.soak)])
def test_random_kills_lose_nothing_that_was_acknowledged(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = Random(kills)
    last = slowest = 0.0
    with in_memory(tmp_path) as folder:

        def forever(tell: Callable[[object], None]) -> None:
            failpoints.disarm()
            with Plane.open(folder / "p", map_bytes=1 << 20) as plane:
                for number in itertools.count(check(plane) + 1):
                    write(plane, number)
                    tell(number)

        for _ in range(kills):
            child = fork(forever)
            time.sleep(dice.uniform(0, 0.4))
            child.kill()
            told, code = child.wait()
            assert code == -signal.SIGKILL, told
            began = time.perf_counter()
            with Plane.open(folder / "p", map_bytes=1 << 20) as plane:
                slowest = max(slowest, time.perf_counter() - began)
                found = check(plane)
            acknowledged = int(told[-1]) if told else last
            assert acknowledged <= found <= acknowledged + 1
            last = found
    with capsys.disabled():
        print(
            f"\nscenario 1: {kills} kills of the control plane, {last} writes, acknowledged and "
            f"lost 0, open again within {slowest * 1000:.0f} ms"
        )
    assert last > kills
    assert slowest <= 5
