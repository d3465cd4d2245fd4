"""Checks how a converted flow is put together, checked and written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convert.draft import Draft, elapsed, id_of, is_placeholder, only_reads_events, weights
from core.convert.notes import ConvertError
from core.limits import WEIGHT_TOTAL
from foreign import flow_of, nodes_of


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


def test_a_watch_without_length_asks_once() -> None:
    draft = Draft("X", "x")
    draft.add("t", "/t", {"type": "on_event", "event": "e", "next": "w"})
    draft.watch("w", "/w", [({"group": "g"}, draft.end())], 0, draft.end())
    made = draft.finish(source="a test")
    assert list(nodes_of(made)) == ["t", "w", "done"]


def test_a_watch_ends_at_its_timeout_to_the_millisecond() -> None:
    draft = Draft("X", "x")
    draft.add("t", "/t", {"type": "on_event", "event": "e", "next": "w"})
    draft.watch("w", "/w", [({"group": "g"}, draft.end())], 10_001, draft.end(), arrival=[])
    waits = [n for n in flow_of(draft.finish(source="a test")).nodes.values() if n.type == "wait"]
    assert sum(wait.for_.ms for wait in waits) == 10_001  # type: ignore[attr-defined]
    assert len(waits) == 6


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
