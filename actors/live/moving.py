"""Carry out in a partition that a customer turned out to be another (semantics 22).

A merge is two commands of the control log. The first, `merge`, takes the customer out: tokens end,
nothing more is taken in for the id, and what was known lies ready to be handed over. The second,
`inherit`, brings it to whom the customer is merged into, wherever that is: events of the past as
history, which moves nobody, and the record. The rows of the past stand in the journal of the one
partition, and in the command in that of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.bulk import strings_of
from actors.intake.directory import Directory
from actors.intake.frame import DTYPES, INSTANT_MAX_MS, UPSERT, Frame, Sparse, decode, encode
from actors.intake.joining import joined, runs_of
from actors.live.control import Command
from actors.live.errors import MovedError
from actors.live.records import CommandRecord, RowsRecord, decode_record, fitting
from actors.live.sharing import Made, in_turn
from actors.live.state import LiveState
from actors.live.version import REPORTED, LiveVersion
from actors.store.partition import Partition
from core.audience import Kind
from core.hashing import hash_customer
from core.internal_events import MESSAGE_SENT
from ext import merging
from ext.hashing import hash_strings

NEVER_MS = INSTANT_MAX_MS
"""Whoever was merged into somebody else was created at no time that comes."""
SUMMED = ("score", "score:", "points:")
"""Attributes, and beginnings of their names, of which the two customers' values are added."""
GUARDED = ("consent:", "reachable:")
"""Beginnings of the names of attributes of which false is the safer value."""
Record = dict[str, Any]
NOTHING: Record = {"attributes": {}, "tags": [], "groups": [], "zone": None}
"""The record of somebody of whom nothing is known."""


def check_moved(state: LiveState, frames: Sequence[Frame]) -> None:
    """Raise MovedError if a frame has rows of somebody who was merged into somebody else."""
    if state.merged and any(not state.merged.isdisjoint(f.id_hash.tolist()) for f in frames):
        raise MovedError(
            "a customer of these rows was merged into another one meanwhile",
            advice="Send the same again",
        )


def _carry_erase(state: LiveState, record: CommandRecord) -> None:
    """Forget customers, and that they were merged into others."""
    hashes, at_ms = record.command["hashes"], int(record.command["at_ms"])
    found = state.directory.find(np.array(hashes, np.uint64))
    numbers = found[found >= 0]
    for version in state.versions:
        version.erase(numbers, at_ms)
    state.directory.forget(numbers, at_ms)
    state.merged.difference_update(hashes)
    for each in hashes:
        state.moving.pop(each, None)


def _carry_merge(state: LiveState, record: CommandRecord) -> None:
    """Take customers out who are merged into others, and keep ready what is handed over."""
    sequence, command = record.sequence, record.command
    at_ms, directory = state.clock_ms, state.directory
    pairs = {hash_customer(old): hash_customer(known) for old, known in command["pairs"]}
    state.merged.update(pairs)
    hashes = np.array(list(pairs), np.uint64)
    found = directory.find(hashes)
    there = [k for k, n in enumerate(found.tolist()) if n >= 0 and not directory.is_erased(n)]
    if not there:
        return
    numbers = found[there]
    taken = [
        {} if version.dropped else dict(enumerate(_taken_out(version, numbers, at_ms)))
        for version in state.versions
    ]
    for place, k in enumerate(there):
        state.moving[int(hashes[k])] = {
            "merge": sequence,
            "into": pairs[int(hashes[k])],
            "record": directory.record_of(int(numbers[place])),
            "states": {
                str(version.serial): list(each[place])
                for version, each in zip(state.versions, taken, strict=True)
                if each
            },
        }
    directory.forget(numbers, NEVER_MS, ids=False)


def _taken_out(
    version: LiveVersion, numbers: NDArray[np.int32], at_ms: int
) -> list[tuple[int | None, bytes]]:
    found: list[tuple[int | None, bytes]] = merging.take_out(
        version.machine, numbers, at_ms, NEVER_MS
    )
    return found


