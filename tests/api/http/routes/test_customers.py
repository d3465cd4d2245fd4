"""Customers: read, changed, listed, uploaded, exported."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from http_service import Served
from http_shop import Shop
from waiting import until


@pytest.fixture
def shop(service: Served) -> Shop:
    return Shop(service)


def test_a_customer_is_made_and_read_with_what_is_kept_apart(shop: Shop) -> None:
    change = {
        "set": {"email": "a@x.example", "plan": "pro", "seen": "2026-05-01T10:00:00Z"},
        "groups": {"add": ["vip"]},
        "tags": {"add": ["new", "old"]},
        "zone": "Europe/Riga",
    }
    told = shop.done("PUT", "/v1/customers/a%2Fb", change)
    assert told == {"accepted": 1, "dropped": {}}
    assert shop.done("PUT", "/v1/customers/a%2Fb", {"tags": {"remove": ["old"]}})["accepted"] == 1
    assert shop.done("GET", "/v1/customers/a%2Fb") == {
        "customer": "a/b",
        "attributes": {"plan": "pro", "seen": "2026-05-01T10:00:00.000Z"},
        "personal": {"email": "a@x.example"},
        "tags": ["new"],
        "groups": ["vip"],
        "zone": "Europe/Riga",
        "aliases": [],
        "places": [],
    }
    shop.done("PUT", "/v1/customers/a%2Fb", {"set": {"plan": None}})
    assert "plan" not in shop.done("GET", "/v1/customers/a%2Fb")["attributes"]
    assert shop.actions("customer.")[-1] == "customer.put"


def test_where_a_customer_stands_in_flows_is_told(shop: Shop) -> None:
    engine = shop.served.engine
    engine.publish(
        "headrace: 1\nflow: slow\nname: Slow\nsettings: {reentry: {policy: once}}\nnodes:\n"
        "  in: {type: on_event, event: signup, next: nap}\n"
        "  nap: {type: wait, for: 3 days, next: out}\n  out: {type: end}\n"
    )
    engine.send([{"customer": "sleeper", "event": "signup"}])
    [place] = shop.done("GET", "/v1/customers/sleeper")["places"]
    assert (place["flow"], place["version"], place["node"], place["state"]) == (
        "slow", 1, "nap", "waits",
    )  # fmt: skip
    assert place["due_ms"] - place["since_ms"] == 3 * 86_400_000


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"set": {"age": "old"}}, 422, "/set/age"),
        ({"set": {"moon": 1}}, 422, "/set/moon"),
        ({"zone": "Mars/Base"}, 422, "/zone"),
        ({"tenant": "other"}, 422, "/tenant"),
        ({"groups": {"put": ["a"]}}, 422, "/groups/put"),
    ],
)
def test_what_the_schema_lacks_is_refused_with_its_place(
    shop: Shop, change: dict[str, Any], status: int, pointer: str
) -> None:
    found, problem = shop.problem("PUT", "/v1/customers/wrong", change)
    assert (found, problem["errors"][0]["pointer"]) == (status, pointer)
    assert shop.problem("GET", "/v1/customers/wrong")[0] == 404


def test_all_customers_are_listed_page_by_page(shop: Shop) -> None:
    made = {f"page-{n}" for n in range(23)}
    shop.served.engine.send([{"customer": name, "set": {}} for name in sorted(made)])
    seen: list[str] = []
    after = ""
    while True:
        page = shop.done("GET", f"/v1/customers?limit=5&after={after}")
        assert len(page["items"]) <= 5
        seen += [item["customer"] for item in page["items"]]
        if "next" not in page:
            break
        after = page["next"]
    assert len(seen) == len(set(seen))
    assert made <= set(seen)
    assert shop.problem("GET", "/v1/customers?after=" + quote("OTkuMQ"))[0] == 404


def test_A105_an_upload_makes_users_who_start_the_flow(shop: Shop) -> None:
    engine = shop.served.engine
    engine.publish(
        "headrace: 1\nflow: guests\nname: Guests\nsettings: {reentry: {policy: once}}\nnodes:\n"
        "  in: {type: on_group, group: guests, next: out}\n  out: {type: end}\n"
    )
    lines = [
        "customer,email,age,plan",
        "g1,g1@x.example,31,pro",
        'g2,g2@x.example,,"free, for now"',
        "g3,,old,",
        ",nobody@x.example,,",
        "g4,x",
        "g5,,,",
    ]
    file = ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()
    told = shop.done(
        "POST", "/v1/uploads?group=guests", content=file, headers={"Content-Type": "text/csv"}
    )
    assert (told["lines"], told["accepted"], told["refused"]) == (6, 3, 3)
    assert told["refusals"] == [
        {"line": 4, "column": "age", "code": "wrong-type"},
        {"line": 5, "column": "customer", "code": "no-customer"},
        {"line": 6, "column": "", "code": "wrong-number-of-cells"},
    ]
    until(lambda: int(engine.counts("guests").entered[0]) == 3)
    found = shop.done("GET", "/v1/customers/g2")
    assert (found["attributes"], found["groups"]) == ({"plan": "free, for now"}, ["guests"])
    assert found["personal"] == {"email": "g2@x.example"}
    assert shop.problem("GET", "/v1/customers/g3")[0] == 404
    assert shop.done("GET", f"/v1/uploads/{told['id']}") == told
    assert told in shop.done("GET", "/v1/uploads")["items"]
    assert shop.problem("GET", "/v1/uploads/none")[0] == 404


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "there is no body"),
        (b"email\na@x.example\n", "names no column customer"),
        (b"customer,moon\nc1,full\n", "no attribute 'moon'"),
        (b"customer,plan,plan\nc1,a,b\n", "stands twice"),
        (b'customer,plan\nc1,"open\n', "no CSV"),
        (b"customer\n\xff\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_users_is_refused(shop: Shop, file: bytes, code: str) -> None:
    status, problem = shop.problem(
        "POST", "/v1/uploads", content=file, headers={"Content-Type": "text/csv"}
    )
    assert status == 422
    assert code in str(problem)


def test_all_that_is_known_of_a_customer_is_exported(shop: Shop) -> None:
    shop.done("PUT", "/v1/customers/known", {"set": {"plan": "pro", "email": "k@x.example"}})
    event = {"event": "order", "properties": {"amount": 9.5}, "occurred": "2026-05-01T10:00:00Z"}
    shop.served.engine.send([{"customer": "known", **event}, {"customer": "other", **event}])
    found = shop.done("GET", "/v1/customers/known/export")
    assert found["customer"]["personal"] == {"email": "k@x.example"}
    [order] = found["events"]
    assert (order["event"], order["properties"]) == ("order", {"amount": 9.5})
    assert order["occurred_ms"] == 1_777_629_600_000
    assert [change["set"] for change in found["changes"]] == [{"plan": "pro"}]
    assert found["complete"] is True
    assert shop.actions("customer.")[-1] == "customer.export"
    assert shop.problem("GET", "/v1/customers/stranger/export")[0] == 404


def test_roles_decide_who_sees_and_changes_customers(shop: Shop) -> None:
    viewer, editor = shop.role("viewer"), shop.role("editor")
    shop.done("PUT", "/v1/customers/c1", {"set": {}})
    assert viewer.problem("GET", "/v1/customers/c1")[0] == 403
    assert viewer.problem("GET", "/v1/customers")[0] == 403
    assert editor.done("GET", "/v1/customers/c1")["customer"] == "c1"
    assert editor.problem("DELETE", "/v1/customers/c1")[0] == 403
    assert editor.problem("GET", "/v1/erasures")[0] == 403
    assert shop.served.ask("PUT", "/v1/customers/c1", json={}).status_code == 403


def test_a_customer_is_merged_into_another(shop: Shop) -> None:
    engine = shop.served.engine
    shop.done("PUT", "/v1/customers/m-1", {"set": {"age": 40}})
    shop.done("PUT", "/v1/customers/m-anon", {"set": {"age": 1, "plan": "pro"}})
    engine.send([{"customer": "m-anon", "event": "signup", "message_id": "m-signup"}])
    made = shop.done("POST", "/v1/customers/m-1/merge", {"previous": "m-anon"})
    assert made == {"customer": "m-1", "aliases": ["m-anon"], "merged": True, "waiting": 0}
    again = shop.done("POST", "/v1/customers/m-1/merge", {"previous": "m-anon"})
    assert (again["merged"], again["aliases"]) == (False, ["m-anon"])
    assert shop.actions("customer.")[-2:] == ["customer.merge", "customer.merge"]
    engine.send([{"customer": "m-anon", "event": "signup", "message_id": "m-signup-2"}])
    read = shop.done("GET", "/v1/customers/m-1")
    assert (read["attributes"], read["aliases"]) == ({"age": 40, "plan": "pro"}, ["m-anon"])
    assert shop.done("GET", "/v1/customers/m-anon") == read
    for each in ("m-1", "m-anon"):
        exported = shop.done("GET", f"/v1/customers/{each}/export")
        assert exported["customer"]["aliases"] == ["m-anon"]
        assert [e["event"] for e in exported["events"]] == ["signup", "signup"]
    listed = [one["customer"] for one in shop.done("GET", "/v1/customers?limit=200")["items"]]
    assert "m-1" in listed
    assert "m-anon" not in listed


@pytest.mark.parametrize(
    ("into", "previous", "why"),
    [
        ("n-1", "n-1", "themselves"),
        ("n-anon", "n-1", "themselves"),
        ("n-2", "n-anon", "another customer already"),
    ],
)
def test_what_cannot_be_merged_is_refused(shop: Shop, into: str, previous: str, why: str) -> None:
    shop.done("POST", "/v1/customers/n-1/merge", {"previous": "n-anon"})
    status, told = shop.problem("POST", f"/v1/customers/{into}/merge", {"previous": previous})
    assert (status, told["code"]) == (409, "merge-refused")
    assert why in told["detail"]
    for wrong in ({}, {"previous": ""}, {"previous": "a", "more": 1}, {"previous": 5}):
        assert shop.problem("POST", "/v1/customers/n-1/merge", wrong)[0] == 422


def test_erasing_a_customer_erases_all_ids(shop: Shop) -> None:
    shop.done("PUT", "/v1/customers/e-anon", {"set": {"email": "e@x.example", "plan": "pro"}})
    shop.done("PUT", "/v1/customers/e-1", {"set": {"age": 3}})
    shop.done("POST", "/v1/customers/e-1/merge", {"previous": "e-anon"})
    shop.done("DELETE", "/v1/customers/e-anon")
    for each in ("e-1", "e-anon"):
        assert shop.problem("GET", f"/v1/customers/{each}")[0] == 404
    shop.done("PUT", "/v1/customers/e-anon", {"set": {"age": 9}})
    read = shop.done("GET", "/v1/customers/e-anon")
    assert (read["customer"], read["attributes"], read["personal"]) == ("e-anon", {"age": 9}, {})
