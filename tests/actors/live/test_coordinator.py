"""Coupled flows live: caps, rates, coupons and ends of tests hold over partitions and restarts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actors.live import coordinating
from actors.live.backup import Stopped, back_up, restore
from actors.live.data_dir import DataDir
from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from actors.store.starts import unsettled
from waiting import until

SCHEMA = {"events": {"go": {}, "bought": {}}}
HOSTING = Hosting(
    inline=True,
    shards=2,
    relays=False,
    options=ShardOptions(marks=Marks(disk_full=1.1), driven=True),
)
PEOPLE = 60
Start = Callable[..., Engine]


def flow(settings: dict[str, Any], nodes: dict[str, Any]) -> str:
    start = {"start": {"type": "on_event", "event": "go", "next": "work"}}
    end = {"end": {"type": "end"}}
    return json.dumps(
        {"headrace": 1, "flow": "f", "settings": settings, "nodes": start | nodes | end}
    )


WAIT = {"work": {"type": "wait", "for": "1 hour", "next": "end"}}
COUPON = {
    "work": {
        "type": "take_coupon",
        "pool": "spring",
        "next": {"taken": "mail", "sold_out": "end"},
    },
    "mail": {"type": "send", "channel": "email", "template": "t", "next": "end"},
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Engine] = []

    def begin(document: str | None = None) -> Engine:
        for engine in started:
            engine.close()
        engine = start_engine(tmp_path / "d", Making(partitions=4), HOSTING)
        started.append(engine)
        if document is not None:
            engine.set_schema(SCHEMA)
            engine.publish(document)
        return engine

    yield begin
    for engine in started:
        engine.close()


def go(engine: Engine, first: int, last: int, event: str = "go") -> None:
    rows = [
        {"customer": f"c{i}", "event": event, "message_id": f"{event}{i}"}
        for i in range(first, last)
    ]
    assert engine.send(rows).accepted == last - first


def settle(engine: Engine, to_ms: int) -> None:
    """Let claims be answered and the time pass, until nothing more happens."""
    engine.advance(to_ms)
    while engine.coordinate():
        engine.advance(to_ms)
    engine.advance(to_ms)


def node(engine: Engine, name: str) -> int:
    version = engine._handles[0].call("read", 0, "counts", "f")  # every partition has the flow
    assert version is not None
    return list(json.loads(engine.flows()[0].document)["nodes"]).index(name)


def test_no_more_people_enter_than_the_cap(start: Start) -> None:
    engine = start(flow({"entry_cap": 25, "reentry": {"policy": "always"}}, WAIT))
    go(engine, 0, PEOPLE)
    assert engine.counts("f").entered[0] == 0
    settle(engine, 10_000)
    counts = engine.counts("f")
    assert counts.entered[0] == 25
    assert counts.refused_cap[0] == PEOPLE - 25
    assert counts.in_line.sum() == 0


def test_coupons_are_given_once_each_over_partitions_and_restarts(start: Start) -> None:
    engine = start(flow({"coupons": {"spring": 30}}, COUPON))
    go(engine, 0, 20)
    settle(engine, 5_000)
    assert engine.counts("f").entered[node(engine, "mail")] == 20
    go(engine, 20, 40)
    engine = start()  # claims were made, and nobody answered them
    assert engine.counts("f").entered[node(engine, "mail")] == 20
    settle(engine, 6_000)
    go(engine, 40, PEOPLE)
    settle(engine, 7_000)
    engine = start()
    settle(engine, 8_000)
    counts = engine.counts("f")
    assert counts.entered[node(engine, "work")] == PEOPLE
    assert counts.entered[node(engine, "mail")] == 30
    assert counts.entered[node(engine, "end")] == PEOPLE


def test_a_budget_of_messages_holds_over_partitions_and_restarts(start: Start) -> None:
    mail = {"work": {"type": "send", "channel": "email", "template": "t", "next": "end"}}
    engine = start(flow({"budget": [{"sends": 30}]}, mail))
    go(engine, 0, 20)
    engine = start()
    settle(engine, 5_000)
    go(engine, 20, PEOPLE)
    settle(engine, 6_000)
    counts = engine.counts("f")
    assert counts.sends_by_hour.sum() == 30
    assert counts.entered[-1] == PEOPLE  # everybody came to the end


def test_claims_wait_while_nobody_grants_and_others_go_on(start: Start) -> None:
    engine = start(flow({"coupons": {"spring": 1}}, COUPON))
    engine.publish(flow({}, WAIT).replace('"flow": "f"', '"flow": "g"'))
    go(engine, 0, 3)
    engine.advance(4_000_000)
    assert engine.counts("g").entered[-1] == 3
    state = engine.state_of("c1")
    assert state is not None
    assert [(p["flow"], p["state"]) for p in state["places"]] == [("f", "awaiting_grant")]


def test_a_rate_of_entries_lets_people_in_second_by_second(start: Start) -> None:
    engine = start(flow({"entry_rate": {"per_second": 10}}, WAIT))
    go(engine, 0, 35)
    now = engine.now_ms()
    settle(engine, now + 500)
    places = [engine.state_of(f"c{i}") for i in range(35)]
    assert {p["state"] for state in places if state for p in state["places"]} <= {
        "in_line",
        "waits",
    }
    entered = [int(engine.counts("f").entered[0])]
    for second in range(1, 5):
        settle(engine, now + 1000 * second + 500)
        entered.append(int(engine.counts("f").entered[0]))
    assert entered[-1] == 35
    assert max(b - a for a, b in pairwise(entered)) <= 10
    assert engine.counts("f").queued[0] >= 25


def test_a_test_ends_for_all_partitions_at_once(start: Start) -> None:
    ab = {
        "work": {
            "type": "ab_test",
            "branches": {"a": "50%", "b": "50%"},
            "target": {"event": "bought", "within": "1 minute"},
            "until": {"people": 20, "then": "b"},
            "next": {"a": "end", "b": "end"},
        }
    }
    engine = start(flow({}, ab))
    go(engine, 0, 20)
    settle(engine, 5_000)
    before = engine.counts("f").port
    go(engine, 20, PEOPLE)
    settle(engine, 6_000)
    after = engine.counts("f").port
    work = slice(1, 3)  # the ports of the test, behind that of the trigger
    assert before[work].sum() == 20
    assert (after - before)[work].tolist() == [0, PEOPLE - 20]
    engine = start()
    go(engine, 100, 110)
    settle(engine, 7_000)
    assert (engine.counts("f").port - after)[work].tolist() == [0, 10]


def test_an_engine_that_lives_on_and_is_killed_again_and_again_is_not_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinating, "TEND_S", 0.0)
    hosting = replace(HOSTING, options=ShardOptions(marks=Marks(disk_full=1.1)))
    with start_engine(tmp_path / "d", Making(partitions=1), hosting) as engine:
        engine.set_schema(SCHEMA)
        engine.publish(flow({"coupons": {"spring": 30}}, COUPON))
        folder = tmp_path / "d" / "coordinator"
        # An opening that is told of no more has lived on.
        until(lambda: (folder / "data.mdb").exists() and not unsettled(folder))


def mailed(engine: Engine) -> tuple[int, int]:
    """How many got a coupon, and how many got an answer at all."""
    entered = engine.counts("f").entered
    return int(entered[node(engine, "mail")]), int(entered[node(engine, "end")])


def test_a_restored_backup_goes_on_from_what_had_been_granted(start: Start, tmp_path: Path) -> None:
    engine = start(flow({"coupons": {"spring": 30}}, COUPON))
    go(engine, 0, 20)
    settle(engine, 5_000)
    manifest = back_up(engine, tmp_path / "b")
    assert manifest.stores["coordinator"].commits > 0
    go(engine, 20, 40)  # lost
    settle(engine, 6_000)
    assert mailed(engine) == (30, 40)
    engine.close()
    with DataDir.open(tmp_path / "d") as data:
        again = back_up(Stopped(data), tmp_path / "b2")
    assert again.stores["coordinator"].commits > manifest.stores["coordinator"].commits
    for name, expected in (("b", 20), ("b2", 30)):
        restore(tmp_path / name, tmp_path / f"r-{name}")
        with start_engine(tmp_path / f"r-{name}", None, HOSTING) as restored:
            assert mailed(restored)[0] == expected
            go(restored, 20 if name == "b" else 40, PEOPLE)
            settle(restored, 7_000)
            assert mailed(restored) == (30, PEOPLE)


def test_partitions_older_than_the_coordinator_get_their_answers_and_nothing_twice(
    start: Start, tmp_path: Path
) -> None:
    engine = start(flow({"coupons": {"spring": 30}}, COUPON))
    go(engine, 0, 10)
    settle(engine, 5_000)
    back_up(engine, tmp_path / "b")
    go(engine, 10, 15)  # in the copy of the coordinator, and in that of no partition
    settle(engine, 6_000)
    engine.close()
    restore(tmp_path / "b", tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "coordinator")
    shutil.copytree(tmp_path / "d" / "coordinator", tmp_path / "r" / "coordinator")
    for _ in range(2):
        with start_engine(tmp_path / "r", None, HOSTING) as restored:
            known = int(restored.counts("f").customers)
            assert restored.coordinate() == 0
            go(restored, 100 + known, 125 + known)
            settle(restored, 7_000 + known)
            assert mailed(restored)[1] == known + 25
    assert known == 35
    with start_engine(tmp_path / "r", None, HOSTING) as restored:
        # The five coupons of those who were lost stay spent.
        assert mailed(restored) == (25, 60)
