"""Content: written, made ready, sent by flows, previewed, tested; and pools of coupons."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.errors import FlowError
from http_service import served
from http_shop import MAIL, Shop, mailing


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with served(tmp_path_factory.mktemp("content") / "data") as found:
        shop = Shop(found)
        for name in ("anna", "bert"):
            email = {"email": f"{name}@x.example", "first_name": name.title()}
            shop.done("PUT", f"/v1/customers/{name}", {"set": email})
        yield shop


def outgoing(shop: Shop) -> list[dict[str, Any]]:
    """Every message that was written to a file."""
    folder: Path = shop.served.engine.path / "outgoing"
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_A184_a_flow_waits_until_its_content_is_ready(shop: Shop) -> None:
    made = shop.done("PUT", "/v1/content/hello", {**MAIL, "state": "draft"})
    assert (made["state"], made["channels"], made["used_by"]) == ("draft", ["email"], [])
    with pytest.raises(FlowError, match="draft"):
        shop.served.engine.publish(mailing("greet"))
    ready = shop.done("PUT", "/v1/content/hello/state", {"state": "ready"})
    assert ready["revision"] != made["revision"]
    shop.served.engine.publish(mailing("greet"))
    found = shop.done("GET", "/v1/content/hello")
    assert (found["state"], found["used_by"]) == ("ready", ["greet"])
    assert found["content"]["channels"] == made["content"]["channels"]
    status, problem = shop.problem("DELETE", "/v1/content/hello")
    assert (status, problem["code"], problem["used_by"]) == (409, "in-use", {"flows": ["greet"]})
    assert shop.problem("PUT", "/v1/content/hello/state", {"state": "draft"})[0] == 409
    shop.served.engine.stop("greet", in_flight="drop")
    shop.done("DELETE", "/v1/content/hello")
    assert shop.problem("GET", "/v1/content/hello")[0] == 404
    assert shop.problem("DELETE", "/v1/content/hello")[0] == 404
    assert shop.actions("content.")[-1] == "content.delete"


def test_A060_a_page_that_is_not_released_can_not_be_published(shop: Shop) -> None:
    page = {"channels": {"in_app": {"address": "email", "parts": {"body": {"text": "x"}}}}}
    shop.done("PUT", "/v1/content/page", {**page, "released": False})
    flow = json.loads(mailing("pages", "page"))
    flow["nodes"]["mail"]["channel"] = "in_app"
    with pytest.raises(FlowError, match="released"):
        shop.served.engine.publish(json.dumps(flow))
    shop.done("PUT", "/v1/content/page", page)
    shop.served.engine.publish(json.dumps(flow))


def test_content_made_by_hand_is_replaced_and_raced_for(shop: Shop) -> None:
    templates = shop.served.engine.path / "templates"
    templates.mkdir(exist_ok=True)
    hand = "channels: {email: {address: email, parts: {text: Hand}}}\n"
    (templates / "hand.yaml").write_text(hand)
    (templates / "broken.yaml").write_text("channels: {}\n")
    items = {item["name"]: item for item in shop.done("GET", "/v1/content")["items"]}
    assert items["hand"]["state"] == "ready"
    assert items["broken"]["state"] == "wrong"
    assert str(templates) not in items["broken"]["problem"]
    first = shop.done("GET", "/v1/content/hand")["revision"]
    match = {"If-Match": first}
    shop.done("PUT", "/v1/content/hand", MAIL, headers=match)
    assert [path.name for path in templates.glob("hand*")] == ["hand.json"]
    status, race = shop.problem("PUT", "/v1/content/hand", {**MAIL, "kind": None}, headers=match)
    assert (status, race["current"]["kind"]) == (409, "transactional")
    shop.done("PUT", "/v1/content/broken", MAIL)
    assert shop.done("GET", "/v1/content/broken")["state"] == "ready"
    pages = shop.done("GET", "/v1/content?limit=1")
    assert [item["name"] for item in pages["items"]] == ["broken"]
    after = shop.done("GET", f"/v1/content?limit=1&after={pages['next']}")
    assert [item["name"] for item in after["items"]] == ["hand"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"channels": {}}, "/channels"),
        ({"channels": {"fax": {}}}, "/channels/fax"),
        ({"states": "ready"}, "/states"),
        ({"expires": "soon"}, "/expires"),
        (
            {"channels": {"email": {"address": "email", "parts": {"text": "{% for %}"}}}},
            "/channels/email/parts/text",
        ),
    ],
)
def test_wrong_content_is_told_with_its_place(
    shop: Shop, change: dict[str, Any], pointer: str
) -> None:
    status, problem = shop.problem("PUT", "/v1/content/wrong", {**MAIL, **change})
    assert status == 422
    assert problem["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("name", ["..%2Fx", ".hidden", "a%0Ab", "a%00b"])
def test_no_name_leads_out_of_the_folder(shop: Shop, name: str) -> None:
    assert shop.ask("PUT", f"/v1/content/{name}", MAIL).status_code in (404, 422)
    assert not (shop.served.engine.path / "x.json").exists()


def test_a_message_is_seen_as_a_customer_would_get_it(shop: Shop) -> None:
    shop.done("PUT", "/v1/content/look", {**MAIL, "state": "draft"})
    asked = {"customer": "anna", "channel": "email"}
    shown = shop.done("POST", "/v1/content/look/preview", asked)
    assert shown == {
        "parts": {"subject": "For Anna", "text": "Dear Anna, anna@x.example"},
        "reason": "",
    }
    other = json.loads(json.dumps(MAIL))
    other["channels"]["email"]["parts"] = {"text": {"text": "{{ offer }} for {{ first_name }}"}}
    shown = shop.done(
        "POST", "/v1/content/look/preview", {**asked, "content": other, "stated": {"offer": "Tea"}}
    )
    assert shown["parts"] == {"text": "Tea for Anna"}
    shop.done("PUT", "/v1/customers/bare", {"set": {}})
    shown = shop.done("POST", "/v1/content/look/preview", {**asked, "customer": "bare"})
    assert shown == {"parts": {}, "reason": "missing_variable"}
    preview = "/v1/content/look/preview"
    assert shop.problem("POST", preview, {**asked, "customer": "no"})[0] == 404
    assert shop.problem("POST", preview, {**asked, "channel": "sms"})[1]["pointer"] == "/channel"
    assert shop.problem("POST", "/v1/content/none/preview", asked)[0] == 404
    assert outgoing(shop) == []


def test_a_test_goes_to_the_address_given_and_says_that_it_is_one(shop: Shop) -> None:
    shop.done("PUT", "/v1/content/look", MAIL)
    asked = {"customer": "bert", "channel": "email", "address": "me@shop.example"}
    assert shop.done("POST", "/v1/content/look/test", asked) == {
        "outcome": "delivered",
        "reason": "",
    }
    [line] = outgoing(shop)
    assert (line["to"], line["subject"]) == ("me@shop.example", "[Test] For Bert")
    assert line["text"] == "Dear Bert, bert@x.example"
    assert line["key"].startswith("test-")
    assert "content.test" in shop.actions()
    assert shop.role("editor").problem("POST", "/v1/content/look/test", asked)[0] == 403
    # Whoever is erased is erased from test messages too.
    shop.done("DELETE", "/v1/customers/bert")
    assert outgoing(shop) == []


def test_A183_content_is_made_for_the_records_of_the_group(shop: Shop) -> None:
    shop.done("PUT", "/v1/recipients", {"groups": {"leads": "profile"}})
    told = shop.done("GET", "/v1/recipients")
    assert told["groups"] == {"leads": "profile"}
    shop.done("PUT", "/v1/content/lead", {**MAIL, "recipient": "contact"})
    flow = json.loads(mailing("leading", "lead"))
    flow["nodes"]["start"] = {"type": "on_group", "group": "leads", "next": "mail"}
    with pytest.raises(FlowError) as refused:
        shop.served.engine.publish(json.dumps(flow))
    assert refused.value.violations[0].code == "wrong-recipient"
    shop.done("PUT", "/v1/content/lead", {**MAIL, "recipient": "profile"})
    shop.served.engine.publish(json.dumps(flow))
    match = {"If-Match": told["revision"]}
    shop.done("PUT", "/v1/recipients", {"groups": {}}, headers=match)
    assert shop.problem("PUT", "/v1/recipients", {"groups": {}}, headers=match)[0] == 409
    assert shop.problem("PUT", "/v1/recipients", {"groups": {"a": "robot"}})[0] == 422


@pytest.mark.parametrize(
    "text",
    [
        "{{ first_name.__class__.__mro__ }}",
        "{{ email | map: '__globals__' }}",
        "{% include 'secrets.key' %}",
        "{% render '../providers' %}",
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{{ self }}{{ _context }}",
    ],
)
def test_scenario_36_no_template_that_comes_by_http_gets_at_more_than_values(
    shop: Shop, text: str
) -> None:
    """Names that are no values of the customer have none, and nothing else can be reached."""
    content = json.loads(json.dumps(MAIL))
    content["channels"]["email"]["parts"] = {"text": {"text": text, "missing": "fail"}}
    shop.done("PUT", "/v1/content/look", MAIL)
    asked = {"customer": "anna", "channel": "email", "content": content}
    answer = shop.ask("POST", "/v1/content/look/preview", asked)
    assert answer.status_code == 422 or answer.json()["parts"] == {}, answer.text


def test_A059_pools_of_coupons_are_kept_while_content_carries_them(shop: Shop) -> None:
    made = shop.done("PUT", "/v1/coupons/spring", {"stock": 5, "expires": "2030-06-30"})
    assert (made["stock"], made["used_by"]) == (5, [])
    shop.done("PUT", "/v1/content/gift", {**MAIL, "coupon": "spring"})
    assert shop.done("GET", "/v1/coupons/spring")["used_by"] == ["gift"]
    status, problem = shop.problem("DELETE", "/v1/coupons/spring")
    assert (status, problem["used_by"]) == (409, {"content": ["gift"]})
    match = {"If-Match": made["revision"]}
    shop.done("PUT", "/v1/coupons/spring", {"expires": "2020-01-01"}, headers=match)
    assert shop.problem("PUT", "/v1/coupons/spring", {"stock": 9}, headers=match)[0] == 409
    with pytest.raises(FlowError, match="expired"):
        shop.served.engine.publish(mailing("gifts", "gift"))
    shop.done("DELETE", "/v1/content/gift")
    shop.done("DELETE", "/v1/coupons/spring")
    assert shop.problem("GET", "/v1/coupons/spring")[0] == 404
    status, problem = shop.problem("PUT", "/v1/coupons/x", {"stock": -1})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/stock")
