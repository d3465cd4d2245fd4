"""The event catalogue by HTTP: what is strange is told once, counted, taken or refused as set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest

from actors.intake.strange import KINDS
from api.http.routes.catalogue import FindingBody
from http_service import SCHEMA, served
from http_shop import Shop

PATH = "/v1/catalogue/findings"
KIND = {"Content-Type": "application/vnd.apache.arrow.stream"}
ROWS: list[dict[str, Any]] = [
    {"customer": "a", "event": "checkout", "properties": {"total": 3}},
    {"customer": "b", "event": "order", "properties": {"amount": 5, "amout": 5.5}},
    {"customer": "c", "event": "order", "properties": {"amount": "canary-value"}},
    {"customer": "d", "set": {"age": "old", "shoes": 44}},
    {"customer": "e", "event": "signup"},
]
FOUND = {
    ("checkout", "", "unknown-event", ""),
    ("order", "amout", "unknown-property", "float"),
    ("order", "amount", "wrong-type", "text"),
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with served(tmp_path / "data") as service:
        yield Shop(service)


def allow(shop: Shop, **settings: str) -> None:
    shop.done("PUT", "/v1/schema", {**SCHEMA, "settings": settings})


def findings(shop: Shop, query: str = "") -> list[dict[str, Any]]:
    shop.served.service.findings.flush()
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = shop.done("GET", f"{PATH}?limit=2{after}{query}")
        found += page["items"]
        if "next" not in page:
            return found
        after = f"&after={page['next']}"


def shown(found: list[dict[str, Any]]) -> set[tuple[str, str, str, str]]:
    return {(e["event"], e["property"], e["kind"], e["type"]) for e in found}


def alarms(shop: Shop) -> int:
    return shop.actions().count("catalogue.alarm")


def columns(**values: list[Any]) -> bytes:
    table = pa.table(values)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def test_by_default_strange_rows_are_refused_and_told_of(shop: Shop) -> None:
    told = shop.done("POST", "/v1/events", ROWS)
    assert (told["accepted"], told["refused"]) == (1, 4)
    found = findings(shop)
    # Of a row that is refused the first thing that is wrong is told.
    assert shown(found) == FOUND | {("", "age", "wrong-type", "text")}
    assert {e["policy"] for e in found} == {"reject"}
    assert {e["count"] for e in found} == {1}
    assert alarms(shop) == 4


def test_with_warn_rows_are_taken_in_and_told_of_once(shop: Shop) -> None:
    allow(shop, unknown_events="warn", unknown_fields="warn", wrong_types="warn")
    told = shop.done("POST", "/v1/events", ROWS)
    assert (told["accepted"], told["refused"]) == (5, 0)
    assert told["dropped"] == {
        "properties/total": 1, "properties/amout": 1, "properties/amount": 1,
        "set/age": 1, "set/shoes": 1,
    }  # fmt: skip
    more = {("", "age", "wrong-type", "text"), ("", "shoes", "unknown-property", "int")}
    assert shown(findings(shop)) == FOUND | more
    for _ in range(3):
        shop.done("POST", "/v1/events", ROWS)
    found = findings(shop)
    assert {e["count"] for e in found} == {4}
    assert all(e["first_ms"] <= e["last_ms"] for e in found)
    assert alarms(shop) == 5
    known = shop.done("GET", "/v1/customers/b")
    assert known["customer"] == "b"


def test_what_is_allowed_is_counted_and_no_alarm(shop: Shop) -> None:
    allow(shop, unknown_events="allow", unknown_fields="drop", wrong_types="allow")
    shop.done("POST", "/v1/events", ROWS)
    found = findings(shop)
    assert len(found) == 5
    assert {e["policy"] for e in found} == {"allow"}
    assert alarms(shop) == 0
    allow(shop, unknown_events="warn")
    shop.done("POST", "/v1/events", ROWS[:1])
    findings(shop)
    assert alarms(shop) == 1


@pytest.mark.parametrize("policy", ["warn", "reject"])
def test_columns_are_counted_as_rows_are(shop: Shop, policy: str) -> None:
    allow(shop, unknown_events=policy, unknown_fields=policy, wrong_types="warn")
    body = columns(
        customer=["a", "b", "c", "d"],
        event=["checkout", "order", "order", "signup"],
        amout=[1.5, 2.5, None, None],
        amount=["x", "y", None, None],
    )
    told = shop.ask("POST", "/v1/events", headers=KIND, content=body).json()
    assert told["accepted"] == (4 if policy == "warn" else 2)
    found = findings(shop)
    assert {("checkout", "", "unknown-event", ""), ("order", "amout", "unknown-property", "double")
            } <= shown(found)  # fmt: skip
    assert ("order", "amount", "wrong-type", "string") in shown(found)
    assert ("checkout", "amout", "unknown-property", "double") not in shown(found)


def test_the_segment_route_tells_of_them_too(shop: Shop) -> None:
    allow(shop, unknown_events="warn", unknown_fields="warn", wrong_types="warn")
    batch = [
        {"type": "track", "userId": "u1", "event": "order", "messageId": f"m{i}",
         "properties": {"amount": 1.5, "amout": 2}}
        for i in range(3)
    ]  # fmt: skip
    batch.append({"type": "track", "userId": "u1", "event": "checkout", "messageId": "m9"})
    key = {"auth": (shop.served.events, "")}
    answer = shop.served.ask("POST", "/v1/batch", key="", json={"batch": batch}, **key)
    assert answer.status_code == 200, answer.text
    found = {(e["event"], e["property"]): e["count"] for e in findings(shop)}
    assert found[("order", "amout")] == 3
    assert found[("checkout", "")] == 1


def test_no_value_is_kept_or_told(shop: Shop) -> None:
    shop.done("POST", "/v1/events", ROWS)
    assert "canary-value" not in str(findings(shop))
    with shop.served.service.plane.tenant("main").read() as txn:
        assert "canary-value" not in str(list(txn.scan("catalogue")))


def test_findings_are_filtered_acknowledged_and_cleared(shop: Shop) -> None:
    shop.done("POST", "/v1/events", ROWS)
    (event,) = findings(shop, "&kind=unknown-event")
    assert len(findings(shop, "&event=order")) == 2
    path = f"{PATH}/{event['id']}"
    assert shop.done("POST", f"{path}/acknowledge")["state"] == "acknowledged"
    shop.done("POST", "/v1/events", ROWS[:1])
    assert [(e["count"], e["state"]) for e in findings(shop, "&state=acknowledged")] == [
        (2, "acknowledged")
    ]
    before = alarms(shop)
    shop.done("DELETE", path)
    assert shop.problem("DELETE", path)[0] == 404
    assert shop.problem("POST", f"{path}/acknowledge")[0] == 404
    shop.done("POST", "/v1/events", ROWS[:1])
    assert findings(shop, "&kind=unknown-event")[0]["count"] == 1
    assert alarms(shop) == before + 1
    viewer = shop.role("viewer")
    assert len(findings(viewer)) == 4
    assert viewer.problem("DELETE", path)[0] == 403


def test_prometheus_is_told(shop: Shop) -> None:
    shop.done("POST", "/v1/events", ROWS)
    findings(shop)
    text = shop.ask("GET", "/metrics").text
    assert 'headrace_strange_total{kind="wrong-type",tenant="main"} 2.0' in text
    assert 'headrace_findings_open{kind="unknown-event",tenant="main"} 1.0' in text


def test_the_catalogue_lists_what_is_expected(shop: Shop) -> None:
    items: list[dict[str, Any]] = []
    after = ""
    while True:
        page = shop.done("GET", f"/v1/catalogue/events?limit=7{after}")
        items += page["items"]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert [e["name"] for e in items] == sorted(shop.served.engine.schema.known_events)
    order = next(e for e in items if e["name"] == "order")
    assert order["declared"] is True
    assert order["properties"]["amount"] == "float64"
    assert any(not e["declared"] for e in items)


def test_what_is_not_strange_costs_next_to_nothing(shop: Shop) -> None:
    noted = []
    service = shop.served.service
    service.findings.note = lambda *told: noted.append(told)  # type: ignore[method-assign]
    began_s = time.perf_counter()
    rows = [{"customer": f"c{i}", "event": "signup"} for i in range(5_000)]
    assert shop.done("POST", "/v1/events", rows)["accepted"] == 5_000
    print(f"catalogue: 5,000 rows in {time.perf_counter() - began_s:.2f} s")
    assert noted == []


def test_the_document_names_every_kind() -> None:
    assert get_args(FindingBody.model_fields["kind"].annotation) == KINDS
