"""Rows that intake refused, by HTTP: kept, listed, sent again once mended, discarded, erased."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from actors.service import refusals
from http_service import SCHEMA, served
from http_shop import Shop

PATH = "/v1/rejects"
ROWS: list[dict[str, Any]] = [
    {"customer": "c-1", "event": "signup"},
    {"customer": "c-1", "event": "checkout", "message_id": "m-1"},
    {"customer": "c-2", "event": "checkout"},
    {"customer": "c-3", "event": "order", "properties": {"amount": "much"}},
    {"event": "order"},
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A tenant who was sent rows, of which four were refused."""
    with served(tmp_path / "data") as service:
        found = Shop(service)
        told = found.done("POST", "/v1/events", ROWS, headers={})
        assert (told["accepted"], told["refused"]) == (1, 4)
        yield found


def listed(shop: Shop, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = shop.done("GET", f"{PATH}?limit=2{after}{query}")
        found += page["items"]
        if "next" not in page:
            return found
        after = f"&after={page['next']}"


def mend(shop: Shop) -> None:
    events = {**SCHEMA["events"], "checkout": {}}
    shop.done("PUT", "/v1/schema", {**SCHEMA, "events": events})


def test_refused_rows_are_kept_with_the_reason(shop: Shop) -> None:
    found = listed(shop)
    assert [(e["code"], e["pointer"], e.get("customer")) for e in found] == [
        ("unknown-event", "/event", "c-1"),
        ("unknown-event", "/event", "c-2"),
        ("wrong-type", "/properties/amount", "c-3"),
        ("missing-field", "/customer", None),
    ]
    assert found[0]["row"] == ROWS[1]
    assert {e["format"] for e in found} == {"headrace"}
    assert shop.done("GET", f"{PATH}/{found[0]['id']}") == found[0]
    assert len(listed(shop, "&code=wrong-type")) == 1
    assert listed(shop, "&format=segment") == []
    assert shop.problem("GET", f"{PATH}/1790000000000-00000000-0000")[0] == 404


def test_who_may_not_see_customers_sees_no_values(shop: Shop) -> None:
    for each in listed(shop.role("viewer")):
        assert not {"row", "customer", "message"} & each.keys()
    viewer = shop.role("viewer")
    assert viewer.problem("POST", PATH, {"then": "discard"})[0] == 403
    assert shop.role("editor").done("POST", PATH, {"then": "redrive"})["accepted"] == 0


def test_once_the_schema_is_mended_rows_are_taken_in_once(shop: Shop) -> None:
    body = {"then": "redrive", "code": "unknown-event"}
    assert shop.done("POST", PATH, body)["refused"] == 2
    assert [e["attempts"] for e in listed(shop)] == [1, 1, 0, 0]
    mend(shop)
    told = shop.done("POST", PATH, body)
    assert (told["accepted"], told["duplicates"], told["refused"], told["more"]) == (2, 0, 0, False)
    assert shop.done("POST", PATH, body)["accepted"] == 0
    assert [e["code"] for e in listed(shop)] == ["wrong-type", "missing-field"]
    # The client sends its batch again: the row with an id is known.
    again = shop.done("POST", "/v1/events", [ROWS[1]])
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert shop.actions().count("reject.redrive") == 3


def test_sent_but_not_forgotten_it_counts_as_a_duplicate(shop: Shop) -> None:
    mend(shop)
    kept = refusals.Refusals(shop.served.engine.path)
    found = kept.page(refusals.Wanted(code="unknown-event"))
    first = kept.redrive(shop.served.service.engine("main"), found)
    assert (first.accepted, first.duplicates) == (2, 0)
    # As if the process had ended between the two.
    second = kept.redrive(shop.served.service.engine("main"), found)
    assert (second.accepted, second.duplicates) == (0, 2)


def test_a_row_is_mended_by_hand(shop: Shop) -> None:
    wrong = listed(shop, "&code=missing-field")[0]
    path = f"{PATH}/{wrong['id']}/redrive"
    assert shop.done("POST", path, {})["refused"] == 1
    mended = {"row": {"customer": "c-9", "event": "order", "properties": {"amount": 5}}}
    assert shop.done("POST", path, mended)["accepted"] == 1
    assert shop.problem("POST", path, mended)[0] == 404
    assert shop.done("GET", "/v1/customers/c-9")["customer"] == "c-9"


def test_what_could_not_be_read_must_be_given_anew(shop: Shop) -> None:
    lines = b'{"customer": "c-1", "event": "signup"}\n{broken\n'
    shop.ask("POST", "/v1/events", headers={"Content-Type": "application/x-ndjson"}, content=lines)
    found = listed(shop, "&code=invalid-json")[0]
    assert found["redrivable"] is False
    status, told = shop.problem("POST", f"{PATH}/{found['id']}/redrive", {})
    assert (status, told["code"], told["pointer"]) == (422, "no-row", "/row")


def test_columns_are_kept_as_rows(shop: Shop) -> None:
    table = pa.table({"customer": ["c-5"], "event": ["checkout"], "plan": ["pro"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"Content-Type": "application/vnd.apache.arrow.stream"}
    shop.ask("POST", "/v1/events", headers=kind, content=sink.getvalue().to_pybytes())
    row = listed(shop)[-1]["row"]
    assert row == {"customer": "c-5", "event": "checkout", "properties": {"plan": "pro"}}


def test_those_of_a_plain_segment_batch_are_kept_too(shop: Shop) -> None:
    call = {"type": "track", "userId": "c-6", "event": "order"}
    calls = [
        {**call, "messageId": "m-6"},
        {**call, "messageId": "m-7", "timestamp": "2999-01-01T00:00:00Z"},
    ]
    shop.done("POST", "/v1/batch", {"batch": calls}, headers={})
    entry = listed(shop)[-1]
    assert entry["code"] == "too_far_in_the_future"
    assert (entry["row"]["customer"], entry["row"]["message_id"]) == ("c-6", "segment:m-7")


def test_rows_are_discarded_and_audited(shop: Shop) -> None:
    first = listed(shop)[0]
    assert shop.done("DELETE", f"{PATH}/{first['id']}") is None
    assert shop.problem("DELETE", f"{PATH}/{first['id']}")[0] == 404
    told = shop.done("POST", PATH, {"then": "discard", "limit": 2})
    assert (told["discarded"], told["more"]) == (2, True)
    assert len(listed(shop)) == 1
    assert shop.actions().count("reject.discard") == 2


def test_whoever_is_erased_leaves_no_byte_in_the_file(shop: Shop) -> None:
    shop.done("POST", "/v1/events", [{"customer": "canary-7", "event": "signup"}])
    bad = {"customer": "canary-7", "event": "checkout", "properties": {"x": "canary-7@x.test"}}
    shop.done("POST", "/v1/events", [bad])
    other = {"customer": "c-8", "event": "checkout", "properties": {"friend": "canary-7"}}
    shop.done("POST", "/v1/events", [other])
    folder = shop.served.engine.path / refusals.FOLDER
    assert any(b"canary-7" in path.read_bytes() for path in folder.iterdir())
    shop.done("DELETE", "/v1/customers/canary-7")
    assert not any(b"canary-7" in path.read_bytes() for path in folder.iterdir())
    assert len(listed(shop)) == 4


def test_the_newest_rows_are_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "ROWS_MAX", 3)
    shop.done("POST", "/v1/events", [{"customer": "c-6", "event": "checkout"}])
    assert [e["code"] for e in listed(shop)] == ["wrong-type", "missing-field", "unknown-event"]
    day_ms = 86_400_000
    now_ms = shop.served.engine.now_ms()
    monkeypatch.setattr(shop.served.engine.engine, "now_ms", lambda: now_ms + 15 * day_ms)
    shop.done("POST", "/v1/events", [{"customer": "c-6", "event": "other"}])
    assert len(listed(shop)) == 1


def test_a_damaged_file_is_begun_anew(shop: Shop) -> None:
    path = shop.served.engine.path / refusals.FOLDER / refusals.FILE
    path.write_bytes(b"no database" * 1_000)
    assert listed(shop) == []
    shop.done("POST", "/v1/events", [{"customer": "c-6", "event": "checkout"}])
    assert len(listed(shop)) == 1


def test_another_tenant_has_none_of_them(shop: Shop) -> None:
    made = shop.done("POST", "/v1/tenants", {"id": "other", "name": "Other"})
    other = Shop(shop.served, made["key"]["secret"])
    assert listed(other) == []
    chosen = listed(shop)[0]["id"]
    assert other.problem("GET", f"{PATH}/{chosen}")[0] == 404
    assert other.problem("POST", f"{PATH}/{chosen}/redrive", {})[0] == 404
    assert len(listed(shop)) == 4
