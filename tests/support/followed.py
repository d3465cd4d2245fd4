"""Runs a partition with a clock of its own, and follows its journal in the same process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.flow_answers import FlowAnswers
from actors.live.follower import Follower, follow
from actors.live.partition import LivePartition
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000  # 2026-01-01, a Thursday
HOUR_MS = 3_600_000
SCHEMA = {
    "attributes": {"plan": {"type": "string"}},
    "events": {"go": {"properties": {"page": "string"}}, "click": {"properties": {}}},
}
SETTINGS = TenantSettings("shop", zone="UTC", schema=SCHEMA)
INSTANCE = "i" * 32
END = {"type": "end"}
CLICKED: dict[str, Any] = {
    "start": {"type": "on_event", "event": "go", "next": "mail"},
    "mail": {"type": "send", "channel": "email", "template": "hello", "next": "wait"},
    "wait": {
        "type": "wait_event",
        "event": "click",
        "timeout": "2 hours",
        "next": {"event": "text", "timeout": "done"},
    },
    "text": {"type": "send", "channel": "sms", "template": "thanks", "next": "done"},
    "done": END,
}
"""A mail, then within two hours a click and a text message, or nothing."""
FUNNEL = [{"name": "Written to", "nodes": ["mail"]}, {"name": "Clicked", "nodes": ["text"]}]
AGAIN = {"reentry": {"policy": "after_exit"}, "funnel": FUNNEL}


def document(nodes: dict[str, Any] | None = None, flow: str = "f", **settings: Any) -> str:
    """A flow's text; that of CLICKED, open to all again, unless stated."""
    said = {"headrace": 1, "flow": flow, "nodes": nodes or CLICKED}
    return json.dumps({**said, "settings": {**AGAIN, **settings} if nodes is None else settings})


class Followed:
    """A partition, and a follower that can end and begin again."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.now_ms, self.batches = folder, T0, 0
        self.partition = LivePartition.open(folder / "p", SETTINGS, create=True, **options)
        self.follower: Follower | None = None

    def rows(self, *rows: dict[str, Any]) -> None:
        """Take rows in now."""
        self.batches += 1
        decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=b"%d" % self.batches)
        assert decoded.rejects == []
        self.partition.take([decoded.frame], self.now_ms)

    def events(self, event: str, *customers: str) -> None:
        """Let an event happen to customers now."""
        self.rows(*({"customer": customer, "event": event} for customer in customers))

    def command(self, kind: str, **said: Any) -> None:
        """Carry a command out now."""
        command = {"kind": kind, "at_ms": self.now_ms, **said}
        self.partition.command(self.partition.control_sequence + 1, command)

    def publish(self, version: int = 1, in_flight: str = "pin", text: str | None = None) -> None:
        """Publish a version of the flow f."""
        self.command(
            "publish", flow="f", version=version, document=text or document(), in_flight=in_flight
        )

    def erase(self, *customers: str) -> None:
        """Erase customers now."""
        self.command("erase", hashes=[hash_customer(each) for each in customers])

    def pass_ms(self, ms: int) -> None:
        """Let time pass, and fire what is due then."""
        self.now_ms += ms
        while self.partition.tick(self.now_ms):
            pass

    def follow(self, instance: str = INSTANCE) -> FlowAnswers:
        """Go on following, or begin; answers of what there is."""
        if self.follower is None:
            own = self.folder / "reports"
            self.follower = follow(self.partition.store, own, SETTINGS, instance)
        return FlowAnswers([self.follower])

    def ask(self, question: str, **said: Any) -> dict[str, Any]:
        """The answer to a question of the flow f."""
        return self.follow().ask(question, said if question == "find" else {"flow": "f", **said})

    def listed(self, node: int | None = None, port: int | None = None, version: int = 1) -> Any:
        """Who is on a list, and how many are not any more."""
        found = self.ask("people", version=version, node=node, port=port, after="", limit=100)
        return [item["customer"] for item in found["items"]], found["erased"]

    def steps(self, customer: str, version: int = 1) -> list[tuple[int, int, str, str]]:
        """A customer's steps: ms since T0, entry, node, port."""
        found = self.ask("path", version=version, customer=customer)["steps"]
        return [(s["at_ms"] - T0, s["entry"], s["node"], s["port"]) for s in found]

    def rest(self, *, save: bool = False) -> None:
        """End following, having saved a snapshot or, as a process that is killed, not."""
        if self.follower is not None:
            if save:
                self.follower.save()
            self.follower.close()
            self.follower = None

    def close(self) -> None:
        """End."""
        self.rest()
        self.partition.close()


@contextmanager
def followed(folder: Path, **options: Any) -> Iterator[Followed]:
    """A partition in a new folder, followed."""
    found = Followed(folder, **options)
    try:
        yield found
    finally:
        found.close()
