"""What runs live beside the interpreters, and that a difference is noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from both_ways import ALWAYS, GO, modelled, ran
from cases import Case, log_of, on, send, sure, wait
from differential import Loaded
from interpreters import Ran
from live_side import live_differs

MAIL = {"go": on("go", "w"), "w": wait("1 day", "m"), "m": send("email", "t", "x")}
OPTIONS: list[dict[str, Any]] = [{"step_budget": 5}, {"coupons": {"p": 1}}]
TWICE = [GO, ("05-06 10:00", "go")]


def difference(case: Case, expected: Ran) -> str | None:
    """How live differs from what is expected of a case."""
    return live_differs(Loaded(case.flow(), case.people(), case.run_options(), None), expected)


def test_whoever_decides_otherwise_is_told() -> None:
    case = Case(MAIL, TWICE, ALWAYS)
    right = ran(case)
    assert difference(case, right) is None
    late = right.records[0]._replace(time_ms=right.records[0].time_ms + 1)
    for records in ([late, *right.records[1:]], right.records[:-1], [*right.records, late]):
        assert difference(case, Ran(records, right.counters)) is not None
    counted = replace(right.counters, entered=right.counters.entered + 1)
    found = difference(case, Ran(right.records, counted))
    assert found is not None
    assert found.startswith("entered: ")


def test_messages_that_nobody_asked_the_relay_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(MAIL, TWICE, ALWAYS)
    right = ran(case)
    monkeypatch.setattr("live_side.decode_effects", lambda data: [])
    assert difference(case, right) == "2 against 0"


def test_a_case_runs_live_unless_it_has_no_live_side() -> None:
    rules = [{"for": {"channel": "email"}, "outcomes": [sure("opened")]}]
    with pytest.raises(AssertionError, match="a model makes up"):
        ran(Case(MAIL, [GO], responses=rules))
    for options in OPTIONS:
        with pytest.raises(AssertionError, match="use `modelled`"):
            ran(Case(MAIL, [GO], options=options))
    with pytest.raises(AssertionError, match="use `ran`"):
        modelled(Case(MAIL, [GO]))


def test_a_flow_is_stopped_live_where_entries_end_before_the_horizon() -> None:
    case = Case(MAIL, TWICE, ALWAYS, window=("05-01", "05-05", "06-01"))
    assert log_of(ran(case)) == [
        "05-04 10:00 go next",
        "05-05 10:00 w next",
        "05-05 10:00 m next",
        "05-05 10:00 x end",
    ]


@pytest.mark.parametrize(
    "fields",
    [{"options": {"entry_rate": 1}}, {"settings": {**ALWAYS, "entry_rate": {"per_second": 1}}}],
    ids=["stated by the run", "stated by the flow"],
)
def test_a_line_before_a_flow_moves_on_live(fields: dict[str, Any]) -> None:
    ids = [f"c{i}" for i in range(5)]
    events: list[Any] = [("05-04 10:00", "go", {}, name) for name in ids]
    case = Case({"go": on("go", "x")}, events, customers=[{"id": name} for name in ids], **fields)
    entered = sorted(record.time_ms for record in ran(case).records if record.port == "next")
    assert np.diff(entered).tolist() == [1000] * 4
