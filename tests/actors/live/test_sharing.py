"""Tests of `actors.live.sharing`: what one flow sends or changes reaches the other flows, once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.intake.rows import decode_rows
from actors.live import version as version_module
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.live.sharing import SHARE_ROUNDS
from actors.live.version import REPORTED
from actors.relay.effect_block import decode_effects
from core.duration import DAY_MS
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000
HOUR_MS = 3_600_000
SCHEMA = {
    "attributes": {"age": {"type": "int64"}},
    "events": {
        "go": {},
        "other": {},
        REPORTED: {
            "properties": {
                "channel": "string", "template": "string", "node": "string", "flow": "string",
                "delay_ms": "int64",
            }
        },
    },
}  # fmt: skip
SETTINGS = TenantSettings("shop", zone="UTC", schema=SCHEMA)
ALWAYS = {"reentry": {"policy": "always"}}
END = {"type": "end"}
Nodes = dict[str, Any]


def on(event: str, following: str, **where: Any) -> dict[str, Any]:
    filtered = {"where": where["where"]} if where else {}
    return {"type": "on_event", "event": event, "next": following, **filtered}


def send(template: str, following: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "send", "channel": "email", "template": template, "next": following, **more}


def from_flow(flow: str) -> dict[str, Any]:
    return {"property": "flow", "is": flow}


CAP = [{"reason": "capped", "if": {"did": "message_sent", "at_least": 1, "within": "1 day"}}]
ASKS: Nodes = {"t": on("go", "mail"), "mail": send("a"), "x": END}
HEARS: Nodes = {"t": on("message_sent", "mail", where=from_flow("a")), "mail": send("b"), "x": END}


class Shop:
    """A partition with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_ms, self.batches = folder, T0, 0
        self.live = LivePartition.open(folder, SETTINGS, create=True)

    def rows(self, *rows: dict[str, Any]) -> None:
        self.batches += 1
        decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=b"%d" % self.batches)
        assert decoded.rejects == []
        self.live.take([decoded.frame], self.now_ms)

    def event(self, customer: str, event: str = "go", **properties: Any) -> None:
        self.rows({"customer": customer, "event": event, "properties": properties})

    def command(self, kind: str, **said: Any) -> None:
        command = {"kind": kind, "at_ms": self.now_ms, **said}
        self.live.prepare(command)
        self.live.command(self.live.control_sequence + 1, command)

    def publish(self, flow: str, nodes: Nodes, version: int = 1, **more: Any) -> None:
        in_flight = more.pop("in_flight", "pin")
        document = {"headrace": 1, "flow": flow, "nodes": nodes, "settings": ALWAYS, **more}
        self.command(
            "publish", flow=flow, version=version, document=json.dumps(document),
            in_flight=in_flight,
        )  # fmt: skip

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms
        while self.live.tick(self.now_ms):
            pass

    def sent(self) -> list[tuple[str, str]]:
        """Flow and template of each message so far, in the order of the outbox."""
        return [(effect.flow, effect.template) for effect in self.effects()]

    def effects(self) -> list[Any]:
        return [
            effect
            for _, blocks in self.live.store.outbox()
            for block in blocks
            for effect in decode_effects(block)
        ]

    def reopen(self, snapshot: bool = False) -> None:
        while snapshot and self.live.snapshot(now=True):
            pass
        before = self.live.digest(), self.live.flows(), self.live.clock_ms
        self.live.close()
        self.live = LivePartition.open(self.folder, SETTINGS)
        assert (self.live.digest(), self.live.flows(), self.live.clock_ms) == before

    def entered(self, flow: str) -> int:
        return int(self.live.counts(flow).entered[0])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "p")
    yield made
    made.live.close()


