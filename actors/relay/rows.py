"""The rows that a relay keeps beside the outbox: where its lanes are, and messages out of line.

    cursor/<lane>           how far a lane has taken effects
    delay/<lane>            how far it has told of effects that wait behind a closed provider
    pending/<lane>/<key>    a message under way, or waiting for its next attempt
    parked/<lane>/<key>     a dead letter, or one whose fate is unknown, until a person decides
    held/<lane>/<key>       a message of a channel that is switched off

A message under way has its row before the provider hears of it. So a relay that starts again finds
exactly those whose fate it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgpack

from actors.relay.effects import Effect, UnreadableError, decode_effect, encode_effect, unpacked
from actors.relay.outbox import Cursor

FORMAT = 1
State = Literal["sending", "waiting", "ambiguous", "dead"]
STATES = ("sending", "waiting", "ambiguous", "dead")


@dataclass(slots=True)
class Row:
    """One message out of line.

    `attempts` counts those made since it was last queued by hand; `first_ms` is when the first
    began, 0 before it; `due_ms` when the next may; `unsure` whether some attempt's answer was lost;
    `told` whether its delay was reported. `raw` holds what could not be read as an effect.
    """

    effect: Effect | None
    state: State
    attempts: int = 0
    first_ms: int = 0
    due_ms: int = 0
    reason: str = ""
    unsure: bool = False
    told: bool = False
    raw: bytes = b""


def encode_row(row: Row) -> bytes:
    """Return the row as msgpack, behind its format's number."""
    effect = row.raw if row.effect is None else encode_effect(row.effect)
    rest = (row.attempts, row.first_ms, row.due_ms, row.reason, row.unsure, row.told)
    return bytes(msgpack.packb((FORMAT, row.effect is not None, effect, row.state, *rest)))


def decode_row(data: bytes) -> Row:
    """Return the row that `encode_row` wrote; raises UnreadableError for anything else."""
    values = unpacked(data, "row", 9)
    kinds = (bool, bytes, str, int, int, int, str, bool, bool)
    if any(type(value) is not kind for value, kind in zip(values, kinds, strict=True)):
        raise UnreadableError("row: a field has another type")
    readable, data, state, attempts, first_ms, due_ms, reason, unsure, told = values
    if state not in STATES:
        raise UnreadableError("row: unknown state")
    effect, raw = (decode_effect(data), b"") if readable else (None, data)
    return Row(effect, state, attempts, first_ms, due_ms, reason, unsure, told, raw)


def encode_cursor(cursor: Cursor) -> bytes:
    """Return a lane's cursor as msgpack."""
    return bytes(msgpack.packb((FORMAT, *cursor)))


def decode_cursor(data: bytes) -> Cursor:
    """Return the cursor that `encode_cursor` wrote; raises UnreadableError for anything else."""
    commit, done = unpacked(data, "cursor", 2)
    if type(commit) is not int or type(done) is not int or commit < 0 or done < 0:
        raise UnreadableError("cursor: expected two numbers")
    return Cursor(commit, done)
