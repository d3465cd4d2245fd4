"""Checks how a converted flow is put together, checked and written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convert.draft import Draft, elapsed, id_of, is_placeholder, only_reads_events, weights
from core.convert.notes import ConvertError
from core.limits import WEIGHT_TOTAL
from foreign import flow_of, journey, nodes_of, told


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("hello", "hello"),
        ("$hello()", "hello"),
        ("Ein Weg – hin", "Ein-Weg-hin"),
        ("...", "flow"),
        ("日本", "flow"),
        ("a" * 60, "a" * 23 + ".." + "a" * 23),
    ],
)
def test_ids_are_made_of_any_text(text: str, made: str) -> None:
    assert id_of(text, "flow") == made


def test_ids_are_unique() -> None:
    draft = Draft("X", "x")
    assert [draft.new_id(name) for name in ("a", "$a", "a", "done")] == ["a", "a-2", "a-3", "done"]
    assert draft.end() == draft.end() == "done-2"


def test_ten_thousand_nodes_of_one_name_take_no_time() -> None:
    draft = Draft("X", "x")
    assert len({draft.new_id("a") for _ in range(10_000)}) == 10_000
    assert draft.new_id("a") == "a-10001"


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20).filter(any))
def test_weights_total_and_are_near_their_shares(parts: list[int]) -> None:
    shares = [100 * part / sum(parts) for part in parts]
    made = [int(Decimal(text.rstrip("%")) * 100) for text in weights(shares)]
    assert sum(made) == WEIGHT_TOTAL
    assert all(abs(m - 100 * s) < 1.001 for m, s in zip(made, shares, strict=True))


def test_durations_are_elapsed_time() -> None:
    assert elapsed(7 * 86_400_000) == "168 hours"
    assert elapsed(0.6) == "1 ms"


@pytest.mark.parametrize(
    ("value", "told"), [("$a", True), ("$a.b", True), ("$f()", True), ("$", False), ("a", False)]
)
def test_placeholders(value: str, told: bool) -> None:
    assert is_placeholder(value) is told


def test_filters_are_told_from_conditions() -> None:
    entry = {"entry": "a", "is": {"entry": "b"}}
    assert only_reads_events({"all": [entry, {"not": {"property": "p", "is_set": True}}]})
    assert not only_reads_events({"any": [entry, {"not": {"attribute": "a", "is": 1}}]})
    assert not only_reads_events({"did": "x"})


def entered(node_id: str) -> Draft:
    """A draft with a trigger that leads to a node."""
    draft = Draft("X", "x")
    draft.add("t", "/t", {"type": "on_event", "event": "e", "next": node_id})
    return draft


def test_a_watch_is_one_wait_for_a_condition() -> None:
    draft = entered("w")
    draft.watch("w", "/w", [({"group": "g"}, draft.end())], 10_001, draft.end(), "Watch")
    made = draft.finish(source="a test")
    assert made.notes == ()
    assert nodes_of(made)["w"] == {
        "type": "wait_condition", "title": "Watch", "timeout": "10 seconds 1 ms",
        "if": {"group": "g"}, "next": {"met": "done", "timeout": "done"},
    }  # fmt: skip


def test_a_watch_for_several_asks_which_of_them_it_was() -> None:
    draft = entered("w")
    ends = [draft.add(name, f"/{name}", {"type": "end"}) for name in ("a", "b", "c")]
    tests = [({"group": name}, name) for name in ends]
    draft.watch("w", "/w", tests, 1, draft.end())
    nodes = nodes_of(draft.finish(source="a test"))
    assert nodes["w"]["if"] == {"any": [{"group": "a"}, {"group": "b"}, {"group": "c"}]}
    assert nodes["w"]["next"] == {"met": "w-which", "timeout": "done"}
    assert nodes["w-which"]["next"] == {"yes": "a", "no": "w-which-else"}
    assert nodes["w-which-else"]["next"] == {"yes": "b", "no": "c"}


def test_a_watch_asks_for_the_entering_event_on_arrival() -> None:
    draft = entered("w")
    draft.add("a", "/a", {"type": "end"})
    entry = {"entry": "p", "is": "x"}
    draft.watch("w", "/w", [(entry, "a"), ({"group": "g"}, draft.end())], 60_000, "a", "Watch")
    made = draft.finish(source="a test")
    nodes = nodes_of(made)
    assert made.notes == ()
    assert (nodes["w"]["if"], nodes["w"]["title"]) == (entry, "Watch")
    assert (nodes["w-else"]["if"], nodes["w-else"]["next"]["no"]) == ({"group": "g"}, "w-wait")
    assert nodes["w-wait"]["if"] == {"group": "g"}
    assert journey(made, [("05-04 10:00", "e", {"p": "x"})], groups=[])[1] == "05-04 10:00 w yes"
    assert journey(made, [("05-04 10:00", "e", {"p": "y"})], groups=[])[-2:] == [
        "05-04 10:01 w-wait timeout",
        "05-04 10:01 a end",
    ]
    draft = entered("w")
    draft.watch("w", "/w", [(entry, draft.end())], 60_000, draft.end())
    assert nodes_of(draft.finish(source="a test"))["w-wait"]["type"] == "wait"


def test_what_depends_on_the_entering_event_and_on_more_is_looked_at() -> None:
    draft = entered("w")
    both = {"any": [{"attribute": "a", "is": {"entry": "p"}}, {"group": "g"}]}
    draft.watch("w", "/w", [(both, draft.end())], 10_001, draft.end())
    made = draft.finish(source="a test")
    assert told(made) == [("/w", "wait w")]
    assert (
        made.notes[0].stand_in == "it is asked on arrival and then every 1 second 667 ms, 6 times"
    )
    waits = [n for n in flow_of(made).nodes.values() if n.type == "wait"]
    assert sum(wait.for_.ms for wait in waits) == 10_001  # type: ignore[attr-defined]
    assert len(waits) == 6


def test_looks_without_length_ask_once() -> None:
    draft = entered("w")
    draft.look("w", "/w", [({"group": "g"}, draft.end())], 0, draft.end())
    assert list(nodes_of(draft.finish(source="a test"))) == ["t", "w", "done"]


def test_looks_need_not_begin_on_arrival() -> None:
    draft = entered("w")
    draft.look("w", "/w", [({"group": "g"}, draft.end())], 60, draft.end(), arrival=[], title="L")
    nodes = nodes_of(draft.finish(source="a test"))
    assert (nodes["w"]["type"], nodes["w"]["title"], nodes["w"]["for"]) == ("wait", "L", "10 ms")


def test_events_are_listened_to_by_ports_of_their_names() -> None:
    draft = entered("w")
    where = {"property": "p", "is": 1}
    heard = [("a b", None, "t2"), ("a b", where, "t2"), ("timeout", None, "t2"), ("$", None, "t2")]
    draft.listen("w", "/w", heard, 1000, "t2")
    draft.add("t2", "/t2", {"type": "end"})
    node = nodes_of(draft.finish(source="a test"))["w"]
    assert node["events"] == {
        "a-b": {"event": "a b"},
        "a-b-2": {"event": "a b", "where": {"property": "p", "is": "1"}},
        "timeout-3": {"event": "timeout"},
        "event": {"event": "$"},
    }
    assert list(node["next"]) == ["a-b", "a-b-2", "timeout-3", "event", "timeout"]


def test_what_is_no_valid_flow_is_an_error_at_its_place() -> None:
    draft = Draft("X", "x")
    draft.add("t", "/entry", {"type": "on_event", "event": "e", "next": "a"})
    draft.add("a", "/nodes/7", {"type": "wait_slot", "slots": [{"from": "25:00", "until": "1:00"}]})
    with pytest.raises(ConvertError, match="what it converts to is no valid flow") as caught:
        draft.finish(source="a test")
    assert caught.value.pointer == "/nodes/7"
    assert caught.value.exit_code == 1


def test_what_stands_in_is_a_group() -> None:
    draft = Draft("X", "x")
    assert draft.unknown("/p", "w" * 300, "why") == {"group": f"X: {'w' * 253}"}
    assert draft.notes[0].stand_in.startswith("membership in the group 'X: www")
