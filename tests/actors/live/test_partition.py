"""Tests of `actors.live.partition`: rows, time, commands, receipts, and what is there after all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.admission import GapError
from actors.intake.rows import decode_rows
from actors.live import partition as module
from actors.live.control import TenantSettings
from actors.live.errors import RefusedError
from actors.live.partition import LivePartition
from actors.live.receipt import LiveReceipt
from actors.relay.effect_block import decode_effects
from core.duration import DAY_MS
from core.errors import HeadraceError
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000  # 2026-01-01, a Thursday
HOUR_MS = 3_600_000
SCHEMA = {
    "attributes": {"plan": {"type": "string"}, "age": {"type": "int64"}},
    "events": {
        "go": {"properties": {"page": "string"}},
        "click": {"properties": {"page": "string"}},
    },
}
SETTINGS = TenantSettings("shop", zone="UTC", schema=SCHEMA)


class Live:
    """A partition with a clock of its own, that commands are numbered for."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        self.now_ms, self.batches = T0, 0
        self.partition = self._open()

    def _open(self) -> LivePartition:
        return LivePartition.open(self.folder, SETTINGS, create=True, **self.options)

    def rows(self, *rows: dict[str, Any], **place: Any) -> LiveReceipt:
        self.batches += 1
        if "source" not in place:
            place["batch"] = b"%d" % self.batches
        schema = TenantSchema.of(SCHEMA)
        decoded = decode_rows(rows, schema, **place)
        assert decoded.rejects == []
        return self.partition.take([decoded.frame], self.now_ms)[0]

    def event(self, customer: str, event: str = "go", **properties: Any) -> LiveReceipt:
        return self.rows({"customer": customer, "event": event, "properties": properties})

    def command(self, kind: str, **said: Any) -> None:
        command = {"kind": kind, "at_ms": self.now_ms, **said}
        self.partition.prepare(command)
        self.partition.command(self.partition.control_sequence + 1, command)

    def publish(
        self, nodes: dict[str, Any], version: int = 1, flow: str = "f", in_flight: str = "pin",
        **document: Any,
    ) -> None:  # fmt: skip
        text = json.dumps({"headrace": 1, "flow": flow, "nodes": nodes, **document})
        self.command("publish", flow=flow, version=version, document=text, in_flight=in_flight)

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms
        while self.partition.tick(self.now_ms):
            pass

    def sent(self) -> list[tuple[str, int]]:
        """Node and time of every message asked for so far."""
        return [
            (effect.node, effect.committed_ms - T0)
            for _, blocks in self.partition.store.outbox()
            for block in blocks
            for effect in decode_effects(block)
        ]

    def places(self, customer: str) -> list[tuple[int, str]]:
        """Version and node of each place of a customer."""
        found = self.partition.state_of(customer)
        assert found is not None
        return [(place["version"], place["node"]) for place in found["places"]]

    def reopen(self, snapshot: bool = False) -> None:
        """Close and open, as a restart does; nothing may look different after it."""
        if snapshot:
            while self.partition.snapshot(now=True):
                pass
        before = self._looks()
        self.partition.close()
        self.partition = self._open()
        assert self._looks() == before

    def _looks(self) -> Any:
        live = self.partition
        return (
            live.digest(), live.clock_ms, live.control_sequence, live.next_due_ms, live.row_counts,
            live.flows(), dict(live.cursors),
        )  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    started: list[Live] = []

    def start(name: str = "p", **options: Any) -> Live:
        started.append(Live(tmp_path / name, **options))
        return started[-1]

    yield start
    for live in started:
        live.partition.close()


@pytest.fixture
def live(start: Callable[..., Live]) -> Live:
    return start()


def send(name: str, after: str = "x") -> dict[str, Any]:
    return {"type": "send", "channel": "email", "template": name, "next": after}


GO = {"type": "on_event", "event": "go", "next": "hello"}
END = {"type": "end"}
AGAIN = {"reentry": {"policy": "after_exit"}}
WAITING = {
    "t": GO,
    "hello": send("hello", "w"),
    "w": {"type": "wait", "for": "2 hours", "next": "later"},
    "later": send("later"),
    "x": END,
}
BOTH = pytest.mark.parametrize("snapshot", [False, True], ids=["journal", "snapshot"])


