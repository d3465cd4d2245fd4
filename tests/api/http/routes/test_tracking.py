"""What people and providers make of messages, from the message to the flow that hears of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.relay.callbacks import TOLERANCE_S
from actors.relay.marks import MARK_CHARS_MAX
from actors.service.rate import Budget
from core.answers import answer_key
from tracked import PLAIN, PUBLIC, SECRET, Tracked, links_of, tracked, until


@pytest.fixture(scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    with tracked(tmp_path_factory.mktemp("shop")) as found:
        yield found


@pytest.fixture
def shop(_shop: Tracked) -> Tracked:
    """The service, a minute and more after all that happened before."""
    _shop.later(120_000)
    return _shop


def mailed(shop: Tracked, customer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mail and the SMS of a customer who enters."""
    shop.send(customer)
    until(lambda: len(own(shop, customer)) == 2)
    mail, text = sorted(own(shop, customer), key=lambda m: "html" not in m)
    shop.later(5_000)
    return mail, text


def own(shop: Tracked, customer: str) -> list[dict[str, Any]]:
    return [m for m in shop.sent() if m["to"] in (f"{customer}@x.test", f"+49{customer}")]


def heard(shop: Tracked, customer: str, count: int) -> list[dict[str, Any]]:
    """The events of a customer, once there are so many; links are held for a while."""
    shop.later(3_000)
    until(lambda: len(shop.events(customer)) >= count)
    return shop.events(customer)


def test_A194_a_click_leads_on_and_the_flow_hears_which_link_of_which_message(  # noqa: N802
    shop: Tracked,
) -> None:
    mail, _ = mailed(shop, "ada")
    sale, shoes, _ = links_of(mail, "r")
    answer = shop.open(sale)
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.test/sale?who=ada&b=1"
    assert shop.open(shoes).headers["location"] == "https://shop.test/shoes"
    clicks = {e["properties"]["link"]: e["properties"] for e in heard(shop, "ada", 2)}
    assert clicks.keys() == {"sale", "https://shop.test/shoes"}
    told = clicks["sale"]
    entry = told.pop("entry")
    assert told == {
        "message": "greet",
        "flow": "hello",
        "template": "greet",
        "channel": "email",
        "message_key": mail["key"][:16],
        "link": "sale",
        "machine": False,
        "answers": answer_key("hello", "greet", entry % 2**64),
    }
    until(lambda: "clicked" in (shop.engine.state_of("ada") or {}).get("tags", ()))


def test_what_leads_nowhere_of_ours_stays_and_the_rest_is_ours(shop: Tracked) -> None:
    mail, text = mailed(shop, "abe")
    html = mail["html"]
    assert 'href="https://shop.test/plain"' in html
    assert 'href="mailto:a@shop.test"' in html
    assert html.count(f'href="{PUBLIC}/r/') == 3
    assert html.count(f'href="{PUBLIC}/u/') == 1
    assert html.count(f'<img src="{PUBLIC}/o/') == 1
    assert "shop.test/sale" not in html
    assert len(links_of(mail, "r", "text")) == len(links_of(mail, "u", "text")) == 1
    assert mail["unsubscribe"].startswith(f"{PUBLIC}/u/")
    (link,) = links_of(text, "r", "body")
    assert shop.open(link).headers["location"] == "https://shop.test/s"
    (click,) = heard(shop, "abe", 1)
    assert (click["event"], click["properties"]["message"]) == ("message_clicked", "text")
    assert click["properties"]["channel"] == "sms"


def test_the_pixel_is_an_image_whatever_is_asked_and_tells_once_a_minute(shop: Tracked) -> None:
    mail, _ = mailed(shop, "bob")
    (pixel,) = links_of(mail, "o")
    for _ in range(5):
        answer = shop.open(pixel)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["cache-control"] == "no-store"
    assert shop.open(f"{PUBLIC}/o/nothing.gif").content == answer.content
    (opened,) = heard(shop, "bob", 1)
    assert opened["event"] == "email_opened"
    assert opened["properties"]["message"] == "greet"
    assert opened["properties"]["machine"] is False
    shop.later(60_000)
    shop.open(pixel)
    assert len(heard(shop, "bob", 2)) == 2


