"""Scenario 38, links: what is sealed or signed for one tenant means nothing to another."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.relay.marks import load_key
from tracked import FLOW, LINKS, PUBLIC, SCHEMA, SECRET, TEMPLATE, Tracked, links_of, tracked, until

OTHER = "whsec_" + base64.b64encode(b"another secret of b's").decode()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tracked, str, Path]]:
    """A tenant, and `acme` beside it, of the same flow and customers; acme's key and folder."""
    with tracked(tmp_path_factory.mktemp("two")) as shop:
        made = shop.ask("POST", "/v1/tenants", json={"id": "acme", "name": "Acme"})
        assert made.status_code == 201, made.text
        key = made.json()["key"]["secret"]
        folder = shop.service.tenants.folder("acme")
        shown = shop.ask("GET", "/v1/tracking", key=False, headers=bearer(key))
        assert shown.json()["suppressed"] == 0
        assert load_key(folder, make=False) is not None
        (folder / "templates").mkdir(exist_ok=True)
        (folder / "templates" / "greet.yaml").write_text(TEMPLATE)
        (folder / "links.yaml").write_text(LINKS)
        engine = shop.service.engine("acme")
        engine.set_schema(SCHEMA)
        engine.publish(FLOW)
        shop.send("ada")
        engine.send([{"customer": "ada", "set": {"email": "ada@x.test", "name": "ada"}}])
        yield shop, key, folder


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def asked(shop: Tracked, key: str, address: str) -> bool:
    told = {"channel": "email", "address": address}
    answer = shop.ask("POST", "/v1/suppressions/check", key=False, json=told, headers=bearer(key))
    found: bool = answer.json()["suppressed"]
    return found


def report(shop: Tracked, name: str, body: Any, secret: str = SECRET) -> int:
    data = json.dumps(body).encode()
    stamp = str(shop.service.now_ms() // 1_000)
    signed = hmac.digest(
        base64.b64decode(secret.removeprefix("whsec_")), f"m1.{stamp}.".encode() + data, "sha256"
    )
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "content-type": "application/json",
    }
    path = f"/v1/callbacks/{name}"
    return shop.ask("POST", path, key=False, content=data, headers=headers).status_code


def test_clicks_and_unsubscriptions_reach_the_tenant_whose_key_sealed_them(
    two: tuple[Tracked, str, Path],
) -> None:
    shop, key, folder = two
    mail = next(m for m in shop.messages(2) if "html" in m)
    shop.later(5_000)
    shop.open(links_of(mail, "r")[0])
    leave = mail["unsubscribe"].removeprefix(PUBLIC)
    assert shop.ask("POST", leave, key=False).status_code == 200
    shop.later(3_000)
    until(lambda: len(shop.events("ada")) == 2)
    acme = shop.service.engine("acme")
    known = acme.job(acme.partition_of("ada"), "known_of", "ada")
    assert known["events"] == []
    assert asked(shop, shop.service.first_key, "ada@x.test") is True
    assert asked(shop, key, "ada@x.test") is False
    # The same fields under acme's key are acme's message, and no event of the first tenant.
    own, theirs = load_key(shop.folder), load_key(folder)
    assert own is not None
    assert theirs is not None
    mark = own.open(links_of(mail, "r")[0].rpartition("/")[2])
    assert mark is not None
    shop.open(f"{PUBLIC}/r/{theirs.seal(mark)}")
    shop.later(3_000)
    until(lambda: len(acme.job(acme.partition_of("ada"), "known_of", "ada")["events"]) == 1)
    assert len(shop.events("ada")) == 2


def test_a_callback_is_one_tenants_alone(
    two: tuple[Tracked, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, key, folder = two
    number = shop.ask("GET", "/v1/tracking", key=False, headers=bearer(key)).json()["callbacks"][0]
    name = number["path"].rpartition("/")[2]
    monkeypatch.setenv("HR_TEST_ACME", OTHER)
    (folder / "links.yaml").write_text(LINKS.replace("HR_TEST_CALLBACK", "HR_TEST_ACME"))
    body = {"type": "email.bounced", "data": {"to": ["bob@x.test"]}}
    assert report(shop, name, body, SECRET) == 401
    assert report(shop, "mailer", body, OTHER) == 401
    assert report(shop, name, body, OTHER) == 200
    assert asked(shop, key, "bob@x.test") is True
    assert asked(shop, shop.service.first_key, "bob@x.test") is False
    # What another tenant sealed is nobody's message here.
    mail = next(m for m in shop.messages(2) if "html" in m)
    marked = {"type": "email.complained", "data": {"tags": {"mark": mail["mark"]}, "to": []}}
    assert report(shop, name, marked, OTHER) == 200
    assert asked(shop, key, "ada@x.test") is False


def test_a_tenant_that_is_suspended_has_links_that_lead_on(
    two: tuple[Tracked, str, Path],
) -> None:
    shop, _, folder = two
    theirs, own = load_key(folder), load_key(shop.folder)
    assert theirs is not None
    assert own is not None
    mail = next(m for m in shop.messages(2) if "html" in m)
    mark = own.open(links_of(mail, "r")[1].rpartition("/")[2])
    assert mark is not None
    link = f"{PUBLIC}/r/{theirs.seal(mark)}"
    assert shop.ask("POST", "/v1/tenants/acme/suspend").status_code == 200
    assert shop.open(link).headers["location"] == "https://shop.test/shoes"
