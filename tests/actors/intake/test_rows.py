"""Checks how clients' rows become a frame, and what is said of rows that do not."""

import gc
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake.frame import NOT_STATED_MS
from actors.intake.rows import Decoded, Reject, RowsError, Unreadable, decode_json, decode_rows
from actors.intake.values import RefusedError
from core.audience import INT64_MIN
from core.identity import event_word_of_id
from core.tenant_schema import TenantSchema
from intake_frames import NOW_MS, ROWS, SCHEMA, told

ORDER: dict[str, Any] = {
    "customer": "ada",
    "event": "order",
    "occurred": "2025-10-09T08:53:20+00:00",
    "message_id": "m-1",
    "properties": {"total": 12, "sku": "x", "items": None},
}
CHANGE: dict[str, Any] = {
    "customer": "bob",
    "set": {"plan": "gold", "age": None, "birthday": "1990-02-28", "seen": "2025-10-09T08:53:20Z"},
    "tags": {"add": ["vip"], "remove": ["new"]},
    "groups": {"add": ["beta"]},
    "zone": "Europe/Berlin",
    "created": NOW_MS,
}


def read(*rows: Any, **settings: Any) -> Decoded:
    schema = SCHEMA.model_copy(update={"settings": SCHEMA.settings.model_copy(update=settings)})
    return decode_rows(rows, schema)


def test_an_event_and_a_change_become_columns() -> None:
    decoded = decode_rows([ORDER, CHANGE, ORDER | {"customer": "bob"}], SCHEMA, received_ms=NOW_MS)
    assert decoded.rejects == []
    assert decoded.rows.tolist() == [0, 1, 2]
    first, second, third = told(decoded.frame)
    digest = xxhash.xxh3_128_intdigest(b"m-1")
    assert first == {
        "customer": "ada",
        "id_hash": xxhash.xxh64_intdigest(b"ada"),
        "event": "order",
        "occurred": NOW_MS,
        "received": NOW_MS,
        "message": [digest % 2**64, digest >> 64],
        "hash": event_word_of_id("order", "m-1"),
        ("properties", "total"): 12.0,
        ("properties", "sku"): "x",
    }
    assert second == {
        "customer": "bob",
        "id_hash": xxhash.xxh64_intdigest(b"bob"),
        "event": None,
        "occurred": NOT_STATED_MS,
        "received": NOW_MS,
        "message": [0, 0],
        "hash": 0,
        ("attributes", "plan"): "gold",
        ("attributes", "age"): INT64_MIN,
        ("attributes", "birthday"): 7363,
        ("attributes", "seen"): NOW_MS,
        ("tags", "vip"): 1,
        ("tags", "new"): 0,
        ("groups", "beta"): 1,
        ("zone", ""): "Europe/Berlin",
        ("created_ms", ""): NOW_MS,
    }
    assert third["customer"] == "bob"
    assert decoded.frame.customers == 2


def test_personal_values_stay_out_of_the_frame() -> None:
    rows = [
        {"customer": "ada", "set": {"email": "old@example.org", "plan": "gold"}},
        {"customer": "bob", "set": {"email": None}},
        {"customer": "ada", "set": {"email": "new@example.org"}},
        {"customer": "eve", "set": {"email": "eve@example.org", "age": "old"}},
    ]
    decoded = read(*rows)
    assert decoded.personal == {"ada": {"email": "new@example.org"}, "bob": {"email": None}}
    assert [reject.row for reject in decoded.rejects] == [3]
    assert list(decoded.frame.attributes) == ["plan"]


