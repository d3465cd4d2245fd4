"""Hold what the reference interpreter works on and tells: tokens, entries, watches, log lines.

An `Observer` hears why things were decided; a run without one decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo

from core.conditions import Model
from core.counters import Counters
from core.nodes import Target
from core.outcomes import CoupledOutcome, Outcome
from core.reference_conditions import View
from core.reference_people import Happening, Person, Value


class Record(NamedTuple):
    """One line of the decision log (D14); `port` may be a reason such as `end`."""

    customer: str
    step: int
    time_ms: int
    entry: int
    node: str
    port: str


class Sent(NamedTuple):
    """One message that left a `send` node; `entry` is the identity of its entry."""

    customer: str
    node: str
    time_ms: int
    entry: int


@dataclass(slots=True)
class ReferenceResult:
    """What a run decided: the log and the messages in customer order, and the counters."""

    records: list[Record]
    counters: Counters
    sends: list[Sent]


@dataclass(slots=True, eq=False)
class Token:
    """A customer's place in the flow. A ready one stands in the FIFO.

    `does` is what a ready token does first when it is run: arrive at its node, or leave it by
    `port`.
    """

    entry: Entry
    number: int
    node: str
    status: Literal["ready", "waiting", "idle", "parked", "ended"] = "ready"
    does: Literal["arrive", "leave"] = "arrive"
    port: str = ""
    due_ms: int | None = None
    cause: Happening | None = None  # the event that woke it


@dataclass(slots=True, eq=False)
class Entry:
    """One passage through the flow, with the event it began with; numbered by customer (D6)."""

    number: int
    identity: int
    began_ms: int
    node: str
    key: tuple[str, Value] | None
    properties: Mapping[str, Value] | None
    tokens: list[Token] = field(default_factory=list)
    visits: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it still has a token; idle and parked ones count (D8, D9)."""
        return any(token.status != "ended" for token in self.tokens)


@dataclass(slots=True, eq=False)
class Lined:
    """An entry that a trigger asked for and that may have to stand in line (D41).

    `number` is that of its claim; `due_ms` when it is let in, `granted` whether. `modelled`: its
    event is a modelled one. For others (D9) it began when it was claimed.
    """

    node: str
    identity: int
    began_ms: int
    key: tuple[str, Value] | None
    properties: Mapping[str, Value] | None
    modelled: bool
    number: int = -1
    due_ms: int | None = None
    granted: bool = True
    active: ClassVar[bool] = True


@dataclass(slots=True)
class Watch:
    """An open look-out for a success (D31); `place` is its index in the watch counters.

    `test` and `branch` are the resource and the branch of a test that ends, -1 elsewhere.
    """

    place: int
    target: Target
    start_ms: int
    within_ms: int
    entry: Entry
    test: int = -1
    branch: int = -1

    @property
    def until_ms(self) -> int:
        """The last instant at which a success counts."""
        return self.start_ms + self.within_ms


class Observer:
    """What a run tells to whoever asks why; this one does not listen. See core/story.py."""

    def begun(self, customer: Person, here: ZoneInfo) -> None:
        """A customer's time begins; `here` is the zone of his clock."""

    def trigger(self, node: str, matched: bool, view: View, happening: Happening | None) -> None:
        """A trigger was judged, by an event of its type or at a time of its own."""

    def lined_up(self, place: Lined) -> None:
        """The trigger that was judged last matched, and its entry was claimed."""

    def let_out(self, place: Lined, now_ms: int) -> None:
        """The claim was answered; whether an entry begins or is refused comes next."""

    def refused(
        self, node: str, why: Outcome | CoupledOutcome, before: Entry | Lined | None
    ) -> None:
        """A trigger matched and nobody entered; `before` is the entry that stood in the way."""

    def entered(self, entry: Entry) -> None:
        """An entry began, by the trigger that was judged last."""

    def condition(self, token: Token, condition: Model, result: bool, view: View) -> None:
        """A condition node was answered."""

    def value(self, token: Token, read: Value | list[str] | None, port: str) -> None:
        """A branch was chosen by a value, or by the tags carried."""

    def draw(self, token: Token, points: int) -> None:
        """A branch was chosen by a draw of `points` out of 10,000."""

    def decided(self, token: Token, port: str) -> None:
        """A branch was chosen because its test has ended."""

    def waiting(self, token: Token, now_ms: int, due_ms: int | None) -> None:
        """A token came to wait, until `due_ms` if ever; or found its time past already."""

    def record(self, record: Record, token: Token | None) -> None:
        """A line was added to the decision log."""

    def finished(self, entries: list[Entry]) -> None:
        """The customer's time is over; `entries` stand as they are at the horizon."""
