"""Tests of `actors.live.delivering`: what is delivered again, and whose each outcome is."""

from __future__ import annotations

import contextlib
import gc
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.frame import Frame
from actors.intake.routing import split
from actors.intake.rows import decode_rows
from actors.live.delivering import Delivered, deliver, replies
from actors.live.errors import BehindError, BusyError, DownError, GoneError, UnknownError
from actors.live.hosted import Receipt
from actors.live.replies import Reply
from actors.live.starting import Hosting, Making, start_engine
from core.duration import DAY_MS
from core.tenant_schema import TenantSchema
from tests.support.hosting import Taken

SCHEMA = TenantSchema.of({"events": {"go": {}}})
TAKEN = Taken(1, 0, (), 1)


def frame_of(customers: str) -> Frame:
    """An event of each customer, who is one letter."""
    rows = [
        {"customer": each, "event": "go", "message_id": f"m{at}"}
        for at, each in enumerate(customers)
    ]
    return decode_rows(rows, SCHEMA).frame


def parts_of(letters: str) -> dict[str, int]:
    """The partition, of two, of each letter."""
    return {each: split(frame_of(each), 2)[0][0] for each in letters}


LETTERS = parts_of("abcdefghijklmnop")
HERE = [each for each, number in LETTERS.items() if number == 0]
THERE = [each for each, number in LETTERS.items() if number == 1]


class Shards:
    """Answer what is planned for each partition, one call after the other, and then a receipt."""

    def __init__(self, **plans: list[Exception | None]) -> None:
        self.plans = {int(name[1:]): plan for name, plan in plans.items()}
        self.calls: list[int] = []
        self.brought: list[int] = []

    def submit(self, number: int, frame: Frame) -> Future[Receipt]:
        self.calls.append(number)
        future: Future[Receipt] = Future()
        plan = self.plans.get(number, [])
        error = plan.pop(0) if plan else None
        if error is None:
            future.set_result(TAKEN)
        elif not isinstance(error, TimeoutError):
            future.set_exception(error)
        return future

    def deliver(self, *, patient: bool = True, within_s: float = 5.0) -> Delivered:
        parts = split(frame_of(HERE[0] + THERE[0]), 2)
        end = time.monotonic() + within_s
        return deliver(parts, self.submit, self.brought.append, end, patient=patient)


def test_only_what_was_put_off_is_delivered_again() -> None:
    busy = BusyError("full", retry_after_ms=1)
    shards = Shards(p1=[BehindError("b"), busy, DownError("d")])
    assert shards.deliver() == Delivered({0: TAKEN, 1: TAKEN}, {})
    assert shards.calls == [0, 1, 1, 1, 1]
    assert shards.brought == [1]


def test_one_that_is_down_is_not_waited_for_by_the_impatient() -> None:
    down, busy = DownError("d"), BusyError("full", retry_after_ms=1)
    shards = Shards(p0=[down], p1=[busy])
    found = shards.deliver(patient=False)
    assert found == Delivered({1: TAKEN}, {0: down})
    assert shards.calls == [0, 1, 1]


@pytest.mark.parametrize("patient", [True, False])
def test_what_cannot_be_taken_at_all_is_not_tried_again(patient: bool) -> None:
    gone = GoneError("g")
    shards = Shards(p0=[gone])
    assert shards.deliver(patient=patient) == Delivered({1: TAKEN}, {0: gone})
    assert shards.calls == [0, 1]


def busy() -> list[Exception | None]:
    return [BusyError("full", retry_after_ms=20) for _ in range(20)]


def count_of(kind: type) -> int:
    return sum(isinstance(each, kind) for each in gc.get_objects())


def refused_rows(patient: bool) -> None:
    found = Shards(p0=busy(), p1=busy()).deliver(patient=patient, within_s=0.05)
    assert sorted(found.failures) == [0, 1]
    with contextlib.suppress(BusyError):
        found.checked()


@pytest.mark.parametrize("patient", [True, False])
def test_rows_are_gone_with_the_error_that_they_met(patient: bool) -> None:
    gc.collect()
    gc.disable()  # which rows in a cycle would wait for, as many as they are
    try:
        before = count_of(Frame), count_of(BusyError)
        refused_rows(patient)
        assert (count_of(Frame), count_of(BusyError)) == before
    finally:
        gc.enable()


def test_an_unexpected_error_tells_where_it_was() -> None:
    def broken(number: int, frame: Frame) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        try:
            raise KeyError(number)
        except KeyError as error:
            future.set_exception(error)
        return future

    found = deliver(split(frame_of(HERE[0]), 2), broken, [].append, time.monotonic() + 1)
    with pytest.raises(KeyError) as told:
        found.checked()
    assert "broken" in [entry.name for entry in told.traceback]


def test_the_deadline_ends_it() -> None:
    busy = [BusyError("full", retry_after_ms=20) for _ in range(100)]
    found = Shards(p0=[*busy]).deliver(within_s=0.05)
    assert isinstance(found.failures[0], BusyError)
    silent = Shards(p1=[TimeoutError()]).deliver(within_s=0.05)
    assert isinstance(silent.failures[1], UnknownError)
    assert silent.receipts == {0: TAKEN}


def test_a_failure_concerns_only_those_who_have_rows_there() -> None:
    here, there = HERE[:4], THERE[:4]
    frame = frame_of("".join([*here[:2], there[0], here[2], there[1], there[2]]))
    firsts = np.array([0, 2, 4], np.int64)
    down = DownError("d")
    found = replies(frame, firsts, 2, Delivered({0: Taken(3, 0, (), 1)}, {1: down}))
    assert found == [Reply(2, 0), down, down]


def test_each_batch_has_its_own_duplicates_and_refusals() -> None:
    here, there = HERE[:3], THERE[:3]
    frame = frame_of("".join([here[0], there[0], there[1], here[1], here[2], there[2]]))
    receipts: dict[int, Receipt] = {
        0: Taken(1, 1, ((2, "unknown_customer"),), 1, known=(0,)),
        1: Taken(2, 1, (), 1, known=(1,)),
    }
    found = replies(frame, np.array([0, 2, 5], np.int64), 2, Delivered(receipts))
    reject = (2, "/2", "unknown_customer", "unknown customer")
    assert found == [Reply(1, 1), Reply(1, 1, [reject]), Reply(1, 0)]


def test_batches_taken_in_together_are_judged_one_by_one(tmp_path: Path) -> None:
    hosting = Hosting(inline=True, relays=False)
    with start_engine(tmp_path / "d", Making(partitions=2, zone="UTC"), hosting) as engine:
        engine.set_schema(SCHEMA.to_json())
        far = engine.now_ms() + 10 * DAY_MS
        rows: list[dict[str, Any]] = [
            {"customer": each, "event": "go", "message_id": each}
            for each in [HERE[0], THERE[0], HERE[1], HERE[0], THERE[1]]
        ]
        rows[2]["occurred"] = far
        frame = decode_rows(rows, engine.schema).frame
        reject = (0, "/0", "too_far_in_the_future", "too far in the future")
        firsts = np.array([0, 2, 4], np.int64)
        found = engine.send_together(frame, firsts)
        assert found == [Reply(2, 0), Reply(0, 1, [reject]), Reply(1, 0)]
        again = engine.send_together(frame, firsts)
        assert again == [Reply(0, 2), Reply(0, 1, [reject]), Reply(0, 1)]
        assert engine.status()["rejects"] == {"too_far_in_the_future": 2}
