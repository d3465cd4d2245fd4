"""Show progress on the standard error stream: bars on a terminal, a line a task elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int], None]
"""Told (what is being done, done, in all); a total of 0 is unknown."""

CHECKING = "checking the flow"


@contextmanager
def shown(*, quiet: bool) -> Iterator[Report]:
    """Give a function that moves the bars, one for each thing that is being done."""
    if quiet or sys.stderr is None:
        yield lambda label, done, total: None
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _lines()


def _lines() -> Report:
    told: set[str] = set()

    def report(label: str, done: int, total: int) -> None:
        if label not in told:
            told.add(label)
            # Names of files may hold what would move the cursor.
            plain = "".join(c if c.isprintable() else "\ufffd" for c in label)
            print(f"{plain} ...", file=sys.stderr, flush=True)

    return report


@contextmanager
def _bars() -> Iterator[Report]:
    # Imported here, because a first line where there is no terminal needs none of it.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from api.console import console

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
    )
    tasks: dict[str, int] = {}

    def report(label: str, done: int, total: int) -> None:
        if label not in tasks:
            tasks[label] = bars.add_task(label, total=total or None)
        bars.update(tasks[label], completed=done, total=total or None)  # type: ignore[arg-type]

    with bars:
        yield report
