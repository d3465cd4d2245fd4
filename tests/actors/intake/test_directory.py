"""Checks what a partition knows of its customers against dictionaries."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake import directory as directory_module
from actors.intake.directory import Directory
from actors.intake.frame import Frame
from core.audience import INT64_MIN, Audience
from core.binding import bind
from core.compiler import compile_flow
from core.document import read_flow
from core.options import RunOptions
from core.record import PROPERTIES
from core.tenant_schema import TenantSchema
from intake_frames import NOW_MS, ROWS, SCHEMA, frame_of

Person = dict[str, Any]


def take(directory: Directory, frame: Frame, now_ms: int = NOW_MS) -> list[int]:
    numbers, new = directory.numbers(frame, now_ms)
    directory.apply(frame, numbers)
    return [int(n) for n in numbers[new]]


def follow(people: dict[str, Person], rows: list[dict[str, Any]], now_ms: int) -> None:
    """What the rows make of the people, one by one."""
    for row in rows:
        person = people.setdefault(
            row["customer"],
            {"created": now_ms, "zone": None, "tags": set(), "groups": set(), "set": {}},
        )
        for name, value in row.get("set", {}).items():
            if name != "email":
                person["set"][name] = value
        for family in ("tags", "groups"):
            marks = row.get(family, {"add": [], "remove": []})
            person[family] |= set(marks["add"])
            person[family] -= set(marks["remove"])
        if "zone" in row:
            person["zone"] = row["zone"]
        if "created" in row:
            person["created"] = INT64_MIN if row["created"] is None else row["created"]


def known(audience: Audience) -> dict[str, Person]:
    """The people of an audience, in order."""
    found: dict[str, Person] = {}
    for c in range(audience.customers):
        code = int(audience.zone_code[c])
        values = {name: column.value(c) for name, column in audience.attributes.items()}
        found[audience.id_of(c)] = {
            "created": int(audience.created_ms[c]),
            "zone": None if code < 0 else audience.zone_names[code],
            "tags": {name for name, on in audience.tags.items() if on[c]},
            "groups": {name for name, on in audience.groups.items() if on[c]},
            "set": {name: value for name, value in values.items() if value is not None},
        }
    return found


def stated(people: dict[str, Person]) -> dict[str, Person]:
    return {
        name: person | {"set": {n: v for n, v in person["set"].items() if v is not None}}
        for name, person in people.items()
    }


@settings(max_examples=60)
@given(st.lists(ROWS, max_size=6))
def test_the_last_value_wins_as_if_rows_came_one_by_one(batches: list[list[Any]]) -> None:
    directory = Directory(SCHEMA)
    people: dict[str, Person] = {}
    for step, rows in enumerate(batches):
        before = list(people)
        frame = frame_of(rows)
        follow(people, rows, NOW_MS + step)
        assert take(directory, frame, NOW_MS + step) == list(range(len(before), len(people)))
        found = [directory.id_of(n) for n in directory.find(frame.id_hash)]
        assert found == [frame.id_of(k) for k in range(frame.customers)]
        directory = Directory.restore(*directory.blocks(), SCHEMA)
    audience = directory.audience()
    assert list(known(audience)) == list(people)
    assert known(audience) == stated(people)
    assert audience.id_hash.tolist() == directory.blocks()[0]["id_hash"].tolist()


def test_many_customers_keep_what_they_have() -> None:
    directory = Directory(SCHEMA)
    for start in range(0, 6_000, 500):
        rows = [
            {"customer": f"c{n}", "set": {"age": n, "plan": f"p{n % 7}"}, "tags": {"add": ["t"]}}
            for n in range(start, start + 500)
        ]
        take(directory, frame_of(rows), start)
    audience = directory.audience()
    assert [audience.id_of(c) for c in (0, 1_024, 5_999)] == ["c0", "c1024", "c5999"]
    assert audience.attributes["age"].values.tolist() == list(range(6_000))
    assert audience.attributes["plan"].value(5_999) == f"p{5_999 % 7}"
    assert audience.tags["t"].sum() == 6_000
    assert audience.created_ms.tolist() == [n // 500 * 500 for n in range(6_000)]
    assert np.all(audience.zone_code == -1)


def test_a_customer_takes_the_memory_that_is_promised() -> None:
    directory = Directory(SCHEMA)
    rows = [{"customer": f"customer-{n:07}", "set": {"age": n}} for n in range(3_000)]
    take(directory, frame_of(rows))
    blocks, _ = directory.blocks()
    held = sum(np.asarray(b).nbytes if b.base is None else b.base.nbytes for b in blocks.values())
    table = 16 * 8_192  # the slots of the map: a power of two, filled to two thirds at most
    assert (held + table) / 3_000 < 200 + 8


def test_an_unknown_customer_has_no_number() -> None:
    directory = Directory(SCHEMA)
    take(directory, frame_of([{"customer": "a"}]))
    assert directory.find(frame_of([{"customer": "b"}, {"customer": "a"}]).id_hash).tolist() == [
        -1,
        0,
    ]
    with pytest.raises(IndexError, match="customer 1 of 1"):
        directory.id_of(1)


FLOW = """
headrace: 1
flow: welcome
nodes:
  start: {type: on_event, event: order, next: gold}
  gold: {type: condition, if: {attribute: plan, is: gold}, next: {yes: hello, no: done}}
  hello: {type: send, channel: email, template: hello, next: done}
  done: {type: end}
