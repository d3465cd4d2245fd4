"""The tenant's schema: read, set, and what contradicts it."""

from __future__ import annotations

from http_service import SCHEMA, Served
from http_shop import Shop


def test_a_schema_is_set_and_counts_at_once(service: Served) -> None:
    shop = Shop(service)
    before = shop.done("GET", "/v1/schema")
    wider = {**SCHEMA, "attributes": {**SCHEMA["attributes"], "shoe": {"type": "float64"}}}
    told = shop.done("PUT", "/v1/schema", wider, headers={"If-Match": before["revision"]})
    after = shop.done("GET", "/v1/schema")
    assert told["revision"] == after["revision"] != before["revision"]
    assert after["document"]["attributes"]["shoe"]["type"] == "float64"
    assert told["pending"] == []
    assert shop.done("PUT", "/v1/customers/c1", {"set": {"shoe": 42.5}})["accepted"] == 1
    status, race = shop.problem(
        "PUT", "/v1/schema", SCHEMA, headers={"If-Match": before["revision"]}
    )
    assert (status, race["code"], race["revision"]) == (409, "changed-meanwhile", after["revision"])
    assert race["current"] == after["document"]
    assert race["sent"] == SCHEMA
    assert shop.actions()[-2] == "schema.set"


def test_contradictions_are_all_told_with_their_places(service: Served) -> None:
    shop = Shop(service)
    changed = {
        "attributes": {"plan": {"type": "int64"}, "email": {"type": "string"}},
        "events": {"order": {"properties": {"amount": "string"}}},
    }
    status, problem = shop.problem("PUT", "/v1/schema", changed)
    assert (status, problem["code"]) == (422, "invalid-schema")
    assert [error["pointer"] for error in problem["errors"]] == [
        "/attributes/email",
        "/attributes/plan",
        "/events/order/properties/amount",
    ]
    status, problem = shop.problem("PUT", "/v1/schema", {"attributes": {"a": {"type": "x"}}})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/attributes/a/type")
    assert shop.role("publisher").problem("PUT", "/v1/schema", SCHEMA)[0] == 403
    assert shop.role("viewer").done("GET", "/v1/schema")["document"]["attributes"]["plan"]