@BOTH
def test_a_message_leaves_at_once_and_another_when_the_timer_is_due(
    live: Live, snapshot: bool
) -> None:
    live.publish(WAITING)
    live.event("anna")
    assert live.sent() == [("hello", 0)]
    assert live.partition.next_due_ms == T0 + 2 * HOUR_MS
    live.pass_ms(2 * HOUR_MS - 1)
    assert len(live.sent()) == 1
    live.reopen(snapshot)
    live.pass_ms(1)
    assert live.sent() == [("hello", 0), ("later", 2 * HOUR_MS)]
    live.pass_ms(DAY_MS)
    assert len(live.sent()) == 2
    assert live.partition.next_due_ms is None


def test_what_two_entries_of_one_instant_send_is_not_one_message(live: Live) -> None:
    nodes = {"t": GO, "u": {**GO, "next": "hello"}, "hello": send("hello"), "x": END}
    live.publish(nodes, settings={"reentry": {"policy": "always"}})
    live.event("anna")
    effects = [
        effect
        for _, blocks in live.partition.store.outbox()
        for block in blocks
        for effect in decode_effects(block)
    ]
    assert [effect.node for effect in effects] == ["hello", "hello"]
    assert len({effect.key for effect in effects}) == 2


def test_a_timer_late_after_downtime_runs_at_its_own_time(live: Live) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.reopen()
    live.pass_ms(30 * DAY_MS)
    assert live.sent() == [("hello", 0), ("later", 2 * HOUR_MS)]


@BOTH
def test_a_paused_flow_stands_still_and_catches_up_when_resumed(live: Live, snapshot: bool) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.command("pause", flow="f")
    assert live.partition.flows()[0]["paused"]
    live.pass_ms(5 * HOUR_MS)
    live.event("bert")
    live.reopen(snapshot)
    assert live.sent() == [("hello", 0)]
    assert live.partition.next_due_ms is None
    live.command("resume", flow="f")
    live.pass_ms(0)
    # What was due is late and happens; an event while it was paused lets nobody in.
    assert live.sent() == [("hello", 0), ("later", 2 * HOUR_MS)]
    live.event("bert")
    assert [node for node, _ in live.sent()] == ["hello", "later", "hello"]


@BOTH
def test_a_pinned_customer_ends_on_his_version_and_others_enter_the_new(
    live: Live, snapshot: bool
) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.pass_ms(HOUR_MS)
    live.publish({"t": GO, "hello": send("new"), "x": END}, version=2)
    live.event("bert")
    live.reopen(snapshot)
    live.event("carl")
    assert live.places("anna") == [(1, "w")]
    live.pass_ms(HOUR_MS)
    assert [node for node, _ in live.sent()] == ["hello", "hello", "hello", "later"]
    assert live.partition.counts("f", 1).entered.tolist()[0] == 1
    assert live.partition.counts("f").entered.tolist()[0] == 2


@BOTH
def test_a_version_that_drops_takes_everybody_out(live: Live, snapshot: bool) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.publish(WAITING, version=2, in_flight="drop")
    live.reopen(snapshot)
    assert live.places("anna") == []
    live.pass_ms(DAY_MS)
    assert live.sent() == [("hello", 0)]
    assert live.partition.counts("f", 1).waiting.sum() == 0
    live.event("anna")
    assert live.places("anna") == [(2, "w")]


@BOTH
def test_a_version_that_resets_lets_everybody_inside_begin_again(
    live: Live, snapshot: bool
) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.pass_ms(3 * HOUR_MS)
    live.event("bert")
    live.publish(WAITING, version=2, in_flight="reset")
    live.reopen(snapshot)
    assert live.places("anna") == []
    assert live.places("bert") == [(2, "w")]
    assert live.sent()[-1] == ("hello", 3 * HOUR_MS + 1) or live.sent()[-1][0] == "hello"
    live.pass_ms(3 * HOUR_MS)
    assert [node for node, _ in live.sent()] == ["hello", "later", "hello", "hello", "later"]


@pytest.mark.parametrize(("in_flight", "inside"), [("pin", 1), ("drop", 0)])
def test_a_stopped_flow_lets_nobody_in(live: Live, in_flight: str, inside: int) -> None:
    live.publish(WAITING)
    live.event("anna")
    live.command("stop", flow="f", in_flight=in_flight)
    live.event("bert")
    assert live.places("bert") == []
    live.reopen(snapshot=True)
    assert [each["inside"] for each in live.partition.flows()] == [inside]
    assert [each["entering"] for each in live.partition.flows()] == [False]
    live.pass_ms(DAY_MS)
    assert len(live.sent()) == 1 + inside


def test_a_command_is_applied_once(live: Live) -> None:
    live.publish(WAITING)
    command = {"kind": "pause", "flow": "f", "at_ms": T0}
    live.partition.command(2, command)
    live.partition.command(2, {"kind": "resume", "flow": "f", "at_ms": T0})
    assert live.partition.flows()[0]["paused"]
    assert live.partition.control_sequence == 2


