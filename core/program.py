"""Define the compiled form of a flow: flat tables that an interpreter walks.

A `Program` still names columns and event types and holds literals as the document states them;
`core.binding` resolves those against an audience into the arrays of `Bound`. The record layouts
below are the only declaration of the structs that `ext/structs.pxd` mirrors; the machine refuses to
load where the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from core.conditions import Comparison, Period
from core.duration import Duration
from core.flow import Flow
from core.internal_events import ChangeKind, Internal
from core.responses import Responses

FORMAT_VERSION = 1


class Op(IntEnum):
    """What the interpreter does with a token at a node; many node types share one operation."""

    TRIGGER = 0  # entries begin here; no token ever arrives
    DECIDE = 1  # walk a decision graph, its result is the port
    VALUE = 2  # look an attribute up in a table of ports
    WAIT_FOR = 3
    WAIT_AT = 4
    WAIT_DATE = 5
    WAIT_SLOT = 6
    WAIT_EVENT = 7
    SPLIT = 8
    SEND = 9
    SET = 10  # write a constant to a column: attributes, tags and groups alike
    ADD = 11
    END = 12
    CLAIM = 13  # wait for the answer to a claim, which is the port


class Pred(IntEnum):
    """What a step of a decision graph asks.

    Every predicate but `PRESENT` is false on a missing value.
    """

    NEVER = 0  # false whatever the value
    RANGE = 1  # lo <= value <= hi, whole numbers and dictionary codes
    RANGE_FLOAT = 2  # lo <= value <= hi, the bits of two doubles
    TABLE = 3  # a byte for each dictionary code
    IN = 4  # in a sorted run of `sets`
    IN_FLOAT = 5  # in a sorted run of `float_sets`
    PRESENT = 6
    LAST = 7  # now - d < value <= now
    NEXT = 8  # now < value <= now + d
    OLDER = 9  # value <= now - d
    ANNIVERSARY = 10  # the date comes round in so many days on the customer's clock
    COMPARE = 11  # two values with each other
    HISTORY = 12  # least <= matching events in the window <= most
    CLOCK = 13  # the customer's time of the week is in one of a run of slots


class Source(IntEnum):
    """Whose value a test reads."""

    CUSTOMER = 0
    EVENT = 1  # the event at hand
    ENTRY = 2  # the event with which the entry began


class Store(IntEnum):
    """How a column lies in memory."""

    INT8 = 0
    INT32 = 1
    INT64 = 2
    FLOAT64 = 3


class Relation(IntEnum):
    """How `COMPARE` compares."""

    IS = 0
    IS_NOT = 1
    ABOVE = 2
    AT_LEAST = 3
    BELOW = 4
    AT_MOST = 5


class TriggerKind(IntEnum):
    """What makes a trigger fire."""

    EVENT = 0
    SEGMENT = 1
    SCHEDULE = 2


NODE = np.dtype(
    [
        ("op", "i4"),  # Op
        ("port0", "i4"),  # its first port
        ("ports", "i4"),  # how many
        ("cond", "i4"),  # first test of its decision graph or filter, -1 for none
        ("a", "i4"),  # column, event type, first slot, first weight, channel: see core.compiler
        ("b", "i4"),  # value table, message node, slots, watch, send
        ("slot", "i4"),  # visit counter, -1 where every visit is the first
        ("flags", "i4"),  # FLAG_*
        ("months", "i4"),
        ("days", "i4"),
        ("ms", "i8"),
        ("x", "i8"),  # instant, time of day, value bits, key, condition, first of several
        ("fires", "i4"),  # SEND: the internal event of a message that left, -1 for none
        ("pad", "i4"),
    ],
    align=True,
)
FLAG_LOCAL = 1  # WAIT_AT: x is local; WAIT_DATE: the column holds dates
FLAG_TIMEOUT = 2  # WAIT_EVENT
FLAG_STICKY = 4  # SPLIT
FLAG_WHOLE = 8  # END
FLAG_FLOAT = 16  # ADD
FLAG_TOUCH = 32  # reads attribute values of a later date
FLAG_SEGMENT = 64  # SET, ADD: a segment trigger reads the column
FLAG_AGAIN = 128  # a customer may arrive more than once, or a funnel layer asks whether one did
FLAG_LATE = 256  # a token may arrive later than its entry began
FLAG_JOINT = 512  # all of several ports lead to the one node
FLAG_SEVERAL = (
    1024  # WAIT_EVENT: x is the first of its `listens`, one for each port but the timeout's
)
FLAG_NOW = 2048  # WAIT_EVENT: passes at once where the condition x holds

PORT = np.dtype([("edge0", "i4"), ("edges", "i4"), ("outcome", "i4"), ("pad", "i4")], align=True)
"""`outcome`: what becomes of a token where the port has no edge, 0 to stand idle."""

PRED = np.dtype(
    [
        ("op", "i4"),  # Pred
        ("source", "i4"),  # Source
        ("col", "i4"),
        ("store", "i4"),  # Store
        ("negate", "i4"),  # of a value that is there
        ("on_true", "i4"),  # next test, or -1 - result
        ("on_false", "i4"),
        ("source2", "i4"),  # COMPARE; HISTORY: filter's first test or -1
        ("col2", "i4"),  # COMPARE; HISTORY: history number; LAST..ANNIVERSARY: 1 where dates
        ("store2", "i4"),
        ("lo", "i8"),  # HISTORY: its longest window; CLOCK: the first slot
        ("hi", "i8"),  # HISTORY: 1 + place among PERIODS, 0 where the window rolls; CLOCK: slots;
        # ANNIVERSARY: the time of day at which it is true for a millisecond, -1 for the whole day
    ],
    align=True,
)

TRIGGER = np.dtype(
    [
        ("node", "i4"),
        ("kind", "i4"),  # TriggerKind
        ("cond", "i4"),
        ("cond_end", "i4"),  # SEGMENT: its tests are [cond, cond_end)
        # SEGMENT: bit 0 at the start, bit 1 joining, bit 2 of moments only; 0 where nobody enters
        ("members", "i4"),
        ("fires", "i4"),  # SEGMENT: the internal event of its coming true, -1 for none
    ],
    align=True,
)

WATCH = np.dtype(
    [("event", "i4"), ("cond", "i4"), ("counter0", "i4"), ("test", "i4"), ("within_ms", "i8")],
    align=True,
)
"""`test`: number of the A/B test, -1 for the goal.