"""


def test_a_program_binds_to_the_audience() -> None:
    directory = Directory(SCHEMA, zone="Asia/Tokyo")
    take(directory, frame_of([{"customer": "a", "set": {"plan": "gold"}}, {"customer": "b"}]))
    audience = directory.audience()
    assert audience.zone == "Asia/Tokyo"
    assert audience.events == 0
    assert audience.event_names == ["order", "visit"]
    kinds = {name: column.kind for name, column in audience.properties.items()}
    assert {name: kinds[name] for name in SCHEMA.properties} == SCHEMA.properties
    # Standard events need no declaration, and flows may ask for their properties.
    assert kinds.keys() - SCHEMA.properties.keys() == PROPERTIES.keys()
    assert kinds["url"] == "string"
    assert audience.constants == {"birthday"}
    assert "email" not in audience.attributes
    assert audience.attributes["score"].missing().all()
    assert "owner" not in audience.attributes
    named = directory.audience(["owner", "score:vip", "nickname", "email"])
    assert named.attributes["owner"].missing().all()
    assert named.attributes["score:vip"].kind == "int64"
    assert not {"nickname", "email"} & named.attributes.keys()
    flow, violations = read_flow(FLOW, name="welcome.yaml")
    assert flow is not None, violations
    options = RunOptions(from_ms=NOW_MS, until_ms=NOW_MS + 1000, horizon_ms=NOW_MS + 1000)
    bound = bind(compile_flow(flow), audience, options)
    assert bound.customers == 2


def test_another_schema_keeps_what_it_names_alike() -> None:
    directory = Directory(SCHEMA)
    take(directory, frame_of([{"customer": "a", "set": {"plan": "gold", "age": 3}}]))
    directory.adopt(
        TenantSchema.of({"attributes": {"plan": {"type": "string"}, "age": {"type": "bool"}}})
    )
    audience = directory.audience()
    assert list(audience.attributes) == ["plan", "age"]
    assert audience.attributes["plan"].value(0) == "gold"
    assert (audience.attributes["age"].kind, audience.attributes["age"].value(0)) == ("bool", None)
    # A frame that was read against the old schema does no harm.
    take(directory, frame_of([{"customer": "a", "set": {"age": 4, "score": 1.0}}]))
    assert known(directory.audience())["a"]["set"] == {"plan": "gold"}


def test_tags_beyond_the_limit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "MARKS_MAX", 2)
    directory = Directory(SCHEMA)
    take(directory, frame_of([{"customer": "a", "tags": {"add": ["p"]}}]))
    frame = frame_of(
        [
            {"customer": "a", "tags": {"add": ["p", "q"]}},
            {"customer": "a", "tags": {"add": ["r"]}},
            {"customer": "a", "groups": {"add": ["r", "s"]}},
        ]
    )
    assert directory.overfull(frame).tolist() == [False, True, False]


def _damaged(name: str, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    directory = Directory(SCHEMA)
    take(directory, frame_of([{"customer": "a", "set": {"plan": "x"}}, {"customer": "b"}]))
    blocks, meta = directory.blocks()
    if name in meta:
        return blocks, meta | {name: value}
    return blocks | {name: value}, meta


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id_hash", np.array([1, 1], np.uint64)),
        ("id_hash", np.array([1], np.uint64)),
        ("id_data", np.zeros(1, np.uint8)),
        ("id_offsets", np.array([0, 2, 2])),
        ("created_ms", np.zeros(2, np.int32)),
        ("zone_code", np.zeros(2, np.int32)),
        ("attribute/0", np.array([1, 0], np.int32)),
        ("attributes", {"plan": "int64"}),
        ("attributes", {"nonsense": "string"}),
    ],
)
def test_a_snapshot_that_contradicts_itself_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"snapshot|twice"):
        Directory.restore(*_damaged(name, value), SCHEMA)


def test_a_snapshot_that_lacks_a_block_is_refused() -> None:
    blocks, meta = _damaged("tags", ["t"])
    with pytest.raises(KeyError, match="tag/0"):
        Directory.restore(blocks, meta, SCHEMA)
