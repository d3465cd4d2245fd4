"""Reports hand results back as event rows, in batches, before the relay forgets the messages.

A result counts as reported once the callback returned, so it may come twice: a row's message id is
the same both times, and the partition takes it once. While one batch is being taken, what comes in
meanwhile gathers for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from actors.relay.results import Result
from core.errors import HeadraceError

Row = dict[str, Any]
ROWS_MAX = 1_000
RETRY_S = 0.25


class BusyError(HeadraceError):
    """Whoever takes results has no room now, and took none of them; it is asked again."""


def row_of(result: Result) -> Row:
    """The event row of a result.

    `customer` is the partition's number, `occurred` in UTC milliseconds, `message_id` what to
    deduplicate by; the provider's own name for the message is the property `provider_id`. Nothing
    in it is personal.
    """
    properties = result.event()
    provider_id = properties.pop("message_id")
    for name in ("id", "event", "customer", "time_ms"):
        del properties[name]
    return {
        "customer": result.effect.customer,
        "event": result.name,
        "occurred": result.at_ms,
        "message_id": result.id,
        "properties": {**properties, "provider_id": provider_id},
    }


class BatchedReport:
    """A relay's report. `take` is called in another thread with at most `rows_max` rows.

    It returns when they are durable, or raises: BusyError lets it be asked again with the same
    rows, anything else ends the relay, and the rows come again after a start.
    """

    def __init__(self, take: Callable[[Sequence[Row]], None], *, rows_max: int = ROWS_MAX) -> None:
        self._take = take
        self._rows_max = rows_max
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._lock = asyncio.Lock()

    async def __call__(self, result: Result) -> None:
        """Return once the result is taken. Raises what `take` does."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row_of(result), taken))
        async with self._lock:
            while not taken.done():
                # Whoever reports at this very moment comes along.
                await asyncio.sleep(0)
                batch = self._waiting[: self._rows_max]
                del self._waiting[: self._rows_max]
                await self._hand_over(batch)
        taken.result()

    async def _hand_over(self, batch: Sequence[tuple[Row, asyncio.Future[None]]]) -> None:
        rows = [row for row, _ in batch]
        try:
            while True:
                try:
                    await asyncio.to_thread(self._take, rows)
                    break
                except BusyError:
                    await asyncio.sleep(RETRY_S)
        except BaseException as error:
            for _, taken in batch:
                if not taken.done():
                    taken.set_exception(_failure(error))
                    # Whoever was cancelled meanwhile does not ask for it.
                    taken.exception()
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        for _, taken in batch:
            if not taken.done():
                taken.set_result(None)


def _failure(error: BaseException) -> BaseException:
    """The error for all who wait; the cancellation of one is no reason to cancel the others."""
    if isinstance(error, asyncio.CancelledError):
        return RuntimeError("reporting was cut off")
    return error
