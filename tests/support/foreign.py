"""Runs flows that were converted from other products, on people who do what the flows ask about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import yaml

from cases import log_of, ms
from core.audience import Audience
from core.audience_build import audience_from_python
from core.convert.notes import Converted
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.options import RunOptions
from core.responses import Responses
from core.violations import has_errors
from differential import difference
from interpreters import INTERPRETERS, Ran

HOUR_MS = 3_600_000
SUBJECTS = ("attribute", "property", "entry")
DATED = ("within_last", "within_next", "older_than", "before", "after")
WINDOW = ("05-01", "06-01", "06-20")


def flow_of(made: Converted) -> Flow:
    """The flow of a document as `headrace check` takes it: without errors."""
    flow, violations = read_flow(made.text, name="flow.yaml")
    assert flow is not None, violations
    assert not has_errors(lint(flow)), [str(v) for v in lint(flow)]
    return flow


def nodes_of(made: Converted) -> dict[str, Any]:
    """The nodes of a document as any YAML reader sees them; `yes` and `no` are texts there."""
    loader = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    nodes = yaml.load(made.text, loader)["nodes"]
    assert isinstance(nodes, dict)
    return nodes


def told(made: Converted, kind: str | None = None) -> list[tuple[str, str]]:
    """Place and thing of the notes of a kind."""
    return [(n.pointer, n.what) for n in made.notes if kind in (None, n.kind)]


def both(
    flow: Flow, people: Audience, options: RunOptions, responses: Responses | None = None
) -> Ran:
    """What both interpreters decide; they must agree to the last record and counter."""
    reference, compiled = (run(flow, people, options, responses) for run in INTERPRETERS.values())
    assert difference(reference, compiled) is None
    return reference


def journey(
    made: Converted,
    events: Sequence[Sequence[Any]] = (),
    *,
    responses: Sequence[dict[str, Any]] = (),
    window: tuple[str, str, str] = WINDOW,
    changes: Sequence[tuple[str, str, Any]] = (),
    types: dict[str, str] | None = None,
    **customer: Any,
) -> list[str]:
    """The log of one customer `c`, lines such as "05-04 10:00 start next", from both interpreters.

    Events are (time, name) or (time, name, properties), changes (time, attribute, value).
    """
    rows = [
        {"customer": "c", "time": ms(at), "event": name, "properties": rest[0] if rest else None}
        for at, name, *rest in events
    ]
    log = [
        {"customer": "c", "time": ms(at), "attribute": name, "value": value}
        for at, name, value in changes
    ]
    stated: dict[str, Any] = {"attribute_types": types} if types else {}
    people = audience_from_python([{"id": "c", **customer}], rows, changes=log, **stated)
    model = None
    if responses:
        model = Responses.model_validate({"headrace_responses": 1, "rules": list(responses)})
    return log_of(both(flow_of(made), people, RunOptions(*map(ms, window)), model))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from parts(part)


def _values(tests: Sequence[dict[str, Any]]) -> tuple[str, list[Any]]:
    """A kind and some values that make the tests of one name true and false."""
    if any(key in test for test in tests for key in DATED):
        return "datetime", [ms("04-20"), ms("05-10"), ms("05-25")]
    found: list[Any] = []
    for test in tests:
        for key, value in test.items():
            if key not in (*SUBJECTS, "is_set") and not isinstance(value, dict):
                found += value if isinstance(value, list) else [value]
    if found and all(isinstance(value, bool) for value in found):
        return "bool", [True, False]
    if found and all(isinstance(v, int | float) and not isinstance(v, bool) for v in found):
        return "float64", [float(v + d) for v in found for d in (-1, 0, 1)]
    return "string", [*(str(value) for value in found), "other", "a,b"]


def made_people(flow: Flow, seed: int = 0, count: int = 40) -> Audience:
    """People whose attributes, groups and events are those that the flow asks about."""
    dice = Random(seed)
    document = flow.model_dump(mode="json", by_alias=True, exclude_none=True)
    asked: dict[str, dict[str, list[dict[str, Any]]]] = {"attribute": {}, "property": {}}
    events, groups, tags = {"page"}, set(), set()
    for part in parts(document):
        for subject in SUBJECTS:
            if isinstance(name := part.get(subject), str):
                side = asked["attribute" if subject == "attribute" else "property"]
                side.setdefault(name, []).append(part)
            if isinstance(reference := part.get("is"), dict):
                asked["property"].setdefault(reference["entry"], [])
        events |= {
            part[key] for key in ("event", "did", "never_did") if isinstance(part.get(key), str)
        }
        groups |= {part["group"]} if isinstance(part.get("group"), str) else set()
        tags |= {part["tag"]} if isinstance(part.get("tag"), str) else set()
    for part in parts(document):
        if part.get("type") == "wait_date":
            asked["attribute"][part["attribute"]] = [{"before": ""}]
    if key := document["settings"]["reentry"].get("key"):
        asked["property"].setdefault(key, [])
    pools = {
        side: {n: _values(tests) for n, tests in names.items()} for side, names in asked.items()
    }

    def some(side: str) -> dict[str, Any]:
        return {
            n: dice.choice(values) for n, (_, values) in pools[side].items() if dice.random() < 0.8
        }

    customers = [
        {
            "id": f"c{number}",
            "attributes": some("attribute"),
            "groups": [g for g in sorted(groups) if dice.random() < 0.5],
            "tags": [t for t in sorted(tags) if dice.random() < 0.5],
            "zone": dice.choice(("Europe/Berlin", "America/New_York", None)),
        }
        for number in range(count)
    ]
    rows = [
        {
            "customer": f"c{dice.randrange(count)}",
            "time": ms("04-25") + dice.randrange(40 * 24) * HOUR_MS,
            "event": dice.choice(sorted(events)),
            "properties": some("property"),
        }
        for _ in range(count * 12)
    ]
    return audience_from_python(
        customers,
        rows,
        attribute_types={n: kind for n, (kind, _) in pools["attribute"].items()},
        property_types={n: kind for n, (kind, _) in pools["property"].items()},
    )


def rehearsed(flow: Flow, seed: int = 0) -> Ran:
    """A dry run of such people by both interpreters; some of what is sent is answered."""
    outcomes = [
        {"event": name, "probability": 0.4, "delay": {"constant": "20 minutes"}}
        for name in ("message_seen", "email_opened", "email_clicked")
    ]
    model = Responses.model_validate({"headrace_responses": 1, "rules": [{"outcomes": outcomes}]})
    return both(flow, made_people(flow, seed), RunOptions(*map(ms, WINDOW)), model)
