"""Show progress on the standard error stream: bars on a terminal, a line a task elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from api.console import console

Report = Callable[[str, int, int], None]
"""Told (what is being done, done, in all); a total of 0 is unknown."""

CHECKING = "checking the flow"


@contextmanager
def shown(*, quiet: bool) -> Iterator[Report]:
    """Give a function that moves the bars, one for each thing that is being done."""
    if quiet:
        yield lambda label, done, total: None
        return
    out = console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    )
    tasks: dict[str, int] = {}

    def report(label: str, done: int, total: int) -> None:
        if label not in tasks:
            tasks[label] = bars.add_task(label, total=total or None)
            if not out.is_terminal:
                out.print(f"{label} ...", markup=False, soft_wrap=True)
        bars.update(tasks[label], completed=done, total=total or None)  # type: ignore[arg-type]

    with bars:
        yield report
