"""Scenario 14: events doubled, out of order, late, of the future, and from clocks that are wrong.

A model in plain Python is fed in the same order of arrival. What conditions see of the past is what
they see where the same events came once, sorted, and in time.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.frame import Frame
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.duration import DAY_MS
from ext.hashing import hash_strings
from live_work import keys
from store_work import in_memory

T0 = 1_767_225_600_000
LATE_MS, FUTURE_MS = DAY_MS, 600_000  # the defaults of a schema
ASK_MS = T0 + DAY_MS // 2  # no edge of a window is where wrong clocks are set right
YEAR_MS = 366 * DAY_MS
ASKED = [(days, count) for days in (1, 3, 7, 30) for count in (1, 2, 4)]
ROWS = 5_000
CLICK, ASK = 0, 1
SETTINGS = TenantSettings("shop", schema={"events": {"click": {}, "ask": {}}})


def flows() -> list[dict[str, Any]]:
    """One that enters at each click, one that asks what was clicked before."""
    asking: dict[str, Any] = {"t": {"type": "on_event", "event": "ask", "next": "c0"}}
    for number, (days, count) in enumerate(ASKED):
        after = f"c{number + 1}" if number + 1 < len(ASKED) else "x"
        asking[f"c{number}"] = {
            "type": "condition",
            "if": {"did": "click", "within": f"{days} days", "at_least": count},
            "next": {"yes": f"s{number}", "no": after},
        }
        asking[f"s{number}"] = {
            "type": "send",
            "channel": "email",
            "template": "t",
            "next": after,
        }
    entering = {
        "t": {"type": "on_event", "event": "click", "next": "m"},
        "m": {"type": "send", "channel": "email", "template": "t", "next": "x"},
    }
    end = {"x": {"type": "end"}}
    always = {"reentry": {"policy": "always"}}
    return [
        {"headrace": 1, "flow": "asking", "nodes": asking | end, "settings": always},
        {"headrace": 1, "flow": "entering", "nodes": entering | end, "settings": always},
    ]


class Events:
    """Clicks with all that can be wrong with them: n of `customers`, a fifth of them doubled."""

    def __init__(self, n: int, customers: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = np.char.add("c", np.char.zfill(np.arange(customers).astype("U8"), 8)).astype("S9")
        self.names = names.view(np.uint8).reshape(-1, 9)
        self.hashes = hash_strings(names.view(np.uint8).data, np.arange(customers + 1) * 9)
        own = n - n // 5
        occurred = T0 - rng.integers(0, 40 * DAY_MS, own)
        kind = rng.random(own)
        future = kind < 0.02
        occurred[future] = T0 + 10 * YEAR_MS + rng.integers(0, DAY_MS, int(future.sum()))
        skewed = (kind >= 0.02) & (kind < 0.05)
        occurred[skewed] = T0 + rng.integers(1, FUTURE_MS // 2, int(skewed.sum()))
        order = rng.permutation(np.concatenate([np.arange(own), rng.integers(0, own, n - own)]))
        self.customer = rng.integers(0, customers, own)[order].astype(np.int32)
        self.occurred = occurred[order]
        self.number = order + 1

    def frame(self, rows: np.ndarray[Any, Any], received_ms: np.ndarray[Any, Any] | None) -> Frame:
        """Some of them, received at a time, or when the partition says."""
        n = len(rows)
        who, place = np.unique(self.customer[rows], return_inverse=True)
        message = np.zeros((n, 2), np.uint64)
        message[:, 0] = self.number[rows]
        return Frame(
            id_offsets=np.arange(len(who) + 1, dtype=np.int64) * 9,
            id_data=self.names[who].reshape(-1),
            id_hash=self.hashes[who],
            customer=place.astype(np.int32),
            type=np.full(n, CLICK, np.int32),
            event_names=["click", "ask"],
            occurred_ms=self.occurred[rows],
            received_ms=np.zeros(n, np.int64) if received_ms is None else received_ms,
            message=message,
            hash=self.number[rows].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        )

    def asking(self, first: int, last: int) -> Frame:
        """Each of some customers asks."""
        k = last - first
        return Frame(
            id_offsets=np.arange(k + 1, dtype=np.int64) * 9,
            id_data=self.names[first:last].reshape(-1),
            id_hash=self.hashes[first:last],
            customer=np.arange(k, dtype=np.int32),
            type=np.full(k, ASK, np.int32),
            event_names=["click", "ask"],
            occurred_ms=np.zeros(k, np.int64) + ASK_MS,
            received_ms=np.zeros(k, np.int64) + ASK_MS,
            message=np.zeros((k, 2), np.uint64),
            hash=np.arange(1, k + 1, dtype=np.uint64),
        )


class Model:
    """What a partition should do, event by event."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.past: dict[int, list[int]] = {}
        self.counts: Counter[str] = Counter()
        self.sent: Counter[int] = Counter()

    def take(self, customer: int, occurred: int, received: int, number: int) -> None:
        if occurred > received + FUTURE_MS:
            self.counts["too_far_in_the_future"] += 1
        elif number in self.seen:
            self.counts["duplicate"] += 1
        else:
            self.seen.add(number)
            late = occurred < received - LATE_MS
            self.counts["accepted"] += 1
            self.counts["historical"] += late
            self.past.setdefault(customer, []).append(min(occurred, received))
            if not late:
                self.sent[customer] += 1

    def answers(self, customer: int, now: int) -> list[int]:
        """Which questions are answered by yes; a window is (now - d, now]."""
        past = self.past.get(customer, [])
        return [
            number
            for number, (days, count) in enumerate(ASKED)
            if sum(now - days * DAY_MS < ms <= now for ms in past) >= count
        ]


