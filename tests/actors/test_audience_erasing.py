"""Audiences without some customers: all that is left is as if they had never been there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.audience import load_audience, read_schema
from actors.audience_erasing import erase_customers, holds
from actors.importer import import_audience
from core.audience import Needs
from core.errors import HeadraceError
from core.hashing import hash_customer

PEOPLE = "id,email,plan,tags\n" + "".join(
    f"c{n},c{n}@x.example,{'pro' if n % 3 else ''},{'vip' if n % 2 else 'new'}\n" for n in range(9)
)
EVENTS = "who,at,what,amount\n" + "".join(
    f"c{n % 9},2026-01-{1 + n:02}T00:00:00Z,{'order' if n % 4 else 'visit'},{n}\n"
    for n in range(25)
)
CHANGES = "who,at,field,value\n" + "".join(
    f"c{n},2026-01-02T00:00:00Z,plan,old{n}\n" for n in range(0, 9, 2)
)
BROKEN = "c3,c3@x.example,visit,1\nc4,never,visit,1\n"


def audience(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """An audience of nine customers, but those `without`."""

    def left(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if line.split(",")[0] not in without)

    folder.mkdir()
    (folder / "people.csv").write_text(left(PEOPLE))
    (folder / "events.csv").write_text(left(EVENTS) + BROKEN)
    (folder / "changes.csv").write_text(left(CHANGES))
    (folder / "mapping.yaml").write_text(
        """
headrace_mapping: 1
as_of: 2026-04-01T00:00:00Z
customers:
  {file: people.csv, id: id, attributes: {email: email, plan: plan},
   tags: {column: tags, separator: "|"}}
events:
  - {file: events.csv, customer: who, time: at, event: {column: what},
     properties: {amount: {column: amount, type: float64}}}
changes: {file: changes.csv, customer: who, time: at, attribute: field, value: value}
"""
    )
    import_audience(folder / "mapping.yaml", folder / "made")
    return folder / "made"


@pytest.mark.parametrize("gone", [("c0",), ("c8",), ("c3", "c4")])
def test_who_is_erased_was_never_there(tmp_path: Path, gone: tuple[str, ...]) -> None:
    found, expected = audience(tmp_path / "all"), audience(tmp_path / "rest", gone)
    hashes = [hash_customer(name) for name in gone]
    assert holds(found, hashes)
    assert erase_customers(found, hashes) == len(gone)
    assert not holds(found, hashes)
    ours, theirs = read_schema(found), read_schema(expected)
    assert ours.counts.customers == 9 - len(gone)
    assert ours.time == theirs.time
    assert (ours.counts.events, ours.counts.changes) == (
        theirs.counts.events,
        theirs.counts.changes,
    )
    for name, count in ours.tags.items():
        assert count == theirs.tags.get(name, 0)
    for name, event in ours.events.items():
        assert event.count == (theirs.events[name].count if name in theirs.events else 0)
    assert ours.attributes == theirs.attributes
    needs = Needs({"email", "plan"}, {"vip"}, set(), {"order", "visit"}, {"amount"})
    loaded, other = load_audience(found, needs), load_audience(expected, needs)
    assert loaded.properties["amount"].values.tolist() == other.properties["amount"].values.tolist()
    for field in ("id_data", "id_hash", "event_offsets", "event_ms", "event_hash", "created_ms"):
        assert np.array_equal(getattr(loaded, field), getattr(other, field)), field


def test_rejects_that_tell_of_somebody_go_too(tmp_path: Path) -> None:
    found = audience(tmp_path / "all")
    before = (found / "rejects.csv").read_text()
    assert "c3@x.example" in before
    assert erase_customers(found, [hash_customer("nobody")], ["c3@x.example"]) == 0
    after = (found / "rejects.csv").read_text()
    assert "c3@x.example" not in after
    assert len(after.splitlines()) == len(before.splitlines()) - 1
    assert read_schema(found).counts.customers == 9


def test_nothing_is_written_where_nobody_is(tmp_path: Path) -> None:
    found = audience(tmp_path / "all")
    before = found.stat().st_ino
    assert erase_customers(found, [hash_customer("nobody")], ["nothing of it"]) == 0
    assert found.stat().st_ino == before


def test_an_audience_of_which_nobody_is_left_is_one_still(tmp_path: Path) -> None:
    found = audience(tmp_path / "all")
    assert erase_customers(found, [hash_customer(f"c{n}") for n in range(9)]) == 9
    schema = read_schema(found)
    assert (schema.counts.customers, schema.counts.events, schema.counts.changes) == (0, 0, 0)
    assert (schema.time.first_ms, schema.time.last_ms) == (None, None)
    with pytest.raises(HeadraceError, match="the audience is empty"):
        load_audience(found, Needs({"plan"}, set(), set(), {"order"}))