@pytest.mark.parametrize(
    ("row", "pointer", "code", "said"),
    [
        (5, "/0", "wrong-type", "a row as a mapping, found a whole number"),
        ({}, "/0/customer", "missing-field", "no customer"),
        ({"customer": 7}, "/0/customer", "wrong-type", "expected text, found a whole number"),
        ({"customer": ""}, "/0/customer", "out-of-range", "is empty"),
        ({"customer": "é" * 256}, "/0/customer", "out-of-range", "512 bytes; at most 511"),
        ({"customer": "\ud800"}, "/0/customer", "lone-surrogate", "half of a character"),
        (ORDER | {"event": "ordr"}, "/0/event", "unknown-event", "Did you mean 'order'?"),
        (ORDER | {"event": "~tag.raised:vip"}, "/0/event", "internal-event", "no row tells of it"),
        (ORDER | {"event": None}, "/0/event", "wrong-type", "expected text, found null"),
        (ORDER | {"occured": 1}, "/0/occured", "unknown-field", "Did you mean 'occurred'?"),
        (ORDER | {"set": {}}, "/0/set", "unknown-field", "no field 'set'"),
        (ORDER | {"occurred": "soon"}, "/0/occurred", "invalid-time", "'soon' is not an instant"),
        (ORDER | {"occurred": 1.5}, "/0/occurred", "wrong-type", "found a number"),
        (ORDER | {"occurred": True}, "/0/occurred", "wrong-type", "found a truth value"),
        (ORDER | {"occurred": 2**62}, "/0/occurred", "out-of-range", "the years 1 to 9999"),
        (ORDER | {"message_id": ""}, "/0/message_id", "out-of-range", "is empty"),
        (ORDER | {"message_id": "x" * 1025}, "/0/message_id", "out-of-range", "1,025 bytes"),
        (
            {"customer": "a", "event": "visit"},
            "/0/message_id",
            "missing-field",
            "needs a message id where its batch is not numbered",
        ),
        (ORDER | {"properties": []}, "/0/properties", "wrong-type", "a mapping, found a list"),
        (
            ORDER | {"properties": {"a/b": 1}},
            "/0/properties/a~1b",
            "unknown-field",
            "event 'order' has no field 'a/b'",
        ),
        (
            ORDER | {"properties": {"mobile": True}},
            "/0/properties/mobile",
            "unknown-field",
            "has no field",
        ),
        (ORDER | {"properties": {"total": "1"}}, "/0/properties/total", "wrong-type", "a number"),
        (
            ORDER | {"properties": {"total": float("nan")}},
            "/0/properties/total",
            "not-finite",
            "nan is not a finite number",
        ),
        (
            ORDER | {"properties": {"total": float("inf")}},
            "/0/properties/total",
            "not-finite",
            "inf",
        ),
        (
            ORDER | {"properties": {"items": 2**63}},
            "/0/properties/items",
            "number-too-large",
            "64 bits",
        ),
        (
            ORDER | {"properties": {"items": -(2**63)}},
            "/0/properties/items",
            "number-too-large",
            "64 bits",
        ),
        (ORDER | {"properties": {"items": 1.0}}, "/0/properties/items", "wrong-type", "a whole"),
        (ORDER | {"properties": {"items": True}}, "/0/properties/items", "wrong-type", "a whole"),
        (
            ORDER | {"properties": {"sku": "\udfff"}},
            "/0/properties/sku",
            "lone-surrogate",
            "half of a character",
        ),
        (
            ORDER | {"properties": {"sku": "x" * 65_537}},
            "/0/properties/sku",
            "out-of-range",
            "65,537 bytes; at most 65,536",
        ),
        ({"customer": "a", "set": {"vip": 1}}, "/0/set/vip", "wrong-type", "true or false"),
        ({"customer": "a", "set": {"plam": 1}}, "/0/set/plam", "unknown-field", "'plan'"),
        ({"customer": "a", "set": {"email": 1}}, "/0/set/email", "wrong-type", "expected text"),
        (
            {"customer": "a", "set": {"birthday": "1990-02-30"}},
            "/0/set/birthday",
            "invalid-time",
            "not a date",
        ),
        ({"customer": "a", "zone": "Berlin"}, "/0/zone", "invalid-zone", "no time zone 'Berlin'"),
        ({"customer": "a", "zone": 1}, "/0/zone", "wrong-type", "a time zone"),
        ({"customer": "a", "created": "now"}, "/0/created", "invalid-time", "'now'"),
        ({"customer": "a", "tags": ["x"]}, "/0/tags", "wrong-type", "add and remove"),
        ({"customer": "a", "tags": {"ad": []}}, "/0/tags/ad", "unknown-field", "'add'"),
        ({"customer": "a", "tags": {"add": "x"}}, "/0/tags/add", "wrong-type", "a list"),
        ({"customer": "a", "tags": {"add": [""]}}, "/0/tags/add/0", "out-of-range", "1 to 256"),
        (
            {"customer": "a", "groups": {"add": ["x", "y"], "remove": ["y"]}},
            "/0/groups/remove/0",
            "invalid-value",
            "'y' is named twice",
        ),
    ],
)
def test_a_row_that_is_wrong_is_refused_with_its_place(
    row: Any, pointer: str, code: str, said: str
) -> None:
    good = ORDER | {"customer": "zoe"}
    decoded = read(row, good)
    (reject,) = decoded.rejects
    assert (reject.row, reject.pointer, reject.code) == (0, pointer, code)
    assert said in reject.message
    json.dumps(asdict(reject)).encode()
    assert told(decoded.frame) == told(read(good).frame), "it leaves nothing behind"
    assert decoded.rows.tolist() == [1]


