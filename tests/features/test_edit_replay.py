"""Replay of an edit: who of those in flight would move where, before anything is published.

What is told is compared with what then happens: the same edit is published at the same time, and
everybody must stand where the replay said, to the millisecond.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.errors import FlowError, RefusedError
from actors.live.following import Following
from actors.live.replies import InFlight
from actors.service.edit_replays import Replay, Standing, replay_edit
from actors.service.errors import NotFoundError
from actors.service.live_reports import LiveReports
from data_dirs import driven_engine
from followed import CLICKED, END, HOUR_MS, SCHEMA, T0

PEOPLE = ("ada", "ben", "cy", "dan", "eve")
NOW_MS = T0 + 5 * HOUR_MS
EDIT: dict[str, Any] = {
    "start": {"type": "on_event", "event": "go", "next": "who"},
    "who": {
        "type": "branch_attribute",
        "attribute": "plan",
        "branches": {"pro": ["pro"]},
        "next": {"pro": "pause", "other": "done"},
    },
    "pause": {
        "type": "wait_event",
        "event": "click",
        "timeout": "3 days",
        "next": {"event": "done", "timeout": "mail"},
    },
    "mail": {"type": "send", "channel": "email", "template": "hello", "next": "done"},
    "done": END,
}
"""Who is pro waits for three days; the others are through at once."""


def text(nodes: dict[str, Any], policy: str = "after_exit") -> str:
    settings = {"reentry": {"policy": policy}}
    return json.dumps({"headrace": 1, "flow": "f", "nodes": nodes, "settings": settings})


@contextmanager
def running(folder: Path, policy: str = "after_exit") -> Iterator[tuple[Engine, LiveReports]]:
    """Two versions with people inside: ben and cy in the first, dan and eve in the second."""
    with driven_engine(folder, partitions=2) as engine:
        engine.advance(T0)
        engine.set_schema(SCHEMA)
        engine.publish(text(CLICKED, policy))
        engine.send([{"customer": c, "set": {"plan": "pro"}} for c in ("ben", "dan")])
        engine.advance(T0 + 3 * HOUR_MS)
        engine.send([{"customer": c, "event": "go"} for c in ("ada", "ben", "cy")])
        engine.advance(T0 + 3 * HOUR_MS + 60_000)
        engine.send([{"customer": "ada", "event": "click"}])
        engine.advance(T0 + 4 * HOUR_MS)
        again = {**CLICKED, "wait": {**CLICKED["wait"], "timeout": "9 hours"}}
        engine.publish(text(again, policy))
        engine.send([{"customer": c, "event": "go"} for c in ("dan", "eve")])
        engine.advance(T0 + 4 * HOUR_MS + 60_000)
        engine.send([{"customer": "eve", "event": "go"}])
        engine.advance(NOW_MS - 30 * 60_000)
        following = Following(engine.path)
        try:
            yield engine, LiveReports(engine, following)
        finally:
            following.rest()


def places(engine: Engine) -> dict[str, list[Standing]]:
    found = {}
    for customer in PEOPLE:
        known = engine.state_of(customer) or {"places": []}
        found[customer] = [
            Standing(each["version"], each["node"], each["due_ms"]) for each in known["places"]
        ]
    return found


def told(found: Replay, choice: str) -> list[tuple[Any, ...]]:
    return [
        (
            way.source.version,
            way.source.node,
            None if way.target is None else (way.target.version, way.target.node),
            way.reason,
            way.people,
        )
        for way in found.choices[choice]
    ]


def test_N03_each_choice_is_told_by_node_before_it_is_made(tmp_path: Path) -> None:
    with running(tmp_path / "data") as (_, reports):
        found = replay_edit(reports, "f", text(EDIT), "reset", "", 100)
    assert (found.version, found.people, found.truth.behind) == (3, 4, 0)
    assert told(found, "pin") == [
        (1, "wait", (1, "wait"), None, 2),
        (2, "wait", (2, "wait"), None, 2),
    ]
    assert told(found, "drop") == [
        (1, "wait", None, "version_replaced", 2),
        (2, "wait", None, "version_replaced", 2),
    ]
    assert told(found, "reset") == [
        (1, "wait", (3, "done"), "end", 1),
        (1, "wait", (3, "pause"), "version_replaced", 1),
        (2, "wait", (3, "done"), "end", 1),
        (2, "wait", (3, "pause"), "version_replaced", 1),
    ]
    movers = {each.customer: each for each in found.movers}
    assert sorted(movers) == ["ben", "cy", "dan", "eve"]
    assert [at.node for at in movers["ben"].after] == ["pause"]
    assert (movers["cy"].after, movers["cy"].ends) == ([], [(Standing(3, "done"), "end")])


@pytest.mark.parametrize(
    ("choice", "policy"),
    [("pin", "after_exit"), ("drop", "always"), ("reset", "after_exit"), ("reset", "always")],
)
def test_N03_what_is_told_is_what_publishing_does(
    tmp_path: Path, choice: InFlight, policy: str
) -> None:
    with running(tmp_path / "data", policy) as (engine, reports):
        before = places(engine)
        found = replay_edit(reports, "f", text(EDIT, policy), choice, "", 100)
        assert places(engine) == before  # nobody moved
        assert engine.control.standing.flows["f"].version == 2
        done = engine.publish(text(EDIT, policy), in_flight=choice)
        assert done.version == found.version
        after = places(engine)
        ends = {c: _ends(reports, c, done.version) for c in PEOPLE}
    movers = {each.customer: each for each in found.movers}
    inside = {customer for customer, at in before.items() if at}
    assert set(movers) == inside
    for customer in inside:
        assert list(movers[customer].before) == before[customer]
        assert list(movers[customer].after) == after[customer]
        assert list(movers[customer].ends) == ends[customer]
    # The figures are those of what happened.
    stay = Counter(
        at
        for c in inside
        for at in {(a.version, a.node) for a in before[c]} & {(b.version, b.node) for b in after[c]}
    )
    assert Counter({way[:2]: way[4] for way in told(found, choice) if way[3] is None}) == stay


def _ends(reports: LiveReports, customer: str, version: int) -> list[tuple[Standing, str]]:
    steps = reports.path("f", version, customer)[0]["steps"]
    return [(Standing(version, step["node"]), step["port"]) for step in steps if step["outcome"]]


def test_N03_people_come_in_pages_and_what_cannot_be_published_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "data") as (engine, reports):
        names, after = [], ""
        while page := replay_edit(reports, "f", text(EDIT), "drop", after, 1).movers:
            assert len(page) == 1
            names.append(page[0].customer)
            after = page[0].key
        assert sorted(names) == ["ben", "cy", "dan", "eve"]
        with pytest.raises(NotFoundError):
            replay_edit(reports, "f", text(EDIT), "drop", "nobody", 1)
        with pytest.raises(FlowError):
            replay_edit(reports, "f", text({"start": {**CLICKED["start"]}}), "pin", "", 1)
        with pytest.raises(RefusedError, match="already"):
            replay_edit(reports, "f", engine.control.standing.flows["f"].text, "pin", "", 1)
        # Another question is answered as ever: the copy that was spoilt is gone.
        assert reports.report("f").total.inside == 4
