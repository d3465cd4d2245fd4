"""Carry out an import: read every source, put the audience together, write its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actors.audience_writer import (
    ChangeData,
    CustomerData,
    EventData,
    Progress,
    count_names,
    new_folder,
    property_columns,
    write_changes,
    write_customers,
    write_events,
    write_schema,
)
from actors.importer.accounting import ImportSummary, Rejects, SourceCounts
from actors.importer.aliases import Aliases, in_turn, own_rows_first
from actors.importer.changes import merge_changes, read_changes
from actors.importer.customers import Registry, put_together, read_customers
from actors.importer.events import merge_events, read_events
from actors.importer.mapping import Mapping, load_mapping
from core.audience import (
    AttributeSchema,
    AudienceCounts,
    AudienceSchema,
    EventSchema,
    PropertySchema,
    TimeSpan,
)
from core.errors import HeadraceError


def import_audience(
    mapping_path: Path | str,
    out_dir: Path | str,
    *,
    data: Path | str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Import the files that a mapping names into an audience folder.

    Files are relative to the mapping's folder, or to `data` where it is given. The folder appears
    whole or not at all; one that is there already is only overwritten with `replace`. Rows that
    do not fit go to its rejects.csv. Raises HeadraceError for a mapping or a file that cannot be
    used, for an import that keeps no customer, and as `new_folder` does.
    """
    path = Path(mapping_path)
    mapping = load_mapping(path)
    base = path.parent if data is None else Path(data)
    with new_folder(Path(out_dir), replace=replace) as folder:
        rejects, aliases = Rejects(), Aliases()
        aliased = [aliases.read(each, base, rejects, progress) for each in mapping.aliases]
        registry = Registry(aliases.meant)
        people_of = [
            read_customers(source, base, registry, rejects, progress)
            for source in mapping.customers
        ]
        events_of = [
            read_events(source, base, registry, rejects, progress) for source in mapping.events
        ]
        parts = in_turn([own_rows_first(part) for part, _ in people_of])
        people = put_together(parts, registry)
        kinds = {name: held.kind for name, held in people.attributes.items()}
        changes_of = [
            read_changes(source, base, registry, kinds, rejects, progress)
            for source in mapping.changes
        ]
        sources = [*aliased, *(c for _, c in (*people_of, *events_of, *changes_of))]
        _check(sources, len(people.ids), rejects)
        if progress is not None:
            progress("sorting events", 0, 1)
        events = merge_events([part for part, _ in events_of])
        changes = merge_changes([part for part, _ in changes_of])
        write_customers(folder, people, progress=progress)
        write_events(folder, events, progress=progress)
        if changes is not None:
            write_changes(folder, changes)
        rejects.write(folder / "rejects.csv")
        schema = _schema(mapping, people, events, changes, sources)
        write_schema(folder, schema)
    return ImportSummary(Path(out_dir), schema, sources, rejects.reasons())


def _check(sources: Sequence[SourceCounts], customers: int, rejects: Rejects) -> None:
    """Refuse an import that lost a row or kept no one."""
    for counts in sources:
        if not counts.closes():
            raise AssertionError(f"rows are unaccounted for: {counts.line()}")
    if customers:
        return
    found = "; ".join(counts.line() for counts in sources)
    reasons = [
        f"column {column}: {reason}" if column else reason
        for (_, column, reason), _ in rejects.reasons().most_common(3)
    ]
    advice = f"Most rejected for: {'; '.join(reasons)}." if reasons else ""
    raise HeadraceError(f"no customer is left to import: {found}", advice=advice)


def _schema(
    mapping: Mapping,
    people: CustomerData,
    events: EventData,
    changes: ChangeData | None,
    sources: Sequence[SourceCounts],
) -> AudienceSchema:
    counts = np.bincount(events.code, minlength=len(events.names))
    described = {n: EventSchema(count=int(c)) for n, c in zip(events.names, counts, strict=True)}
    columns = property_columns(events.properties)
    for (event, name), data in events.properties.items():
        held = PropertySchema(type=data.kind, column=columns[event, name])
        described[event].properties[name] = held
    dropped: Counter[str] = Counter()
    for source in sources:
        dropped.update(source.dropped)
        dropped["duplicates"] += source.duplicates_dropped
    return AudienceSchema(
        as_of=mapping.as_of,
        zone=mapping.zone,
        attributes={
            name: AttributeSchema(type=a.kind, constant=a.constant, nulls=a.values.null_count)
            for name, a in people.attributes.items()
        },
        tags=count_names(people.tags),
        groups=count_names(people.groups),
        events=described,
        counts=AudienceCounts(
            customers=len(people.ids),
            events=len(events.ms),
            changes=0 if changes is None else len(changes.ms),
            rejected=sum(source.rejected for source in sources),
            dropped={name: count for name, count in dropped.items() if count},
            duplicates=sum(source.duplicates for source in sources),
            out_of_order=sum(source.out_of_order for source in sources),
        ),
        time=TimeSpan(
            first_ms=int(events.ms.min()) if len(events.ms) else None,
            last_ms=int(events.ms.max()) if len(events.ms) else None,
        ),
        replaces_property=mapping.replaces_property,
    )