def test_unknown_fields_can_be_dropped_and_are_counted() -> None:
    decoded = read(
        ORDER | {"properties": {"total": 1.5, "colour": "red"}, "extra": 1},
        {"customer": "ada", "set": {"colour": "red", "plan": "gold"}},
        ORDER | {"properties": {"colour": "red"}},
        {"customer": "ada", "set": {"colour": "red", "plan": 1}},
        unknown_fields="drop",
    )
    assert decoded.dropped == {"extra": 1, "properties/colour": 2, "set/colour": 1}
    assert [reject.row for reject in decoded.rejects] == [3]
    assert told(decoded.frame)[0]["properties", "total"] == 1.5


def test_sizes_follow_the_settings() -> None:
    decoded = read(
        {"customer": "abcd"},
        {"customer": "abcde"},
        {"customer": "a", "set": {"plan": "1234"}},
        {"customer": "a", "set": {"plan": "12345"}},
        {"customer": "a", "set": {"plan": "x", "age": 1, "vip": True}},
        {"customer": "a", "tags": {"add": ["x", "y", "z"]}},
        id_bytes_max=4,
        text_bytes_max=4,
        fields_max=2,
    )
    assert [(r.row, r.code) for r in decoded.rejects] == [
        (1, "out-of-range"),
        (3, "out-of-range"),
        (4, "too-many-fields"),
        (5, "too-many-fields"),
    ]


def test_a_batch_has_a_limited_number_of_columns() -> None:
    rows = [
        {"customer": "a", "tags": {"add": [f"t{i}-{j}" for j in range(1000)]}} for i in range(5)
    ]
    decoded = read(*rows, ORDER)
    assert [(r.row, r.code) for r in decoded.rejects] == [
        (4, "too-many-fields"),
    ]
    assert decoded.rows.tolist() == [0, 1, 2, 3, 5]


def test_ids_are_made_from_the_number_of_the_batch() -> None:
    row = {"customer": "a", "event": "visit"}
    once, again = (
        decode_rows([row, row], SCHEMA, source=b"shop", sequence=3).frame for _ in range(2)
    )
    assert told(once) == told(again)
    other = decode_rows([row, row], SCHEMA, source=b"shop", sequence=4).frame
    unnumbered = decode_rows([row, row], SCHEMA, batch=b"0123456789abcdef").frame
    messages = np.concatenate([once.message, other.message, unnumbered.message])
    assert len(np.unique(messages, axis=0)) == 6
    assert once.hash[0] == event_word_of_id("visit", "73686f70:3:0")


def test_what_was_refused_is_gone_with_its_answer() -> None:
    wrong = [
        {**ORDER, "properties": {"total": "a" * 1_000}},
        {**ORDER, "event": 7},
        {**CHANGE, "set": {"age": "old"}},
        {**CHANGE, "tags": {"add": [7]}},
        7,
    ]
    gc.collect()
    gc.disable()  # which rows in a cycle would wait for, as large as they are
    try:
        before = sum(isinstance(each, RefusedError) for each in gc.get_objects())
        assert len(read(*wrong).rejects) == len(wrong)
        assert sum(isinstance(each, RefusedError) for each in gc.get_objects()) == before
    finally:
        gc.enable()


def test_refused_rows_do_not_shift_the_ids_of_others() -> None:
    row = {"customer": "a", "event": "visit"}
    whole = decode_rows([row, row], SCHEMA, source=b"s", sequence=1).frame
    part = decode_rows([{}, row], SCHEMA, source=b"s", sequence=1).frame
    assert part.hash.tolist() == whole.hash[1:].tolist()


