"""Carry records out to what a partition remembers; live and in a replay alike."""

from __future__ import annotations

import numpy as np

from actors.live.basis import unpack_tables
from actors.live.records import BasisRecord, GrantRecord, RowsRecord
from actors.live.state import LiveState, add_counts
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from core.zone_tables import ZoneTables

SHARE_ROUNDS = 8
"""So often flows may answer each other's changes of a record before the next input."""


def carry_rows(state: LiveState, record: RowsRecord) -> None:
    """Carry out rows that were taken in."""
    frame = record.frame
    add_counts(state.counts, record.counts)
    numbers, new = state.directory.numbers(frame, record.until_ms - 1)
    state.directory.apply(frame, numbers)
    if new.any():
        joined = frame.id_hash[new]
        for version in state.versions:
            version.join(joined, state.directory)
    for version in state.versions:
        version.learn_zones(state.directory)
        version.take(frame, numbers, record.historical, record.until_ms)


def carry_grant(state: LiveState, record: GrantRecord) -> None:
    """Carry out answers to claims."""
    for version in state.versions:
        if version.serial == record.serial and record.through >= version.answered:
            version.grant(record, state.clock_ms)


def carry_basis(state: LiveState, record: BasisRecord, known: ZoneTables) -> None:
    """Note under what the following is carried out; move what waits by other tables (D46)."""
    state.engine = record.engine
    if not record.tables:
        return
    try:
        tables = unpack_tables(record.tables, known, state.tables)
    except ValueError as error:
        raise CorruptError(str(error), advice=RESTORE, pointer="a record of the journal") from error
    if tables.digest != state.tables.digest:
        for version in state.versions:
            version.retable(tables, state.directory)
    state.tables, state.told = tables, True


def share(state: LiveState) -> None:
    """Let the record and the other flows know what flows did to customers' records.

    The other flows see it at the end of the batch, in the millisecond before the partition's
    clock; what that makes them do is shared in turn, a few times over.
    """
    for _ in range(SHARE_ROUNDS):
        told = [(version, version.take_changes()) for version in state.versions]
        found = [(version, frame) for version, frame in told if frame is not None]
        if not found:
            return
        at_ms = state.clock_ms - 1
        everybody = np.arange(len(state.directory), dtype=np.int32)
        for maker, frame in found:
            state.directory.apply(frame, everybody)
            frame.received_ms = frame.occurred_ms = np.full(frame.rows, at_ms, np.int64)
            none = np.zeros(frame.rows, np.bool_)
            for version in state.versions:
                if version is not maker:
                    version.take(frame, everybody, none, at_ms + 1)