def test_what_cannot_be_published_is_refused_and_changes_nothing(live: Live) -> None:
    live.publish(WAITING)
    digest, last = live.partition.digest(), live.partition.store.head.journal_last
    with pytest.raises(RefusedError, match="version 1 of f was published already"):
        live.publish(WAITING)
    with pytest.raises(RefusedError, match="g was never published"):
        live.command("pause", flow="g")
    with pytest.raises(HeadraceError, match="letter"):
        live.publish({**WAITING, "later": {"type": "letter", "next": "x"}}, version=2)
    text = json.dumps({"headrace": 1, "flow": "other", "nodes": WAITING})
    with pytest.raises(RefusedError, match="the document is of flow"):
        live.command("publish", flow="f", version=2, document=text)
    assert (live.partition.digest(), live.partition.store.head.journal_last) == (digest, last)
    assert [each["version"] for each in live.partition.flows()] == [1]


LOOKS_BACK = {
    "t": GO,
    "hello": {
        "type": "condition",
        "if": {"did": "click", "within": "7 days", "at_least": 2},
        "next": {"yes": "keen", "no": "x"},
    },
    "keen": send("keen"),
    "x": END,
}


@BOTH
def test_a_new_version_remembers_what_happened_before_it(live: Live, snapshot: bool) -> None:
    for customer, days in (("anna", (8, 3)), ("bert", (3, 2)), ("carl", (1,))):
        for _ in days:
            live.event(customer, "click")
    live.pass_ms(DAY_MS)
    live.reopen(snapshot)
    live.publish(LOOKS_BACK, settings=AGAIN)
    live.reopen(snapshot)
    for customer in ("anna", "bert", "carl", "dora"):
        live.event(customer)
    assert [node for node, _ in live.sent()] == ["keen", "keen"]
    assert live.partition.counts("f").entered.tolist()[0] == 4
    live.pass_ms(7 * DAY_MS)
    live.event("anna")
    assert len(live.sent()) == 2


@BOTH
def test_a_new_schema_brings_attributes_and_takes_others_away(
    live: Live, snapshot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        "t": GO,
        "hello": {
            "type": "condition",
            "if": {"attribute": "plan", "is": "gold"},
            "next": {"yes": "gold", "no": "x"},
        },
        "gold": send("gold", "w"),
        "w": {"type": "wait", "for": "1 hour", "next": "x"},
        "x": END,
    }
    live.rows({"customer": "anna", "set": {"plan": "gold"}})
    live.publish(nodes, settings=AGAIN)
    live.event("anna")
    less = {**SCHEMA, "attributes": {"age": {"type": "int64"}, "town": {"type": "string"}}}
    live.command("schema", schema=less)
    monkeypatch.setitem(globals(), "SCHEMA", less)
    live.rows({"customer": "anna", "set": {"town": "Rome"}, "zone": "Asia/Tokyo"})
    live.reopen(snapshot)
    assert live.partition.state_of("anna")["attributes"] == {"town": "Rome"}  # type: ignore[index]
    # The version that was bound to the attribute goes on with what it knew.
    live.pass_ms(2 * HOUR_MS)
    live.event("anna")
    assert [node for node, _ in live.sent()] == ["gold", "gold"]


def test_receipts_tell_what_became_of_each_row(live: Live) -> None:
    rows = [
        {"customer": "anna", "event": "go", "message_id": "1"},
        {"customer": "anna", "event": "go", "message_id": "1"},
        {"customer": "bert", "event": "go", "message_id": "2", "occurred": T0 - 2 * DAY_MS},
        {"customer": "carl", "event": "go", "message_id": "3", "occurred": T0 + DAY_MS},
    ]
    receipt = live.rows(*rows)
    assert (receipt.accepted, receipt.duplicates, receipt.historical) == (2, 1, 1)
    assert receipt.rejects == [(3, "too_far_in_the_future")]
    again = live.rows(*rows)
    assert (again.accepted, again.duplicates) == (0, 3)
    assert again.commit == receipt.commit
    expected = {"accepted": 2, "historical": 1, "duplicate": 4, "too_far_in_the_future": 2}
    assert live.partition.row_counts == expected
    live.event("dora")
    live.reopen()
    live.reopen(snapshot=True)
    assert live.partition.row_counts == {**expected, "accepted": 3}


