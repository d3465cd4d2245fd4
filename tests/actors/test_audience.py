"""Checks that a folder loads as needed, and that whatever is wrong with one is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.audience import load_audience, read_schema
from actors.audience_writer import ROW_GROUP_ROWS
from core.audience import Absence, Column, LoadCounts, Needs
from core.errors import HeadraceError
from core.identity import text
from importing import attribute_of, events_of, ids_of, import_files

PEOPLE = """id,plan,age,vip,tags
a,pro,41,true,new;vip
b,free,,false,
ü3,pro,7,,vip
"""
LOG = """who,at,what,amount,flow,sku
a,1,buy,1.5,,x
a,2,sent,,welcome,
a,3,sent,,other,y
b,4,view,2,,
b,5,buy,3,welcome,z
ü3,6,open,,welcome,
"""
MAPPING: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "customers": {
        "file": "p.csv",
        "id": "id",
        "attributes": {"plan": "plan", "age": "age", "vip": "vip"},
        "tags": {"column": "tags", "separator": ";"},
    },
    "events": {
        "file": "log.csv",
        "customer": "who",
        "time": {"column": "at", "format": "unix_ms"},
        "event": "what",
        "properties": {"amount": "amount", "flow": "flow", "sku": "sku"},
    },
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    return import_files(folder, MAPPING, {"p.csv": PEOPLE, "log.csv": LOG}).folder


@pytest.fixture
def copy(shop: Path, tmp_path: Path) -> Path:
    shutil.copytree(shop, tmp_path / "copy")
    return tmp_path / "copy"


def test_only_what_is_needed_is_loaded(shop: Path) -> None:
    needs = Needs(
        attributes={"plan"}, tags={"vip"}, events={"buy", "sent"}, properties={"amount", "sku"}
    )
    audience = load_audience(shop, needs)
    assert ids_of(audience) == ["a", "b", "ü3"]
    assert audience.id_hash.tolist() == [text("a"), text("b"), text("ü3")]
    assert (audience.index_of("b"), audience.index_of("c")) == (1, None)
    assert list(audience.attributes) == ["plan"]
    assert attribute_of(audience, "plan") == ["pro", "free", "pro"]
    assert {n: f.tolist() for n, f in audience.tags.items()} == {"vip": [1, 0, 1]}
    assert (audience.groups, audience.zone, audience.as_of_ms) == ({}, "Europe/Berlin", None)
    assert events_of(audience) == [
        ("a", 1, "buy", {"amount": 1.5, "sku": "x"}),
        ("a", 2, "sent", {}),
        ("a", 3, "sent", {"sku": "y"}),
        ("b", 5, "buy", {"amount": 3.0, "sku": "z"}),
    ]
    assert audience.event_offsets.tolist() == [0, 3, 4, 4]
    assert audience.counts == LoadCounts(
        events_read=6, events_kept=4, events_not_needed=2, events_replaced=0
    )
    sku = audience.properties["sku"]
    assert sku.dictionary is not None
    assert len(set(sku.dictionary)) == len(sku.dictionary)
    assert audience.absent == []


def test_recorded_effects_of_a_flow_are_left_out(shop: Path) -> None:
    audience = load_audience(shop, Needs(events={"buy", "sent", "view"}, replaces="welcome"))
    assert [(c, ms) for c, ms, _, _ in events_of(audience)] == [("a", 1), ("a", 3), ("b", 4)]
    assert audience.counts == LoadCounts(
        events_read=6, events_kept=3, events_not_needed=1, events_replaced=2
    )
    assert load_audience(shop, Needs(events={"view"}, replaces="welcome")).events == 1


def test_what_is_absent_is_reported_with_what_looks_alike(shop: Path) -> None:
    needs = Needs(
        attributes={"plan", "Age"},
        tags={"vipp"},
        groups={"beta"},
        events={"buy", "bought"},
        properties={"amounts", "flow"},
    )
    audience = load_audience(shop, needs)
    assert audience.absent == [
        Absence("attribute", "Age", ("age",)),
        Absence("tag", "vipp", ("vip",)),
        Absence("group", "beta"),
        Absence("event", "bought", ()),
        Absence("property", "amounts", ("amount",)),
    ]
    assert audience.event_names == ["bought", "buy"]
    assert audience.event_type.tolist() == [1, 1]
    assert set(audience.properties) == {"flow"}


def test_nothing_needed_reads_no_event(shop: Path) -> None:
    audience = load_audience(shop, Needs())
    assert (audience.customers, audience.events, audience.event_names) == (3, 0, [])
    assert audience.event_offsets.tolist() == [0, 0, 0, 0]
    assert audience.counts == LoadCounts(events_read=6, events_not_needed=6)


def test_several_row_groups_make_one_column(tmp_path: Path) -> None:
    rows = ROW_GROUP_ROWS + 5
    log = "who,at,what,k\n" + "".join(f"c{i % 3},{i},e{i % 2},v{i // 1000}\n" for i in range(rows))
    mapping = {
        "events": {**MAPPING["events"], "properties": {"k": "k"}},
    }
    done = import_files(tmp_path, mapping, {"log.csv": log})
    seen: list[tuple[str, int, int]] = []
    audience = load_audience(
        done.folder,
        Needs(events={"e0", "e1"}, properties={"k"}),
        progress=lambda *at: seen.append(at),
    )
    assert seen == [
        ("reading customers", 3, 3),
        ("reading events", ROW_GROUP_ROWS, rows),
        ("reading events", rows, rows),
    ]
    order = np.argsort(np.arange(rows) % 3, kind="stable")
    assert audience.event_ms.tolist() == order.tolist()
    assert audience.event_type.tolist() == (order % 2).tolist()
    column: Column = audience.properties["k"]
    assert column.dictionary is not None
    names = np.array(column.dictionary)[column.values]
    assert names.tolist() == [f"v{i // 1000}" for i in order]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def test_damage_is_named(copy: Path) -> None:
    needs = Needs(attributes={"plan"}, events={"buy"})
    damage(copy / "events.parquet")
    with pytest.raises(HeadraceError, match=r"damaged or cut short.*Import the audience") as caught:
        load_audience(copy, needs)
    assert caught.value.file == str(copy / "events.parquet")
    (copy / "events.parquet").unlink()
    with pytest.raises(HeadraceError, match="the file is missing"):
        load_audience(copy, needs)
    damage(copy / "customers.parquet")
    with pytest.raises(HeadraceError, match="damaged or cut short"):
        load_audience(copy, needs)
    (copy / "schema.json").write_text("{")
    with pytest.raises(HeadraceError, match="cannot read it"):
        load_audience(copy, needs)
    (copy / "schema.json").unlink()
    with pytest.raises(HeadraceError, match=r"no schema\.json"):
        load_audience(copy, needs)
    with pytest.raises(HeadraceError, match="no such audience folder"):
        read_schema(copy / "nowhere")


def test_files_that_do_not_go_together_are_named(copy: Path) -> None:
    path = copy / "schema.json"
    whole = json.loads(path.read_text())

    def schema(**changes: Any) -> None:
        path.write_text(json.dumps({**whole, **changes}))

    for version in (2, "1", None):
        schema(headrace_audience=version)
        with pytest.raises(HeadraceError, match=r"version is .* reads version 1"):
            read_schema(copy)
    schema(zoen="x")
    with pytest.raises(HeadraceError) as caught:
        read_schema(copy)
    assert caught.value.pointer == "/zoen"
    schema(counts={**whole["counts"], "customers": 4})
    with pytest.raises(HeadraceError, match=r"it holds 3 rows, and schema.json says 4"):
        load_audience(copy, Needs())
    schema(attributes={"none": {"type": "bool"}})
    with pytest.raises(HeadraceError, match=r"lacks a column that schema.json names"):
        load_audience(copy, Needs(attributes={"none"}))
    events = json.loads(json.dumps(whole["events"]))
    events["buy"]["count"] += 1
    events["view"]["count"] -= 1
    schema(events=events)
    with pytest.raises(HeadraceError, match=r"2 of the events needed, and schema.json says 3"):
        load_audience(copy, Needs(events={"buy"}))
    events["buy"]["count"] -= 2
    events["view"]["count"] += 2
    schema(events=events)
    with pytest.raises(HeadraceError, match=r"more events than schema.json counts"):
        load_audience(copy, Needs(events={"buy"}))
    schema(counts={**whole["counts"], "customers": 0})
    with pytest.raises(HeadraceError, match="the audience is empty"):
        load_audience(copy, Needs())


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("/as_of", "UTC", "'UTC' is no instant"),
        ("/zone", "Mars/Olympus", "there is no time zone 'Mars/Olympus'"),
        ("/events/buy/count", 2**60, "event types count .* and /counts/events says"),
        ("/counts/customers", 2**40, "at most 4,294,967,296 rows of a kind"),
        ("/time/first_ms", 2**70, "is no time of the years 1 to 9999"),
        ("/time/last_ms", -(2**60), "is no time of the years 1 to 9999"),
    ],
)
def test_a_schema_that_no_import_would_write_is_refused(
    copy: Path, pointer: str, value: Any, said: str
) -> None:
    document = json.loads((copy / "schema.json").read_text())
    *steps, last = pointer.split("/")[1:]
    part = document
    for step in steps:
        part = part[step]
    part[last] = value
    (copy / "schema.json").write_text(json.dumps(document))
    with pytest.raises(HeadraceError, match=said) as caught:
        read_schema(copy)
    assert caught.value.file == str(copy / "schema.json")
    assert caught.value.pointer is not None
    assert pointer.startswith(caught.value.pointer)


def test_events_of_no_customer_or_out_of_order_are_damage(copy: Path) -> None:
    table = pq.read_table(copy / "events.parquet")
    for customers in ([0, 0, 0, 1, 1, 9], [1, 0, 0, 1, 1, 2]):
        column = pa.array(customers, pa.uint32())
        pq.write_table(table.set_column(0, "customer", column), copy / "events.parquet")
        with pytest.raises(HeadraceError, match="damaged"):
            load_audience(copy, Needs(events={"buy", "sent", "view", "open"}))


def test_events_out_of_order_of_time_are_damage(copy: Path) -> None:
    table = pq.read_table(copy / "events.parquet")
    times = table["time"].to_pylist()
    assert table["customer"].to_pylist()[:2] == [0, 0]
    assert times[0] < times[1]
    swapped = pa.array([times[1], times[0], *times[2:]], table.schema.field("time").type)
    place = table.schema.get_field_index("time")
    pq.write_table(table.set_column(place, "time", swapped), copy / "events.parquet")
    with pytest.raises(HeadraceError, match="not in order of time"):
        load_audience(copy, Needs(events={"buy", "sent", "view", "open"}))


def test_types_of_one_property_must_go_together(tmp_path: Path) -> None:
    log = "who,at,what,v\na,1,x,1\na,2,y,2.5\na,3,z,word\n"
    mapping = {"events": {**MAPPING["events"], "properties": {"v": "v"}}}
    done = import_files(tmp_path, mapping, {"log.csv": log})
    audience = load_audience(done.folder, Needs(events={"x", "y"}, properties={"v"}))
    assert (audience.properties["v"].kind, audience.properties["v"].values.tolist()) == (
        "float64",
        [1.0, 2.5],
    )
    with pytest.raises(HeadraceError, match=r"'v' is .* on 'x' and string on 'z'"):
        load_audience(done.folder, Needs(events={"x", "y", "z"}, properties={"v"}))
