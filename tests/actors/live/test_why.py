"""Tests of `actors.live.why`: reasons of real steps, and what kept people out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from followed import HOUR_MS, T0, Followed, document, followed


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Followed]:
    with followed(tmp_path) as found:
        yield found


def why(live: Followed, customer: str, until_ms: int | None = None) -> dict[str, Any]:
    """The customer's way in the newest version."""
    found = live.ask("why", customer=customer, ends=[(1, until_ms)], now_ms=live.now_ms)
    assert found["known"]
    way: dict[str, Any] = found["versions"][-1]
    return way


def reasons(way: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["node"], step["reason"]) for step in way["steps"]]


RICH = {
    "start": {
        "type": "on_event",
        "event": "go",
        "where": {"property": "page", "is": "shop"},
        "next": "gold",
    },
    "gold": {
        "type": "condition",
        "if": {"attribute": "plan", "is": "gold"},
        "next": {"yes": "vip", "no": "done"},
    },
    "vip": {"type": "condition", "if": {"tag": "vip"}, "next": {"yes": "wait", "no": "done"}},
    "wait": {"type": "wait", "for": "1 hour", "next": "done"},
    "done": {"type": "end"},
}


def go(customer: str, page: str = "shop") -> dict[str, Any]:
    return {"customer": customer, "event": "go", "properties": {"page": page}}


@pytest.fixture
def rich(live: Followed) -> Followed:
    """A second after the flow was published; a is gold and a VIP, n is neither, q is gold."""
    live.rows(
        {"customer": "a", "set": {"plan": "gold"}, "tags": {"add": ["vip"]}},
        {"customer": "n", "set": {"plan": "free"}},
        {"customer": "q", "set": {"plan": "gold"}},
    )
    live.pass_ms(1_000)
    live.publish(text=document(RICH))
    live.pass_ms(1_000)
    return live


def test_each_step_has_its_reason(rich: Followed) -> None:
    rich.rows(go("a"), go("n"))
    assert why(rich, "a")["places"] == [
        {"node": "wait", "state": "waits", "since_ms": T0 + 2_000, "due_ms": T0 + HOUR_MS + 2_000}
    ]
    rich.pass_ms(HOUR_MS)
    way = why(rich, "a")
    assert [(s["at_ms"] - T0, s["entry"], s["port"], s["outcome"]) for s in way["steps"]] == [
        (2_000, 0, "next", False),
        (2_000, 0, "yes", False),
        (2_000, 0, "yes", False),
        (HOUR_MS + 2_000, 0, "next", False),
        (HOUR_MS + 2_000, 0, "end", True),
    ]
    assert reasons(way) == [
        ("start", '`go` happened; `page` is "shop"'),
        ("gold", '`plan` is "gold" -> yes'),
        ("vip", "tagged `vip` -> yes"),
        ("wait", "Wait 1 hour: until 2026-01-01 01:00:02"),
        ("done", "End"),
    ]
    assert (way["kept_out"], way["places"]) == ([], [])
    assert reasons(why(rich, "n"))[1:] == [
        ("gold", '`plan` is "free" (asked: `plan` is "gold") -> no'),
        ("done", "End"),
    ]


def test_reasons_survive_what_became_of_the_record_since(rich: Followed) -> None:
    """He was free when he was asked, and is gold now."""
    rich.rows(go("n"))
    before = why(rich, "n")
    rich.pass_ms(HOUR_MS)
    rich.rows({"customer": "n", "set": {"plan": "gold"}})
    rich.rest(save=True)
    assert why(rich, "n") == before


def test_the_rule_that_kept_him_out_is_told(rich: Followed) -> None:
    rich.rows(go("q", "blog"), go("a"))
    rich.pass_ms(HOUR_MS)
    assert why(rich, "q")["kept_out"] == [
        '`start`: `go` happened at 2026-01-01 00:00:02, but `page` is "blog" '
        '(asked: `page` is "shop"); the last of 1'
    ]
    assert why(rich, "n")["kept_out"] == ["`start`: no `go` ever"]
    rich.rows(go("a"))
    refused = why(rich, "a")["steps"][-1]
    assert (refused["entry"], refused["port"]) == (-1, "refused_once")
    assert refused["reason"] == (
        '`go` happened; `page` is "shop", but entered at 2026-01-01 00:00:02 already, and may '
        "once only"
    )
    assert why(rich, "a")["kept_out"] == []


def test_a_flow_that_takes_nobody_in_is_told(rich: Followed) -> None:
    rich.command("pause", flow="f")
    rich.rows(go("q"))
    assert why(rich, "q")["kept_out"] == [
        "by its rules he would have entered at 2026-01-01T00:00:02.000+00:00, but the flow took "
        "nobody in then: it was paused, or not published to his partition yet"
    ]
    rich.command("resume", flow="f")
    rich.pass_ms(1_000)
    rich.command("stop", flow="f", in_flight="pin")
    stopped_ms = rich.now_ms
    rich.pass_ms(1_000)
    rich.rows(go("n"))
    assert why(rich, "n", stopped_ms)["kept_out"] == [
        "`start`: no `go` in the time of entries; the last was at 2026-01-01 00:00:04"
    ]


def test_what_the_story_does_not_have_is_told_plainly(live: Followed) -> None:
    """Begun anew by a second version, which is no event."""
    live.publish()
    live.rows({"customer": "a", "event": "go"})
    live.pass_ms(HOUR_MS)
    live.publish(2, "reset")
    way = why(live, "a")
    assert way["version"] == 2
    assert reasons(way) == [("start", "Enter on `go`"), ("mail", "Send e-mail `hello`")]


def test_nothing_is_told_of_the_erased(live: Followed) -> None:
    live.publish()
    live.rows({"customer": "a", "event": "go"})
    live.erase("a")
    found = live.ask("why", customer="a", ends=[], now_ms=live.now_ms)
    assert (found["known"], found["versions"]) == (
        False,
        [{"version": 1, "steps": [], "places": []}],
    )
    live.pass_ms(HOUR_MS)
    live.rows({"customer": "a", "event": "click"})
    assert why(live, "a")["kept_out"] == ["`start`: no `go` ever"]
