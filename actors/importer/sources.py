"""Read the file of a source, in whichever of the three forms it is."""

from __future__ import annotations

from pathlib import Path

from actors.audience_writer import Progress
from actors.importer.csv_reader import Report, read_csv
from actors.importer.mapping import Source
from actors.importer.ndjson_reader import read_ndjson
from actors.importer.parquet_reader import read_parquet
from actors.importer.streams import find_file, format_of
from actors.importer.table import Table, Wanted
from core.errors import HeadraceError


def read_source(
    source: Source, base: Path, wanted: Wanted, progress: Progress | None = None
) -> Table:
    """The wanted columns of a source's file; `base` is the folder that it is relative to."""
    path = find_file(source, base)
    form = format_of(source, path)
    report: Report | None = None
    if progress is not None:
        label = f"reading {path.name}"

        def report(done: int, total: int) -> None:
            progress(label, done, total)

    if form == "csv":
        return read_csv(path, wanted, source.csv, source.encoding, report)
    if form == "ndjson":
        return read_ndjson(path, wanted, source.encoding, report)
    if path.suffix.lower() == ".gz":
        advice = "Unpack it first; Parquet is compressed inside."
        raise HeadraceError(
            "a Parquet file cannot be read from gzip", advice=advice, file=str(path)
        )
    return read_parquet(path, wanted, report)
