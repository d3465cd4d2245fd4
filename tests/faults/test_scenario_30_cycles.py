"""Scenario 30: cycles that never wait are parked by the step budget, and the partition goes on.

Beside it a ring of waits: at any time every token stands in exactly one place, the one where the
calendar says it must be, over deaths and restarts.
"""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.duration import DAY_MS
from core.outcomes import Outcome
from core.tenant_schema import TenantSchema
from live_work import fork
from store_work import in_memory

T0 = 1_767_225_600_000
SCHEMA = {
    "attributes": {"born": {"type": "date"}, "plan": {"type": "string"}},
    "events": {"go": {}, "other": {}},
}
SETTINGS = TenantSettings("shop", schema=SCHEMA)
GO = {"type": "on_event", "event": "go", "next": "a"}
END = {"type": "end"}
WAIT_0 = {
    "t": GO,
    "a": {"type": "wait", "for": "0 s", "next": "b"},
    "b": {"type": "add_tag", "tag": "seen", "next": "a"},
}
PAST_DATE = {
    "t": GO,
    "a": {"type": "wait_date", "attribute": "born", "next": "b"},
    "b": {"type": "add_tag", "tag": "seen", "next": "a"},
}
FLIP = {
    "t": GO,
    "a": {
        "type": "condition",
        "if": {"attribute": "plan", "is": "gold"},
        "next": {"yes": "off", "no": "on"},
    },
    "on": {"type": "set_attribute", "attribute": "plan", "value": "gold", "next": "w"},
    "off": {"type": "set_attribute", "attribute": "plan", "value": "silver", "next": "w"},
    "w": {"type": "wait", "for": "0 s", "next": "a"},
}
OTHER = {
    "t": {"type": "on_event", "event": "other", "next": "m"},
    "m": {"type": "send", "channel": "email", "template": "m", "next": "x"},
    "x": END,
}


def publish(partition: LivePartition, flow: str, nodes: dict[str, Any]) -> None:
    document = json.dumps({"headrace": 1, "flow": flow, "nodes": nodes})
    command = {"kind": "publish", "flow": flow, "version": 1, "document": document}
    command |= {"at_ms": partition.clock_ms or T0}
    partition.prepare(command)
    partition.command(partition.control_sequence + 1, command)


def take(partition: LivePartition, now_ms: int, rows: list[dict[str, Any]], name: str) -> None:
    decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=name.encode())
    assert decoded.rejects == []
    partition.take([decoded.frame], now_ms)


def open_it(folder: Path) -> LivePartition:
    return LivePartition.open(folder, SETTINGS, create=True)


@pytest.mark.parametrize("nodes", [WAIT_0, PAST_DATE, FLIP], ids=["wait-0", "past", "flip"])
def test_a_cycle_without_a_wait_is_parked_and_others_go_on(
    tmp_path: Path, nodes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    circling = [
        {"customer": f"c{n}", "set": {"born": "1990-01-01", "plan": "gold"}} for n in range(5)
    ]
    with open_it(tmp_path / "p") as partition:
        publish(partition, "ring", nodes)
        publish(partition, "other", OTHER)
        take(partition, T0, circling, "people")
        began = time.perf_counter()
        rows = [{"customer": f"c{n}", "event": "go"} for n in range(5)]
        take(partition, T0 + 1000, [*rows, {"customer": "anna", "event": "other"}], "go")
        spent = time.perf_counter() - began
        parked = partition.counts("ring").outcome[:, Outcome.PARKED_BUDGET.column]
        assert parked.sum() == 5
        assert partition.counts("other").entered.tolist() == [1, 1, 1]
        digest = partition.digest()
    with open_it(tmp_path / "p") as partition:
        assert partition.digest() == digest
        state = partition.state_of("c0")
        assert state is not None
        assert [place["state"] for place in state["places"]] == ["parked"]
        # It is parked for good, and costs no more.
        assert partition.next_due_ms is None
        take(partition, T0 + 2000, [{"customer": "bert", "event": "other"}], "later")
        partition.tick(T0 + DAY_MS)
        assert partition.counts("other").entered.tolist() == [2, 2, 2]
    with capsys.disabled():
        print(f"\nscenario 30: 5 tokens parked in {spent * 1000:.0f} ms, others went on")
    assert spent < 5


NODES = 5
RING = {"t": {"type": "on_event", "event": "go", "next": "n0"}} | {
    f"n{i}": {"type": "wait", "for": "24 hours", "next": f"n{(i + 1) % NODES}"}
    for i in range(NODES)
}


def check_ring(partition: LivePartition, entered: dict[str, int], now_ms: int) -> None:
    """Each customer is in one place: where so many days after his entry he must be."""
    for customer, at_ms in entered.items():
        state = partition.state_of(customer)
        assert state is not None
        (place,) = state["places"]
        days = (now_ms - at_ms) // DAY_MS
        assert place["node"] == f"n{days % NODES}"
        assert place["due_ms"] == at_ms + (days + 1) * DAY_MS > now_ms
    counts = partition.counts("ring")
    assert counts.waiting.sum() == len(entered) == counts.entered[0]
    assert counts.steps == sum((now_ms - ms) // DAY_MS + 2 for ms in entered.values())


@pytest.mark.parametrize("days", [12, pytest.param(200, marks=pytest.mark.soak)])
def test_on_a_ring_every_token_is_in_one_place(
    tmp_path: Path, days: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = Random(days)
    entered: dict[str, int] = {}
    deaths = 0
    with in_memory(tmp_path) as folder:
        with open_it(folder / "p") as partition:
            publish(partition, "ring", RING)
        for day in range(days):
            noon = T0 + day * DAY_MS + DAY_MS // 2
            names = [f"c{day}-{n}" for n in range(20)]
            rows = [{"customer": name, "event": "go"} for name in names]
            armed = dice.choice(
                ("", "timer_pop", "after_apply_before_commit", "in_transaction", "side_file")
            )

            def work(
                tell: Callable[[object], None],
                rows: list[dict[str, Any]] = rows,
                day: int = day,
                noon: int = noon,
                armed: str = armed,
            ) -> None:
                from actors import failpoints

                with open_it(folder / "p") as partition:
                    if armed:
                        failpoints.arm(armed, "kill", dice.choice((1, 2)))
                    take(partition, noon, rows, f"day {day}")
                    while partition.tick(noon + DAY_MS // 2 - 1):
                        pass
                    while partition.snapshot(now=True):
                        pass
                tell("done")

            told, code = fork(work).wait()
            deaths += code == -signal.SIGKILL
            assert code in (0, -signal.SIGKILL), told
            with open_it(folder / "p") as partition:
                # What was perhaps not stored is sent again, and known where it was.
                take(partition, noon, rows, f"day {day}")
                while partition.tick(noon + DAY_MS // 2 - 1):
                    pass
                state = [partition.state_of(name) for name in names]
                entered |= {
                    str(found["customer"]): found["places"][0]["since_ms"]
                    for found in state
                    if found is not None
                }
                check_ring(partition, entered, noon + DAY_MS // 2 - 1)
    with capsys.disabled():
        print(
            f"\nscenario 30: {len(entered)} tokens on a ring for {days} days, {deaths} deaths, "
            "each in one place"
        )
    assert deaths >= days // 4