def _carry_inherit(state: LiveState, record: CommandRecord) -> None:
    """What is handed over need not be kept ready any more."""
    if record.command["last"]:
        state.moving.pop(record.command["from"], None)


CARRIED: Mapping[str, Callable[[LiveState, CommandRecord], None]] = {
    "erase": _carry_erase,
    "merge": _carry_merge,
    "inherit": _carry_inherit,
}
"""What commands about customers do to a partition, by their kind."""


def carry_past(state: LiveState, command: Command) -> list[Made]:
    """Bring to a customer what an `inherit` says; returns what was sent, for others to hear.

    A command of another kind brings nothing to anybody.
    """
    if command["kind"] != "inherit":
        return in_turn(state)
    known = hash_customer(command["into"])
    number = int(state.directory.find(np.array([known], np.uint64))[0])
    if number < 0:
        return in_turn(state)
    for version in state.versions:
        entered = command["states"].get(str(version.serial))
        if entered is not None and not version.dropped:
            merging.take_in(version.machine, number, *entered)
    ms, numbers = state.clock_ms, np.array([number], np.int32)
    state.clock_ms = ms + 1
    rows = inherited_rows(state.directory, command, ms)
    if rows is None:
        return in_turn(state)
    state.admission.remember(rows.frame, ms)
    change = rows.frame.take(np.flatnonzero(rows.frame.type == UPSERT))
    events = rows.frame.take(np.flatnonzero(rows.historical))
    state.directory.apply(change, numbers)

    def work(version: LiveVersion) -> None:
        version.learn_zones(state.directory)
        if events.rows and not version.dropped:
            version.backfill(events, numbers)
        if change.rows:
            version.take(change, numbers, np.zeros(change.rows, np.bool_), ms + 1)
        if version.moves(ms + 1):
            # All at once: between two events of the past nothing came to be true.
            merging.settle(version.machine, number, ms)

    return in_turn(state, work)


def inherited_rows(directory: Directory, command: Command, at_ms: int) -> RowsRecord | None:
    """The rows that an `inherit` stands for, taken in at a time; None where there are none."""
    frame = decode(command["frame"])
    if command["last"]:
        number = int(directory.find(frame.id_hash)[0])
        frame = _with_record(frame, directory, number, command["record"], at_ms)
    if frame.rows == 0:
        return None
    frame = replace(frame, received_ms=np.full(frame.rows, at_ms, np.int64))
    return RowsRecord(frame, frame.type != UPSERT, at_ms + 1)


def _with_record(
    frame: Frame, directory: Directory, number: int, record: Record, at_ms: int
) -> Frame:
    """The frame with one more row: what the record has that the customer's own does not."""
    own = directory.record_of(number) if number >= 0 else {}
    cells = list(_differences(own, record))
    if not cells:
        return frame
    row = frame.rows
    last = np.array([row], np.int32)
    longer = replace(
        frame,
        customer=np.append(frame.customer, np.int32(0)),
        type=np.append(frame.type, np.int32(UPSERT)),
        occurred_ms=np.append(frame.occurred_ms, np.int64(at_ms)),
        received_ms=np.append(frame.received_ms, np.int64(at_ms)),
        message=np.append(frame.message, np.zeros((1, 2), np.uint64), axis=0),
        hash=np.append(frame.hash, np.uint64(0)),
        properties=dict(frame.properties),
    )
    for family, name, kind, value in cells:
        texts = [value] if kind == "string" else None
        cell = np.array([0 if texts else value], DTYPES[kind])
        longer.put(family, name, Sparse(kind, last, cell, texts))
    return longer


