"""Messages that wait for a person, by HTTP: listed, sent again once mended, discarded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from http_service import served
from http_shop import MAIL, Shop, mailing
from waiting import until

HOOK = {"kind": "file", "channels": ["sms"], "file": "texts"}
EMAIL = {"kind": "file", "channels": ["email"], "file": "mails"}
PATH = "/v1/dead-letters"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A tenant whose flow mails, and who has no provider for mail."""
    with served(tmp_path / "data", relays=True) as service:
        found = Shop(service)
        found.done("PUT", "/v1/providers/texts", HOOK)
        # The default took mail until somebody said otherwise.
        providers = service.engine.path / "providers.yaml"
        providers.write_text(
            "headrace_providers: 1\nproviders:\n  texts: {kind: file, channels: [sms], file: t}\n"
        )
        for number in range(service.engine.partitions):
            service.engine.job(number, "renew_relay")
        found.done("PUT", "/v1/content/hello", MAIL)
        service.engine.publish(mailing("hi"))
        service.engine.send(
            [
                {"customer": f"c{i}", "set": {"email": f"c{i}@x.test", "first_name": "Ada"}}
                for i in range(6)
            ]
        )
        service.engine.send([{"customer": f"c{i}", "event": "signup"} for i in range(6)])
        until(lambda: len(listed(found)) == 6, "letters")
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


def mails(shop: Shop) -> list[dict[str, Any]]:
    files = sorted((shop.served.engine.path / "outgoing").glob("mails-0*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def mend(shop: Shop) -> None:
    shop.done("PUT", "/v1/providers/mails", EMAIL)


def test_who_may_see_customers_is_told_whose_they_are(shop: Shop) -> None:
    found = listed(shop)
    assert len({each["id"] for each in found}) == 6
    assert sorted(each["customer"] for each in found) == [f"c{i}" for i in range(6)]
    assert {(e["reason"], e["state"], e["provider"], e["flow"], e["channel"]) for e in found} == {
        ("no_provider", "dead", "unrouted", "hi", "email")
    }
    one = shop.done("GET", f"{PATH}/{found[0]['id']}")
    assert one == found[0]
    viewer = shop.role("viewer")
    assert all("customer" not in each for each in listed(viewer))
    assert "customer" not in viewer.done("GET", f"{PATH}/{found[0]['id']}")
    assert shop.problem("GET", f"{PATH}/000.unrouted.none")[0] == 404
    assert shop.problem("GET", f"{PATH}/999.unrouted.{found[0]['key']}")[0] == 404


def test_filters_tell_letters_apart(shop: Shop) -> None:
    assert len(listed(shop, "&reason=no_provider&state=dead&flow=hi")) == 6
    for query in ("&reason=http_400", "&state=ambiguous", "&channel=sms", "&provider=mails"):
        assert listed(shop, query) == []
    assert shop.problem("GET", f"{PATH}?state=odd")[0] == 422


def test_one_that_is_sent_again_goes_by_the_provider_of_now_and_once(shop: Shop) -> None:
    chosen = listed(shop)[0]
    mend(shop)
    told = shop.done("POST", f"{PATH}/{chosen['id']}/redrive", {})
    assert told == {"count": 1, "more": False}
    until(lambda: len(mails(shop)) == 1, "the mail")
    assert mails(shop)[0]["key"] == chosen["key"]
    assert shop.problem("POST", f"{PATH}/{chosen['id']}/redrive", {})[0] == 404
    assert len(listed(shop)) == 5
    assert shop.actions().count("dead_letter.redrive") == 1


def test_before_it_is_mended_it_comes_back(shop: Shop) -> None:
    chosen = listed(shop)[0]
    shop.done("POST", f"{PATH}/{chosen['id']}/redrive", {})
    until(lambda: len(listed(shop)) == 6, "the letter")
    assert mails(shop) == []


def test_all_that_fit_are_sent_again_up_to_a_limit(shop: Shop) -> None:
    mend(shop)
    body = {"then": "redrive", "reason": "no_provider", "limit": 4}
    headers = {"Idempotency-Key": "again-1"}
    first = shop.done("POST", PATH, body, headers=headers)
    assert first == {"count": 4, "more": True}
    assert shop.done("POST", PATH, body, headers=headers) == first
    assert shop.done("POST", PATH, body) == {"count": 2, "more": False}
    assert shop.done("POST", PATH, body) == {"count": 0, "more": False}
    until(lambda: len(mails(shop)) == 6, "mails")
    assert len({each["key"] for each in mails(shop)}) == 6
    assert listed(shop) == []


def test_those_discarded_are_never_sent(shop: Shop) -> None:
    chosen = listed(shop)[0]
    assert shop.done("DELETE", f"{PATH}/{chosen['id']}") is None
    assert shop.problem("DELETE", f"{PATH}/{chosen['id']}")[0] == 404
    assert shop.done("POST", PATH, {"then": "discard", "flow": "hi"})["count"] == 5
    mend(shop)
    assert shop.done("POST", PATH, {"then": "redrive"}) == {"count": 0, "more": False}
    assert mails(shop) == []
    assert shop.actions().count("dead_letter.discard") == 2


def test_an_editor_sees_letters_and_decides_nothing(shop: Shop) -> None:
    editor = shop.role("editor")
    chosen = listed(editor)[0]
    for method, path, body in (
        ("POST", PATH, {"then": "redrive"}),
        ("POST", f"{PATH}/{chosen['id']}/redrive", {}),
        ("DELETE", f"{PATH}/{chosen['id']}", None),
    ):
        assert editor.problem(method, path, body)[0] == 403
    assert len(listed(shop)) == 6
    for wrong in (
        {},
        {"then": "send"},
        {"then": "discard", "limit": 0},
        {"then": "redrive", "x": 1},
    ):
        assert shop.problem("POST", PATH, wrong)[0] == 422
