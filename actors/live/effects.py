"""Turn what a machine asks the world to do into what an outbox stores, and other flows hear."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame, Sparse
from actors.live.errors import RefusedError
from actors.live.version import LiveVersion, frame_of_changes
from actors.relay.effect_block import COLUMN, SendText, encode_effects
from actors.relay.effects import NAMES_MAX
from core.audience import Column, Kind
from core.duration import DAY_MS
from core.hashing import hash_parts
from core.instants import civil_text, instant_text
from core.internal_events import MADE_BY_SENDS, MESSAGE_SENT
from core.nodes import Send

EXPIRES_MS = 3 * DAY_MS
"""Nobody wants a message any more that could not be sent for so long."""
NAMED: tuple[Any, ...] = (None, {})
"""What a node states of a variable that is the attribute of that name."""
STATED_MAX = 64 << 10
"""Characters that a node may state for its message; an effect with them fits into a record."""
VISIT_BITS = 16
GOLDEN = 0x9E3779B97F4A7C15


def sends_of(version: LiveVersion) -> tuple[list[SendText], NDArray[np.int64]]:
    """What each send node of a version says, and where, int64[nodes], -1 for other nodes."""
    texts: list[SendText] = []
    place = np.full(len(version.flow.nodes), -1, np.int64)
    for i, (node_id, node) in enumerate(version.flow.nodes.items()):
        if isinstance(node, Send):
            place[i] = len(texts)
            stated = list(node.variables.items())
            texts.append(
                SendText(
                    flow=version.name,
                    version=version.number,
                    node=node_id,
                    channel=node.channel,
                    template=node.template,
                    to=node.to or "",
                    variables=tuple(n for n, said in stated if said in NAMED),
                    stated=tuple(
                        (n, as_json(said))
                        for n, said in stated
                        if said not in NAMED and n not in node.of_entry
                    ),
                    expires_ms=EXPIRES_MS,
                    fresh_ms=EXPIRES_MS,
                )
            )
    return texts, place


def check_sends(version: LiveVersion) -> None:
    """Raise RefusedError where what a send node says is more than an effect may hold."""
    for text in sends_of(version)[0]:
        size = sum(len(name) + len(said) for name, said in text.stated)
        if size > STATED_MAX or len(text.variables) > NAMES_MAX:
            raise RefusedError(
                f"node {text.node} has variables of {size:,} characters, and names "
                f"{len(text.variables)} attributes",
                advice=f"At most {STATED_MAX:,} characters and {NAMES_MAX} names go along; "
                "the template finds attributes that it shows by itself",
            )


def stored_effects(tenant: str, version: LiveVersion, effects: NDArray[Any]) -> list[bytes]:
    """The outbox's blocks for `effects` (EFFECT records) of a version.

    A customer is named by the hash of his id, which he keeps wherever his partition goes. The
    number of the entry stands above the visit: two entries that begin at one instant have one
    identity, and what they send must not be taken for the same message.
    """
    texts, place = sends_of(version)
    columns = np.empty(len(effects), COLUMN)
    columns["customer"] = effects["id_hash"].view(np.int64)
    columns["entry"] = effects["entry"].view(np.int64)
    columns["committed_ms"] = effects["time_ms"]
    columns["send"] = place[effects["node"]]
    columns["visit"] = _visits(effects)
    _show_entries(version, effects, texts, columns)
    return encode_effects(tenant, texts, columns)


def _show_entries(
    version: LiveVersion, effects: NDArray[Any], texts: list[SendText], columns: NDArray[Any]
) -> None:
    """Let messages that show properties of the entering event each say their own."""
    for i, node in enumerate(version.flow.nodes.values()):
        if not isinstance(node, Send) or not node.of_entry:
            continue
        shown, mine = node.of_entry, np.flatnonzero(effects["node"] == i)
        if len(mine) == 0:
            continue
        said: dict[tuple[Any, ...], int] = {}
        plain = texts[columns["send"][mine[0]]]
        entries = _entries(version, list(shown.values()), effects["row"][mine])
        for row, values in zip(mine, entries, strict=True):
            if values not in said:
                said[values] = len(texts)
                known = zip(shown, map(as_json, values), strict=True)
                texts.append(replace(plain, stated=(*plain.stated, *known)))
            columns["send"][row] = said[values]


def _entries(
    version: LiveVersion, names: list[str], rows: NDArray[np.int64]
) -> list[tuple[Any, ...]]:
    """The properties `names` of events, `rows` int64[k], as text and numbers; None is missing.

    A row below 0 is that of an entry which no event began.
    """
    there = np.flatnonzero(rows >= 0)
    columns: list[list[Any]] = []
    for name in names:
        number = version.program.properties.index(name)
        held = version.bound.columns.property[number]
        cells = version.machine.cells(number, rows[there])
        column = Column(held.kind, cells, held.dictionary)
        values: list[Any] = [None] * len(rows)
        for place, row in enumerate(there.tolist()):
            values[row] = _readable(column.kind, column.value(place))
        columns.append(values)
    return list(zip(*columns, strict=True))


def _readable(kind: Kind, value: Any) -> Any:
    """A value as people write it: dates and times as ISO text."""
    if value is None or kind not in ("date", "datetime"):
        return value
    return civil_text(value) if kind == "date" else instant_text(value)


def as_json(said: Any) -> str:
    """A value that a node states, as an effect carries it."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=str)


def _visits(effects: NDArray[Any]) -> NDArray[np.uint32]:
    """Visits with the numbers of their entries above them, modulo 2**32."""
    found: NDArray[np.uint32] = effects["visit"] + (effects["number"] << np.uint32(VISIT_BITS))
    return found


def frame_of_sends(version: LiveVersion, effects: NDArray[Any]) -> Frame:
    """`effects` (EFFECT records, k of them) as k events of the times at which they were decided.

    Customers are the partition's numbers. Identity: hash_parts("sent", flow, version, node) xor
    entry + visit * 0x9E3779B97F4A7C15 modulo 2**64, the same however partitions are cut (D53).
    """
    times = effects["time_ms"].astype(np.int64)
    frame = frame_of_changes(effects["customer"].astype(np.int32), times)
    nodes = version.flow.nodes.items()
    none: tuple[str, dict[str, str]] = (MESSAGE_SENT, {})
    made = [n.makes_happen(version.name, i) if isinstance(n, Send) else none for i, n in nodes]
    frame.event_names = list(MADE_BY_SENDS)
    kinds = [frame.event_names.index(event) for event, _ in made]
    frame.type[:] = np.array(kinds)[effects["node"]]
    carried = [properties for _, properties in made]
    of_node = [hash_parts("sent", version.name, version.number, node_id) for node_id, _ in nodes]
    visits = _visits(effects).astype(np.uint64) * np.uint64(GOLDEN)
    frame.hash = np.array(of_node, np.uint64)[effects["node"]] ^ (effects["entry"] + visits)
    rows = np.arange(len(effects), dtype=np.int32)
    for name in sorted({name for each in carried for name in each}):
        texts = sorted({each[name] for each in carried if name in each})
        codes = [texts.index(each[name]) if name in each else -1 for each in carried]
        values = np.array(codes, np.int32)[effects["node"]]
        frame.properties[name] = Sparse("string", rows, values, texts)
    return frame