def test_machines_are_told_from_people(shop: Tracked) -> None:
    mail, _ = mailed(shop, "cyd")
    sale, shoes, _ = links_of(mail, "r")
    assert shop.open(sale, "HEAD").status_code == 302
    assert shop.open(shoes, **{"user-agent": "Barracuda/1.0"}).status_code == 302
    found = heard(shop, "cyd", 2)
    assert [e["properties"]["machine"] for e in found] == [True, True]
    assert "clicked" not in (shop.engine.state_of("cyd") or {}).get("tags", ())
    shop.open(sale)
    until(lambda: heard(shop, "cyd", 3) != [])
    until(lambda: "clicked" in (shop.engine.state_of("cyd") or {}).get("tags", ()))


def test_what_opens_ahead_of_people_is_told_from_them(shop: Tracked) -> None:
    mail, _ = mailed(shop, "oda")
    (pixel,) = links_of(mail, "o")
    proxy = {"user-agent": "Mozilla/5.0"}  # Apple's, which fetches all images of all mail
    assert shop.open(pixel, **proxy).headers["content-type"] == "image/gif"
    (opened,) = heard(shop, "oda", 1)
    assert (opened["event"], opened["properties"]["machine"]) == ("email_opened", True)
    # A person who opens it within that minute is counted all the same.
    shop.open(pixel)
    found = heard(shop, "oda", 2)
    assert [each["properties"]["machine"] for each in found] == [True, False]


def test_who_follows_many_links_at_once_is_a_machine_from_the_first_on(shop: Tracked) -> None:
    mail, _ = mailed(shop, "dan")
    for link in links_of(mail, "r"):
        shop.open(link)
    assert [e["properties"]["machine"] for e in heard(shop, "dan", 3)] == [True] * 3