`counter0`: its first place in the watch counters.
"""

RULE = np.dtype([("cond", "i4"), ("draw0", "i4"), ("draws", "i4"), ("pad", "i4")], align=True)
DRAW = np.dtype(
    [
        ("outcome", "i4"),  # of the responses file
        ("event", "i4"),  # event type, -1 where the flow does not refer to it
        ("parent", "i4"),  # earlier draw of the same rule, -1 for none
        ("table", "i4"),  # delay table
        ("constants", "i4"),  # row of property constants
        ("ident", "i4"),  # its identity's byte template
        ("probability", "i8"),  # billionths
        ("key", "u8"),
        ("delay_key", "u8"),
    ],
    align=True,
)
EVENT = np.dtype(
    [
        ("trigger0", "i4"),  # in `event_triggers`
        ("triggers", "i4"),
        ("history", "i4"),  # history number, -1 where no condition looks back at it
        ("flags", "i4"),  # EVENT_*
    ],
    align=True,
)
EVENT_WAITED = 1
EVENT_WATCHED = 2
EVENT_SEGMENT = 4
EVENT_EXITS = 8

LISTEN = np.dtype([("event", "i4"), ("cond", "i4")], align=True)
"""An event and its filter: one of several that a wait is for, or one that takes everybody out."""

INTERNAL = np.dtype([("event", "i4"), ("pad", "i4")], align=True)
"""An event that a run makes happen; it carries the row of constants behind those of all draws."""

LOG = np.dtype(
    [
        ("customer", "u4"),  # row of the audience
        ("step", "u4"),
        ("time_ms", "i8"),
        ("entry", "u8"),
        ("node", "i4"),
        ("port", "i4"),  # port number, or an Outcome
    ],
    align=True,
)

CHANGE = np.dtype(
    [
        ("customer", "u4"),  # number in the partition
        ("column", "i4"),
        ("time_ms", "i8"),
        ("value", "i8"),  # what the column holds, widened; a fraction by its bits
    ],
    align=True,
)

EFFECT = np.dtype(
    [
        ("customer", "u4"),  # number in the partition
        ("node", "i4"),
        ("time_ms", "i8"),
        ("entry", "u8"),
        ("id_hash", "u8"),  # of the customer
        ("visit", "u4"),
        ("number", "u4"),  # of the entry: two that begin at one instant have one identity
        ("row", "i8"),  # of the event with which the entry began, below 0 for none
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A column of the customer: an attribute, a tag or a group."""

    family: str  # "attribute", "tag" or "group"
    name: str