@pytest.mark.parametrize("hearer_first", [False, True])
@pytest.mark.parametrize("snapshot", [False, True])
def test_a_message_of_one_flow_starts_another_once(
    shop: Shop, hearer_first: bool, snapshot: bool
) -> None:
    flows = [("a", ASKS), ("b", HEARS)]
    for name, nodes in reversed(flows) if hearer_first else flows:
        shop.publish(name, nodes)
    for n in range(5):
        shop.now_ms += 10
        shop.rows({"customer": "anna", "event": "go"}, {"customer": f"c{n}", "event": "go"})
        if n == 2:
            shop.reopen(snapshot)
    assert sorted(shop.sent()) == [("a", "a")] * 10 + [("b", "b")] * 10
    assert shop.entered("b") == 10
    # Each is an entry of its own identity, whatever the instant at which it is heard.
    assert len({(e.flow, e.customer, e.entry) for e in shop.effects()}) == 20
    shop.reopen(snapshot)
    shop.pass_ms(DAY_MS)
    assert len(shop.sent()) == 20


def test_a_note_of_one_flow_is_added_for_another(shop: Shop) -> None:
    note = {"type": "add_note", "note_text": "wants a loan", "next": "x"}
    shop.publish("a", {"t": on("go", "n"), "n": note, "x": END})
    starts = {"t": {"type": "on_note_added", "containing": "loan", "next": "mail"},
              "mail": send("b"), "x": END}  # fmt: skip
    shop.publish("b", starts)
    had = {"has_note": {"contains": "loan", "within": "1 day"}}
    asks = {"t": on("other", "q"), "x": END, "mail": send("c"),
            "q": {"type": "condition", "if": had, "next": {"yes": "mail", "no": "x"}}}  # fmt: skip
    shop.publish("c", asks)
    shop.publish("d", {"t": on("message_sent", "x", where=from_flow("a")), "x": END})
    shop.rows({"customer": "anna", "event": "go"}, {"customer": "bert", "event": "other"})
    shop.pass_ms(1_000)
    shop.event("anna", "other")
    assert sorted(shop.sent()) == [("a", "wants a loan"), ("b", "b"), ("c", "c")]
    assert (shop.entered("b"), shop.entered("d")) == (1, 0)
    shop.reopen()


def test_waits_exits_and_goals_hear_it(shop: Shop) -> None:
    shop.publish("a", {"t": on("other", "mail"), "mail": send("late"), "x": END})
    heard = {"event": "message_sent", "where": {"property": "template", "is": "late"}}
    waiting = {
        "t": on("go", "w"),
        "w": {"type": "wait_event", **heard, "timeout": "2 days",
              "next": {"event": "yes", "timeout": "no"}},
        "yes": send("yes"), "no": send("no"), "x": END,
    }  # fmt: skip
    resting = {"t": on("go", "w"), "w": {"type": "wait", "for": "3 days", "next": "m"},
               "m": send("m"), "x": END}  # fmt: skip
    shop.publish("waits", waiting)
    shop.publish("exits", resting, settings={**ALWAYS, "exit": [heard]})
    goal = {**heard, "within": "2 days"}
    shop.publish("aims", resting, settings={**ALWAYS, "goal": goal})
    shop.rows({"customer": "anna", "event": "go"}, {"customer": "bert", "event": "go"})
    shop.pass_ms(HOUR_MS)
    shop.event("anna", "other")
    shop.pass_ms(5 * DAY_MS)
    assert shop.sent() == [
        ("a", "late"), ("waits", "yes"), ("waits", "no"), ("exits", "m"), ("aims", "m"),
        ("aims", "m"),
    ]  # fmt: skip
    assert shop.live.counts("aims").watch_succeeded.tolist() == [1]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_cap_counts_the_messages_of_all_flows(shop: Shop, waiting: bool) -> None:
    def capped(flow: str) -> Nodes:
        return {
            "t": on("go", "w"),
            "w": {"type": "wait", "for": "1 hour" if waiting else "0 minutes", "next": "mail"},
            "mail": send(flow, guards=CAP),
            "x": END,
        }

    for flow in ("a", "b", "c"):
        shop.publish(flow, capped(flow))
    everybody = [f"c{n}" for n in range(20)]
    for _ in range(3):
        shop.rows(*({"customer": each, "event": "go"} for each in everybody))
        shop.pass_ms(2 * HOUR_MS)
    assert shop.sent() == [("a", "a")] * 20
    shop.reopen(snapshot=True)
    shop.rows(*({"customer": each, "event": "go"} for each in everybody))
    shop.pass_ms(2 * HOUR_MS)
    assert len(shop.sent()) == 20
    shop.pass_ms(DAY_MS)
    shop.rows(*({"customer": each, "event": "go"} for each in everybody))
    shop.pass_ms(2 * HOUR_MS)
    assert shop.sent() == [("a", "a")] * 40


