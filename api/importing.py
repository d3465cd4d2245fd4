"""Import an audience or make the sample one, and account for every row."""

from __future__ import annotations

from pathlib import Path

from api.progress import shown


def run(mapping: Path, out: Path, *, data: Path | None, replace: bool, quiet: bool) -> None:
    """Import through a mapping file and print where every row went."""
    with shown(quiet=quiet) as progress:
        # A sign of life, because what is imported next takes a moment.
        progress("reading the mapping", 0, 0)
        from actors.importer import import_audience

        summary = import_audience(mapping, out, data=data, replace=replace, progress=progress)
    from api.console import console

    console().print(summary.text(), markup=False, soft_wrap=True)


def make(
    out: Path,
    *,
    customers: int,
    days: int,
    seed: int,
    lifecycle: bool,
    replace: bool,
    quiet: bool,
) -> None:
    """Make the sample audience and say what it holds."""
    from actors.sample import make_sample

    with shown(quiet=quiet) as progress:
        schema = make_sample(
            out,
            customers=customers,
            days=days,
            seed=seed,
            lifecycle=lifecycle,
            replace=replace,
            progress=progress,
        )
    counted = [
        (schema.counts.customers, "customer"),
        (schema.counts.events, "event"),
        (days, "day"),
    ]
    customers_text, events_text, days_text = [f"{n:,} {w}{'s' * (n != 1)}" for n, w in counted]
    print(f"{out}: {customers_text}, {events_text} over {days_text}")
