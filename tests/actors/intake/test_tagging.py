"""Which request brought rows in: in frames, for commits, in lines of a log."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from actors.intake import tagging
from actors.intake.frame import decode, encode
from actors.intake.joining import joined
from actors.intake.tagging import RELAY, SHARD, Tags, joined_tags, log_line, log_to
from hosting import frame_of


def test_a_frame_carries_its_tag_where_it_travels_and_nowhere_else() -> None:
    frame = frame_of("a", "b")
    frame.tag = "r-1"
    assert decode(encode(frame, tagged=True)).tag == "r-1"
    assert decode(encode(frame)).tag == ""
    plain = frame_of("a", "b")
    assert encode(frame) == encode(plain) == encode(plain, tagged=True)
    assert frame.take(np.array([1])).tag == "r-1"
    other = frame_of("c")
    other.tag = "r-2"
    assert joined([frame, plain, other]).tag == "r-1,r-2"


def test_a_tag_has_as_many_ids_as_it_may() -> None:
    assert joined_tags(["a", "", "b", "a"]) == "a,b"
    many = joined_tags(f"{n:063}" for n in range(100))
    assert len(many) <= tagging.TAG_CHARS_MAX
    assert many.split(",") == [f"{n:063}" for n in range(16)]


def test_the_latest_commits_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "COMMITS_MAX", 2)
    tags = Tags()
    for commit, tag in ((3, "a"), (3, "b"), (4, ""), (5, "c"), (6, "d")):
        tags.note(commit, tag)
    assert [tags.of(commit) for commit in range(3, 8)] == ["", "", "c", "d", ""]


def test_who_asks_of_a_commit_under_way_waits_for_it() -> None:
    tags, found = Tags(), list[str]()
    with tags.committing():
        asking = threading.Thread(target=lambda: found.append(tags.of(1)))
        asking.start()
        asking.join(0.1)
        assert asking.is_alive()
        tags.note(1, "mine")
    asking.join()
    assert found == ["mine"]


def test_lines_are_objects_in_a_file(tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in (SHARD, RELAY)]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    try:
        log_to(tmp_path / "log" / "shard-000.jsonl")
        log_line(SHARD, "commit", "r-1", rows=2)
        log_line(RELAY, "delivery", "r-1", outcome="delivered")
    finally:
        for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
            for handler in set(each.handlers) - set(handlers):
                handler.close()
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
    lines = (tmp_path / "log" / "shard-000.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [(each["event"], each["request_id"]) for each in told] == [
        ("commit", "r-1"),
        ("delivery", "r-1"),
    ]
    assert told[0]["rows"] == 2
