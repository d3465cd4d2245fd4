"""Checks the folder that is written anew: names of columns, identities, what a damaged one says."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from actors.audience import load_audience, read_schema
from actors.enrichment_folder import Derived, NewEvents, write_enriched
from actors.importer import import_audience
from core.audience import AudienceSchema, Column, Needs
from core.errors import HeadraceError
from core.identity import event_word

MAPPING = """
headrace_mapping: 1
customers: {file: events.csv, id: id}
events:
  - file: events.csv
    customer: id
    time: time
    event: {column: event}
    properties: {fence.x: x}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two customers, of whom one did something."""
    text = "id,time,event,x\na,2026-01-01T00:00:00Z,geo,5\nb,2026-01-02T00:00:00Z,geo,7\n"
    (tmp_path / "events.csv").write_text(text)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    import_audience(tmp_path / "mapping.yaml", tmp_path / "a")
    return tmp_path / "a"


def written(
    folder: Path, derived: list[Derived] | None = None, events: list[NewEvents] | None = None
) -> AudienceSchema:
    out = folder.with_name("out")
    out.mkdir()
    return write_enriched(
        folder,
        out,
        read_schema(folder),
        derived or [],
        events or [],
        progress=lambda label, done, total: None,
    )


def test_a_column_that_another_name_spells_gets_a_mark(folder: Path) -> None:
    new = NewEvents("geo.fence", np.array([0, 1]), np.array([5, 6]))
    new.properties["x"] = ("string", ["one", None])
    schema = written(folder, events=[new])
    assert schema.events["geo.fence"].properties["x"].column == "p.geo.fence.x~"
    assert schema.time.first_ms == 5
    needs = Needs(set(), set(), set(), {"geo", "geo.fence"}, {"x", "fence.x"})
    audience = load_audience(folder.with_name("out"), needs)
    assert [audience.properties["x"].value(row) for row in range(4)] == ["one", None, None, None]
    assert audience.event_ms[0] == 5


def test_new_events_have_the_identity_of_any_other(folder: Path) -> None:
    new = NewEvents("geo_entered", np.array([0, 0, 1]), np.array([5, 5, 6]))
    new.properties["fence"] = ("string", ["one", "one", "two"])
    written(folder, events=[new])
    needs = Needs(set(), set(), set(), {"geo_entered"}, {"fence"})
    audience = load_audience(folder.with_name("out"), needs)
    expected = [
        event_word("geo_entered", ms, {"fence": ("string", fence)}, repeat)
        for ms, fence, repeat in ((5, "one", 0), (5, "one", 1), (6, "two", 0))
    ]
    assert audience.event_hash.tolist() == expected


def test_nothing_new_leaves_the_same_tables(folder: Path) -> None:
    assert written(folder) == read_schema(folder)
    for name in ("customers.parquet", "events.parquet"):
        assert pq.read_table(folder / name).equals(pq.read_table(folder.with_name("out") / name))
    assert not (folder.with_name("out") / "changes.parquet").exists()


def test_an_attribute_that_never_changed_writes_no_changes(folder: Path) -> None:
    none = np.zeros(0, np.int64)
    scores = Column("float64", np.array([0.5, np.nan]))
    schema = written(folder, [Derived("churn", scores, none, none, none)])
    assert schema.attributes["churn"].nulls == 1
    assert schema.counts.changes == 0
    audience = load_audience(folder.with_name("out"), Needs({"churn"}, set(), set(), set(), set()))
    assert [audience.attributes["churn"].value(c) for c in range(2)] == [0.5, None]


def test_a_damaged_file_is_said(folder: Path) -> None:
    (folder / "events.parquet").write_bytes(b"PAR1 no more")
    new = NewEvents("geo_entered", np.array([0]), np.array([5]))
    with pytest.raises(HeadraceError, match="a file of the audience is damaged"):
        written(folder, events=[new])
