"""Tests of `actors.live.decisions`: entries, their ends, lists and counts, from lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.live.decisions import DecisionLog, pack_lines, unpack_lines
from core.flow import Flow
from core.outcomes import CoupledOutcome, Outcome
from core.program import LOG

HOUR_MS = 3_600_000
FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "f",
        "nodes": {
            "start": {"type": "on_event", "event": "go", "next": ["one", "two"]},
            "one": {"type": "wait", "for": "1 hour", "next": "rest"},
            "two": {"type": "wait", "for": "2 hours", "next": "gone"},
            "rest": {"type": "send", "channel": "email", "template": "a"},
            "gone": {"type": "end"},
        },
    }
).core
START, ONE, TWO, REST, GONE = range(5)
Line = tuple[int, int, int, int, int]  # customer, time in hours, entry, node, port


def lines(*said: Line) -> Any:
    found = np.zeros(len(said), LOG)
    for i, (customer, hours, entry, node, port) in enumerate(said):
        found[i] = (customer, i, hours * HOUR_MS, entry, node, port)
    return found


def log_of(*said: Line) -> DecisionLog:
    """A log in which each line came alone."""
    log = DecisionLog(FLOW)
    for line in said:
        log.add(unpack_lines(pack_lines(lines(line)), 1))
    return log


def entered(customer: int, hours: int, entry: int) -> list[Line]:
    return [(customer, hours, entry, START, 0)]


def test_lines_are_stored_and_read() -> None:
    made = lines((7, 1, 2**64 - 1, START, 0), (2**32 - 1, 2, 0, REST, int(Outcome.END)))
    found = unpack_lines(pack_lines(made), 2)
    for name, column in found.items():
        assert column.tolist() == made[name].tolist()
    for rows in (1, 3):
        with pytest.raises(ValueError, match="lines"):
            unpack_lines(pack_lines(made), rows)


def test_an_entry_ends_with_its_last_token() -> None:
    """It has two; one ends behind a message that nothing follows, the other at an end."""
    log = log_of(
        *entered(1, 0, 9),
        (1, 1, 9, ONE, 0),
        (1, 1, 9, REST, 0),
        *entered(2, 1, 9),
        (1, 2, 9, TWO, 0),
        (1, 2, 9, GONE, int(Outcome.END)),
        (2, 2, 9, ONE, 0),
        (2, 2, 9, REST, 0),
    )
    entries = log.entries
    assert entries.customer.tolist() == [1, 2]
    assert entries.start_ms.tolist() == [0, HOUR_MS]
    assert entries.end_ms.tolist() == [2 * HOUR_MS, -1]
    assert log.durations() == (1, 2 * HOUR_MS)


def test_what_is_parked_has_not_ended_and_what_left_has() -> None:
    log = log_of(
        *entered(1, 0, 1),
        (1, 1, 1, ONE, int(Outcome.PARKED_BUDGET)),
        (1, 1, 1, TWO, int(Outcome.END)),
        *entered(2, 0, 2),
        (2, 1, 2, ONE, 0),
        (2, 1, 2, REST, 0),
        (2, 2, 2, TWO, int(Outcome.EXIT)),
        (2, 2, 2, REST, int(Outcome.EXIT)),
    )
    assert log.entries.end_ms.tolist() == [-1, 2 * HOUR_MS]


def test_refusals_are_no_entries() -> None:
    log = log_of(
        (1, 0, 5, START, int(Outcome.REFUSED_ONCE)),
        (2, 0, 5, START, int(CoupledOutcome.REFUSED_CAP)),
        *entered(1, 1, 6),
    )
    assert log.entries.first.tolist() == [2]
    assert log.of_customer(1) == [
        (0, -1, START, int(Outcome.REFUSED_ONCE)),
        (HOUR_MS, 0, START, 0),
    ]
    assert log.of_customer(2) == [(0, -1, START, int(CoupledOutcome.REFUSED_CAP))]
    assert log.of_customer(3) == []


def test_people_are_counted_once_and_the_erased_apart() -> None:
    log = log_of(*entered(1, 0, 1), *entered(2, 1, 2), *entered(1, 5, 3), (1, 6, 3, ONE, 0))
    assert log.port_people.tolist() == [2, 1, 0, 0]

    def told(node: int | None, port: int | None = None) -> list[Any]:
        found = log.people(log.lines_at(node, port))
        return [np.asarray(each).tolist() for each in found]

    assert told(None) == [[1, 2], [0, HOUR_MS], [5 * HOUR_MS, HOUR_MS], [2, 1], 0]
    assert told(START) == told(None)
    assert told(START, 0) == told(None)
    assert told(ONE) == told(TWO) == told(None)
    assert told(ONE, 0) == told(REST) == [[1], [6 * HOUR_MS], [6 * HOUR_MS], [1], 0]
    assert told(GONE) == [[], [], [], [], 0]
    log.erase([1])
    assert told(None) == [[2], [HOUR_MS], [HOUR_MS], [1], 1]
    assert log.of_customer(1) == []
    assert log.port_people.tolist() == [2, 1, 0, 0]
    log.add(unpack_lines(pack_lines(lines((1, 7, 4, START, 0))), 1))
    assert told(None) == [[1, 2], [7 * HOUR_MS, HOUR_MS], [7 * HOUR_MS, HOUR_MS], [1, 1], 1]


def test_entries_fall_between_times() -> None:
    log = log_of(*entered(1, 0, 1), *entered(2, 2, 2), *entered(1, 2, 3), *entered(3, 3, 4))
    hours = [hour * HOUR_MS for hour in (0, 2, 3)]
    assert log.by_time(hours) == [[1, 2], [1, 1]]
    assert log.by_time([]) == [[], []]
    assert log.by_time([5 * HOUR_MS, 6 * HOUR_MS]) == [[0], [0]]


def test_what_began_before_the_first_line_is_no_entry() -> None:
    log = log_of((1, 1, 9, ONE, 0), (1, 1, 9, REST, 0), *entered(2, 1, 9))
    assert log.entries.customer.tolist() == [2]


def test_an_empty_log_answers() -> None:
    log = DecisionLog(FLOW)
    assert len(log) == 0
    assert log.durations() == (0, 0)
    assert log.port_people.tolist() == [0, 0, 0, 0]
    assert log.by_time([0, 1]) == [[0], [0]]
    assert [len(each) for each in log.people(log.lines_at())[:4]] == [0, 0, 0, 0]
    assert log.of_customer(0) == []