def test_what_another_flow_sends_later_is_not_known_earlier(shop: Shop) -> None:
    """Timers that are late fire at their own times, in one go for each flow."""
    later = {"t": on("go", "w"), "w": {"type": "wait", "for": "3 hours", "next": "mail"},
             "mail": send("a"), "x": END}  # fmt: skip
    shop.publish("a", later)
    for flow, hours in (("before", 2), ("after", 4)):
        wait = {"type": "wait", "for": f"{hours} hours", "next": "mail"}
        shop.publish(flow, {**later, "w": wait, "mail": send(flow, guards=CAP)})
    shop.event("anna")
    shop.pass_ms(10 * HOUR_MS)
    assert shop.sent() == [("a", "a"), ("before", "before")]


def test_flows_that_answer_each_other_come_to_rest(shop: Shop) -> None:
    for flow, other in (("a", "b"), ("b", "a")):
        hears = on("message_sent", "mail", where=from_flow(other))
        begins = {"t": on("go", "mail")} if flow == "a" else {}
        shop.publish(flow, {**begins, "h": hears, "mail": send(flow), "x": END})
    shop.event("anna")
    assert len(shop.sent()) == 1 + SHARE_ROUNDS
    shop.reopen()
    shop.pass_ms(DAY_MS)
    assert len(shop.sent()) == 1 + SHARE_ROUNDS
    shop.event("anna")
    assert len(shop.sent()) == 2 + 2 * SHARE_ROUNDS
    shop.reopen(snapshot=True)


def test_an_older_version_of_the_flow_is_heard_like_another_flow(shop: Shop) -> None:
    old = {"t": on("go", "w"), "w": {"type": "wait", "for": "1 hour", "next": "mail"},
           "mail": send("old"), "x": END}  # fmt: skip
    shop.publish("a", old)
    shop.event("anna")
    shop.publish("a", {"t": on("other", "mail"), "mail": send("new", guards=CAP), "x": END}, 2)
    shop.pass_ms(2 * HOUR_MS)
    shop.event("anna", "other")
    shop.event("bert", "other")
    assert shop.sent() == [("a", "old"), ("a", "new")]


def test_a_paused_flow_remembers_and_does_not_hear(shop: Shop) -> None:
    shop.publish("a", ASKS)
    shop.publish("b", {**HEARS, "u": on("other", "capped"), "capped": send("c", guards=CAP)})
    shop.command("pause", flow="b")
    shop.event("anna")
    shop.command("resume", flow="b")
    shop.event("anna", "other")
    shop.event("bert", "other")
    assert shop.sent() == [("a", "a"), ("b", "c")]
    shop.command("stop", flow="b", in_flight="drop")
    shop.event("anna")
    assert shop.sent() == [("a", "a"), ("b", "c"), ("a", "a")]
    shop.reopen(snapshot=True)


def test_a_reset_into_a_new_version_is_heard(shop: Shop) -> None:
    waiting = {"t": on("go", "w"), "w": {"type": "wait", "for": "1 day", "next": "x"}, "x": END}
    shop.publish("b", HEARS)
    shop.publish("a", waiting)
    shop.event("anna")
    shop.publish("a", ASKS, 2, in_flight="reset")
    assert shop.sent() == [("b", "b"), ("a", "a")]
    shop.reopen()


