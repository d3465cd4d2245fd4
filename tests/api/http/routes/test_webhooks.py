"""Journey events out by webhook: signed, in order, at least once, retried, given up, guarded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from actors.live.happenings import KINDS
from actors.service import couriers
from actors.service.webhooks import FOLDER, Webhooks
from api.http.routes.webhooks import Kind
from http_service import served
from http_shop import MAIL, Shop, mailing
from receiver import LOOPBACK, Received, receiver
from waiting import until

PATH = "/v1/webhooks"
PEOPLE = [f"c{i}" for i in range(12)]
STEPS = ["entered", "sent", "completed"]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A tenant whose flow mails."""
    with served(tmp_path_factory.mktemp("hooks") / "data", relays=True) as service:
        found = Shop(service)
        found.done("PUT", "/v1/content/hello", MAIL)
        service.engine.publish(mailing("hi"))
        service.engine.publish(mailing("other").replace("signup", "order"))
        yield found


@pytest.fixture
def shop(started: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The same without webhooks, which tries again at once."""
    monkeypatch.setattr(couriers, "LOOK_S", 0.05)
    monkeypatch.setattr(couriers, "DELAYS_MS", (10, 10, 10))
    yield started
    for hook in started.done("GET", PATH)["items"]:
        started.done("DELETE", f"{PATH}/{hook['id']}")


@pytest.fixture
def inbox() -> Iterator[Received]:
    with receiver() as found:
        yield found


def subscribe(shop: Shop, inbox: Received, *kinds: str, **more: Any) -> str:
    body = {"url": inbox.url, "kinds": list(kinds or STEPS), "networks": LOOPBACK, **more}
    made = shop.done("POST", PATH, body)
    inbox.secrets.append(made["secret"])
    return str(made["webhook"]["id"])


def go(shop: Shop, *customers: str, event: str = "signup") -> None:
    known = [
        {"customer": each, "set": {"email": f"{each}@x.test", "first_name": "Ada"}}
        for each in customers
    ]
    shop.served.engine.send(known)
    shop.served.engine.send([{"customer": each, "event": event} for each in customers])


def told(inbox: Received, count: int) -> Callable[[], bool]:
    return lambda: len(inbox.events) >= count


def test_what_happens_is_told_signed_and_in_order(shop: Shop, inbox: Received) -> None:
    hook = subscribe(shop, inbox, *STEPS, "delivered")
    go(shop, *PEOPLE)
    until(told(inbox, 4 * len(PEOPLE)), lambda: inbox.steps())
    assert inbox.unsigned == 0
    for steps in (inbox.steps()[each] for each in PEOPLE):
        assert [step for step in steps if step != "delivered"] == STEPS
        assert steps.count("delivered") == 1
    event = next(e for e in inbox.events if e["type"] == "journey.sent")
    assert event["timestamp"].endswith("Z")
    data = event["data"]
    assert (data["flow"], data["version"], data["node"], data["channel"], data["template"]) == (
        "hi", 1, "mail", "email", "hello",
    )  # fmt: skip
    assert "number" not in data
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["delivered"] == 4 * len(PEOPLE))
    shown = shop.done("GET", f"{PATH}/{hook}")
    assert (shown["waiting"], shown["dead"], shown["failures"], shown["problem"]) == (0, 0, 0, "")


def test_a_receiver_hears_of_its_kinds_and_flows_alone(shop: Shop, inbox: Received) -> None:
    hook = subscribe(shop, inbox, "entered", flows=["other"])
    go(shop, "k1", "k2")
    go(shop, "k3", event="order")
    until(told(inbox, 1))
    assert inbox.steps() == {"k3": ["entered"]}
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["delivered"] == 1)
    shop.done("PATCH", f"{PATH}/{hook}", {"kinds": ["completed"], "flows": []})
    go(shop, "k4")
    until(lambda: "k4" in inbox.steps())
    assert inbox.steps() == {"k3": ["entered"], "k4": ["completed"]}


def test_what_is_asked_for_while_a_turn_is_under_way_is_told(
    shop: Shop, inbox: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = subscribe(shop, inbox, "entered", flows=["other"])
    fresh, changed = couriers._Work.fresh, threading.Event()

    def change() -> None:
        shop.done("PATCH", f"{PATH}/{hook}", {"kinds": ["completed"], "flows": []})
        go(shop, "w1")
        changed.set()

    async def behind(self: couriers._Work, *args: Any) -> Any:
        if not changed.is_set():
            await asyncio.to_thread(change)
        return await fresh(self, *args)

    monkeypatch.setattr(couriers._Work, "fresh", behind)
    until(lambda: inbox.steps() == {"w1": ["completed"]}, lambda: inbox.steps())


def test_what_fails_is_tried_again_and_holds_up_its_customer_alone(
    shop: Shop, inbox: Received
) -> None:
    inbox.answer = lambda body, number: (
        503 if body["data"]["customer"] == "r1" and number < 3 else 204
    )
    subscribe(shop, inbox)
    go(shop, "r1", "r2", "r3")
    until(told(inbox, 9), lambda: inbox.steps())
    assert inbox.steps() == dict.fromkeys(("r1", "r2", "r3"), STEPS)
    keys = [key for key, _ in inbox.refused]
    assert len(set(keys)) == 3  # each step of r1 was tried under one id
    assert len(keys) == 6


def test_after_its_attempts_it_is_given_up_until_somebody_decides(
    shop: Shop, inbox: Received
) -> None:
    inbox.answer = lambda body, number: 500 if body["data"]["customer"] == "d1" else 204
    hook = subscribe(shop, inbox)
    go(shop, "d1", "d2")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["dead"] == 3)
    items = shop.done("GET", f"{PATH}/{hook}/dead?limit=2")
    rest = shop.done("GET", f"{PATH}/{hook}/dead?limit=2&after={items['next']}")
    found = items["items"] + rest["items"]
    assert [(e["kind"], e["attempts"], e["reason"]) for e in found] == [
        (kind, 4, "http_500") for kind in STEPS
    ]
    assert all("customer" not in each for each in found)
    inbox.answer = lambda body, number: 204
    body = {"then": "redrive", "places": [found[0]["place"], "nowhere"]}
    assert shop.done("POST", f"{PATH}/{hook}/dead", body) == {"count": 1, "more": False}
    until(lambda: inbox.steps().get("d1") == ["entered"])
    assert shop.done("POST", f"{PATH}/{hook}/dead", body) == {"count": 0, "more": False}
    discard = {"then": "discard", "limit": 1}
    assert shop.done("POST", f"{PATH}/{hook}/dead", discard) == {"count": 1, "more": True}
    assert shop.done("POST", f"{PATH}/{hook}/dead", {"then": "redrive"})["count"] == 1
    until(lambda: inbox.steps().get("d1") == ["entered", "completed"])
    actions = shop.actions()
    assert {"webhook.create", "webhook.redrive", "webhook.discard"} <= set(actions)


def test_one_that_is_down_gets_nothing_new_until_it_takes_what_waits(
    shop: Shop, inbox: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "DELAYS_MS", (200,) * 500)
    inbox.answer = lambda body, number: 503
    hook = subscribe(shop, inbox)
    go(shop, *PEOPLE)
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["failures"] >= couriers.FAILURES_MAX)
    go(shop, "late")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["failures"] >= couriers.FAILURES_MAX + 4)
    assert "late" not in {body["data"]["customer"] for _, body in inbox.refused}
    inbox.answer = lambda body, number: 204
    until(told(inbox, 3 * (len(PEOPLE) + 1)), lambda: inbox.steps())
    assert set(inbox.steps()) == {*PEOPLE, "late"}
    assert all(steps == STEPS for steps in inbox.steps().values())


def test_410_disables_it_and_nothing_is_lost(shop: Shop, inbox: Received) -> None:
    inbox.answer = lambda body, number: 410
    hook = subscribe(shop, inbox)
    go(shop, "g1")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["status"] == "disabled")
    count = len(inbox.refused)
    go(shop, "g2")
    inbox.answer = lambda body, number: 204
    assert shop.done("GET", f"{PATH}/{hook}")["problem"] == "http_410"
    assert len(inbox.refused) == count
    shop.done("PATCH", f"{PATH}/{hook}", {"status": "active"})
    until(told(inbox, 6))
    assert inbox.steps() == {"g1": STEPS, "g2": STEPS}


def test_while_paused_it_waits(shop: Shop, inbox: Received) -> None:
    hook = subscribe(shop, inbox)
    shop.done("PATCH", f"{PATH}/{hook}", {"status": "paused"})
    go(shop, "p1")
    shop.done("PATCH", f"{PATH}/{hook}", {"status": "active"})
    until(told(inbox, 3))
    assert inbox.steps() == {"p1": STEPS}


def test_of_the_erased_nothing_more_is_told(shop: Shop, inbox: Received) -> None:
    inbox.answer = lambda body, number: 503
    hook = subscribe(shop, inbox)
    go(shop, "e1")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["waiting"] == 3)
    shop.done("DELETE", "/v1/customers/e1")
    inbox.answer = lambda body, number: 204
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["waiting"] == 0)
    assert inbox.events == []


def test_a_new_secret_signs_beside_the_one_before(shop: Shop, inbox: Received) -> None:
    hook = subscribe(shop, inbox)
    first = inbox.secrets[0]
    second = shop.done("POST", f"{PATH}/{hook}/rotate")["secret"]

    def all_of(customer: str) -> None:
        # What others in the flow still do comes as well.
        go(shop, customer)
        until(lambda: len(inbox.steps().get(customer, ())) == 3, inbox.steps)

    all_of("s1")
    assert inbox.unsigned == 0
    inbox.secrets[:] = [second]
    all_of("s2")
    assert inbox.unsigned == 0
    shop.done("POST", f"{PATH}/{hook}/rotate")
    inbox.secrets[:] = [first]
    all_of("s3")
    # What was under way when it changed was signed as before; that is over once it is counted.
    count = len(inbox.taken)
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["delivered"] >= count)
    before = inbox.unsigned
    all_of("s4")
    assert inbox.unsigned == before + 3


def test_secrets_stand_nowhere_in_the_clear(shop: Shop, inbox: Received) -> None:
    subscribe(shop, inbox)
    secret = inbox.secrets[0].removeprefix("whsec_").encode()
    folder = shop.served.engine.path
    assert not any(secret in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert "whsec_" not in str(shop.done("GET", PATH))
    for hook in shop.done("GET", PATH)["items"]:
        shop.done("DELETE", f"{PATH}/{hook['id']}")
    assert b'"secrets": {}' in (folder / FOLDER / "secrets.json").read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/in",
        "https://127.0.0.1/in",
        "https://[::1]/in",
        "https://0x7f000001/in",
        "https://localhost/in",
        "https://metadata.google.internal/",
        "https://user@example.com/",
        "https://example.com:22/",
        "file:///etc/passwd",
        "https://169.254.169.254/",
    ],
)
def test_a_url_that_leads_inside_is_refused(shop: Shop, url: str) -> None:
    status, told = shop.problem("POST", PATH, {"url": url, "kinds": ["entered"]})
    assert (status, told["pointer"]) == (422, "/url")


def test_a_name_that_leads_inside_later_is_not_connected_to(
    shop: Shop, inbox: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    from actors.relay.channels.guard import Guard

    monkeypatch.setattr(
        "actors.service.webhooks.Hook.guard",
        lambda hook: Guard(
            frozenset({"http", "https"}), frozenset({443, inbox.port}), resolve=inside
        ),
    )
    body = {"url": f"http://rebound.example.com:{inbox.port}/", "kinds": ["entered"]}
    hook = shop.done("POST", PATH, body)["webhook"]["id"]
    go(shop, "x1")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["dead"] == 1)
    assert shop.done("GET", f"{PATH}/{hook}/dead")["items"][0]["reason"] == "address_refused"
    assert inbox.connections == 0


def test_only_the_operator_opens_inner_networks(shop: Shop, inbox: Received) -> None:
    made = shop.done("POST", "/v1/tenants", {"id": "hooked", "name": "Hooked"})
    other = Shop(shop.served, made["key"]["secret"])
    body = {"url": inbox.url, "kinds": ["entered"], "networks": LOOPBACK}
    status, told = other.problem("POST", PATH, body)
    assert (status, told["pointer"]) == (422, "/networks")
    hook = subscribe(shop, inbox)
    assert other.done("GET", PATH)["items"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/dead"), ("POST", "/rotate")):
        assert other.problem(method, f"{PATH}/{hook}{path}")[0] == 404
    for role in ("viewer", "editor", "publisher"):
        assert shop.role(role).problem("GET", PATH)[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "https://example.com/"},
        {"url": "https://example.com/", "kinds": []},
        {"url": "https://example.com/", "kinds": ["odd"]},
        {"url": "https://example.com/", "kinds": ["entered"], "secret": "mine"},
        {"url": "https://example.com/", "kinds": ["entered"], "networks": ["nowhere"]},
    ],
)
def test_what_is_no_subscription_is_refused(shop: Shop, body: Any) -> None:
    assert shop.problem("POST", PATH, body)[0] == 422


def test_there_are_twenty_at_most(shop: Shop) -> None:
    body = {"url": "https://example.com/", "kinds": ["entered"]}
    for _ in range(20):
        shop.done("POST", PATH, body)
    assert shop.problem("POST", PATH, body)[0] == 409


def test_in_another_data_directory_it_begins_anew(shop: Shop, inbox: Received) -> None:
    inbox.answer = lambda body, number: 503
    hook = subscribe(shop, inbox)
    go(shop, "w1")
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["waiting"] == 3)
    # As after a repartition, where the same numbers are other customers'.
    hooks = Webhooks(shop.served.engine.path)
    with shop.served.service.plane.tenant("main").write() as txn:
        hooks.put(txn, replace(hooks.find(txn, hook), instance="other", places=[[0, 0]]))
    until(lambda: shop.done("GET", f"{PATH}/{hook}")["waiting"] == 0)
    inbox.answer = lambda body, number: 204
    go(shop, "w2")
    until(told(inbox, 3))
    assert inbox.steps() == {"w2": STEPS}


def test_the_document_names_every_kind() -> None:
    assert get_args(Kind) == KINDS


def test_a_service_that_was_copied_leaves_them_out(tmp_path: Path, shop: Shop) -> None:
    from actors.live.backup import back_up

    subscribe_body = {"url": "https://example.com/", "kinds": ["entered"]}
    shop.done("POST", PATH, subscribe_body)
    back_up(shop.served.engine.engine, tmp_path / "copy")
    assert not (tmp_path / "copy" / FOLDER).exists()
