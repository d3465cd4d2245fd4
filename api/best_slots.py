"""Offer the command that tells in which hours of the week people do something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def best_slots(
    audience: Annotated[Path, typer.Argument(metavar="AUDIENCE", help="The audience folder.")],
    event: Annotated[str, typer.Option(metavar="NAME", help="What they do.")] = "email_opened",
    hours: Annotated[int, typer.Option(metavar="N", min=1, max=24, help="Hours of a slot.")] = 2,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="How many slots.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the slots as JSON.")] = False,
) -> None:
    """Suggest time slots: when people open, click or buy."""
    run(audience, event, hours, count, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the command to the others."""
    app.command()(best_slots)


def run(audience: Path, event: str, hours: int, count: int, *, as_json: bool) -> None:
    """Print the slots, and the field of a `wait_slot` with them. Raises HeadraceError."""
    from actors.audience import load_audience, read_schema
    from api.console import console
    from core.audience import Needs
    from core.best_slots import best_slots
    from core.errors import HeadraceError
    from core.quantity import percent, plural
    from core.violations import close_to, quoted

    known = read_schema(audience).events
    if event not in known:
        advice = close_to(event, known, "Name one with --event").rstrip(".")
        raise HeadraceError(f"the audience has no event {quoted(event)}", advice=advice)
    found = best_slots(
        load_audience(audience, Needs(events={event})), event, hours=hours, count=count
    )
    slots = [each.slot.model_dump(mode="json", by_alias=True) for each in found]
    if as_json:
        told = zip(slots, found, strict=True)
        print(json.dumps([{**s, "share": each.share, "events": each.events} for s, each in told]))
        return
    out = console()
    for each in found:
        share = f"{percent(each.share)} of what people do, {plural(each.events, 'event')}"
        out.print(f"{each.slot.describe()}: {share}", markup=False)
    if slots:
        out.print(f"slots: {json.dumps(slots)}", markup=False, soft_wrap=True)
