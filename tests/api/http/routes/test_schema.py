"""The tenant's schema: read, set, and what contradicts it."""

from __future__ import annotations

import json
import time

from http_service import SCHEMA, Served
from http_shop import Shop
from waiting import until


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


def test_A004_so_many_enter_a_flow_in_a_second_unless_it_says_otherwise(  # noqa: N802 - an id
    service: Served,
) -> None:
    shop = Shop(service)
    shop.done("PUT", "/v1/schema", {**SCHEMA, "entry_rate": 1})
    nodes = {
        "in": {"type": "on_event", "event": "signup", "next": "nap"},
        "nap": {"type": "wait", "for": "9 days", "next": "out"},
        "out": {"type": "end"},
    }
    for flow, own in (("default", {}), ("own", {"entry_rate": {"per_second": 1_000}})):
        document = {"headrace": 1, "flow": flow, "settings": own, "nodes": nodes}
        shop.done("POST", "/v1/flows", {"document": json.dumps(document)})
        shop.done("POST", f"/v1/flows/{flow}/publish")
    people = [f"rated-{number}" for number in range(40)]
    began_s = time.monotonic()
    service.engine.engine.send([{"customer": each, "event": "signup"} for each in people])

    def inside(flow: str) -> int:
        """How many are behind the line."""
        places = [
            place
            for each in people
            for place in shop.done("GET", f"/v1/customers/{each}")["places"]
            if place["flow"] == flow
        ]
        return sum(place["node"] == "nap" for place in places)

    until(lambda: inside("own") == len(people))
    found = until(lambda: inside("default"))
    assert found <= time.monotonic() - began_s + 2
    shop.done("PUT", "/v1/schema", SCHEMA)
    for wrong in (0, -1, 1.5, "9"):
        told = shop.problem("PUT", "/v1/schema", {**SCHEMA, "entry_rate": wrong})
        assert (told[0], told[1]["errors"][0]["pointer"]) == (422, "/entry_rate")
