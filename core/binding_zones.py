"""Bind zones: a table for each zone that a customer is in, and local times of the document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.audience import Audience
from core.errors import HeadraceError
from core.options import RunOptions
from core.program import Program
from core.zone_tables import ZoneTables
from core.zones import ZoneTable, local_to_utc, transitions, zone_names


@dataclass(slots=True)
class Zones:
    """The zones of a run. `of_customer` int32[n]: an index into `tables`.

    `of_code` int32[names + 1]: the same of a zone's code in the audience, of none at the end.

    Table z stands in `utc_ms` and `offset_ms`, int64[], from `offsets[z]` to `offsets[z + 1]`.
    `flow` is the table of the flow's own zone, table 0. `invalid`: customers whose zone's name does
    not exist.
    """

    tables: list[ZoneTable]
    of_customer: NDArray[np.int32]
    of_code: NDArray[np.int32]
    offsets: NDArray[np.int32]
    utc_ms: NDArray[np.int64]
    offset_ms: NDArray[np.int64]
    invalid: int

    @property
    def flow(self) -> ZoneTable:
        """The zone of the flow, else of the audience, else UTC."""
        return self.tables[0]


def bind_zones(
    program: Program, audience: Audience, options: RunOptions, kept: ZoneTables | None = None
) -> Zones:
    """Find the tables of all zones in use; a customer without a valid zone gets the flow's.

    They are those of the tzdata package, or of `kept`.
    """
    own = program.flow.settings.zone or options.audience_zone or audience.zone or "UTC"
    tables = [_table(own, kept)]
    known = zone_names() if kept is None else kept
    index = np.zeros(len(audience.zone_names) + 1, np.int32)  # the last is for code -1
    valid = np.ones(len(audience.zone_names) + 1, np.bool_)
    for code, name in enumerate(audience.zone_names):
        if name in known:
            index[code] = len(tables)
            tables.append(transitions(name) if kept is None else kept.table(name))
        else:
            valid[code] = False
    return Zones(
        tables=tables,
        of_customer=index[audience.zone_code],
        of_code=index,
        offsets=np.cumsum([0] + [len(t.utc_ms) for t in tables], dtype=np.int32),
        utc_ms=np.concatenate([t.utc_ms for t in tables]),
        offset_ms=np.concatenate([t.offset_ms for t in tables]),
        invalid=int(np.count_nonzero(~valid[audience.zone_code])),
    )


def _table(name: str, kept: ZoneTables | None) -> ZoneTable:
    try:
        return transitions(name) if kept is None else kept.table(name)
    except ValueError as error:
        raise HeadraceError(str(error), advice="Name a zone such as Europe/Berlin") from None


def literal_day(text: str) -> int:
    """The date that a date or time of the document states, days since 1970-01-01 (semantics D17).

    The time of day and the offset do not matter. HeadraceError where it is no date or time.
    """
    return literal_ms(text[:10], None) // 86_400_000


def literal_ms(text: str, table: ZoneTable | None) -> int:
    """A date or time of the document in ms UTC; local where neither `table` nor an offset is given.

    Without an offset the text is on the clock of `table`. HeadraceError where it is no date or
    time.
    """
    try:
        moment = datetime.fromisoformat(text)
        absolute = moment.tzinfo is not None
        naive = moment.astimezone(UTC).replace(tzinfo=None) if absolute else moment
    except (ValueError, OverflowError):
        raise HeadraceError(
            f"{text!r} is no date or time",
            advice="Write it as 2026-01-31T09:00, or with +01:00 behind it",
        ) from None
    ms = int(np.datetime64(naive, "ms").astype(np.int64))
    return ms if absolute or table is None else local_to_utc(table, ms)
