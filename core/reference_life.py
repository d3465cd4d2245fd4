"""Keep one customer's state for the reference interpreter: what is known, counted and written down.

What a node does to it is in core/reference_nodes.py, the order of work in core/reference.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from core.audience import Audience, Kind
from core.conditions import (
    AttributeTest,
    DidTest,
    GroupTest,
    Model,
    NeverDidTest,
    Scalar,
    TagTest,
    walk,
)
from core.duration import fixed_ms
from core.flow import Flow
from core.hashing import hash_parts
from core.internal_events import Family, change_event, kinds_of_change
from core.nodes import NodeBase, Target
from core.options import RunOptions
from core.outcomes import PARKS, Outcome
from core.reference_conditions import View
from core.reference_couplings import Desk
from core.reference_people import Happening, Person, Value, fit
from core.reference_state import Entry, Lined, Observer, Record, Sent, Token, Watch
from core.reference_tally import Tally
from core.reference_time import zone
from core.responses import Responses, Table
from core.zones import zone_names


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all customers of a run.

    `zone_name` is the flow's zone, `window` bounds entries, `tables` are the delays of the
    responses by number, `segment_reads` what segment triggers name, as (kind, name). The types are
    those of the audience's columns, and for names that it lacks those that the documents ask for.
    """

    flow: Flow
    audience: Audience
    options: RunOptions
    responses: Responses | None
    observer: Observer
    zone_name: str
    window: tuple[int, int]
    tables: list[Table]
    segment_reads: frozenset[tuple[str, str]]
    attribute_types: Mapping[str, Kind]
    property_types: Mapping[str, Kind]


def reads(condition: Model | None) -> Iterator[tuple[str, str]]:
    """Yield what a condition names, as (kind, name): attributes, tags, groups, event types."""
    for part in walk(condition):
        match part:
            case AttributeTest(attribute=name):
                yield "attribute", name
            case TagTest(tag=name):
                yield "tag", name
            case GroupTest(group=name):
                yield "group", name
            case DidTest(did=name) | NeverDidTest(never_did=name):
                yield "event", name


class Life:
    """One customer at `now_ms`: entries, tokens in the FIFO, open watches, modelled events."""

    def __init__(self, setting: Setting, tally: Tally, customer: Person, desk: Desk) -> None:
        self.desk = desk
        self.setting = setting
        self.flow = setting.flow
        self.options = setting.options
        self.observer = setting.observer
        self.tally = tally
        self.person = customer
        self.now_ms = 0
        self.there = zone(setting.zone_name)
        self.here = self._zone()
        self.records: list[Record] = []
        self.sends: list[Sent] = []
        self.entries: list[Entry] = []
        self.line: list[Lined] = []  # entries that are claimed
        self.fifo: list[Token] = []
        self.watches: list[Watch] = []
        self.modelled: list[tuple[int, Happening]] = []  # to come, each with its order of creation
        self.modelled_ever = 0
        self.internal: list[Happening] = []  # what the run itself made happen, to be seen next
        self.dirty = False  # something that a segment trigger reads may have changed

    def tokens(self) -> list[Token]:
        """All tokens by (entry number, fork number)."""
        return [token for entry in self.entries for token in entry.tokens]

    def node(self, node_id: str) -> NodeBase:
        """The node of an id."""
        return self.flow.nodes[node_id]

    def view(
        self, entry: Entry | None, happening: Happening | None = None, *, trigger: bool = False
    ) -> View:
        """What a condition sees; in a trigger's filter `entry` is the event at hand (D21)."""
        event = None if happening is None else happening.properties
        begun = None if entry is None else entry.properties
        return View(
            self.now_ms, self.person, self.here, self.there, event if trigger else begun, event
        )

    def record(self, entry: Entry, node_id: str, port: str, token: Token) -> None:
        """A port was taken."""
        self.tally.port(node_id, port)
        self.log(entry.identity, node_id, port, token)

    def log(self, identity: int, node_id: str, port: str, token: Token | None) -> None:
        """Write a line of the decision log; steps count a customer's lines from 0 (D14)."""
        step = len(self.records)
        self.records.append(Record(self.person.id, step, self.now_ms, identity, node_id, port))
        self.observer.record(self.records[-1], token)

    def stop(self, token: Token, reason: Outcome) -> None:
        """The token ends or is parked where it stands."""
        token.status = "parked" if reason in PARKS else "ended"
        self.tally.outcome(token.node, reason)
        self.log(token.entry.identity, token.node, reason.text, token)

    def note(self, kind: str, name: str) -> None:
        """Something changed or may have: segments are judged again if they name it (D3 e)."""
        if (kind, name) in self.setting.segment_reads:
            self.dirty = True

    def make_happen(
        self,
        event: str,
        properties: Mapping[str, Value] | None = None,
        answers: tuple[int, str] | None = None,
    ) -> None:
        """Let an internal event be next (D47)."""
        identity = hash_parts("internal", self.now_ms)
        self.internal.append(Happening(self.now_ms, event, properties or {}, identity, answers))

    def changed(self, family: Family, name: str, old: Value | None, new: Value | None) -> None:
        """Something of the customer's record was written."""
        kind = "bool"
        if family == "attribute":
            kind = self.setting.attribute_types[name]
        zeros = {"bool": False, "int64": 0, "float64": 0.0}
        for change in kinds_of_change(old, new, zero=zeros.get(kind)):
            self.make_happen(change_event(family, name, change))

    def write(self, attribute: str, value: Value | None) -> None:
        """Give an attribute a value, or take it away."""
        old = self.person.attributes.get(attribute)
        if value is None:
            self.person.attributes.pop(attribute, None)
        else:
            self.person.attributes[attribute] = value
        self.changed("attribute", attribute, old, value)
        self.note("attribute", attribute)

    def mark(self, family: Literal["tag", "group"], name: str, given: bool) -> None:
        """Give a tag, put into a group, or the other way."""
        marks = self.person.tags if family == "tag" else self.person.groups
        old = name in marks
        if given:
            marks.add(name)
        else:
            marks.discard(name)
        self.changed(family, name, old, given)
        self.note(family, name)

    def watch(
        self, place: int, target: Target, entry: Entry, test: int = -1, branch: int = -1
    ) -> None:
        """Look out for a success from now on (D31), of a branch of a test that ends."""
        watch = Watch(place, target, self.now_ms, fixed_ms(target.within), entry, test, branch)
        self.watches.append(watch)
        self.tally.watched(place, matured=watch.until_ms < self.options.horizon_ms)

    def touch(self, node_id: str, read: Iterable[tuple[str, str]]) -> None:
        """Note where the customer is judged by attribute values of a later date (D37)."""
        audience = self.setting.audience
        if audience.as_of_ms is None or self.now_ms >= audience.as_of_ms:
            return
        for kind, name in read:
            dated = name in audience.attributes and name not in audience.constants
            if kind == "attribute" and dated and name not in self.person.logged:
                self.tally.touch(node_id)

    def fit(self, attribute: str, literal: Scalar) -> Value:
        """A literal as a value of the attribute's type."""
        return fit(literal, self.setting.attribute_types[attribute], self.there)

    def fit_property(self, name: str, literal: Scalar) -> Value:
        """A literal as a value of the property's type."""
        return fit(literal, self.setting.property_types[name], self.there)

    def _zone(self) -> ZoneInfo:
        """D29."""
        if self.person.zone in zone_names():
            return zone(str(self.person.zone))
        if self.person.zone is not None:
            self.tally.invalid_zone()
        return self.there
