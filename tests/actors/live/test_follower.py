"""Tests of `actors.live.follower`: what it keeps, how it goes on, and when it begins anew."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.live import follower as module
from core.counters import Counters
from followed import CLICKED, HOUR_MS, SETTINGS, T0, Followed, document, followed


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Followed]:
    with followed(tmp_path) as found:
        yield found


def looks(live: Followed) -> Any:
    """All that is answered, but for how far it is true."""
    answers = [
        live.ask("report", edges_ms=[T0, T0 + HOUR_MS, T0 + 24 * HOUR_MS]),
        live.ask("nodes", version=1),
        live.ask("people", version=1, node=None, port=None, after="", limit=100),
        live.ask("people", version=1, node=2, port=0, after="", limit=100),
        *(live.ask("path", version=1, customer=each) for each in "abcd"),
    ]
    return json.dumps(answers)


def work(live: Followed, part: int) -> None:
    """Two parts of a story: a clicks, b does not, c comes later, d stays."""
    if part == 0:
        live.publish()
        live.events("go", "a", "b")
        live.pass_ms(HOUR_MS)
        live.events("click", "a")
    else:
        live.events("go", "c")
        live.pass_ms(2 * HOUR_MS)
        live.events("click", "c")
        live.events("go", "a", "d")


def same_counts(ours: Counters, theirs: Counters) -> None:
    for field in dataclasses.fields(Counters):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        assert np.array_equal(one, other), field.name


def test_it_counts_as_the_partition_does(live: Followed) -> None:
    work(live, 0)
    work(live, 1)
    live.follow().catch_up()
    assert live.follower is not None
    same_counts(live.follower.counts("f", 1), live.partition.counts("f", 1))
    assert live.follower.digest() == live.partition.digest()
    assert live.follower.clock_ms == live.partition.clock_ms
    assert live.follower.behind == 0


@pytest.mark.parametrize("save", [False, True])
def test_it_goes_on_where_it_was(live: Followed, tmp_path: Path, save: bool) -> None:
    work(live, 0)
    before = looks(live)
    live.rest(save=save)
    assert looks(live) == before
    live.rest(save=save)
    work(live, 1)
    after = looks(live)
    assert live.follower is not None
    own = live.follower._own
    kept = own.head.journal_last
    assert own.load_snapshot() is not None if save else own.load_snapshot() is None
    live.rest()
    # Nothing is kept twice, whatever had to be carried out again.
    assert looks(live) == after
    assert live.follower._own.head.journal_last == kept
    live.rest()
    shutil.rmtree(tmp_path / "reports")
    assert looks(live) == after


def test_snapshots_bound_what_is_carried_out_again(
    live: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_RECORDS", 3)
    monkeypatch.setattr(module, "STEP_RECORDS", 2)
    work(live, 0)
    work(live, 1)
    after = looks(live)
    live.rest()
    assert looks(live) == after
    assert live.follower is not None
    snapshot = live.follower._own.load_snapshot()
    assert snapshot is not None
    assert snapshot.manifest.sequence > 1


def test_another_directory_begins_anew(live: Followed) -> None:
    work(live, 0)
    before = looks(live)
    live.rest(save=True)
    live.follow("another").catch_up()
    assert live.follower is not None
    assert live.follower._own.head.journal_last > 1
    assert looks(live) == before


def test_a_journal_that_went_another_way_is_followed_anew(tmp_path: Path) -> None:
    """A directory that was restored from a backup has lost what came behind it."""
    with followed(tmp_path / "one") as live:
        work(live, 0)
        live.rest()
        live.partition.close()
        shutil.copytree(tmp_path / "one/p", tmp_path / "backup")
        live.partition = type(live.partition).open(tmp_path / "one/p", SETTINGS)
        live.events("go", "lost")
        assert live.listed() == (["a", "b", "lost"], 0)
        live.rest(save=True)
        live.partition.close()
        shutil.rmtree(tmp_path / "one/p")
        shutil.copytree(tmp_path / "backup", tmp_path / "one/p")
        live.partition = type(live.partition).open(tmp_path / "one/p", SETTINGS)
        assert live.listed() == (["a", "b"], 0)
        live.rest()
        live.events("go", "found")
        live.events("go", "more")
        assert live.listed() == (["a", "b", "found", "more"], 0)


def test_a_trimmed_journal_is_followed_from_its_snapshot(live: Followed, tmp_path: Path) -> None:
    work(live, 0)
    while live.partition.snapshot(now=True):
        pass
    live.partition.store.trim_journal(live.partition.store.head.journal_last)
    work(live, 1)
    found = live.ask("report", edges_ms=[])
    assert found["since_ms"] == T0 + HOUR_MS + 1
    version = found["versions"][0]
    assert (version["entries"], version["people"], version["layers"]) == (5, 4, [4, 2])
    # b entered before: the list does not have him, and says from when on it is whole.
    assert live.listed()[0] == ["a", "c", "d"]
    live.rest()
    assert live.ask("report", edges_ms=[])["since_ms"] == T0 + HOUR_MS + 1
    assert live.listed()[0] == ["a", "c", "d"]


def test_what_is_damaged_is_made_anew(live: Followed, tmp_path: Path) -> None:
    work(live, 0)
    before = looks(live)
    live.rest()
    (tmp_path / "reports/format").write_text("nonsense")
    assert looks(live) == before


def test_erased_customers_are_on_no_list(live: Followed) -> None:
    work(live, 0)
    assert live.listed() == (["a", "b"], 0)
    live.erase("a")
    assert live.listed() == (["b"], 1)
    assert live.listed(2, 0) == ([], 1)
    assert live.steps("a") == []
    assert live.ask("find", customer="a")["known"] is False
    assert live.ask("find", customer="b")["known"] is True
    live.rest(save=True)
    assert live.listed() == (["b"], 1)
    live.pass_ms(HOUR_MS // 2)
    live.events("go", "a")
    # He is somebody new, of whom only what is new is told.
    at = HOUR_MS * 3 // 2
    assert live.listed() == (["a", "b"], 1)
    assert live.steps("a") == [(at, 0, "start", "next"), (at, 0, "mail", "next")]
    assert live.listed(2, 0) == ([], 1)
    report = live.ask("report", edges_ms=[])["versions"][0]
    assert (report["entries"], report["people"]) == (3, 3)


def test_the_ids_of_the_erased_are_in_no_snapshot(live: Followed) -> None:
    live.publish()
    live.events("go", "somebody-known", "b")
    live.listed()
    live.rest(save=True)

    def bytes_kept() -> bytes:
        live.follow().catch_up()
        assert live.follower is not None
        found = live.follower._own.load_snapshot()
        assert found is not None
        return b"".join(data for _, data in found.slices())

    assert b"somebody-known" in bytes_kept()
    live.erase("somebody-known")
    assert b"somebody-known" not in bytes_kept()


@pytest.mark.parametrize("in_flight", ["pin", "drop", "reset"])
def test_those_inside_go_on_leave_or_begin_anew(live: Followed, in_flight: str) -> None:
    """A customer follows the version that was current when he entered."""
    live.publish()
    live.events("go", "a", "b")
    live.pass_ms(HOUR_MS)
    live.events("click", "b")
    live.publish(2, in_flight)
    live.pass_ms(HOUR_MS // 2)
    live.events("click", "a")
    live.events("go", "c")
    first = [(0, 0, "start", "next"), (0, 0, "mail", "next")]
    clicked = ("wait", "event"), ("text", "next"), ("done", "end")
    assert live.steps("b") == [*first, *((HOUR_MS, 0, *step) for step in clicked)]
    later = HOUR_MS * 3 // 2
    went_on = [(later, 0, *step) for step in clicked] if in_flight == "pin" else []
    assert live.steps("a") == [*first, *went_on]
    assert live.listed(version=2) == (["a", "c"] if in_flight == "reset" else ["c"], 0)
    report = live.ask("report", edges_ms=[])["versions"]
    assert [v["version"] for v in report] == [1, 2]
    assert report[0]["entries"] == 2
    ended = {"pin": (2, HOUR_MS + later), "drop": (1, HOUR_MS), "reset": (1, HOUR_MS)}
    assert (report[0]["ended"], report[0]["ended_total_ms"]) == ended[in_flight]
    assert report[1]["entries"] == 1 + (in_flight == "reset")
    same = live.listed(version=2)
    live.rest(save=True)
    assert live.listed(version=2) == same


def test_versions_are_known_without_a_decision(live: Followed) -> None:
    live.publish()
    assert live.listed() == ([], 0)
    assert live.ask("nodes", version=1)["port"] == [0] * 5
    live.rest()
    live.publish(2, text=document({"s": {**CLICKED["start"], "next": "e"}, "e": {"type": "end"}}))
    live.events("go", "a")
    assert live.listed(version=2) == (["a"], 0)
    assert live.ask("nodes", version=2)["port"] == [1]