@BOTH
def test_a_numbered_source_is_taken_in_order_and_once(live: Live, snapshot: bool) -> None:
    def frame(number: int) -> LiveReceipt:
        return live.rows({"customer": "anna", "event": "go"}, source=b"shop", sequence=number)

    assert frame(1).accepted == 1
    with pytest.raises(GapError, match="frame 3 after 1"):
        frame(3)
    assert frame(2).accepted == 1
    live.reopen(snapshot)
    assert live.partition.cursors[b"shop"] == 2
    again = frame(2)
    assert (again.accepted, again.duplicates) == (0, 1)
    with pytest.raises(GapError, match="frame 4 after 2"):
        frame(4)
    assert frame(3).accepted == 1
    assert live.partition.row_counts["accepted"] == 3


@BOTH
def test_texts_that_nobody_knew_are_judged(live: Live, snapshot: bool) -> None:
    nodes = {
        "t": {
            "type": "on_event",
            "event": "go",
            "next": "hello",
            "where": {"property": "page", "contains": "shoe"},
        },
        "hello": {
            "type": "condition",
            "if": {"attribute": "plan", "matches": "^gold-[0-9]+$"},
            "next": {"yes": "gold", "no": "x"},
        },
        "gold": send("gold"),
        "x": END,
    }
    live.publish(nodes)
    expected = 0
    for number in range(600):  # far more texts than the tables had room for
        plan = f"gold-{number}" if number % 3 else f"gold-{number}x"
        page = f"shoe/{number}" if number % 2 else f"sock/{number}"
        live.rows(
            {"customer": f"c{number}", "set": {"plan": plan}},
            {"customer": f"c{number}", "event": "go", "properties": {"page": page}},
        )
        expected += bool(number % 3 and number % 2)
        if number in (200, 450):
            live.reopen(snapshot)
    assert len(live.sent()) == expected
    live.reopen(snapshot)


