"""Checks that foreign objects are read with their types, and that no field gets lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.convert.fields import Fields
from core.convert.notes import ConvertError, Note

VALUE = {
    "text": "a", "empty": "", "null": None, "number": 3, "half": 0.5, "flag": True, "list": [1],
    "part": {"x~/y": 1}, "parts": [{"a": 1}, {"b": 2}],
}  # fmt: skip


def fields(notes: list[Note] | None = None) -> Fields:
    return Fields(VALUE, ("at", 0), [] if notes is None else notes)


def test_values_are_read_by_their_types() -> None:
    read = fields()
    assert read.text("text") == read.need("text") == read.one_of("text", ("a", "b"), "kind") == "a"
    assert read.text("empty") is read.text("null") is read.text("absent") is None
    assert (read.number("number"), read.number("half"), read.number("absent")) == (3, 0.5, None)
    assert (read.flag("flag"), read.flag("absent")) == (True, False)
    assert (read.items("list"), read.items("absent")) == ([1], [])
    part = read.need_part("part")
    assert part.at("x~/y") == "/at/0/part/x~0~1y"
    assert read.part("absent") is None
    assert [p.pointer for p in read.parts("parts")] == ["/at/0/parts/0", "/at/0/parts/1"]


@pytest.mark.parametrize(
    ("ask", "place", "said"),
    [
        (lambda f: f.text("number"), "/at/0/number", "expected a text, found a number"),
        (lambda f: f.number("flag"), "/at/0/flag", "expected a number, found true or false"),
        (lambda f: f.flag("text"), "/at/0/text", "expected true or false, found a text"),
        (lambda f: f.items("part"), "/at/0/part", "expected a list, found an object"),
        (lambda f: f.part("list"), "/at/0/list", "expected an object, found a list"),
        (lambda f: f.parts("list"), "/at/0/list/0", "expected an object, found a number"),
        (lambda f: f.need("absent"), "/at/0", "the field 'absent' is missing"),
        (lambda f: f.need_part("null"), "/at/0", "the field 'null' is missing"),
        (lambda f: f.one_of("text", ("b",), "kind"), "/at/0/text", "unknown kind 'a'"),
    ],
)
def test_other_types_are_errors(ask: Callable[[Fields], Any], place: str, said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        ask(fields())
    assert caught.value.pointer == place


def test_what_nobody_asked_for_is_noted_unless_it_says_nothing() -> None:
    notes: list[Note] = []
    read = fields(notes)
    read.skip("text", "number", "flag", "list", "parts")
    read.part("part")
    read.done("the thing")
    assert [(n.pointer, n.what, n.kind) for n in notes] == [
        ("/at/0/half", "half of the thing", "left out")
    ]
