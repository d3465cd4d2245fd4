"""Keep when a flow starts and when it stops: both or neither.

A schedule waits for its start, then the flow runs until its stop. The draft does not change while
it waits, so what was looked at is what starts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from actors.service.errors import InvalidError
from actors.service.transactions import ReadTxn, WriteTxn

State = Literal["waiting", "started"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Start and stop of a flow, ms UTC.

    `id` tells it from every other. `in_flight` is what becomes of people in
    an older version at the start, `at_stop` of those inside at the stop. `audience` is the count
    that was acknowledged, None where none was.
    """

    flow: str
    id: str
    start_ms: int
    stop_ms: int
    in_flight: Literal["pin", "drop", "reset"] = "pin"
    at_stop: Literal["pin", "drop"] = "pin"
    audience: int | None = None
    state: State = "waiting"
    by: str = ""

    @property
    def waiting(self) -> bool:
        """Whether it has not started yet."""
        return self.state == "waiting"

    def begun(self) -> Schedule:
        """The schedule once its flow has started."""
        return replace(self, state="started")

    def request(self, what: Literal["start", "stop"]) -> str:
        """What the request to the engine is named, the same however often it is sent."""
        return f"schedule/{self.flow}/{self.id}/{what}"


def check_times(start_ms: int, stop_ms: int, now_ms: int) -> None:
    """Raise InvalidError unless the start is to come, and the stop behind it."""
    if start_ms <= now_ms:
        raise InvalidError(
            "the start is not in the future",
            advice="Choose a later time, or publish the flow now",
            pointer="/start_ms",
        )
    if stop_ms <= start_ms:
        raise InvalidError(
            "the stop is not after the start", advice="Choose a later stop", pointer="/stop_ms"
        )


def find(txn: ReadTxn, flow: str) -> Schedule | None:
    """The schedule of a flow, None without one."""
    record = txn.get("schedules", flow)
    return None if record is None else Schedule(**record)


def every(txn: ReadTxn) -> dict[str, Schedule]:
    """All schedules by flow."""
    return {key: Schedule(**record) for key, record in txn.scan("schedules")}


def put(txn: WriteTxn, schedule: Schedule) -> None:
    """Store a schedule in the place of the flow's former one."""
    txn.put("schedules", schedule.flow, asdict(schedule))


def drop(txn: WriteTxn, flow: str) -> bool:
    """Forget the schedule of a flow; returns whether there was one."""
    return txn.delete("schedules", flow)
