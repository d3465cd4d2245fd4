"""Checks that `headrace overlap` counts the people whom flows share, each person once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cases import on, send
from command import call
from importing import import_files

ONE = {"t": on("go", "m"), "m": send("email", "one", "x")}
TWO = {
    "t": {**on("go", "q"), "where": {"property": "n", "above": 2}},
    "q": {
        "type": "condition",
        "if": {"attribute": "vip", "is": "yes"},
        "next": {"yes": "m", "no": "x"},
    },
    "m": send("sms", "two", "x"),
}
NONE = {"t": on("never", "m"), "m": send("sms", "three", "x")}


@pytest.fixture
def audience(tmp_path: Path) -> Path:
    mapping = {
        "headrace_mapping": 1,
        "customers": {"file": "customers.csv", "id": "id", "attributes": {"vip": "vip"}},
        "events": {
            "file": "events.csv",
            "customer": "who",
            "time": "when",
            "event": "what",
            "properties": {"n": {"column": "n", "type": "int64"}},
        },
    }
    people = "".join(f"c{n},{'yes' if n >= 4 else 'no'}\n" for n in range(6))
    events = "".join(f"c{n},2026-05-0{day},go,{n}\n" for n in range(5) for day in (1, 2))
    files = {"customers.csv": "id,vip\n" + people, "events.csv": "who,when,what,n\n" + events}
    return import_files(tmp_path, mapping, files).folder


def write(folder: Path, name: str, nodes: dict[str, Any], **settings: Any) -> Path:
    path = folder / f"{name}.yaml"
    document = {"headrace": 1, "flow": name, "settings": settings}
    path.write_text(yaml.safe_dump({**document, "nodes": {**nodes, "x": {"type": "end"}}}))
    return path


def test_people_of_two_flows_are_counted_once_each(tmp_path: Path, audience: Path) -> None:
    again = {"reentry": {"policy": "always"}}
    flows = [
        write(tmp_path, "one", ONE, **again),
        write(tmp_path, "two", TWO, **again, budget=[{"sends": 1}]),
        write(tmp_path, "none", NONE),
    ]
    done = call("overlap", *flows, "--audience", audience, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "alone": [
            {"flow": "one", "entered": 5, "sent_to": 5},
            {"flow": "two", "entered": 2, "sent_to": 1},
            {"flow": "none", "entered": 0, "sent_to": 0},
        ],
        "pairs": [
            {"flow": "one", "other": "two", "entered": 2, "sent_to": 1},
            {"flow": "one", "other": "none", "entered": 0, "sent_to": 0},
            {"flow": "two", "other": "none", "entered": 0, "sent_to": 0},
        ],
    }
    assert call("overlap", *flows, "--audience", audience).out.splitlines()[3:5] == [
        "one and two: 2 people enter both (40\u202f% of one, 100\u202f% of two), "
        "1 is sent messages by both.",
        "one and none: 0 people enter both, 0 are sent messages by both.",
    ]


def test_only_the_time_asked_for_counts(tmp_path: Path, audience: Path) -> None:
    flows = [write(tmp_path, name, ONE) for name in ("one", "two")]
    done = call("overlap", *flows, "--audience", audience, "--from", "2026-05-03",
                "--until", "2026-05-04", "--json")  # fmt: skip
    assert json.loads(done.out)["pairs"][0]["entered"] == 0


def test_one_flow_alone_and_one_id_twice_are_refused(tmp_path: Path, audience: Path) -> None:
    one = write(tmp_path, "one", ONE)
    done = call("overlap", one, "--audience", audience)
    assert done.code != 0
    assert "two flows or more" in done.words
    done = call("overlap", one, one, "--audience", audience)
    assert done.code != 0
    assert "two of the flows have the id 'one'" in done.words
