"""Let a version that looks back remember what happened before it was published."""

from __future__ import annotations

from actors.intake.directory import Directory
from actors.intake.frame import decode
from actors.live.records import CommandRecord, RowsRecord, decode_record
from actors.live.version import LiveVersion
from actors.store.partition import Partition


def backfill(fresh: LiveVersion, store: Partition, applied: int, directory: Directory) -> None:
    """Have `fresh` remember a journal's events up to record `applied`, as far as it goes back.

    `directory` knows their customers. Raises CorruptError.
    """
    for number, data in store.journal(store.head.journal_first - 1):
        if number > applied:
            return
        record = decode_record(number, data, str(store.folder))
        if isinstance(record, RowsRecord):
            fresh.backfill(record.frame, directory.find(record.frame.id_hash))
        elif isinstance(record, CommandRecord) and record.command["kind"] == "inherit":
            frame = decode(record.command["frame"])
            numbers = directory.find(frame.id_hash)
            if numbers[0] >= 0 and frame.rows:
                fresh.backfill(frame, numbers)
