"""Serves a tenant whose messages come back: a flow, a template with links, and a public address."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from actors.service.service import Service
from api.http.app import create_app
from api.http.serving import Address, HttpServer
from waiting import PATIENCE_S, until

PUBLIC = "https://links.test"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PLAIN = "a plain secret"
PERSON = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
}
SCHEMA: dict[str, Any] = {
    "attributes": {
        "email": {"type": "string", "personal": True},
        "phone": {"type": "string", "personal": True},
        "name": {"type": "string", "personal": True},
    },
    "events": {"signup": {}},
}
FLOW = """
headrace: 1
flow: hello
settings: {reentry: {policy: always}}
nodes:
  start: {type: on_event, event: signup, next: greet}
  greet: {type: send_email, template: greet, next: text}
  text: {type: send, channel: sms, template: greet, next: w}
  w:
    type: wait_email_clicked
    message: greet
    link: sale
    timeout: 30 days
    where: {property: machine, is: false}
    next: {event: clicked, timeout: x}
  clicked: {type: add_tag, tag: clicked, next: x}
  x: {type: end}
"""
TEMPLATE = """
channels:
  email:
    address: email
    parts:
      subject: Hello {{ name }}
      text: "See https://shop.test/sale?who={{ name }} or leave: {{ unsubscribe_url }}"
      html: >-
        <p><a href="https://shop.test/sale?who={{ name }}&amp;b=1" data-link="sale">Sale</a>
        <a href="https://shop.test/shoes">Shoes</a> <a href="https://shop.test/hats">Hats</a>
        <a data-no-track href="https://shop.test/plain">x</a> <a href="mailto:a@shop.test">m</a>
        <a href="{{ preferences_url }}">choose</a></p>
  sms: {address: phone, parts: {body: "Sale: https://shop.test/s"}}
"""
LINKS = """
public_url: https://links.test/
channels: [email, sms]
callbacks:
  mailer:
    secrets: [{env: HR_TEST_CALLBACK}]
    kinds: {email.bounced: bounce, email.deferred: soft_bounce, email.complained: complaint}
    mark: data.tags.mark
    address: data.to.0
  gate:
    scheme: hmac
    header: x-gate-signature
    prefix: sha256=
    secrets: [{env: HR_TEST_PLAIN}]
    channel: sms
    reports: events
    kind: kind
    kinds: {stop: unsubscribed, undeliverable: bounce}
    address: phone
    id: id
"""
HOSTING = Hosting(inline=True, shards=1, options=ShardOptions(marks=Marks(disk_full=1.1)))


class Tracked:
    """A service of one tenant and a client without a key; `clock` moves its time."""

    def __init__(
        self, folder: Path, service: Service, engine: Engine, client: httpx.Client
    ) -> None:
        self.folder = folder
        self.service = service
        self.engine = engine
        self.client = client
        self.shift_ms = 0

    def ask(self, method: str, path: str, *, key: bool = True, **more: Any) -> httpx.Response:
        """Ask with the admin key, or with none."""
        told = {"Authorization": f"Bearer {self.service.first_key}"} if key else {}
        headers = {**told, **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def open(self, url: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Follow an address of a message as a person would, or with other headers."""
        path = url.removeprefix(PUBLIC)
        return self.client.request(
            method, path, headers={**PERSON, **headers}, follow_redirects=False
        )

    def send(self, *customers: str) -> None:
        """Have customers enter the flow."""
        known = [
            {"customer": c, "set": {"email": f"{c}@x.test", "phone": f"+49{c}", "name": c}}
            for c in customers
        ]
        self.engine.send(known)
        entering = f"{time.time_ns()}"
        self.engine.send(
            [{"customer": c, "event": "signup", "message_id": f"{c}{entering}"} for c in customers]
        )

    def sent(self) -> list[dict[str, Any]]:
        """All messages that left."""
        paths = sorted((self.folder / "outgoing").glob("*.jsonl"))
        lines = [line for path in paths for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def messages(self, count: int) -> list[dict[str, Any]]:
        """The messages that left, once there are so many."""
        until(lambda: len(self.sent()) >= count)
        return self.sent()

    def events(self, customer: str) -> list[dict[str, Any]]:
        """What is known that a customer did, besides entering and what relays told."""
        number = self.engine.partition_of(customer)
        known = self.engine.job(number, "known_of", customer)
        ours = [e for e in known["events"] if e["event"] != "signup"]
        return [e for e in ours if "handed_over" not in e["event"]]

    def changed(self, customer: str) -> dict[str, Any]:
        """What of a customer's record was changed last."""
        number = self.engine.partition_of(customer)
        found: dict[str, Any] = self.engine.job(number, "known_of", customer)["changes"][-1]["set"]
        return found

    def later(self, ms: int) -> None:
        """Move the service's time on."""
        self.shift_ms += ms


def links_of(message: dict[str, Any], way: str, part: str = "html") -> list[str]:
    """The addresses of ours in a message: `r` links, `u` subscriptions, `o` the pixel."""
    return re.findall(rf"{PUBLIC}/{way}/[A-Za-z0-9_.-]+", message[part])


@contextmanager
def tracked(folder: Path, links: str = LINKS) -> Iterator[Tracked]:
    """A service in a new folder."""
    (folder / "templates").mkdir(parents=True)
    start_engine(folder / "d", Making(partitions=2), HOSTING).close()
    folder = folder / "d"
    (folder / "templates").mkdir()
    (folder / "templates" / "greet.yaml").write_text(TEMPLATE)
    (folder / "links.yaml").write_text(links)
    os.environ["HR_TEST_CALLBACK"], os.environ["HR_TEST_PLAIN"] = SECRET, PLAIN
    holder: list[Tracked] = []

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + (holder[0].shift_ms if holder else 0)

    engine = start_engine(folder, None, HOSTING)
    with engine, Service.open(folder, engine, hosting=HOSTING, now_ms=now_ms) as service:
        engine.set_schema(SCHEMA)
        engine.publish(FLOW)
        with (
            HttpServer(create_app(service), Address("127.0.0.1", 0)) as server,
            httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client,
        ):
            holder.append(Tracked(folder, service, engine, client))
            yield holder[0]