def test_a_click_within_a_second_of_the_send_is_a_machine(tmp_path: Path, shop: Tracked) -> None:
    shop.send("eve")
    until(lambda: len(own(shop, "eve")) == 2)
    (mail,) = [m for m in own(shop, "eve") if "html" in m]
    # The message was composed by the machine's clock, from which the service's may be moved.
    shift, shop.shift_ms = shop.shift_ms, 0
    shop.open(links_of(mail, "r")[0])
    shop.shift_ms = shift
    (click,) = heard(shop, "eve", 1)
    assert click["properties"]["machine"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_forged_marks_lead_nowhere(shop: Tracked, method: str) -> None:
    mail, _ = mailed(shop, f"forger{method}")
    way = "u" if method == "POST" else "r"
    good = (mail["unsubscribe"] if way == "u" else links_of(mail, "r")[0]).rpartition("/")[2]
    swapped = "B" if good[40] == "A" else "A"
    forged = [
        good[:40] + swapped + good[41:],
        good[:-1],
        good + "A",
        good + "=",
        good[::-1],
        "x" * (MARK_CHARS_MAX + 1),
        "%2e%2e%2f",
        "https:%2f%2fevil.test",
    ]
    for mark in forged:
        answer = shop.open(f"/{way}/{mark}", method)
        assert answer.status_code == 404, mark
        assert "location" not in answer.headers
    assert shop.open(f"/{way}/{good}", method).status_code in (200, 302)


def test_a_mark_of_one_kind_is_none_of_another(shop: Tracked) -> None:
    mail, _ = mailed(shop, "fay")
    link, leave = links_of(mail, "r")[0], mail["unsubscribe"]
    assert shop.open(leave.replace("/u/", "/r/")).status_code == 404
    assert shop.open(link.replace("/r/", "/u/")).status_code == 404
    assert shop.open(f"{PUBLIC}/u/{mail['mark']}", "POST").status_code == 404
    assert shop.open(link.replace("/r/", "/o/") + ".gif").status_code == 200
    assert shop.events("fay") == []


def test_a_huge_query_changes_nothing(shop: Tracked) -> None:
    mail, _ = mailed(shop, "gus")
    link = links_of(mail, "r")[1]
    answer = shop.open(f"{link}?{'next=https://evil.test&' * 2_000}")
    assert answer.headers["location"] == "https://shop.test/shoes"


def test_unsubscribing_takes_one_click_and_a_look_at_the_page_changes_nothing(
    shop: Tracked,
) -> None:
    mail, _ = mailed(shop, "hal")
    leave = mail["unsubscribe"]
    page = shop.open(leave)
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert "script" not in page.headers["content-security-policy"]
    assert shop.events("hal") == []
    path = leave.removeprefix(PUBLIC)
    form = {"List-Unsubscribe": "One-Click"}
    assert shop.ask("POST", path, key=False, data=form).status_code == 200
    (gone,) = heard(shop, "hal", 1)
    assert gone["event"] == "subscription_resigned"
    assert gone["properties"]["channel"] == "email"
    assert shop.changed("hal") == {"consent:email": False}
    assert asked(shop, "hal@x.test") == {"suppressed": True, "reason": "unsubscribed"}
    shop.send("hal")
    until(lambda: len(own(shop, "hal")) == 3)
    assert [m for m in own(shop, "hal") if "html" in m] == [mail]
    back = {"channel": "email", "action": "join"}
    assert "Unsubscribe" in shop.ask("POST", path, key=False, data=back).text
    assert asked(shop, "hal@x.test") == {"suppressed": False}
    assert [e["event"] for e in heard(shop, "hal", 2)][-1] == "subscription_confirmed"


def test_preferences_are_by_channel(shop: Tracked) -> None:
    mail, _ = mailed(shop, "ida")
    choose = links_of(mail, "u")[0]
    page = shop.open(choose).text
    assert page.count("<h2>") == 3
    path = choose.removeprefix(PUBLIC)
    assert shop.ask("POST", path, key=False, data={"channel": "sms", "action": "leave"}).is_success
    (gone,) = heard(shop, "ida", 1)
    assert (gone["event"], gone["properties"]["channel"]) == ("subscription_resigned", "sms")
    assert asked(shop, "ida@x.test") == {"suppressed": False}
    shop.ask("POST", path, key=False, data={"channel": "nonsense", "action": "join"})
    assert len(shop.events("ida")) == 1


def test_an_erased_customer_is_led_on_and_nothing_is_told(shop: Tracked) -> None:
    mail, _ = mailed(shop, "jon")
    link = links_of(mail, "r")[1]
    shop.engine.erase(["jon"])
    assert shop.open(link).headers["location"] == "https://shop.test/shoes"
    assert shop.ask("POST", mail["unsubscribe"].removeprefix(PUBLIC), key=False).status_code == 200
    shop.later(3_000)
    time.sleep(0.3)
    assert shop.events("jon") == []
    # The address stays on the list, whoever comes with it.
    assert asked(shop, "jon@x.test") == {"suppressed": True, "reason": "unsubscribed"}
    shop.send("jon")
    until(lambda: len([m for m in shop.sent() if m["to"] == "+49jon"]) == 1)
    shop.open(link)
    shop.later(3_000)
    until(lambda: shop.events("jon"))
    time.sleep(0.3)
    told = [(e["event"], e["properties"]["reason"]) for e in shop.events("jon")]
    assert told == [("message_skipped", "suppressed_unsubscribed")]
    assert [m for m in own(shop, "jon") if "html" in m] == []


def asked(shop: Tracked, address: str, channel: str = "email") -> dict[str, Any]:
    answer = shop.ask(
        "POST", "/v1/suppressions/check", json={"channel": channel, "address": address}
    )
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    found.pop("since_ms", None)
    return found


def callback(
    shop: Tracked, body: Any, secret: str = SECRET, name: str = "mailer", shift_s: int = 0,
    id_: str = "msg_1",
) -> Any:  # fmt: skip
    """A callback as Standard Webhooks has it."""
    data = json.dumps(body).encode()
    stamp = str(shop.service.now_ms() // 1_000 + shift_s)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{id_}.{stamp}.".encode() + data, "sha256")
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        "content-type": "application/json",
    }
    return shop.ask("POST", f"/v1/callbacks/{name}", key=False, content=data, headers=headers)


def test_a_hard_bounce_suppresses_the_address_and_the_flow_hears_of_it(shop: Tracked) -> None:
    mail, _ = mailed(shop, "kim")
    body = {"type": "email.bounced", "data": {"tags": {"mark": mail["mark"]}}}
    assert callback(shop, body).json() == {"reports": 1}
    assert callback(shop, body).json() == {"reports": 1}
    (bounced,) = heard(shop, "kim", 1)
    assert bounced["event"] == "message_bounced"
    assert bounced["properties"]["hard"] is True
    assert bounced["properties"]["message"] == "greet"
    assert shop.changed("kim") == {"reachable:email": False}
    assert asked(shop, "KIM@x.test") == {"suppressed": True, "reason": "bounce"}
    # Whoever bounced is not let in again by a click on a page.
    shop.ask("POST", mail["unsubscribe"].removeprefix(PUBLIC), key=False, data={"action": "join"})
    assert asked(shop, "kim@x.test")["suppressed"] is True
    lifted = shop.ask(
        "POST", "/v1/suppressions/lift", json={"channel": "email", "address": "kim@x.test"}
    )
    assert lifted.json() == {"suppressed": False, "changed": True}


def test_a_complaint_without_a_mark_suppresses_the_address(shop: Tracked) -> None:
    body = {"type": "email.complained", "data": {"to": ["lea@x.test"]}}
    assert callback(shop, body).status_code == 200
    assert asked(shop, "lea@x.test") == {"suppressed": True, "reason": "complaint"}
    soft = {"type": "email.deferred", "data": {"to": ["max@x.test"]}}
    assert callback(shop, soft).status_code == 200
    assert asked(shop, "max@x.test") == {"suppressed": False}
    other = {"type": "email.delivered", "data": {"to": ["max@x.test"]}}
    assert callback(shop, other).json() == {"reports": 0}


def test_a_callback_that_is_not_signed_well_is_not_believed(shop: Tracked) -> None:
    body = {"type": "email.bounced", "data": {"to": ["ned@x.test"]}}
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert callback(shop, body, other).status_code == 401
    assert callback(shop, body, shift_s=-TOLERANCE_S - 1).status_code == 401
    assert callback(shop, body, shift_s=TOLERANCE_S + 2).status_code == 401
    bare = shop.ask("POST", "/v1/callbacks/mailer", key=False, json=body)
    assert bare.status_code == 401
    assert bare.json()["code"] == "unverified"
    assert callback(shop, body, name="nobody").status_code == 404
    assert callback(shop, body, name="mailer.000000000000").status_code == 404
    assert callback(shop, body, name="mailer.zz").status_code == 404
    assert asked(shop, "ned@x.test") == {"suppressed": False}


def test_who_tries_signatures_is_slowed_down(shop: Tracked) -> None:
    shop.later(3_600_000)
    path, body = "/v1/callbacks/mailer", {"type": "email.bounced"}
    answers = [shop.ask("POST", path, key=False, json=body).status_code for _ in range(400)]
    assert answers[0] == 401
    assert answers[-1] == 429
    shop.later(3_600_000)
    assert shop.ask("POST", path, key=False, json=body).status_code == 401


def test_who_follows_too_often_is_told_to_wait(shop: Tracked) -> None:
    """By address, where a guess counts more, and by tenant, whoever asks."""
    mail, _ = mailed(shop, "often")
    (pixel,), (leave, *_) = links_of(mail, "o"), links_of(mail, "u")
    rates = shop.service.rates
    before = dict(rates._budgets)
    try:
        rates._budgets["followed"] = Budget(40, 1)
        statuses = [shop.open(f"{PUBLIC}/r/guess{n}").status_code for n in range(6)]
        assert statuses == [404, 404, 404, 404, 429, 429]
        for link in (pixel, leave):
            answer = shop.open(link)
            assert (answer.status_code, answer.json()["code"]) == (429, "limited")
            assert int(answer.headers["retry-after"]) >= 1
        shop.later(60_000)
        assert [shop.open(pixel).status_code for _ in range(41)] == [*[200] * 40, 429]
        rates._budgets.update(before)
        rates._budgets["followed of tenants"] = Budget(5, 1)
        shop.later(60_000)
        assert [shop.open(pixel).status_code for _ in range(6)] == [*[200] * 5, 429]
    finally:
        rates._budgets.update(before)
        shop.later(3_600_000)
    assert shop.open(pixel).status_code == 200


def test_previews_have_links_to_pages_that_are_none(shop: Tracked) -> None:
    shop.engine.send([{"customer": "pam", "set": {"email": "pam@x.test", "name": "Pam"}}])
    told = {"customer": "pam", "channel": "email"}
    answer = shop.ask("POST", "/v1/content/greet/preview", json=told)
    assert answer.status_code == 200, answer.text
    parts = answer.json()["parts"]
    assert "https://shop.test/sale?who=Pam" in parts["text"]
    assert "leave: https://links.invalid/u/test" in parts["text"]
    assert PUBLIC not in answer.text


def test_a_plain_hmac_is_taken_too(shop: Tracked) -> None:
    reports = [
        {"kind": "stop", "phone": "+491", "id": 7},
        {"kind": "undeliverable", "phone": "+492", "id": 8},
    ]
    data = json.dumps({"events": reports}).encode()
    signature = hmac.new(PLAIN.encode(), data, hashlib.sha256).hexdigest()

    def post(value: str, body: bytes = data) -> int:
        headers = {"x-gate-signature": value, "content-type": "application/json"}
        path = "/v1/callbacks/gate"
        return shop.ask("POST", path, key=False, content=body, headers=headers).status_code

    assert post(signature) == 401
    assert post(f"sha256={signature}", data + b" ") == 401
    assert post(f"sha256={'0' * 64}") == 401
    assert post(f"sha256={signature}") == 200
    assert asked(shop, "+491", "sms") == {"suppressed": True, "reason": "unsubscribed"}
    assert asked(shop, "+492", "sms") == {"suppressed": True, "reason": "bounce"}


def test_the_tenant_is_told_where_callbacks_go(shop: Tracked) -> None:
    found = shop.ask("GET", "/v1/tracking").json()
    assert found["public_url"] == PUBLIC
    assert found["settings"]["channels"] == ["email", "sms"]
    places = {each["name"]: each["path"] for each in found["callbacks"]}
    assert places.keys() == {"mailer", "gate"}
    name = places["mailer"].rpartition("/")[2]
    assert callback(shop, {"type": "none"}, name=name).json() == {"reports": 0}


def test_what_came_back_is_counted(shop: Tracked) -> None:
    text = shop.ask("GET", "/metrics").text
    assert 'headrace_message_events_total{event="email_clicked",outcome="stored"}' in text


def test_no_mark_and_no_address_stands_in_what_the_service_keeps(shop: Tracked) -> None:
    mail, _ = mailed(shop, "canary77")
    shop.ask("POST", mail["unsubscribe"].removeprefix(PUBLIC), key=False)
    assert b"canary77" not in (shop.folder / "suppressions").read_bytes()