@given(ROWS)
def test_rows_are_told_by_the_frame(rows: list[dict[str, Any]]) -> None:
    decoded = decode_rows(rows, SCHEMA)
    assert decoded.rejects == []
    said = told(decoded.frame)
    assert len(said) == len(rows)
    for row, tells in zip(rows, said, strict=True):
        assert tells["customer"] == row["customer"]
        assert tells["event"] == row.get("event")
        stated = {name for name, value in row.get("properties", {}).items() if value is not None}
        assert {name for family, name in _keys(tells) if family == "properties"} == stated
        written = set(row.get("set", {})) - {"email"}
        assert {name for family, name in _keys(tells) if family == "attributes"} == written


def _keys(tells: dict[Any, Any]) -> list[tuple[str, str]]:
    return [key for key in tells if isinstance(key, tuple)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "order", "2025-01-01", "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*ORDER, *CHANGE, "add", "remove", "plan", "sku", "email"])
            | st.text(max_size=3),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150)
@given(st.lists(JSON, max_size=5), st.sampled_from(["reject", "drop"]))
def test_whatever_comes_every_row_is_taken_or_refused(rows: list[Any], unknown: str) -> None:
    decoded = read(*rows, unknown_fields=unknown)
    refused = [reject.row for reject in decoded.rejects]
    assert sorted([*refused, *decoded.rows.tolist()]) == list(range(len(rows)))
    decoded.frame.check()


def test_json_is_read_row_by_row_where_one_is_bad() -> None:
    good = json.dumps(ORDER).encode()
    deep = b"[" * 5_000 + b"]" * 5_000
    bad = [b'{"customer": "\xff"}', b'{"customer": 1e999}', b'{"customer": ' + b"9" * 5_000 + b"}"]
    for row in bad:
        rows = decode_json(b"[" + row + b"," + good + b"]")
        decoded = decode_rows(rows, SCHEMA)
        assert [(r.row, r.code) for r in decoded.rejects] == [(0, "invalid-json")]
        assert decoded.rows.tolist() == [1]
    with pytest.raises(RowsError, match="not a JSON list of rows"):
        decode_json(b"[" + deep + b"]")


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"[1,]", b"[NaN]", b'["\\ud800"]', b"\xff"])
def test_a_body_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(RowsError, match="not a JSON list of rows"):
        decode_json(body)


def test_an_empty_batch_is_an_empty_frame() -> None:
    decoded = decode_rows(decode_json(b"[]"), TenantSchema())
    assert decoded.frame.rows == decoded.frame.customers == 0


def test_standard_names_need_no_schema() -> None:
    rows: list[Any] = [
        {"customer": "a", "set": {"score": 5, "score:vip": 2, "owner": "ann"}},
        {"customer": "a", "set": {"consent:email": True}},
        {"customer": "a", "event": "banner_clicked", "properties": {"banner": "b"}},
    ]
    decoded = decode_rows(rows, TenantSchema(), batch=b"b")
    assert decoded.rejects == []
    frame = decoded.frame
    kinds = {name: part.kind for name, part in frame.attributes.items()}
    assert kinds == {
        "score": "int64",
        "score:vip": "int64",
        "owner": "string",
        "consent:email": "bool",
    }
    assert frame.attributes["score"].values.tolist() == [5]
    assert frame.properties["banner"].dictionary == ["b"]


@pytest.mark.parametrize(
    ("row", "pointer", "code", "said"),
    [
        (
            {"customer": "a", "set": {"score": "many"}},
            "/0/set/score",
            "wrong-type",
            "expected a whole number, found a text",
        ),
        ({"customer": "a", "set": {"consent:sms": 1}}, "/0/set/consent:sms", "wrong-type", "true"),
        ({"customer": "a", "set": {"scor": 1}}, "/0/set/scor", "unknown-field", "'score'"),
        (
            {"customer": "a", "event": "page_visited", "properties": {"link": "x"}},
            "/0/properties/link",
            "unknown-field",
            "no field 'link'",
        ),
    ],
)
def test_a_standard_name_with_a_wrong_value_is_refused(
    row: Any, pointer: str, code: str, said: str
) -> None:
    (reject,) = decode_rows([row], TenantSchema(), batch=b"b").rejects
    assert (reject.pointer, reject.code) == (pointer, code)
    assert said in reject.message


def test_what_a_gateway_could_not_read_is_refused_with_its_reason() -> None:
    rows = [Unreadable("a merge is not supported", "unsupported", ("alias",)), {"customer": "a"}]
    decoded = decode_rows(rows, TenantSchema())
    assert decoded.rejects == [Reject(0, "/0/alias", "unsupported", "a merge is not supported")]
    assert decoded.rows.tolist() == [1]
