"""A sandbox: whatever its settings say nothing leaves, and what would have can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.live.data_dir import MANIFEST, read_manifest
from actors.relay.settings import SANDBOX, active_providers
from actors.service.webhooks import Webhooks
from core.nodes import CHANNELS
from http_service import SCHEMA, served
from http_shop import MAIL, Shop, mailing
from receiver import LOOPBACK, Received, receiver
from waiting import until

PATH = "/v1/sandbox/messages"
PEOPLE = [f"c{i}" for i in range(5)]


@pytest.fixture(scope="module")
def inbox() -> Iterator[Received]:
    """The canary: nothing may ever connect to it."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory, inbox: Received) -> Iterator[tuple[Shop, Shop]]:
    """The first tenant, and a sandbox whose every setting leads to the canary."""
    with served(tmp_path_factory.mktemp("box") / "data", relays=True) as service:
        first = Shop(service)
        made = first.done("POST", "/v1/tenants", {"id": "box", "name": "Box", "sandbox": True})
        assert made["tenant"]["sandbox"] is True
        box = Shop(service, made["key"]["secret"])
        box.done("PUT", "/v1/schema", SCHEMA)
        engine = service.service.engine("box")
        (engine.path / "providers.yaml").write_text(_providers(inbox))
        for number in range(engine.partitions):
            assert engine.job(number, "renew_relay") == ""
        yield first, box


def _providers(inbox: Received) -> str:
    to_canary = {"allow_networks": LOOPBACK, "ports": [inbox.port], "schemes": ["http"]}
    return json.dumps(
        {
            "providers": {
                "mail": {
                    "kind": "http_provider",
                    "channels": [each for each in CHANNELS if each != "webhook"],
                    "url": inbox.url,
                    "body": {"to": "{{ to }}"},
                    "parts": {"text": "text"},
                    **to_canary,
                },
                "hooks": {
                    "kind": "webhook",
                    "channels": ["webhook"],
                    "secrets": [{"env": "NOWHERE"}],
                    **to_canary,
                },
            }
        }
    )


