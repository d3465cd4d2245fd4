"""Show progress on the standard error stream: bars on a terminal, a line a task elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[str, int, int], None]
"""Told (what is being done, done, in all); a total of 0 is unknown."""


@contextmanager
def shown(*, quiet: bool) -> Iterator[Report]:
    """Give a function that moves the bars, one for each thing that is being done."""
    console = Console(stderr=True)
    if quiet:
        yield lambda label, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, int] = {}

    def report(label: str, done: int, total: int) -> None:
        if label not in tasks:
            tasks[label] = bars.add_task(label, total=total or None)
            if not console.is_terminal:
                console.print(f"{label} ...", highlight=False)
        bars.update(tasks[label], completed=done, total=total or None)  # type: ignore[arg-type]

    with bars:
        yield report
