"""Tests of `api.http.ingest.gathering`: who goes together, and that each gets their own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.intake.rows import decode_rows
from actors.live.engine import Engine
from actors.live.errors import BusyError, DownError, RefusedError
from actors.live.replies import Reply
from api.http.ingest.gathering import GROUP_BYTES, UNDER_WAY, Gathering, Together, Waiting
from api.http.ingest.translation import Places
from core.tenant_schema import TenantSchema

SCHEMA = TenantSchema.of({"events": {"go": {}}})
WAIT_S = 20.0


class Bodies:
    """What stands in for a format: a body is names of messages, one letter each; `?` is unusual."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def count(self) -> int:
        return len(self.text)


def parse(body: bytes, places: Places, now_ms: int) -> Bodies | None:
    text = body.decode().rstrip()
    if text == "!":
        raise ValueError("broken")
    return None if text == "?" else Bodies(text)


def join(bodies: Sequence[Bodies], places: Places, schema: TenantSchema) -> Frame | None:
    ids = "".join(body.text for body in bodies)
    if "x" in ids:
        return None
    rows = [{"customer": "c", "event": "go", "message_id": each} for each in ids]
    return decode_rows(rows, schema).frame


class FakeEngine:
    """Answers when it is told to, with what is planned."""

    schema = SCHEMA

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.answer: Callable[[int], list[Reply | Exception]] = lambda count: [
            Reply(at, 0) for at in range(count)
        ]
        self.gate = threading.Event()
        self.came = threading.Semaphore(0)

    def now_ms(self) -> int:
        return 0

    def send_together(
        self, frame: Frame, firsts: NDArray[np.int64], *, deadline_s: float
    ) -> list[Reply | Exception]:
        self.groups.append(np.diff(firsts, append=frame.rows).tolist())
        self.came.release()
        assert self.gate.wait(WAIT_S)
        return self.answer(len(firsts))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def taking(engine: FakeEngine, then: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run `then` with a function that begins to take a body in."""

    async def run() -> None:
        gathering = Gathering(
            lambda tenant: cast(Engine, engine), lambda tenant, schema: Places.of(schema), WAIT_S
        )
        together = Together(parse, join)

        def take(body: bytes, spend: Callable[[int], None] = lambda rows: None) -> Any:
            waiting = Waiting(body, spend)
            return asyncio.ensure_future(gathering.take("t", together, waiting))

        await asyncio.wait_for(then(take), WAIT_S)
        gathering.close()

    asyncio.run(run())


async def came(engine: FakeEngine) -> None:
    """Until the engine has another group."""
    assert await asyncio.to_thread(engine.came.acquire, timeout=WAIT_S)


def test_who_finds_nobody_goes_at_once_and_those_who_come_meanwhile_together(
    engine: FakeEngine,
) -> None:
    async def then(take: Any) -> None:
        first = [take(b"a")]
        await came(engine)
        first += [take(b"bb")]
        await came(engine)  # the second is read while the first is on its way
        more = [take(body) for body in (b"c", b"ddd", b"e")]
        await asyncio.sleep(0.05)
        assert engine.groups == [[1], [2]]
        assert len(engine.groups) == UNDER_WAY
        engine.gate.set()
        assert [await each for each in first] == [Reply(0, 0)] * 2
        assert [await each for each in more] == [Reply(0, 0), Reply(1, 0), Reply(2, 0)]

    taking(engine, then)
    assert engine.groups == [[1], [2], [1, 3, 1]]


def test_a_group_is_no_larger_than_its_bytes(engine: FakeEngine) -> None:
    async def then(take: Any) -> None:
        held = []
        for name in (b"a", b"b"):
            held.append(take(name))
            await came(engine)
        held += [take(name.ljust(GROUP_BYTES // 2)) for name in (b"c", b"d", b"e")]
        await asyncio.sleep(0.05)
        engine.gate.set()
        for each in held:
            assert isinstance(await each, Reply)

    taking(engine, then)
    assert sorted(engine.groups) == [[1], [1], [1], [1, 1]]


def test_what_is_wrong_with_one_is_told_to_that_one_alone(engine: FakeEngine) -> None:
    def spent(rows: int) -> None:
        raise RefusedError(f"no budget for {rows}")

    async def then(take: Any) -> None:
        held = []
        for name in (b"a", b"b"):
            held.append(take(name))
            await came(engine)
        unusual, broken, poor, well = take(b"?"), take(b"!"), take(b"pp", spent), take(b"w")
        engine.gate.set()
        assert await unusual is None
        with pytest.raises(ValueError, match="broken"):
            await broken
        with pytest.raises(RefusedError, match="no budget for 2"):
            await poor
        assert await well == Reply(0, 0)
        for each in held:
            await each

    taking(engine, then)
    assert engine.groups == [[1], [1], [1]]


def test_a_group_that_is_not_taken_as_it_is_goes_one_by_one(engine: FakeEngine) -> None:
    engine.gate.set()

    async def then(take: Any) -> None:
        assert await take(b"x") is None

    taking(engine, then)
    assert engine.groups == []


@pytest.mark.parametrize(
    ("error", "alone", "in_company"),
    [
        (BusyError("busy"), BusyError, BusyError),
        (DownError("down"), None, None),  # that way waits for the shard
        (RefusedError("refused"), RefusedError, None),
    ],
)
def test_an_error_that_others_may_have_caused_is_not_told(
    engine: FakeEngine, error: Exception, alone: type | None, in_company: type | None
) -> None:
    engine.answer = lambda count: [error] * count

    async def then(take: Any) -> None:
        held = []
        for name in (b"a", b"b"):
            held.append(take(name))
            await came(engine)
        both = [take(b"c"), take(b"d")]
        await asyncio.sleep(0.05)
        engine.gate.set()
        found = await asyncio.gather(*held, *both, return_exceptions=True)
        kinds = [None if each is None else type(each) for each in found]
        assert kinds == [alone, alone, in_company, in_company]

    taking(engine, then)


def test_an_engine_that_raises_leaves_nobody_without_an_answer(engine: FakeEngine) -> None:
    engine.gate.set()

    def fail(count: int) -> list[Reply | Exception]:
        raise RefusedError("odd")

    engine.answer = fail

    async def then(take: Any) -> None:
        with pytest.raises(RefusedError, match="odd"):
            await take(b"a")

    taking(engine, then)
