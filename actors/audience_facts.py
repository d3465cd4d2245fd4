"""Read from an audience folder what lint wants to know of its people."""

from __future__ import annotations

from pathlib import Path

from actors.audience import load_audience, read_schema
from core.audience import Needs
from core.audience_facts import AudienceFacts, facts_of


def read_facts(folder: Path | str, needs: Needs) -> AudienceFacts:
    """How many people have which values of the attributes, tags and groups in `needs`.

    Of events only their numbers are told, which the folder's schema has. Raises HeadraceError as
    `load_audience` does.
    """
    schema = read_schema(folder)
    events = {name: event.count for name, event in schema.events.items()}
    if not schema.counts.customers:
        return AudienceFacts(0, events=events)
    return facts_of(load_audience(folder, needs), events)
