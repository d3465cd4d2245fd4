"""Hand the journey's columns to the rivals: the very arrays of the audience, nothing prepared.

All rivals count the arrivals at each node of `bench.journey.FLOW` in the order of the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.binding import Bound
from core.nodes import BranchAttribute
from core.philox import assign_key

NODES = (
    "start",
    "country",
    "mail",
    "clicked",
    "tag",
    "split",
    "mail-a",
    "mail-b",
    "later",
    "consent",
    "sms",
    "end",
)
(
    START,
    COUNTRY,
    MAIL,
    CLICKED,
    TAG,
    SPLIT,
    MAIL_A,
    MAIL_B,
    LATER,
    CONSENT,
    SMS,
    END,
) = range(len(NODES))
CLICK_WAIT_MS = 24 * 3_600_000
LATER_MS = 72 * 3_600_000

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """The journey's inputs: n customers, m events, shared with the audience and never written.

    `country` int32[n] dictionary codes, -1 missing; `branches` int32[3] the codes of the three
    branches; `consent` int8[n], 1 is yes; `id_hash` uint64[n]; events of customer c are rows
    `event_offsets[c]` to `event_offsets[c + 1]` (int64[n + 1]) of `event_type` int32[m] and
    `event_ms` int64[m]; `go`, `click`: codes of event types; `key`: that of the split's draws.
    Entries begin in [from_ms, until_ms), and nothing happens at `horizon_ms` or later.
    """

    country: NDArray[np.int32]
    branches: NDArray[np.int32]
    consent: NDArray[np.int8]
    id_hash: NDArray[np.uint64]
    event_offsets: NDArray[np.int64]
    event_type: NDArray[np.int32]
    event_ms: NDArray[np.int64]
    go: int
    click: int
    key: int
    from_ms: int
    until_ms: int
    horizon_ms: int

    @property
    def customers(self) -> int:
        """The number of customers, n."""
        return len(self.id_hash)

    def new_tags(self) -> NDArray[np.int8]:
        """An int8[n] of zeros, for a rival to write the tag into."""
        return np.zeros(self.customers, np.int8)


def columns_of(bound: Bound) -> Columns:
    """The columns of the reference journey bound to an audience."""
    audience, flow = bound.audience, bound.program.flow
    node = flow.nodes["country"]
    assert isinstance(node, BranchAttribute)
    country = audience.attributes["country"]
    codes: list[Any] = [country.code(str(value)) for (value,) in node.branches.values()]
    return Columns(
        country=country.values,
        branches=np.array(codes, np.int32),
        consent=audience.attributes["consent"].values,
        id_hash=audience.id_hash,
        event_offsets=audience.event_offsets,
        event_type=audience.event_type,
        event_ms=audience.event_ms,
        go=audience.event_names.index("go"),
        click=audience.event_names.index("click"),
        key=assign_key(bound.options.salt, flow.draws_as, "split"),
        from_ms=bound.entry_from_ms,
        until_ms=bound.entry_until_ms,
        horizon_ms=bound.options.horizon_ms,
    )
