"""Make a benchmark of every node type from its own example: flows, and customers to run them on.

Each case is a pair of flows that differ in nothing but nodes of the type, so that the difference of
their times is what the nodes take. A type that is declared tomorrow has its case without a word
here, as long as its example's customers can be thought up by `_inputs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.micro.crowd import DAY_MS, HOUR_MS, START_DAY, START_MS
from bench.micro.flows import LINKS, ON_GO, Document, chain, fork, lattice
from core.audience import INT64_MIN, Audience, Column
from core.compiler import compile_flow, needs_of
from core.conditions import (
    AttributeTest,
    Condition,
    DidTest,
    Filter,
    GroupTest,
    MomentTest,
    Not,
    PropertyTest,
    Scalar,
    TagTest,
    walk,
)
from core.flow import Flow
from core.internal_events import change_of, is_internal
from core.lowering import lowered_nodes
from core.nodes import (
    NODE_TYPES,
    BranchAttribute,
    NodeBase,
    OnEvent,
    OnSegment,
    Send,
    WaitAny,
    WaitDate,
    WaitEvent,
)
from core.options import RunOptions

PLAIN: Document = {"type": "condition", "if": {"attribute": "consent", "is": True}}
"""The plain attribute condition, which all types are held against."""

GO = "go"
ENTRY_DAYS = 20
NEXT_MONTH = (30, 60)
THIRTY_YEARS_AGO = (-10_957, -10_939)  # 2 to 19 January 1996
OPTIONS = RunOptions(
    START_MS, START_MS + ENTRY_DAYS * DAY_MS, START_MS + 400 * DAY_MS, audience_zone="UTC"
)
OTHER = "other"
POOL_COUPONS = 10**7


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the customers of a case are like.

    `events` is how many of each event a customer has, one a day after `go`; `properties` what all
    events carry; `attributes` the values to draw from, None for those who have none; `dates` the
    days to draw from, as [first, last) after the start; `share` how many of 2 customers carry each
    tag and are in each group.
    """

    events: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, Scalar] = field(default_factory=dict)
    attributes: Mapping[str, list[Scalar | None]] = field(default_factory=dict)
    dates: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    share: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A type's flow, the same flow without nodes of the type, and who runs through both.

    `tested` are the ids of those nodes, without their helpers.
    """

    flow: Flow
    without: Flow
    tested: tuple[str, ...]
    inputs: Inputs
    waits: bool = False

    def crowd(self, customers: int) -> Audience:
        """So many customers, the same from the same number."""
        return _crowd(customers, self.flow, self.inputs)


def example_of(name: str) -> Document:
    """A node of a type, as its example has it; one that can wait no longer than a time does."""
    model = NODE_TYPES[name]
    node = {"type": name, **model.example}
    return node | {"timeout": "1 hour"} if "timeout" in model.model_fields else node


def cases_of(name: str) -> dict[str, Case]:
    """The cases of a type by what ends its wait, which is "" for one that doesn't wait.

    A wait for an event that customers do is one to its timer and one to the event. What a run makes
    happen itself would take more nodes to happen.
    """
    model, node = NODE_TYPES[name], example_of(name)
    if model.trigger:
        return {"": _trigger_case(name)}
    cases = {"timer" if model.waits else "": case_of_node(node)}
    listens = _listens(lowered_nodes({"n": model.model_validate(node)})["n"])
    if listens is not None and not is_internal(listens[0]):
        happening = Inputs(events={listens[0]: 1}, properties=_passing(listens[1]))
        cases["event"] = replace(case_of_node(node | {"timeout": "5 days"}), inputs=happening)
    return cases


def _listens(node: NodeBase) -> tuple[str, Filter | None] | None:
    if isinstance(node, WaitAny):
        test = next(iter(node.events.values()))
        return test.event, test.where
    return (node.event, node.where) if isinstance(node, WaitEvent) else None


def _passing(where: Filter | None) -> dict[str, Scalar]:
    """Properties of an event that passes the filter."""
    tests = [each for each in walk(where) if isinstance(each, PropertyTest)]
    return {each.property: _literal(each) for each in tests}


def case_of_node(node: Document) -> Case:
    """The case of a node that is no trigger.

    Many one after the other, but a single wait: some let pass at once whoever has waited before.
    """
    model = NODE_TYPES[node["type"]].model_validate(node)
    if not model.ports:
        ends = tuple(f"n{i}" for i in range(LINKS))
        many, one = (fork(lambda i: node, links=links) for links in (LINKS + 1, 1))
        return Case(many, one, ends, Inputs())
    operations = list(lowered_nodes({"n": model}).values())
    coupons = {each.pool: POOL_COUPONS for each in operations if hasattr(each, "pool")}
    flow = lattice(lambda i: node, links=1 if model.waits else LINKS, coupons=coupons)
    tested = tuple(each for each in flow.nodes if each not in ("start", "end"))
    return Case(
        flow, chain(lambda i: {}, links=0), tested, _inputs(operations, model.waits), model.waits
    )


def _inputs(operations: list[NodeBase], waits: bool) -> Inputs:
    """Customers of whom each decision lets one part pass, and each wait none before its time."""
    found: dict[str, list[Scalar | None]] = {}
    dates = {each.attribute for each in operations if isinstance(each, WaitDate)}
    for each in operations:
        if isinstance(each, BranchAttribute):
            found[each.attribute] = [*_values(each), OTHER]
        for test in _tests(each):
            literal = _literal(test)
            below: Scalar | None = OTHER if isinstance(literal, str) else None
            if isinstance(literal, bool):
                below = not literal
            elif isinstance(literal, int | float):
                below = literal - 1
            found[test.attribute] = [below] if waits else [literal, below]
    return Inputs(attributes=found, dates=dict.fromkeys(dates, NEXT_MONTH), share=0 if waits else 1)


def _values(node: BranchAttribute) -> list[Scalar]:
    return [value for values in node.branches.values() for value in values]


def _tests(node: NodeBase) -> Iterator[AttributeTest]:
    asked: list[Condition] = [g.if_ for g in node.guards] if isinstance(node, Send) else []
    if hasattr(node, "if_"):
        asked.append(node.if_)
    for condition in asked:
        yield from (each for each in walk(condition) if isinstance(each, AttributeTest))


def _literal(test: AttributeTest | PropertyTest) -> Any:
    """A value that passes the test."""
    stated = test.model_dump(exclude_none=True)
    stated.pop("property", None)
    stated.pop("attribute", None)
    [(comparison, value)] = stated.items()
    match comparison.rstrip("_"):
        case "is" | "at_least" | "at_most" | "contains" | "starts_with" | "ends_with":
            return value
        case "one_of":
            return value[0]
        case "above":
            return value + 1
        case "below":
            return value - 1
    raise AssertionError(f"say in _literal which value passes {test!r}")


def _trigger_case(name: str) -> Case:
    """A trigger beside another one, after which changes make the first fire where they can."""
    node = example_of(name)
    model = NODE_TYPES[name].model_validate(node)
    [trigger] = lowered_nodes({"n": model}).values()
    inputs, actions = _makes_fire(trigger)
    nodes: Document = {"start": ON_GO | {"next": "a0" if actions else "end"}}
    for i, action in enumerate(actions):
        nodes[f"a{i}"] = action | {"next": f"a{i + 1}" if i + 1 < len(actions) else "end"}
    end: Document = {"end": {"type": "end"}}
    return Case(
        _flow({**nodes, "n": node | {"next": "end"}, **end}), _flow(nodes | end), ("n",), inputs
    )


def _makes_fire(trigger: NodeBase) -> tuple[Inputs, list[Document]]:
    """Who makes a trigger fire, and by which actions after `go`."""
    if isinstance(trigger, OnEvent):
        change = change_of(trigger.event)
        if change is not None:
            return _changing(*change)
        happening = {trigger.event: LINKS}
        return Inputs(events=happening, properties=_passing(trigger.where)), []
    if isinstance(trigger, OnSegment):
        return _joining(trigger.if_)
    return Inputs(), []


def _changing(family: str, name: str, change: str) -> tuple[Inputs, list[Document]]:
    falls = change == "lowered"
    if family != "attribute":
        verb = {"tag": ("add_tag", "remove_tag"), "group": ("add_to_group", "remove_from_group")}
        return Inputs(share=2 * falls), [{"type": verb[family][falls], family: name}]
    if change in ("raised", "lowered"):
        by = {"type": "add_to_attribute", "attribute": name, "by": -1 if falls else 1}
        return Inputs(attributes={name: [50]}), [by]
    had: dict[str, list[Scalar | None]] = {} if change == "first" else {name: [OTHER]}
    return Inputs(attributes=had), [{"type": "set_attribute", "attribute": name, "value": "new"}]


def _joining(condition: Condition) -> tuple[Inputs, list[Document]]:
    match condition:
        case TagTest(tag=name):
            return _changing("tag", name, "raised")
        case GroupTest(group=name):
            return _changing("group", name, "raised")
        case Not(not_=TagTest(tag=name)):
            return _changing("tag", name, "lowered")
        case DidTest(did=name):
            return Inputs(events={name: 1}), []
        case MomentTest(attribute=name):
            return Inputs(dates={name: THIRTY_YEARS_AGO}), []
        case AttributeTest(attribute=name):
            value = _literal(condition)
            return Inputs(), [{"type": "set_attribute", "attribute": name, "value": value}]
    raise AssertionError(f"say in _joining how a customer comes to match {condition!r}")


def flow_of_all() -> Flow:
    """A flow of every type once: all triggers, then all others one after the other."""
    triggers = [name for name, model in NODE_TYPES.items() if model.trigger]
    models = {name: NODE_TYPES[name].model_validate(example_of(name)) for name in NODE_TYPES}
    others = [name for name in NODE_TYPES if name not in triggers and models[name].ports]
    [end] = [name for name in NODE_TYPES if name not in triggers and not models[name].ports]
    nodes: Document = {name: example_of(name) | {"next": others[0]} for name in triggers}
    for name, follower in zip(others, [*others[1:], end], strict=True):
        nodes[name] = example_of(name) | {"next": dict.fromkeys(models[name].ports, follower)}
    nodes[end] = example_of(end)
    pools = {each["pool"]: POOL_COUPONS for each in nodes.values() if "pool" in each}
    return _flow(nodes, coupons=pools)


def _flow(nodes: Document, **settings: Any) -> Flow:
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "catalogue",
            "settings": {"zone": "UTC", "reentry": {"policy": "always"}, **settings},
            "nodes": nodes,
        }
    )


def _crowd(customers: int, flow: Flow, inputs: Inputs) -> Audience:
    rng = np.random.default_rng(customers)
    needs = needs_of(compile_flow(flow))
    names = sorted({GO, *(each for each in needs.events if not is_internal(each))})
    kinds, ms = [], []
    for kind, name in enumerate(names):
        # What a wait or a guard could ask for lies before the entry, so that no wait ends early.
        first, last = (2, 8) if name == GO else (0, 1)
        count = inputs.events.get(name, 1)
        days = np.arange(count) + (name in inputs.events)
        spread = rng.integers(first * HOUR_MS, last * HOUR_MS, (customers, count))
        ms.append(START_MS + days * DAY_MS + spread)
        kinds.append(np.full((customers, count), kind, np.int32))
    all_ms, all_kinds = np.concatenate(ms, axis=1), np.concatenate(kinds, axis=1)
    order = np.argsort(all_ms, axis=1)
    events = all_ms.size

    def held() -> NDArray[np.int8]:
        return (rng.integers(0, 2, customers) < inputs.share).astype(np.int8)

    return Audience(
        id_offsets=np.zeros(customers + 1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=rng.integers(0, 2**64, customers, dtype=np.uint64),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=["America/New_York", "Europe/Berlin", "Europe/Warsaw"],
        zone_code=(np.arange(customers, dtype=np.int32) % 4 - 1).astype(np.int32),
        attributes={
            name: _column(rng, customers, values) for name, values in inputs.attributes.items()
        }
        | {
            name: Column("date", START_DAY + rng.integers(*days, customers))
            for name, days in inputs.dates.items()
        },
        tags={name: held() for name in needs.tags},
        groups={name: held() for name in needs.groups},
        event_names=names,
        event_offsets=np.arange(customers + 1) * all_ms.shape[1],
        event_type=np.take_along_axis(all_kinds, order, axis=1).reshape(-1),
        event_ms=np.take_along_axis(all_ms, order, axis=1).reshape(-1),
        event_hash=rng.integers(0, 2**64, events, dtype=np.uint64),
        properties={
            name: _column(rng, events, [value]) for name, value in inputs.properties.items()
        },
    )


def _column(rng: np.random.Generator, count: int, values: list[Any]) -> Column:
    """Each of the values for as many; None is missing."""
    kinds: dict[type, Any] = {
        bool: ("bool", np.int8, -1), int: ("int64", np.int64, INT64_MIN),
        float: ("float64", np.float64, np.nan), str: ("string", np.int32, -1),
    }  # fmt: skip
    kind, dtype, missing = kinds[next(type(v) for v in values if v is not None)]
    texts = [value for value in values if value is not None] if kind == "string" else None
    stored = [
        missing if value is None else texts.index(value) if texts else value for value in values
    ]
    return Column(kind, np.array(stored, dtype)[rng.integers(0, len(values), count)], texts)
