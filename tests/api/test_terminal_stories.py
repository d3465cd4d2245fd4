"""Checks what stories look like on a terminal."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console

from api.terminal_stories import STEPS_MAX, print_stories
from cases import Case, ask, on, send, sure, wait_event
from core.story import tell

NODES = {
    "t": on("go", "rich"),
    "rich": ask({"attribute": "sum", "above": 5}, "m", "w"),
    "m": send("email", "hi", "w"),
    "w": wait_event("click", timeout="9 days", yes="x"),
}


def story(**more: Any) -> dict[str, Any]:
    case = Case(NODES, **({"events": [("05-04 10:00", "go")]} | more))
    told = tell(case.flow(), case.people(), 0, case.run_options(), case.model())
    return asdict(told)


def shown(*stories: dict[str, Any], width: int = 80, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    print_stories(stories, Console(file=stream, width=width))
    lines = raw.getvalue().decode(encoding).splitlines()
    assert max(map(len, lines), default=0) <= width
    return [line.rstrip() for line in lines]


def test_each_step_has_its_time_place_and_reason() -> None:
    assert shown(story(customers=[{"id": "ada", "zone": "Europe/Berlin"}], events=[
        ("05-04 10:00", "go", {}, "ada"), ("05-04 10:00:05", "click", {}, "ada")])) == [
        "",
        "The way of ada  times of Europe/Berlin",
        "  2026-05-04 12:00     t          `go` happened",
        "  2026-05-04 12:00     rich → no  `sum` is missing",
        "  2026-05-04 12:00:05  w → event  `click` happened",
        "  2026-05-04 12:00:05  x          End",
    ]  # fmt: skip


def test_modelled_events_are_marked_and_waits_told() -> None:
    people = [{"id": "c", "attributes": {"sum": 9}}]
    answer = [{"for": {"channel": "email"}, "outcomes": [sure("click")]}]
    lines = shown(story(customers=people, responses=answer))
    assert "  2026-05-04 11:00  w → event   ≈ `click` happened (modelled)" in lines
    lines = shown(story(customers=people, window=("05-01", "05-06", "05-06")), width=120)
    waits = "still waits at the horizon, until 2026-05-13 10:00"
    assert lines[-1] == f"  2026-05-04 10:00  w           {waits}"


def test_several_entries_are_numbered() -> None:
    lines = shown(
        story(
            events=[("05-04 10:00", "go"), ("05-05 10:00", "go")],
            settings={"reentry": {"policy": "always"}},
        )
    )
    assert [line.split("  ")[2].strip() for line in lines[2:5]] == [
        "t (entry 1)",
        "rich (entry 1) → no",
        "t (entry 2)",
    ]


def test_who_never_entered_is_told_why() -> None:
    assert shown(story(events=[]), story(events=[])) == 2 * [
        "",
        "The way of c  times of UTC",
        "  Never entered:",
        "  · `t`: no `go` ever",
    ]


def test_no_stories_are_no_lines() -> None:
    assert shown() == []


def test_an_endless_story_is_cut() -> None:
    long = story()
    long["steps"] = long["steps"] * 1000
    lines = shown(long, width=120)
    assert lines[-1] == f"  {len(long['steps']) - STEPS_MAX:,} more steps are in the JSON."
    assert len(lines) == STEPS_MAX + 3 + len(long["places"])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_names_of_any_length_fit(width: int) -> None:
    long = story(events=[])
    long["customer"] = "c" * 500
    long["never_entered"] = ["`" + "t" * 300 + "`: why"]
    assert "".join(shown(long, width=width)).count("c") >= 500


def test_names_can_neither_style_nor_move_the_cursor() -> None:
    evil = story(events=[])
    evil["customer"] = "[red]\x1b[2J"
    assert shown(evil)[1] == "The way of [red]\ufffd[2J  times of UTC"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = shown(story(), encoding="ascii")
    assert lines[3] == "  2026-05-04 10:00  rich -> no    `sum` is missing"
