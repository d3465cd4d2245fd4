"""Whom a flow would let in at once: groups, segments, history, schedules, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.engine import Engine
from actors.live.errors import FlowError
from actors.live.start_audience import start_audience
from actors.live.starting import Hosting, Making, start_engine

END = {"type": "end"}
CUSTOMERS = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Forty customers: every second one in a group, every fourth one has bought something."""
    folder: Path = tmp_path_factory.mktemp("start") / "d"
    hosting = Hosting(inline=True, shards=1, relays=False)
    with start_engine(folder, Making(partitions=2), hosting) as opened:
        opened.set_schema({"attributes": {"age": {"type": "int64"}}, "events": {"bought": {}}})
        rows: list[dict[str, Any]] = [
            {"customer": f"c{i}", "set": {"age": i}, "message_id": f"s{i}"}
            for i in range(CUSTOMERS)
        ]
        rows += [{"customer": f"c{i}", "groups": {"add": ["half"]}} for i in range(0, CUSTOMERS, 2)]
        rows += [{"customer": f"c{i}", "event": "bought"} for i in range(0, CUSTOMERS, 4)]
        assert opened.send(rows).rejects == []
        yield opened


def flow(**nodes: dict[str, Any]) -> str:
    settings = {"entry_cap": 3, "start": "2020-01-01", "stop": "2020-02-01"}
    return json.dumps(
        {"headrace": 1, "flow": "f", "settings": settings, "nodes": {**nodes, "done": END}}
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"type": "on_group", "group": "half"}, 20),
        ({"type": "on_segment", "if": {"attribute": "age", "below": 10}}, 10),
        ({"type": "on_segment", "if": {"did": "bought"}}, 10),
        ({"type": "on_segment", "if": {"did": "bought"}, "members": "joining"}, None),
        ({"type": "on_schedule", "repeat": "daily", "at": "09:00"}, 40),
        ({"type": "on_event", "event": "bought"}, None),
    ],
    ids=["group", "segment", "history", "joining", "schedule", "event"],
)
def test_each_start_has_its_own_audience(
    engine: Engine, start: dict[str, Any], expected: int | None
) -> None:
    assert start_audience(engine, flow(begin={**start, "next": "done"})) == expected
    assert engine.flows() == []


def test_whoever_matches_two_starts_counts_once(engine: Engine) -> None:
    half = {"type": "on_group", "group": "half", "next": "done"}
    young = {"type": "on_segment", "if": {"attribute": "age", "below": 10}, "next": "done"}
    assert start_audience(engine, flow(a=half, b=young)) == 25


def test_a_document_that_is_no_flow_is_told_so(engine: Engine) -> None:
    with pytest.raises(FlowError):
        start_audience(engine, '{"headrace": 1, "flow": "f", "nodes": {}}')