def _differences(own: Record, other: Record) -> Iterator[tuple[Any, str, Kind, Any]]:
    """Family, name, kind and value of all that the other's record changes in one's own."""
    mine = own.get("attributes", {})
    for name, (kind, value) in other["attributes"].items():
        before = mine.get(name, (kind, None))
        if before[0] != kind:
            continue
        if before[1] is None:
            yield "attributes", name, kind, value
        elif name.startswith(GUARDED) and kind == "bool":
            if before[1] and not value:
                yield "attributes", name, kind, value
        elif kind == "int64" and (name == SUMMED[0] or name.startswith(SUMMED[1:])):
            total = before[1] + value
            if value and -(2**63) < total < 2**63:
                yield "attributes", name, kind, total
    for family in ("tags", "groups"):
        for name in sorted({*other[family]} - {*own.get(family, ())}):
            yield family, name, "bool", 1
    if other["zone"] is not None and own.get("zone") is None:
        yield "zone", "", "string", other["zone"]


# What is handed over


def parcel(store: Partition, id_hash: int, sequence: int, into: str) -> list[bytes]:
    """The past of a customer until command `sequence` took him out, as frames of customer `into`.

    They are as bytes, one at least. What a relay told of messages that were handed over stands for
    the messages. Any thread may call it. Raises CorruptError.
    """
    frames: list[Frame] = []
    needle, file = id_hash.to_bytes(8, "little"), str(store.folder)
    for number, data in store.journal(store.head.journal_first - 1):
        if b"command" not in data[:16] and needle not in data:
            continue
        record = decode_record(number, data, file)
        if isinstance(record, CommandRecord):
            command = record.command
            if record.sequence == sequence:
                break
            if command["kind"] == "erase" and id_hash in command["hashes"]:
                frames.clear()
            elif command["kind"] == "inherit" and hash_customer(command["into"]) == id_hash:
                frames.append(decode(command["frame"]))
        elif isinstance(record, RowsRecord):
            frames += _events_of(record, id_hash)
    named = [_of(into, frame) for frame in frames if frame.rows] or [_of(into, None)]
    return [
        encode(part)
        for run in runs_of(named)
        for frame in [joined(run)]
        for part, _ in fitting(frame, np.ones(frame.rows, np.bool_))
    ]


def _events_of(record: RowsRecord, id_hash: int) -> Iterator[Frame]:
    """The events of a customer in a record, at the times at which they happened."""
    frame = record.frame
    codes = np.flatnonzero(frame.id_hash == np.uint64(id_hash))
    rows = np.flatnonzero(np.isin(frame.customer, codes) & (frame.type != UPSERT))
    if not len(rows):
        return
    mine = frame.take(rows)
    occurred = np.minimum(mine.occurred_ms, mine.received_ms)
    if REPORTED in mine.event_names:
        reported = mine.event_names.index(REPORTED)
        part = mine.properties.get("delay_ms")
        if part is not None and part.kind == "int64":
            told = mine.type[part.rows] == reported
            occurred[part.rows[told]] -= np.maximum(part.values[told], 0)
        names = [*mine.event_names]
        if MESSAGE_SENT in names:
            sent = names.index(MESSAGE_SENT)
            mine.type = np.where(mine.type == reported, np.int32(sent), mine.type)
        else:
            names[reported] = MESSAGE_SENT
        mine.event_names = names
    yield replace(mine, occurred_ms=occurred, source=b"", sequence=0)


def _of(customer: str, frame: Frame | None) -> Frame:
    """A frame of one customer under another id; one without rows for None."""
    offsets, data = strings_of([customer])
    id_hash = hash_strings(data.data, offsets)
    if frame is not None:
        return replace(frame, id_offsets=offsets, id_data=data, id_hash=id_hash)
    none = np.zeros(0, np.int64)
    return Frame(
        id_offsets=offsets,
        id_data=data,
        id_hash=id_hash,
        customer=none.astype(np.int32),
        type=none.astype(np.int32),
        event_names=[],
        occurred_ms=none,
        received_ms=none,
        message=np.zeros((0, 2), np.uint64),
        hash=none.astype(np.uint64),
    )