@BOTH
def test_zones_that_nobody_was_in_before_are_kept_apart(live: Live, snapshot: bool) -> None:
    nodes = {
        "t": GO,
        "hello": {"type": "wait_slot", "slots": [{"from": "09:00", "until": "10:00"}], "next": "m"},
        "m": send("m"),
        "x": END,
    }
    live.rows({"customer": "anna", "zone": "Europe/Berlin"})
    live.publish(nodes)
    live.event("anna")  # at 01:00 there
    live.rows({"customer": "bert", "zone": "Asia/Tokyo"})
    live.event("bert")  # at 09:00 there
    live.reopen(snapshot)
    live.rows({"customer": "carl", "zone": "America/New_York"}, {"customer": "dora", "event": "go"})
    live.event("carl")  # at 19:00 of the day before
    live.rows({"customer": "anna", "zone": "Asia/Kolkata"})  # her wait is what it was
    live.pass_ms(DAY_MS)
    hours = [ms // HOUR_MS for _, ms in live.sent()]
    assert sorted(hours) == [0, 8, 9, 14]


def test_many_due_timers_fire_in_slices(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_CUSTOMERS", 100)
    monkeypatch.setattr(module, "TICK_ALONG", 0)
    live.publish(WAITING)
    live.rows(*({"customer": f"c{n}", "event": "go"} for n in range(1000)))
    live.now_ms += 3 * HOUR_MS
    calls = 1
    while live.partition.tick(live.now_ms):
        calls += 1
        if calls == 4:
            live.reopen(snapshot=True)
            live.event("late")
    assert 8 <= calls <= 12
    assert sum(node == "later" for node, _ in live.sent()) == 1000
    assert [each["inside"] for each in live.partition.flows()] == [1]
    live.reopen()


def test_the_clock_keeps_up_with_small_frames_and_never_goes_back(live: Live) -> None:
    live.publish(WAITING)
    schema = TenantSchema.of(SCHEMA)
    rows = [[{"customer": f"c{n % 500}", "event": "go"}] for n in range(1000)]
    frames = [
        decode_rows(each, schema, source=b"s", sequence=n).frame for n, each in enumerate(rows, 1)
    ]
    live.partition.take(frames, T0)
    assert live.partition.clock_ms == T0 + 2  # each customer is in two of them
    live.partition.take(
        [decode_rows([{"customer": "x", "event": "go"}], schema, batch=b"x").frame], T0 - DAY_MS
    )
    assert live.partition.clock_ms == T0 + 3
    assert live.sent()[-1] == ("hello", 2)
    frames = [decode_rows(each, schema, batch=b"f%d" % n).frame for n, each in enumerate(rows)]
    live.partition.take(frames, T0)
    assert live.partition.clock_ms == T0 + 4  # frames that nobody numbers are worked as one
    live.reopen()


@pytest.mark.parametrize("years", [11, 500, 7_900])
def test_behind_the_end_of_its_life_a_version_stands_still(live: Live, years: int) -> None:
    nodes = {
        "t": GO,
        "hello": {"type": "wait_event", "event": "click", "next": {"event": "m"}},
        "m": send("m"),
        "x": END,
    }
    live.publish(nodes)
    live.rows(*({"customer": f"c{n}", "event": "go"} for n in range(100)))
    live.now_ms += years * 366 * DAY_MS  # the machine's clock may be that wrong
    live.rows(*({"customer": f"c{n}", "event": "click"} for n in range(100)))
    live.event("late")
    live.pass_ms(DAY_MS)
    assert live.sent() == []
    assert live.partition.counts("f").entered.tolist() == [100, 100, 0, 0]
    live.reopen(snapshot=True)
    # The customers are there for a new version.
    live.publish(nodes, version=2, in_flight="reset")
    live.event("c0", "click")
    assert [node for node, _ in live.sent()] == ["m"]


def test_a_journal_is_kept_as_long_as_it_was_asked_for(start: Callable[..., Live]) -> None:
    live = start("trimmed", retention_ms=3 * DAY_MS)
    for number in range(10):
        live.event(f"c{number}", "click")
        live.pass_ms(DAY_MS)
    live.partition.tend()
    assert live.partition.store.head.journal_first == 1  # no snapshot covers anything yet
    live.reopen(snapshot=True)
    live.partition.tend()
    # The clock is that of the last event, nine days on: six days are gone, and the first seven,
    # with the record before them that tells under what they were carried out.
    assert live.partition.store.head.journal_first == 9
    live.publish(LOOKS_BACK)
    live.event("c9", "click")
    for number in (8, 9):
        live.event(f"c{number}")
    assert len(live.sent()) == 1
    while live.partition.snapshot(now=True):
        pass
    live.pass_ms(DAY_MS)
    live.event("late", "click")
    live.reopen()
    live.partition.tend()
    live.reopen()


def test_a_trimmed_journal_gives_a_replay_what_it_gave_before(start: Callable[..., Live]) -> None:
    live = start("kept", retention_ms=DAY_MS)
    live.event("anna", "click")
    live.event("anna", "click")
    while live.partition.snapshot(now=True):
        pass
    live.pass_ms(2 * DAY_MS)
    live.publish(LOOKS_BACK)
    live.event("bert", "click")
    # Those two clicks are old enough to go, but a recovery would look back to them.
    live.partition.tend()
    assert live.partition.store.head.journal_first == 1
    live.reopen()
    live.event("anna")
    assert [node for node, _ in live.sent()] == ["keen"]
    live.reopen(snapshot=True)
    live.partition.tend()
    assert live.partition.store.head.journal_first > 2
    live.reopen()


def told(state: dict[str, Any] | None) -> Sequence[Any]:
    assert state is not None
    return [state["customer"], state["attributes"], len(state["places"])]


def test_a_customer_is_known_by_what_was_sent_of_him(live: Live) -> None:
    assert live.partition.state_of("anna") is None
    live.rows({"customer": "anna", "set": {"plan": "gold", "age": 31}})
    live.rows({"customer": "anna", "set": {"age": None}})
    assert told(live.partition.state_of("anna")) == ["anna", {"plan": "gold"}, 0]
    assert live.partition.customers == 1
    assert np.uint64(live.partition.digest()) >= 0


def test_standard_names_live_need_no_schema(live: Live) -> None:
    """Texts and numbers of attributes that no schema names reach flows, old and new, and last."""
    lost = {"attribute": "rfm", "is": "lost"}
    nodes = {
        "t": {"type": "on_segment", "if": {"any": [lost, {"attribute": "score", "at_least": 5}]},
              "next": "hello"},
        "hello": send("hello"),
        "x": END,
    }  # fmt: skip
    live.publish(nodes)
    live.rows({"customer": "a", "set": {"rfm": "new", "score": 4}})
    live.rows({"customer": "b", "set": {"rfm": "lost"}})
    live.rows({"customer": "c", "set": {"score": 4}})
    live.reopen(snapshot=True)
    assert len(live.sent()) == 1
    live.rows({"customer": "c", "set": {"score": 5}})
    live.rows({"customer": "a", "set": {"rfm": "lost"}})
    assert len(live.sent()) == 3
    live.publish(nodes, flow="g")
    live.pass_ms(1)
    live.reopen()
    assert len(live.sent()) == 6