def listed(shop: Shop, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = shop.done("GET", f"{PATH}?limit=2{after}{query}")
        found += page["items"]
        if "next" not in page:
            return found
        after = f"&after={page['next']}"


def go(shop: Shop, *customers: str) -> None:
    rows: list[dict[str, Any]] = [
        {"customer": each, "set": {"email": f"{each}@x.test", "first_name": "Ada"}}
        for each in customers
    ]
    rows += [{"customer": each, "event": "signup"} for each in customers]
    engine = shop.served.service.engine("box")
    assert engine.send(rows).rejects == []


def test_messages_can_be_read_and_nothing_leaves(shops: tuple[Shop, Shop], inbox: Received) -> None:
    box = shops[1]
    box.done("PUT", "/v1/content/hello", MAIL)
    engine = box.served.service.engine("box")
    engine.publish(mailing("hi"))
    go(box, *PEOPLE)
    until(lambda: len(listed(box, "&channel=email")) == len(PEOPLE), "messages")
    found = listed(box, "&channel=email")
    assert {each["to"] for each in found} == {f"{each}@x.test" for each in PEOPLE}
    assert {each["parts"]["subject"] for each in found} == {"For Ada"}
    assert len({each["key"] for each in found}) == len(PEOPLE)
    assert listed(box, "&channel=sms") == []
    until(lambda: engine.counts("hi").entered.tolist()[0] == len(PEOPLE))
    assert inbox.connections == 0


def test_a_test_message_stays_too(shops: tuple[Shop, Shop], inbox: Received) -> None:
    box = shops[1]
    box.done("PUT", "/v1/content/hello", MAIL)
    go(box, "t1")
    body = {"customer": "t1", "channel": "email", "address": "me@x.test"}
    assert box.done("POST", "/v1/content/hello/test", body)["outcome"] == "delivered"
    tests = [each for each in listed(box) if each["test"]]
    assert [(each["to"], each["channel"]) for each in tests] == [("me@x.test", "email")]
    assert inbox.connections == 0


def test_journey_events_stay_too(shops: tuple[Shop, Shop], inbox: Received) -> None:
    box = shops[1]
    hook = box.done("POST", "/v1/webhooks", {"url": "https://example.com/", "kinds": ["entered"]})[
        "webhook"
    ]["id"]
    service = box.served.service
    hooks = Webhooks(service.engine("box").path)
    with service.plane.tenant("box").write() as txn:
        known = hooks.find(txn, hook)
        hooks.put(txn, replace(known, url=inbox.url, networks=LOOPBACK))
    box.done("PUT", "/v1/content/hello", MAIL)
    if "hi" not in {flow.flow for flow in service.engine("box").flows()}:
        service.engine("box").publish(mailing("hi"))
    go(box, "j1")
    until(lambda: len(listed(box, "&channel=journey")) == 1, "the event")
    (found,) = listed(box, "&channel=journey")
    event = found["parts"]["event"]
    assert (event["type"], event["data"]["customer"]) == ("journey.entered", "j1")
    assert found["to"] == inbox.url
    until(lambda: box.done("GET", f"/v1/webhooks/{hook}")["delivered"] == 1)
    assert inbox.connections == 0
    box.done("DELETE", "/v1/customers/j1")
    assert listed(box, "&channel=journey") == []
    outgoing = service.engine("box").path / "outgoing"
    assert not any(b"j1@x.test" in path.read_bytes() for path in outgoing.iterdir())


def test_no_setting_makes_it_a_live_one(shops: tuple[Shop, Shop]) -> None:
    first, box = shops
    for body in ({"sandbox": False}, {"settings": {"sandbox": False}}):
        assert first.problem("PATCH", "/v1/tenants/box", body)[0] == 422
    assert first.done("PATCH", "/v1/tenants/box", {"name": "Box 2"})["sandbox"] is True
    file = {"kind": "file", "channels": ["sms"], "file": "texts"}
    (box.served.service.engine("box").path / "providers.yaml").unlink()
    box.done("PUT", "/v1/providers/texts", file)
    engine = box.served.service.engine("box")
    assert active_providers(engine.path) is SANDBOX
    assert engine.status()["sandbox"] is True
    first.done("POST", "/v1/tenants/box/suspend")
    first.done("POST", "/v1/tenants/box/resume")
    until(lambda: box.ask("GET", PATH).is_success)
    assert active_providers(engine.path) is SANDBOX


def test_another_tenant_has_none(shops: tuple[Shop, Shop]) -> None:
    first, box = shops
    status, told = first.problem("GET", PATH)
    assert (status, told["code"]) == (404, "not-found")
    assert first.done("GET", "/v1/tenants/main")["sandbox"] is False
    assert box.role("viewer").problem("GET", PATH)[0] == 403
    assert box.problem("GET", f"{PATH}?channel=odd")[0] == 422


def test_a_folder_that_is_no_sandbox_is_not_opened_as_one(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        shop = Shop(service)
        made = shop.done("POST", "/v1/tenants", {"id": "box", "name": "Box", "sandbox": True})
        box = Shop(service, made["key"]["secret"])
        box.done("GET", PATH)
        folder = service.service.engine("box").path
        service.service.tenants.close_engine("box")
        text = (folder / MANIFEST).read_text()
        assert read_manifest(folder).sandbox
        (folder / MANIFEST).write_text(text.replace('"sandbox": true', '"sandbox": false'))
        status, told = box.problem("GET", PATH)
        assert status == 409
        assert "sandbox" in told["detail"]


def test_a_line_that_is_being_written_is_not_told(shops: tuple[Shop, Shop]) -> None:
    box = shops[1]
    outgoing = box.served.service.engine("box").path / "outgoing"
    whole = {"key": "k", "at_ms": 1, "customer": -5, "to": "a", "body": "b"}
    path = outgoing / "sandbox-push-000.jsonl"
    until(path.exists)
    before = path.read_bytes()
    path.write_bytes(json.dumps(whole).encode() + b'\n{"key": ')
    try:
        found = listed(box, "&channel=push")
    finally:
        path.write_bytes(before)
    assert [(each["key"], each["parts"]) for each in found] == [("k", {"body": "b"})]