def test_what_a_relay_reports_is_the_past_of_a_version_published_later(shop: Shop) -> None:
    told = {"channel": "email", "template": "a", "node": "mail", "flow": "a"}
    shop.publish("a", ASKS)
    for customer in ("anna", "bert", "carl"):
        shop.event(customer)
    shop.event("anna", REPORTED, **told, delay_ms=5)
    shop.now_ms += HOUR_MS
    capped = {"t": on("other", "mail"), "mail": send("b", guards=CAP), "x": END}
    shop.publish("b", capped)
    shop.now_ms += HOUR_MS
    shop.event("bert", REPORTED, **told, delay_ms=2 * HOUR_MS)
    shop.event("carl", REPORTED, **told, delay_ms=HOUR_MS - 1)  # sent since: it was told then
    for customer in ("anna", "bert", "carl"):
        shop.event(customer, "other")
    assert [(e.flow, e.customer % 2**64) for e in shop.effects()[3:]] == [
        ("b", hash_customer("carl"))
    ]
    shop.reopen(snapshot=True)


@pytest.mark.parametrize(
    ("doing", "event"),
    [
        ({"type": "add_tag", "tag": "vip"}, "~tag.raised:vip"),
        ({"type": "add_to_attribute", "attribute": "age", "by": 2}, "~attribute.first:age"),
        ({"type": "add_to_attribute", "attribute": "age", "by": -2}, "~attribute.lowered:age"),
        ({"type": "set_attribute", "attribute": "age", "value": 2}, "~attribute.any:age"),
        ({"type": "add_to_group", "group": "g"}, "~group.raised:g"),
    ],
)
def test_N16_a_change_that_a_flow_makes_leads_into_another(  # noqa: N802 - an id
    shop: Shop, doing: dict[str, Any], event: str
) -> None:
    shop.publish("b", {"t": on(event, "mail"), "mail": send("b"), "x": END})
    shop.publish("a", {"t": on("go", "do"), "do": {**doing, "next": "x"}, "x": END})
    shop.event("anna")
    assert shop.sent() == [("b", "b")]
    shop.reopen(snapshot=True)


def test_recorded_messages_are_history_and_heard(shop: Shop) -> None:
    shop.publish("b", HEARS)
    shop.event("anna", "message_sent", flow="a", channel="email")
    shop.event("anna", "message_sent", flow="elsewhere", channel="email")
    assert shop.sent() == [("b", "b")]


def test_what_was_sent_does_not_pile_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_module, "FORGET_ROWS", 64)
    nodes = {"t": on("go", "mail"), "mail": send("b", guards=CAP), "x": END}
    shop.publish("a", ASKS)
    shop.publish("b", nodes)
    shop.publish("own", {"t": on("go", "m"), "m": send("own"), "c": on("other", "mail"),
                         "mail": send("c", guards=CAP), "x": END})  # fmt: skip
    kept: dict[str, list[int]] = {"b": [], "own": []}
    for day in range(60):
        shop.rows(*({"customer": f"c{n}", "event": "go"} for n in range(20)))
        shop.pass_ms(DAY_MS)
        shop.live.tend()
        for flow, found in kept.items():
            found.append(shop.live.version(flow).machine.rows())
        if day == 30:
            shop.reopen(snapshot=True)
    assert all(max(found) < 400 for found in kept.values()), kept
    assert all(max(found) >= 40 for found in kept.values()), kept


def test_an_erased_customer_has_sent_nothing(shop: Shop) -> None:
    def unless_had(template: str, flow: str) -> dict[str, Any]:
        had = {"did": "message_sent", "where": from_flow(flow), "at_least": 1}
        return send(template, guards=[{"reason": "had", "if": had}])

    shop.publish("a", ASKS)
    shop.publish("b", {"t": on("other", "mail"), "mail": unless_had("b", "a"), "x": END})
    shop.publish("own", {"t": on("go", "m"), "m": send("own"), "u": on("other", "mail"),
                         "mail": unless_had("c", "own"), "x": END})  # fmt: skip
    shop.rows({"customer": "anna", "event": "go"}, {"customer": "bert", "event": "go"})
    before = len(shop.sent())
    shop.now_ms += 1
    shop.command("erase", hashes=[hash_customer("anna")])
    for snapshot in (False, True):
        machine = shop.live.version("own").machine
        machine.forget([-(2**63)] * len(shop.live.version("own").program.events))
        shop.reopen(snapshot)
    # Those of bert are left: his own of the flow, and the other flow's.
    machine = shop.live.version("own").machine
    machine.forget([-(2**63)] * len(shop.live.version("own").program.events))
    assert machine.rows() == 2
    shop.rows({"customer": "anna", "event": "other"}, {"customer": "bert", "event": "other"})
    assert sorted(shop.sent()[before:]) == [("b", "b"), ("own", "c")]


