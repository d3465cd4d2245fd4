"""Carry records out to what a partition remembers; live and in a replay alike."""

from __future__ import annotations

from actors.live.basis import unpack_tables
from actors.live.records import BasisRecord, GrantRecord, RowsRecord, TickRecord
from actors.live.sharing import Made, in_turn
from actors.live.state import LiveState, add_counts
from actors.live.version import LiveVersion
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from core.zone_tables import ZoneTables


def carry_time(state: LiveState, record: RowsRecord | TickRecord) -> list[Made]:
    """Carry out rows that were taken in, or timers; returns what was sent, for others to hear."""
    state.clock_ms = max(state.clock_ms, record.until_ms)
    if isinstance(record, TickRecord):
        until_ms, first, last = record.until_ms, record.first, record.last
        return in_turn(state, lambda version: version.tick(until_ms, first, last))
    frame = record.frame
    add_counts(state.counts, record.counts)
    numbers, new = state.directory.numbers(frame, record.until_ms - 1)
    state.directory.apply(frame, numbers)
    if new.any():
        joined = frame.id_hash[new]
        for version in state.versions:
            version.join(joined, state.directory)

    def work(version: LiveVersion) -> None:
        version.learn_zones(state.directory)
        version.take(frame, numbers, record.historical, record.until_ms)

    return in_turn(state, work)


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