@dataclass(slots=True)
class PredSpec:
    """A test before it is bound: what the document says, and where to go on either answer.

    `on_true`, `on_false`: index of the next test, or -1 - result at the end. `test` is None for a
    plain "is it true" of a tag or group. For a history test `bounds`, `window_ms`, `since`,
    `event` and `filter` hold, for a test of the clock `slots`: the first of them, and how many.
    """

    source: Source
    column: int
    test: Comparison | None
    on_true: int
    on_false: int
    event: str | None = None
    bounds: tuple[int, int | None] = (1, None)
    window_ms: int | None = None
    since: Period | None = None
    filter: int = -1
    slots: tuple[int, int] | None = None


@dataclass(slots=True)
class WatchSpec:
    """A success watch before it is bound."""

    event: str
    cond: int
    within_ms: int
    counter0: int
    test: int


@dataclass(slots=True)
class Program:
    """A compiled flow, not yet bound to an audience.

    `nodes` (NODE records) with `op`, ports, `cond`, `slot`, durations and flags set; what depends
    on the audience (kinds of columns, dictionary codes, zones, keys) is left to the binder.
    `columns` are the customer's columns read or written, `written` those that an action writes.
    `properties` are event properties by name. `events` are the event types referred to, sorted;
    `histories` those that conditions look back at. `internals` are the events that the run makes
    happen, `column_fires` those of a column's changes. `listens` and `exits` are events with their
    filters' first tests; `guards` the first tests of sends' guards, which a node's `x` begins.
    """

    flow: Flow
    responses: Responses | None
    node_ids: list[str]
    nodes: NDArray[np.void]
    ports: NDArray[np.void]
    edges: NDArray[np.int32]
    preds: list[PredSpec]
    triggers: NDArray[np.void]
    trigger_events: list[str | None]
    columns: list[ColumnName]
    written: frozenset[int]
    properties: list[str]
    events: list[str]
    histories: list[str]
    watches: list[WatchSpec]
    weights: NDArray[np.int64]
    slots: list[tuple[int, int, int]]
    visit_slots: int
    layers: list[list[int]]
    segment_columns: frozenset[int]
    segment_events: frozenset[str]
    touches: list[tuple[int, tuple[int, ...]]]
    rule_conds: dict[int, int] = field(default_factory=dict)
    look_back_ms: dict[str, int | None] = field(default_factory=dict)
    internals: list[Internal] = field(default_factory=list)
    column_fires: dict[tuple[int, ChangeKind], int] = field(default_factory=dict)
    listens: list[tuple[str, int]] = field(default_factory=list)
    exits: list[tuple[str, int]] = field(default_factory=list)
    guards: list[int] = field(default_factory=list)
    format_version: int = FORMAT_VERSION


def duration_fields(duration: Duration) -> tuple[int, int, int]:
    """The months, days and milliseconds of a duration as NODE stores them."""
    return duration.months, duration.days, duration.ms