@pytest.mark.parametrize("in_flight", ["drop", "reset"])
def test_exits_and_holdouts_stand_a_new_version(shop: Shop, in_flight: str) -> None:
    forking: Nodes = {
        "t": on("go", ["w", "v"]),
        "w": {"type": "wait", "for": "2 days", "next": "mail"},
        "v": {"type": "wait", "for": "1 day", "next": "mail"},
        "mail": send("m"),
        "x": END,
    }
    settings = {
        **ALWAYS,
        "exit": [{"event": "other"}, {"if": {"attribute": "age", "above": 10}}],
        "holdout": {"share": "50%"},
    }
    shop.publish("a", forking, settings=settings)
    who = [f"c{n}" for n in range(40)]
    shop.rows(*({"customer": each, "event": "go"} for each in who))
    inside = shop.live.flows()[0]["inside"]
    assert 8 < inside < 32
    shop.publish("a", forking, 2, settings=settings, in_flight=in_flight)
    shop.reopen(snapshot=True)
    assert [each["inside"] for each in shop.live.flows()] == [
        0, inside if in_flight == "reset" else 0
    ]  # fmt: skip
    if in_flight == "drop":
        shop.rows(*({"customer": each, "event": "go"} for each in who))
        assert shop.live.flows()[1]["inside"] == inside
    shop.rows(*({"customer": each, "event": "other"} for each in who[:20]))
    shop.reopen()
    shop.rows(*({"customer": each, "set": {"age": 11}} for each in who[20:30]))
    shop.reopen(snapshot=True)
    left = shop.live.flows()[1]["inside"]
    assert 0 < left < inside
    shop.pass_ms(3 * DAY_MS)
    assert len(shop.sent()) == 2 * left
    assert shop.live.flows()[1]["inside"] == 0


def test_nothing_is_asked_of_flows_where_none_hears(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Sequence[Any]) -> None:
        raise AssertionError

    monkeypatch.setattr(version_module.LiveVersion, "new_effects", fail)
    shop.publish("a", ASKS)
    shop.publish("c", {**ASKS, "mail": send("c")})
    shop.event("anna")
    assert shop.sent() == [("a", "a"), ("c", "c")]


def test_a_segment_looks_back_at_more_messages_than_there_are_customers(shop: Shop) -> None:
    """One customer gets thousands of messages at once, from a flow that answers itself."""
    enough = [{"reason": "enough", "if": {"did": "message_sent", "at_least": 5_999}}]
    loop = {"t": on("go", "mail"), "h": on("message_sent", "mail"),
            "mail": send("a", guards=enough), "x": END}  # fmt: skip
    had = {"did": "message_sent", "at_least": 5_999, "within": "1 day"}
    shop.publish("a", loop)
    shop.publish("b", {"s": {"type": "on_segment", "if": had, "next": "mail"}, "mail": send("b"),
                       "x": END})  # fmt: skip
    shop.event("bert", "other")
    shop.event("anna")
    assert shop.sent() == [("a", "a")] * 5_999 + [("b", "b")]
    shop.reopen(snapshot=True)


def test_N11_where_one_event_starts_two_flows_the_higher_priority_sends(shop: Shop) -> None:  # noqa: N802 - an id
    capped = {"t": on("go", "mail"), "mail": send("b", guards=CAP), "x": END}
    shop.publish("low", capped)
    shop.publish("high", capped, settings={**ALWAYS, "priority": 5})
    shop.event("anna")
    shop.pass_ms(1)
    assert shop.sent() == [("high", "b")]
    shop.reopen()
    shop.pass_ms(DAY_MS)
    shop.publish("higher", capped, settings={**ALWAYS, "priority": 6})
    shop.event("anna")
    shop.pass_ms(1)
    assert shop.sent()[1:] == [("higher", "b")]
