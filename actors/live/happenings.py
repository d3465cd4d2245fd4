"""Tell what happened to customers in flows, one after the other, to whoever wants to hear of it.

Decisions come from a follower, what became of messages from the journal itself. Everything has a
place that never changes: the journal's record, and its number within that record. So whoever knows
how far he got goes on from there, and what is told twice can be told apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.live.follower import Follower
from actors.live.known import cells
from actors.live.records import RowsRecord, decode_record
from actors.live.version import REPORTED
from actors.store.errors import TrimmedError
from core.catalogue.messages import Send
from core.lowering import author_of
from core.outcomes import OUTCOMES, PARKS, REFUSALS, Outcome, outcome_text
from core.report_nodes import entrances

DECIDED = ("entered", "moved", "sent", "completed", "exited", "parked", "refused")
HEARD = {
    REPORTED: "delivered",
    "message_failed": "failed",
    "email_opened": "opened",
    "email_clicked": "clicked",
    "message_clicked": "clicked",
    "message_bounced": "bounced",
    "message_complained": "complained",
    "subscription_resigned": "unsubscribed",
}
"""What is told of an event by which something became of a message."""
KINDS = (*DECIDED, *dict.fromkeys(HEARD.values()))
RECORDS_MAX = 2_000  # looked at for one answer
LINES_MAX = 100_000
_TOLD = ("flow", "version", "node", "channel", "template", "reason", "machine")
_BYTES = tuple(name.encode() for name in HEARD)
_REFUSED, _PARKED = frozenset(map(int, REFUSALS)), frozenset(map(int, PARKS))
Place = tuple[int, int]
"""All records up to the first number are told, and so many happenings of the next."""


@dataclass(frozen=True, slots=True)
class _Nodes:
    """What a version's nodes are: where entries begin, what sends; ids are of written nodes."""

    flow: str
    version: int
    ids: list[str]
    ports: list[tuple[str, ...]]
    entrance: NDArray[np.bool_]
    sends: list[Send | None]
    written: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Happening:
    """Something that happened: of a message what is told, of a decision its line."""

    at_ms: int
    kind: str
    flow: str
    number: int
    of: dict[str, Any] | tuple[_Nodes, int, int, int]


