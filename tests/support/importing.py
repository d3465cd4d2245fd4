"""Writes small files and mappings, imports them, and reads back what came of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.audience import load_audience, read_schema
from actors.importer import ImportSummary, SourceCounts, import_audience
from core.audience import Audience, Needs


@dataclass
class Imported:
    """An import's summary and the folder it wrote."""

    summary: ImportSummary
    folder: Path

    @property
    def source(self) -> SourceCounts:
        """The account of the only source."""
        (source,) = self.summary.sources
        return source

    @property
    def rejects(self) -> list[dict[str, str]]:
        """The rows of rejects.csv."""
        with (self.folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def refused(self) -> list[tuple[int, str, str, str]]:
        """(row, column, value, reason) of each reject."""
        return [(int(r["row"]), r["column"], r["value"], r["reason"]) for r in self.rejects]

    def load(self) -> Audience:
        """Everything there is."""
        return load_whole(self.folder)


def load_whole(folder: Path) -> Audience:
    """All of an audience folder."""
    schema = read_schema(folder)
    needs = Needs(
        attributes=set(schema.attributes),
        tags=set(schema.tags),
        groups=set(schema.groups),
        events=set(schema.events),
        properties={name for event in schema.events.values() for name in event.properties},
    )
    return load_audience(folder, needs)


Run = Callable[..., Imported]


def import_files(
    folder: Path, mapping: dict[str, Any], files: dict[str, str | bytes], **options: Any
) -> Imported:
    """Import `mapping` with the files given by name; the audience is `folder`/audience."""
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    path = folder / "mapping.json"
    path.write_text(json.dumps(mapping), encoding="utf-8")
    out = folder / "audience"
    return Imported(import_audience(path, out, replace=True, **options), out)


def ids_of(audience: Audience) -> list[str]:
    """The ids, by customer."""
    return [audience.id_of(customer) for customer in range(audience.customers)]


def attribute_of(audience: Audience, name: str) -> list[Any]:
    """The values of an attribute, by customer."""
    column = audience.attributes[name]
    return [column.value(row) for row in range(len(column))]


def events_of(audience: Audience) -> list[tuple[str, int, str, dict[str, Any]]]:
    """(customer, ms, event, properties that it has) of each event."""
    found = []
    for customer in range(audience.customers):
        start, stop = audience.event_offsets[customer : customer + 2]
        for row in range(start, stop):
            held = {name: column.value(row) for name, column in audience.properties.items()}
            found.append(
                (
                    audience.id_of(customer),
                    int(audience.event_ms[row]),
                    audience.event_names[audience.event_type[row]],
                    {name: value for name, value in held.items() if value is not None},
                )
            )
    return found
