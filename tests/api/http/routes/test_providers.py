"""Providers, whose secrets come in and never out, and channels that are switched off."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.starting import Hosting, start_engine
from actors.relay.settings import known_secrets, load_providers
from http_service import SCHEMA, served
from http_shop import MAIL, Shop, mailing
from scanning import hits
from waiting import until

GATE: dict[str, Any] = {
    "kind": "http_provider",
    "channels": ["sms"],
    "url": "https://gate.example.com/v1/{{ to }}",
    "headers": {"authorization": "Bearer {{ gate_key }}"},
    "secrets": {"gate_key": {"value": "canary-secret-0001"}},
    "body": {"to": "{{ to }}", "text": "{{ body }}"},
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with served(tmp_path / "data", relays=True) as found:
        yield Shop(found)


def lines(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "outgoing").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def editor_of_tenant(shop: Shop) -> Shop:
    """The admin of another tenant, who does not run the machine."""
    made = shop.done("POST", "/v1/tenants", {"id": "acme", "name": "Acme"})
    return Shop(shop.served, made["key"]["secret"])


def test_secrets_are_stored_encrypted_and_shown_no_more(shop: Shop) -> None:
    folder = shop.served.engine.path
    put = shop.done("PUT", "/v1/providers/gate", GATE)
    name = put["settings"]["secrets"]["gate_key"]["stored"]
    assert put["settings"]["secrets"] == {"gate_key": {"stored": name}}
    found = shop.done("GET", "/v1/providers/gate")
    assert found["settings"]["url"] == GATE["url"]
    assert known_secrets(folder, {})[f"stored:{name}"] == "canary-secret-0001"
    assert hits(folder, [b"canary-secret-0001"]) == {}
    assert stat.S_IMODE((folder / "secrets.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    # The channel that it does not take stays with the default.
    channels = {each["channel"]: each for each in shop.done("GET", "/v1/channels")["items"]}
    assert (channels["sms"]["provider"], channels["email"]["provider"]) == ("gate", "file")
    assert "canary" not in json.dumps(shop.done("GET", "/v1/providers"))
    # As it was read it can be put back; a new value takes the place of the old one.
    kept = {**found["settings"], "concurrency": 4}
    match = {"If-Match": found["revision"]}
    assert shop.done("PUT", "/v1/providers/gate", kept, headers=match)["settings"] == kept
    assert shop.problem("PUT", "/v1/providers/gate", kept, headers=match)[0] == 409
    other = {**kept, "secrets": {"gate_key": {"value": "canary-secret-0002"}}}
    shop.done("PUT", "/v1/providers/gate", other)
    assert list(known_secrets(folder, {}).values()) == ["canary-secret-0002"]
    shop.done("DELETE", "/v1/providers/gate")
    assert known_secrets(folder, {}) == {}
    assert shop.problem("GET", "/v1/providers/gate")[0] == 404
    assert shop.actions("provider.")[-1] == "provider.delete"


def test_a_secret_does_not_go_elsewhere(shop: Shop) -> None:
    shop.done("PUT", "/v1/providers/gate", GATE)
    kept = shop.done("GET", "/v1/providers/gate")["settings"]
    status, problem = shop.problem(
        "PUT", "/v1/providers/gate", {**kept, "url": "https://evil.example.net/{{ to }}"}
    )
    assert (status, problem["pointer"]) == (422, "/secrets")
    stolen = {**GATE, "channels": ["push"], "secrets": kept["secrets"]}
    assert shop.problem("PUT", "/v1/providers/thief", stolen)[0] == 422


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "https://127.0.0.1/x"}, "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/x"}, "/url"),
        ({"url": "https://metadata.internal/{{ to }}"}, "/url"),
        ({"url": "http://gate.example.com/x"}, "/url"),
        ({"url": "https://gate.example.com:22/x"}, "/url"),
        ({"url": "https://0x7f.1/x"}, "/url"),
        ({"allow_networks": ["10.0.0.0/8"]}, "/allow_networks"),
        ({"secrets": {"gate_key": {"env": "PATH"}}}, "/secrets"),
        ({"ports": [443, 6379]}, "/ports"),
    ],
)
def test_scenario_37_a_tenant_can_not_reach_inside(
    shop: Shop, change: dict[str, Any], pointer: str
) -> None:
    acme = editor_of_tenant(shop)
    status, problem = acme.problem("PUT", "/v1/providers/gate", {**GATE, **change})
    assert (status, problem["pointer"]) == (422, pointer)
    mail = {"kind": "smtp", "channels": ["email"], "sender": "a@x.example"}
    for host in ("127.0.0.1", "localhost", "mx.internal", "0x7f.1", "[::1]", "::ffff:10.0.0.1"):
        status, problem = acme.problem("PUT", "/v1/providers/mail", {**mail, "host": host})
        assert (status, problem["pointer"]) == (422, "/host"), host
    for port in (22, 80, 6379):
        other = {**mail, "host": "mx.example.com", "port": port}
        status, problem = acme.problem("PUT", "/v1/providers/mail", other)
        assert (status, problem["pointer"]) == (422, "/port")
    opened = {**mail, "host": "mx.example.com", "allow_networks": ["10.0.0.0/8"]}
    status, problem = acme.problem("PUT", "/v1/providers/mail", opened)
    assert (status, problem["pointer"]) == (422, "/allow_networks")
    assert [each["name"] for each in acme.done("GET", "/v1/providers")["items"]] == ["file"]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"kind": "pigeon"}, 422, ""),
        ({"channels": []}, 422, "/channels"),
        ({"channels": ["fax"]}, 422, "/channels/0"),
        ({"moon": 1}, 422, "/moon"),
        ({"secrets": {"gate_key": "plain"}}, 422, "/secrets/gate_key"),
        ({"secrets": {"gate_key": {"value": ""}}}, 422, "/secrets/gate_key"),
        ({"url": "https://{% for %}"}, 422, ""),
    ],
)
def test_wrong_settings_are_told(
    shop: Shop, change: dict[str, Any], status: int, pointer: str
) -> None:
    found, problem = shop.problem("PUT", "/v1/providers/gate", {**GATE, **change})
    assert (found, problem.get("pointer", "")) == (status, pointer)
    assert "plain" not in json.dumps(problem)


def test_a_provider_that_flows_send_by_stays(shop: Shop) -> None:
    shop.done("PUT", "/v1/content/hello", MAIL)
    shop.done("PUT", "/v1/providers/letters", {"kind": "file", "channels": ["email"], "file": "l"})
    shop.served.engine.publish(mailing("greet"))
    status, problem = shop.problem("DELETE", "/v1/providers/letters")
    assert (status, problem["used_by"]) == (409, {"flows": ["greet"]})
    status, problem = shop.problem(
        "PUT", "/v1/providers/other", {"kind": "file", "channels": ["email"], "file": "o"}
    )
    assert (status, problem["code"]) == (409, "conflict")
    viewer = shop.role("publisher")
    assert viewer.problem("GET", "/v1/providers")[0] == 403


def sign_up(shop: Shop, *names: str) -> None:
    for name in names:
        change = {"set": {"email": f"{name}@x.example", "first_name": name}}
        shop.done("PUT", f"/v1/customers/{name}", change)
    shop.served.engine.send([{"customer": name, "event": "signup"} for name in names])


def test_a_relay_goes_on_with_new_providers_at_once(shop: Shop) -> None:
    folder = shop.served.engine.path
    shop.done("PUT", "/v1/content/hello", MAIL)
    shop.served.engine.publish(mailing("greet"))
    sign_up(shop, "anna")
    until(lambda: lines(folder))
    shop.done("PUT", "/v1/providers/letters", {"kind": "file", "channels": ["email"], "file": "l"})
    sign_up(shop, "bert")
    until(lambda: len(lines(folder)) == 2)
    assert {path.name.partition("-")[0] for path in (folder / "outgoing").glob("l*")} == {"l"}


@pytest.mark.parametrize("messages", ["wait", "drop"])
def test_a_kill_switch_works_at_once_and_after_a_restart(tmp_path: Path, messages: str) -> None:
    folder = tmp_path / "data"
    with served(folder, relays=True) as found:
        shop = Shop(found)
        shop.done("PUT", "/v1/content/hello", MAIL)
        found.engine.publish(mailing("greet"))
        sign_up(shop, "anna")
        until(lambda: len(lines(folder)) == 1)
        off = shop.done("PUT", "/v1/channels/email", {"state": "off", "messages": messages})
        assert (off["state"], off["messages"]) == ("off", messages)
        sign_up(shop, "bert", "carl")
        test = {"customer": "anna", "channel": "email", "address": "me@x.example"}
        status, problem = shop.problem("POST", "/v1/content/hello/test", test)
        assert (status, problem["code"]) == (409, "channel-off")
        assert shop.role("editor").problem("PUT", "/v1/channels/email", {"state": "on"})[0] == 403
        assert shop.actions().count("channel.off") == 1
    with start_engine(folder, None, Hosting(inline=True, shards=1)) as engine:
        engine.send([{"customer": "anna", "event": "signup"}])
        if messages == "drop":
            names = [("bert", "message_skipped"), ("carl", "message_skipped")]
            until(lambda: [n for n, e in names if e in events(engine, n)] == ["bert", "carl"])
            until(lambda: "message_skipped" in events(engine, "anna"))
        assert [line["to"] for line in lines(folder)] == ["anna@x.example"]
    assert load_providers(folder).providers.keys() == {"file"}
    (folder / "switches.json").unlink()
    with start_engine(folder, None, Hosting(inline=True, shards=1)) as engine:
        engine.send([{"customer": "bert", "event": "signup"}])
        expected = 2 if messages == "drop" else 5
        until(lambda: len(lines(folder)) == expected)
        told = sorted(line["to"].partition("@")[0] for line in lines(folder))
        waited = (
            ["anna", "bert"] if messages == "drop" else ["anna", "anna", "bert", "bert", "carl"]
        )
        assert told == waited


def test_a_kill_switch_is_a_tenants_own(shop: Shop) -> None:
    acme = editor_of_tenant(shop)
    acme.done("PUT", "/v1/schema", SCHEMA)
    engines = {shop: shop.served.engine.engine, acme: shop.served.service.engine("acme")}

    def sign_up_with(each: Shop, name: str) -> None:
        change = {"set": {"email": f"{name}@x.example", "first_name": name}}
        each.done("PUT", f"/v1/customers/{name}", change)
        engines[each].send([{"customer": name, "event": "signup"}])

    for each, engine in engines.items():
        each.done("PUT", "/v1/content/hello", MAIL)
        engine.publish(mailing("greet"))
    acme.done("PUT", "/v1/channels/email", {"state": "off", "messages": "wait"})
    states = {c["channel"]: c["state"] for c in shop.done("GET", "/v1/channels")["items"]}
    assert states["email"] == "on"
    sign_up_with(acme, "bert")
    sign_up_with(shop, "anna")
    until(lambda: len(lines(engines[shop].path)) == 1)
    assert lines(engines[acme].path) == []
    shop.done("PUT", "/v1/channels/email", {"state": "off", "messages": "wait"})
    acme.done("PUT", "/v1/channels/email", {"state": "on"})
    sign_up_with(shop, "carl")
    (line,) = until(lambda: lines(engines[acme].path))
    assert line["to"] == "bert@x.example"
    assert [line["to"] for line in lines(engines[shop].path)] == ["anna@x.example"]


def events(engine: Any, customer: str) -> list[str]:
    """The events of a customer, by the journal."""
    found = engine.job(engine.partition_of(customer), "known_of", customer)
    return [event["event"] for event in found["events"]]


def test_a_switch_of_a_channel_that_is_none_is_refused(shop: Shop) -> None:
    assert shop.problem("PUT", "/v1/channels/fax", {"state": "off"})[0] == 422
    assert shop.problem("PUT", "/v1/channels/email", {"state": "maybe"})[0] == 422
    on = shop.done("PUT", "/v1/channels/email", {"state": "on"})
    assert on == {"channel": "email", "provider": "file", "state": "on"}