class Happenings:
    """What happened in one partition, by its follower. One thread uses both."""

    def __init__(self, follower: Follower) -> None:
        """Tell what `follower` follows."""
        self._follower = follower
        self._nodes: dict[int, _Nodes] = {}

    def feed(
        self, after: Place, kinds: Collection[str], flows: Collection[str], limit: int
    ) -> tuple[list[dict[str, Any]], Place]:
        """Up to `limit` happenings of some of KINDS behind a place, and the place they lead to.

        Of all flows where none is named. Those of one customer stand in their order. There may be
        more behind the place even if there are fewer than `limit`, unless it is the last record's.
        """
        record, index = after
        last = self._follower.store.head.journal_last
        if record > last:
            return [], (last, 0)  # an older journal was restored: it goes on from its end
        end = min(self._follower.kept, record + RECORDS_MAX)
        found: list[dict[str, Any]] = []
        if end <= record:
            return found, after
        # Both always, since places must not depend on what is asked for.
        lines, end = self._lines(record, end)
        heard = self._heard(record, end)
        for number in sorted({*lines, *heard}):
            happened = [*heard.get(number, ()), *lines.get(number, ())]
            happened.sort(key=lambda each: each.at_ms)
            first = index if number == record + 1 else 0
            for i in range(first, len(happened)):
                if len(found) == limit:
                    return found, (number - 1, i)
                each = happened[i]
                if each.kind not in kinds or (flows and each.flow not in flows):
                    continue
                customer = self.name(each.number, number)
                if customer is not None:
                    told = {"customer": customer, "record": number, "index": i}
                    found.append({**_said(each), **told})
        return found, (end, 0)

    def name(self, number: int, record: int) -> str | None:
        """The id of a customer's number; None if he was erased after a record."""
        if self._follower.erased_at.get(number, 0) >= record:
            return None
        return self._follower.id_of(number).strip("\0") or None

    def _lines(self, after: int, end: int) -> tuple[dict[int, list[_Happening]], int]:
        """The decisions of records behind `after`, by record, and up to which record they are."""
        found: dict[int, list[_Happening]] = {}
        count = last = 0
        for record, serial, columns in self._follower.lines(after):
            if record > end:
                break
            if count > LINES_MAX and record != last:
                return found, last
            found.setdefault(record, []).extend(self._decided(serial, columns))
            count += len(columns["customer"])
            last = record
        return found, end

    def _decided(self, serial: int, columns: dict[str, Any]) -> Iterator[_Happening]:
        nodes = self._nodes_of(serial)
        for number, at_ms, entry, node, port in zip(
            *(columns[name].tolist() for name in ("customer", "time_ms", "entry", "node", "port")),
            strict=True,
        ):
            kind = _kind(port, bool(nodes.entrance[node]), nodes.sends[node] is not None)
            if kind == "moved" and not nodes.written[node]:
                kind = ""  # between the parts of one written node
            yield _Happening(at_ms, kind, nodes.flow, number, (nodes, node, port, entry))

    def _nodes_of(self, serial: int) -> _Nodes:
        found = self._nodes.get(serial)
        if found is None:
            followed = self._follower.followed[serial]
            flow = self._follower.version(followed.flow, followed.number).flow
            begins = set(entrances(flow))
            found = _Nodes(
                followed.flow,
                followed.number,
                [author_of(each) for each in flow.nodes],
                [tuple(node.ports) for node in flow.nodes.values()],
                np.array([each in begins for each in flow.nodes], np.bool_),
                [node if isinstance(node, Send) else None for node in flow.nodes.values()],
                np.array([author_of(each) == each for each in flow.nodes], np.bool_),
            )
            self._nodes[serial] = found
        return found

    def _heard(self, after: int, end: int) -> dict[int, list[_Happening]]:
        """What became of messages in records behind `after` up to `end`, by record."""
        found: dict[int, list[_Happening]] = {}
        store = self._follower.store
        after = max(after, store.head.journal_first - 1)
        try:
            for number, data in store.journal(after):
                if number > end:
                    break
                if not any(name in data for name in _BYTES):
                    continue
                record = decode_record(number, data, str(store.folder))
                if isinstance(record, RowsRecord):
                    found[number] = list(self._rows(record.frame, record.until_ms - 1))
        except TrimmedError:
            return found  # it went away meanwhile: too old to be told
        return found

    def _rows(self, frame: Frame, now_ms: int) -> Iterator[_Happening]:
        kinds = [HEARD.get(name, "") for name in frame.event_names]
        wanted = np.array([bool(kind) for kind in kinds] + [False], np.bool_)
        numbers = self._follower.numbers_of(frame.id_hash)
        for row in np.flatnonzero(wanted[frame.type]).tolist():
            said = cells(frame.properties, row)
            told = {name: said[name] for name in _TOLD if said.get(name) not in (None, "")}
            number = int(numbers[frame.customer[row]])
            if number >= 0:
                at_ms = int(frame.received_ms[row]) or now_ms
                kind = kinds[int(frame.type[row])]
                yield _Happening(at_ms, kind, str(told.get("flow", "")), number, told)


def _said(each: _Happening) -> dict[str, Any]:
    """What is told of a happening, without whose it is."""
    told: dict[str, Any] = {"kind": each.kind, "at_ms": each.at_ms, "number": each.number}
    if isinstance(each.of, dict):
        return told | each.of
    nodes, node, port, entry = each.of
    told |= {"flow": nodes.flow, "version": nodes.version, "node": nodes.ids[node]}
    told["entry"] = f"{entry:x}"
    if port >= 0:
        told["port"] = nodes.ports[node][port]
    else:
        told["outcome"] = outcome_text(port)
    send = nodes.sends[node]
    if each.kind == "sent" and send is not None:
        told["channel"], told["template"] = str(send.channel), send.template
    return told


def _kind(port: int, entrance: bool, sends: bool) -> str:
    if port >= 0:
        if entrance:
            return "entered"
        return "sent" if sends and port == 0 else "moved"
    if port < -OUTCOMES or port in _REFUSED:
        return "refused"
    if port in _PARKED:
        return "parked"
    return "completed" if port == Outcome.END else "exited"