def publish(partition: LivePartition, at_ms: int) -> None:
    for number, document in enumerate(flows(), 1):
        text = json.dumps(document)
        command = {"kind": "publish", "flow": document["flow"], "version": 1, "document": text}
        partition.command(number, {**command, "at_ms": at_ms})


def ask_all(partition: LivePartition, events: Events) -> Counter[tuple[int, str]]:
    """Who answers what by yes; nodes that begin with s are of the asking flow."""
    for first in range(0, len(events.hashes), ROWS):
        last = min(first + ROWS, len(events.hashes))
        partition.take([events.asking(first, last)], ASK_MS)
    return Counter((customer, node) for customer, _, node, _ in keys(partition) if node != "m")


@pytest.mark.parametrize(
    ("n", "customers"), [(20_000, 2_000), pytest.param(10**6, 50_000, marks=pytest.mark.soak)]
)
def test_disorder_changes_nothing_that_it_should_not(
    tmp_path: Path, n: int, customers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    events = Events(n, customers, seed=14)
    model = Model()
    with in_memory(tmp_path) as folder:
        with LivePartition.open(folder / "as-it-came", SETTINGS, create=True) as partition:
            publish(partition, T0 - 41 * DAY_MS)
            for first in range(0, n, ROWS):
                rows = np.arange(first, min(first + ROWS, n))
                now = max(T0 + first, partition.clock_ms)
                partition.take([events.frame(rows, None)], now)
                said = zip(
                    events.customer[rows].tolist(),
                    events.occurred[rows].tolist(),
                    events.number[rows].tolist(),
                    strict=True,
                )
                for customer, occurred, number in said:
                    model.take(customer, occurred, now, number)
            assert +Counter(partition.row_counts) == +model.counts
            sent = Counter(key[0] for key in keys(partition))
            expected = {int(events.hashes[c]): k for c, k in model.sent.items()}
            assert sent == expected
            answers = ask_all(partition, events)
        assert answers == Counter(
            (int(events.hashes[c]), f"s{number}")
            for c in range(customers)
            for number in model.answers(c, ASK_MS)
        )
        with LivePartition.open(folder / "sorted", SETTINGS, create=True) as partition:
            publish(partition, T0 - 41 * DAY_MS)
            _, once = np.unique(events.number, return_index=True)
            once = once[events.occurred[once] <= T0 + n + FUTURE_MS]
            once = once[np.argsort(events.occurred[once], kind="stable")]
            for first in range(0, len(once), ROWS):
                rows = once[first : first + ROWS]
                partition.take([events.frame(rows, events.occurred[rows])], 0)
            assert partition.row_counts["historical"] == 0
            assert ask_all(partition, events) == answers
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(model.counts.items()))
    with capsys.disabled():
        print(f"\nscenario 14: {told}; {len(answers):,} answers about the past, 0 differ")
    assert min(model.counts.values()) > 0
    assert len(answers) > customers
