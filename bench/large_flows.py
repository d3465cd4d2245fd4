"""Make large flows of several shapes, to measure what reading, judging and compiling them takes.

Each shape is what some part of lint or of the compiler finds hardest. All are made from a seed and
have no lint error, so every one of them could run. `audience` makes people that the flows fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from core.audience import (
    INT64_MIN,
    AttributeSchema,
    Audience,
    AudienceSchema,
    Column,
    EventSchema,
    PropertySchema,
)

Nodes = dict[str, Any]

KNOWN = 50  # attributes, tags and events that the audience has
CUSTOMERS = 100
CHANNELS = ("email", "sms", "push")


def document(shape: str, nodes: int, *, seed: int = 1) -> dict[str, Any]:
    """A flow of so many nodes (at least 4) in one of `SHAPES`, as plain values."""
    rng = np.random.default_rng(seed)
    start = {"type": "on_event", "event": "e0", "next": "n0"}
    made = SHAPES[shape](nodes - 2, rng)
    flow = {"start": start, **made, "end": {"type": "end"}}
    return {"headrace": 1, "flow": shape, "settings": {"zone": "Europe/Berlin"}, "nodes": flow}


def _onward(i: int, nodes: int) -> str:
    return f"n{i}" if i < nodes else "end"


def chain(nodes: int, rng: np.random.Generator) -> Nodes:
    """One long row of messages, tags and waits."""
    kinds: list[Callable[[int], dict[str, Any]]] = [
        lambda i: {"type": "send", "channel": CHANNELS[i % 3], "template": f"t{i}"},
        lambda i: {"type": "add_tag", "tag": f"tag{i % KNOWN}"},
        lambda i: {"type": "wait", "for": "1 day"},
        lambda i: {"type": "set_attribute", "attribute": f"text{i % KNOWN}", "value": f"v{i % 9}"},
    ]
    picked = rng.integers(0, len(kinds), nodes)
    return {f"n{i}": {**kinds[picked[i]](i), "next": _onward(i + 1, nodes)} for i in range(nodes)}


def tree(nodes: int, rng: np.random.Generator) -> Nodes:
    """A wide tree of branches by attribute, tag and chance, four ways at each node."""
    made: Nodes = {}
    for i, kind in enumerate(rng.integers(0, 3, nodes).tolist()):
        below = [_onward(4 * i + place, nodes) for place in range(1, 5)]
        if kind == 0:
            node = {"type": "branch_attribute", "attribute": f"text{i % KNOWN}"}
            values: dict[str, Any] = {"a": ["v1", "v2"], "b": ["v3"], "c": ["v4"]}
        elif kind == 1:
            node = {"type": "branch_tag"}
            values = {p: [f"tag{(i + k) % KNOWN}"] for k, p in enumerate("abc")}
        else:
            node = {"type": "split"}
            values = dict.fromkeys("abcd", "25%")
        ports = [*values, "other"][:4]
        made[f"n{i}"] = {**node, "branches": values, "next": dict(zip(ports, below, strict=True))}
    return made


def tangle(nodes: int, rng: np.random.Generator) -> Nodes:
    """Conditions that lead anywhere ahead, and waits that lead back: one great knot of cycles."""
    made: Nodes = {}
    for i in range(nodes):
        ahead = [_onward(i + 1, nodes)]
        ahead += [_onward(int(t), nodes) for t in rng.integers(i + 1, nodes + 1, 3)]
        back = f"n{rng.integers(0, i + 1)}"
        if i % 3 == 0:
            made[f"n{i}"] = {
                "type": "wait_event", "event": f"e{i % KNOWN}", "timeout": "2 days",
                "next": {"event": back, "timeout": ahead[0]},
            }  # fmt: skip
        else:
            made[f"n{i}"] = {
                "type": "condition", "if": {"attribute": f"number{i % KNOWN}", "above": i},
                "next": {"yes": list(dict.fromkeys(ahead)), "no": ahead[-1]},
            }  # fmt: skip
    return made


def conditions(nodes: int, rng: np.random.Generator) -> Nodes:
    """Trees of `all` and `any` with filters and look-backs, and tags where they are true."""
    made: Nodes = {}
    for i in range(nodes):
        onward = _onward(i + 1, nodes)
        if i % 2:
            made[f"n{i}"] = {"type": "add_tag", "tag": f"tag{i % KNOWN}", "next": onward}
            continue
        p = rng.integers(0, KNOWN, 6).tolist()
        within = f"{1 + i % 90} days"
        where = {"all": [{"property": "amount", "above": i % 100}, {"property": "kind", "is": "x"}]}
        often = {"did": f"e{p[4]}", "at_least": 2, "within": within, "where": where}
        never = {"never_did": f"e{p[5]}", "within": within}
        listed = {"attribute": f"text{p[0]}", "one_of": ["v1", "v2", "v3"]}
        numbers = [{"attribute": f"number{k}", "above": i} for k in p[:3]]
        untagged = {"not": {"tag": f"tag{p[3]}"}}
        asked = {"all": [{"any": numbers}, untagged, often, {"any": [never, listed]}]}
        ahead = _onward(i + 2, nodes)
        made[f"n{i}"] = {"type": "condition", "if": asked, "next": {"yes": onward, "no": ahead}}
    return made


def tests(nodes: int, rng: np.random.Generator) -> Nodes:
    """A/B tests one after the other, each with its target."""
    made: Nodes = {}
    for i, event in enumerate(rng.integers(0, KNOWN, nodes).tolist()):
        target = {"event": f"e{event}", "within": "3 days",
                  "where": {"property": "amount", "above": i % 100}}  # fmt: skip
        made[f"n{i}"] = {
            "type": "ab_test", "branches": {"a": "50%", "b": "50%"}, "target": target,
            "next": {"a": _onward(i + 1, nodes), "b": _onward(i + 2, nodes)},
        }  # fmt: skip
    return made


def forks(nodes: int, rng: np.random.Generator) -> Nodes:
    """Forks whose paths meet again further on, and messages below them that are waited for."""
    made: Nodes = {}
    for i, far in enumerate(rng.integers(2, 40, nodes).tolist()):
        onward = list(dict.fromkeys([_onward(i + 1, nodes), _onward(i + far, nodes)]))
        if i % 2 == 0:
            node = {"type": "send", "channel": CHANNELS[i % 3], "template": f"t{i}"}
            made[f"n{i}"] = {**node, "next": onward}
        else:
            node = {"type": "wait_event", "event": f"e{i % KNOWN}", "message": f"n{i - 1}"}
            made[f"n{i}"] = {**node, "next": {"event": onward}}
    return made


def names(nodes: int, rng: np.random.Generator) -> Nodes:
    """Nodes that each name an attribute, an event and a property of their own, which none has."""
    made: Nodes = {}
    for i, kind in enumerate(rng.integers(0, 4, nodes).tolist()):
        onward = _onward(i + 1, nodes)
        entry = {"attribute": f"own text {i}", "is": {"entry": f"own property {i}"}}
        history = {"did": f"own event {i}", "within": "9 days"}
        if kind == 0:
            made[f"n{i}"] = {"type": "condition", "if": {"all": [entry, history]},
                             "next": {"yes": onward, "no": onward}}  # fmt: skip
        elif kind == 1:
            node = {"type": "wait_event", "event": f"own event {i}", "timeout": "1 day"}
            made[f"n{i}"] = {**node, "next": {"event": onward, "timeout": onward}}
        elif kind == 2:
            node = {"type": "set_attribute", "attribute": f"own text {i}", "value": f"v{i}"}
            made[f"n{i}"] = {**node, "next": onward}
        else:
            made[f"n{i}"] = {"type": "remove_tag", "tag": f"own tag {i}", "next": onward}
    return made


def triggers(nodes: int, rng: np.random.Generator) -> Nodes:
    """As many events that begin entries as tests of the event with which the entry began."""
    made: Nodes = {}
    for i in range(nodes):
        onward = _onward(i // 2 * 2 + 2, nodes)
        if i % 2:
            made[f"n{i}"] = {"type": "on_event", "event": f"own event {i}", "next": f"n{i - 1}"}
        else:
            asked = {"entry": f"own property {i}", "is": int(rng.integers(0, 9))}
            made[f"n{i}"] = {"type": "condition", "if": asked,
                             "next": {"yes": onward, "no": onward}}  # fmt: skip
    return made


def broad(nodes: int, rng: np.random.Generator) -> Nodes:
    """One node that branches by tag into messages of their own."""
    ports = [f"p{i}" for i in rng.permutation(nodes - 1).tolist()]
    made: Nodes = {
        "n0": {
            "type": "branch_tag",
            "branches": {port: [f"own tag {port}"] for port in ports},
            "next": {**{port: f"n{i}" for i, port in enumerate(ports, 1)}, "other": "end"},
        }
    }
    for i in range(1, nodes):
        node = {"type": "send", "channel": CHANNELS[i % 3], "template": f"t{i}"}
        made[f"n{i}"] = {**node, "next": "end"}
    return made


def fans(nodes: int, rng: np.random.Generator) -> Nodes:
    """Forks into sixteen paths each: as many edges as a flow may have."""
    made: Nodes = {}
    for i, ahead in enumerate(rng.integers(0, nodes, (nodes, 15)).tolist()):
        onward = [_onward(i + 1 + far % (nodes - i), nodes) for far in ahead]
        made[f"n{i}"] = {"type": "wait", "for": "1 hour",
                         "next": list(dict.fromkeys([_onward(i + 1, nodes), *onward]))}  # fmt: skip
    return made


SHAPES: dict[str, Callable[[int, np.random.Generator], Nodes]] = {
    make.__name__: make
    for make in (*(chain, tree, broad, tangle, conditions, tests, forks, fans, names, triggers),)
}


def schema(known: int = KNOWN) -> AudienceSchema:
    """The schema of the audience, with so many names of each kind."""
    kinds = (("text", "string"), ("number", "int64"))
    held = {"amount": PropertySchema(type="float64", column="amount"),
            "kind": PropertySchema(type="string", column="kind")}  # fmt: skip
    return AudienceSchema(
        attributes={
            f"{name}{i}": AttributeSchema.model_validate({"type": kind, "nulls": 3})
            for i in range(known)
            for name, kind in kinds
        },
        tags={f"tag{i}": 10 for i in range(known)},
        events={f"e{i}": EventSchema(count=10, properties=held) for i in range(known)},
    )


def audience(customers: int = CUSTOMERS) -> Audience:
    """People of that schema without any event."""
    text = Column("string", np.zeros(customers, np.int32), [f"v{i}" for i in range(9)])
    number = Column("int64", np.arange(customers, dtype=np.int64))
    return Audience(
        id_offsets=np.zeros(customers + 1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=np.arange(customers, dtype=np.uint64),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=[],
        zone_code=np.full(customers, -1, np.int32),
        attributes={
            f"{name}{i}": column
            for i in range(KNOWN)
            for name, column in (("text", text), ("number", number))
        },
        tags={f"tag{i}": np.zeros(customers, np.int8) for i in range(KNOWN)},
        groups={},
        event_names=[f"e{i}" for i in range(KNOWN)],
        event_offsets=np.zeros(customers + 1, np.int64),
        event_type=np.zeros(0, np.int32),
        event_ms=np.zeros(0, np.int64),
        event_hash=np.zeros(0, np.uint64),
        properties={
            "amount": Column("float64", np.zeros(0)),
            "kind": Column("string", np.zeros(0, np.int32), []),
        },
    )
