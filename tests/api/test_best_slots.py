"""Checks that `headrace best-slots` suggests slots that a flow can have as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import call
from core.document import read_flow
from importing import import_files


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    mapping = {
        "headrace_mapping": 1,
        "customers": {"file": "customers.csv", "id": "id"},
        "events": {"file": "events.csv", "customer": "who", "time": "when", "event": "what"},
    }
    events = "".join(f"c{n},2026-05-0{4 + n % 2}T09:{n}0:00Z,email_opened\n" for n in range(3))
    files = {"customers.csv": "id\nc0\nc1\nc2\n", "events.csv": "who,when,what\n" + events}
    return import_files(tmp_path, mapping, files).folder


def test_slots_are_told_and_fit_a_flow(audience: Path) -> None:
    done = call("best-slots", audience, "--hours", 1)
    assert done.code == 0, done.err
    first, second, slots = done.out.splitlines()
    assert first.replace("\u202f", " ") == "Mon 09:00–10:00: 66.7 % of what people do, 2 events"
    assert second.startswith("Tue 09:00–10:00: 33.3")
    wait = {"type": "wait_slot", "slots": json.loads(slots.removeprefix("slots: ")), "next": "x"}
    nodes = {"t": {"type": "on_event", "event": "e", "next": "w"}, "w": wait, "x": {"type": "end"}}
    flow, violations = read_flow(
        json.dumps({"headrace": 1, "flow": "f", "nodes": nodes}), name="f.yaml"
    )
    assert flow is not None, violations


def test_slots_as_json(audience: Path) -> None:
    done = call("best-slots", audience, "--hours", 1, "--count", 1, "--json")
    (slot,) = json.loads(done.out)
    assert slot == {"from": "09:00", "until": "10:00", "days": ["mon"],
                    "share": pytest.approx(2 / 3), "events": 2}  # fmt: skip


def test_an_event_that_is_not_there_is_an_error(audience: Path) -> None:
    done = call("best-slots", audience, "--event", "email_opend")
    assert done.code != 0
    assert "Did you mean 'email_opened'" in done.err
