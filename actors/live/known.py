"""Gather what a partition's journal holds of one customer, for whoever asks what is known of them.

Events stand as they were taken in, changes of the record with their times. What an erasure came
after is left out: it is of somebody who is gone. Events of who was merged into the customer stand
where they were handed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from actors.intake.frame import UPSERT, Frame, decode
from actors.live.records import CommandRecord, RowsRecord, decode_record
from actors.store.partition import Partition
from core.audience import Column
from core.hashing import hash_customer

ROWS_MAX = 100_000


def known_of(store: Partition, customer: str) -> dict[str, Any]:
    """`events` and `changes` of a customer in an open store, in order; `complete` if all are there.

    `complete` is False where the journal's beginning was trimmed, or there are over 100,000 rows.
    Any thread may call it. Raises CorruptError.
    """
    id_hash = np.uint64(hash_customer(customer))
    rows: list[dict[str, Any]] = []
    complete = store.head.journal_first <= 1
    for number, data in store.journal():
        record = decode_record(number, data, str(store.folder))
        if isinstance(record, CommandRecord):
            command = record.command
            gone = command.get("hashes", []) if command["kind"] == "erase" else []
            if command["kind"] == "merge":
                gone = [hash_customer(previous) for previous, _ in command["pairs"]]
            if int(id_hash) in gone:
                rows.clear()
            if command["kind"] == "inherit" and command["into"] == customer:
                rows += _rows_of(decode(command["frame"]), id_hash, command["at_ms"])
        elif isinstance(record, RowsRecord):
            rows += _rows_of(record.frame, id_hash, record.until_ms - 1)
            if len(rows) > ROWS_MAX:
                complete, rows = False, rows[-ROWS_MAX:]
    return {
        "events": [row for row in rows if "event" in row],
        "changes": [row for row in rows if "event" not in row],
        "complete": complete,
    }


def _rows_of(frame: Frame, id_hash: np.uint64, now_ms: int) -> Iterator[dict[str, Any]]:
    codes = np.flatnonzero(frame.id_hash == id_hash)
    if not len(codes):
        return
    for row in np.flatnonzero(np.isin(frame.customer, codes)).tolist():
        received_ms = int(frame.received_ms[row]) or now_ms
        found: dict[str, Any] = {"received_ms": received_ms}
        type_ = int(frame.type[row])
        if type_ == UPSERT:
            found["set"] = cells(frame.attributes, row)
            for family in ("tags", "groups"):
                marks = cells(getattr(frame, family), row)
                if marks:
                    found[family] = {name: bool(mark) for name, mark in marks.items()}
        else:
            found["event"] = frame.event_names[type_]
            found["occurred_ms"] = int(frame.occurred_ms[row])
            found["properties"] = cells(frame.properties, row)
        yield found


def cells(columns: Any, row: int) -> dict[str, Any]:
    """What stands in a row, by column; None where a value was taken away."""
    found: dict[str, Any] = {}
    for name, part in columns.items():
        at = int(np.searchsorted(part.rows, row))
        if at < len(part.rows) and part.rows[at] == row:
            found[name] = Column(part.kind, part.values, part.dictionary).value(at)
    return found
