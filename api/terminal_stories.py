"""Print chosen customers' ways through the flow on a terminal, step by step.

A story is plain data, as `dataclasses.asdict` makes it of `core.story.Story`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from api.terminal import WIDTH_MAX, clean_text

STEPS_MAX = 500  # of one customer; a story beyond that is no reading
_STATUS = {
    "waiting": "still waits at the horizon",
    "idle": "stays there: nothing follows",
    "parked": "stopped by an error",
}


def print_stories(stories: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print each story, times on the customer's own clock; ≈ marks what a modelled event caused."""
    width = min(console.width, WIDTH_MAX)
    ascii_only = console.options.ascii_only
    for story in stories:
        title = clean_text(f"The way of {story['customer']}", "bold", ascii_only=ascii_only)
        title.append(f"  times of {story['zone']}", "dim")
        console.print(Padding(title, (1, 0, 0, 0)), width=width)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", max_width=width * 2 // 5)
        table.add_column(overflow="fold")
        for row in _rows(story):
            table.add_row(*(clean_text(cell, ascii_only=ascii_only) for cell in row))
        console.print(Padding(table, (0, 0, 0, 2)), width=width)
        for line in _lines(story):
            text: Text = clean_text(line, ascii_only=ascii_only)
            console.print(Padding(text, (0, 0, 0, 2)), width=width)


def _rows(story: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The steps in order of time, then where the customer is at the horizon: when, where, why."""
    several = len({step["entry"] for step in story["steps"]} - {None}) > 1
    for step in story["steps"][:STEPS_MAX]:
        port = str(step["port"]).replace("_", " ")
        taken = "" if port in ("next", "end") else f" → {port}"
        mark = "≈ " if step["modelled"] else ""
        reason = str(step["reason"]).replace(f" -> {step['port']}", "")
        yield _clock(step["at"]), _place(step, several) + taken, mark + reason
    for place in story["places"]:
        due = f", until {_clock(place['due'])}" if place["due"] else ""
        status = _STATUS.get(place["status"], place["status"])
        yield _clock(place["since"]), _place(place, several), status + due


def _lines(story: Mapping[str, Any]) -> Iterator[str]:
    more = len(story["steps"]) - STEPS_MAX
    if more > 0:
        yield f"{more:,} more steps are in the JSON."
    if story["never_entered"]:
        yield "Never entered:"
        yield from (f"· {reason}" for reason in story["never_entered"])


def _place(step: Mapping[str, Any], several: bool) -> str:
    number = f" (entry {step['entry'] + 1})" if several and step["entry"] is not None else ""
    return f"{step['node']}{number}"


def _clock(at: Mapping[str, Any]) -> str:
    """The customer's wall time, to the minute, and the second where there is one."""
    text = str(at["local"])
    return f"{text[:10]} {text[11:16] if text[17:19] == '00' else text[11:19]}"
