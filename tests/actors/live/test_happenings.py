"""Tests of `actors.live.happenings`: what is told, in which order, and from which place on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.happenings import DECIDED, KINDS
from followed import HOUR_MS, T0, Followed, followed


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Followed]:
    with followed(tmp_path) as found:
        found.publish()
        yield found


def feed(live: Followed, place: list[int], limit: int = 100, **more: Any) -> Any:
    asked = {"kinds": list(KINDS), "flows": [], **more}
    return live.follow().ask("happened", {"partition": 0, "after": place, "limit": limit, **asked})


def everything(live: Followed, limit: int = 100, **more: Any) -> list[dict[str, Any]]:
    place, found = [0, 0], []
    while True:
        answer = feed(live, place, limit, **more)
        found += answer["items"]
        if answer["place"] == place:
            return found
        place = answer["place"]


def work(live: Followed) -> None:
    live.events("go", "a", "b")
    live.pass_ms(HOUR_MS)
    live.events("click", "a")
    live.pass_ms(2 * HOUR_MS)


def shown(items: list[dict[str, Any]], customer: str) -> list[tuple[int, str, str, str]]:
    return [
        (e["at_ms"] - T0, e["kind"], e["node"], e.get("port") or e["outcome"])
        for e in items
        if e["customer"] == customer
    ]


def test_each_step_of_a_customer_is_told_in_order(live: Followed) -> None:
    work(live)
    found = everything(live)
    assert shown(found, "a") == [
        (0, "entered", "start", "next"),
        (0, "sent", "mail", "next"),
        (HOUR_MS, "moved", "wait", "event"),
        (HOUR_MS, "sent", "text", "next"),
        (HOUR_MS, "completed", "done", "end"),
    ]
    assert shown(found, "b")[2:] == [
        (2 * HOUR_MS, "moved", "wait", "timeout"),
        (2 * HOUR_MS, "completed", "done", "end"),
    ]
    sent = [e for e in found if e["kind"] == "sent" and e["customer"] == "a"]
    assert [(e["channel"], e["template"]) for e in sent] == [("email", "hello"), ("sms", "thanks")]
    assert {(e["flow"], e["version"]) for e in found} == {("f", 1)}


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_small_pages_tell_the_same_once(live: Followed, limit: int) -> None:
    work(live)
    assert everything(live, limit) == everything(live)


def test_places_do_not_depend_on_what_is_asked_for(live: Followed) -> None:
    work(live)
    whole = {(e["record"], e["index"]): e for e in everything(live)}
    for kinds in (["completed"], ["entered", "sent"], list(DECIDED)):
        found = everything(live, 1, kinds=kinds)
        assert found == [e for e in whole.values() if e["kind"] in kinds]
    assert everything(live, flows=["other"]) == []


def test_it_goes_on_behind_a_place_also_when_it_was_made_anew(live: Followed) -> None:
    work(live)
    before = everything(live)
    place = feed(live, [0, 0], 3)["place"]
    live.rest()
    assert feed(live, place)["items"] == before[3:]
    live.rest()
    for path in (live.folder / "reports").iterdir():
        path.unlink()
    (live.folder / "reports").rmdir()
    assert everything(live) == before
    assert feed(live, place)["items"] == before[3:]


def test_what_comes_later_is_behind_the_end(live: Followed) -> None:
    work(live)
    ends = live.follow().ask("ends", {})["ends"]
    assert feed(live, [ends[0], 0])["items"] == []
    live.events("go", "c")
    kinds = [step[1] for step in shown(feed(live, [ends[0], 0])["items"], "c")]
    assert kinds == ["entered", "sent"]


def test_a_place_behind_a_journal_that_was_restored_leads_to_its_end(live: Followed) -> None:
    work(live)
    last = live.follow().ask("ends", {})["ends"][0]
    assert feed(live, [last + 5, 2]) | {"items": [], "place": [last, 0]} == feed(
        live, [last + 5, 2]
    )


def test_of_the_erased_nothing_is_told_that_was_before(live: Followed) -> None:
    work(live)
    told = [e for e in everything(live) if e["customer"] == "b"]
    asked = [[0, e["number"], e["record"]] for e in told]
    assert set(live.follow().ask("named", {"asked": asked})["ids"]) == {"b"}
    live.erase("b")
    for _ in range(2):
        assert {e["customer"] for e in everything(live)} == {"a"}
        assert set(live.follow().ask("named", {"asked": asked})["ids"]) == {None}
        live.rest()
    live.events("go", "b")
    assert [e["kind"] for e in everything(live) if e["customer"] == "b"] == ["entered", "sent"]
