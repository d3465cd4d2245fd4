"""Checks that values come into a text as values, and that all else of it stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.template_kinds import Value
from api.template_text import escaped, filled, holes, scalars, written
from core.yaml_text import read_yaml

TEXT = """\
# A comment with $wait in it.
nodes:
  $begin: {type: wait, for: $wait, "next": [$begin, '$wait']}   # and $begin behind
  plain: costs $wait or $$
  kept: $$wait
  lists:
    - $share.rest
    - - "$wait"
      - ü😀: $wait
"""


def test_every_placeholder_is_found_with_its_place() -> None:
    found = [(h.name, h.form, h.scalar.pointer, h.scalar.key, h.scalar.line) for h in holes(TEXT)]
    assert found == [
        ("begin", "", "/nodes/$begin", True, 3),
        ("wait", "", "/nodes/$begin/for", False, 3),
        ("begin", "", "/nodes/$begin/next/0", False, 3),
        ("wait", "", "/nodes/$begin/next/1", False, 3),
        ("share", "rest", "/nodes/lists/0", False, 7),
        ("wait", "", "/nodes/lists/1/0", False, 8),
        ("wait", "", "/nodes/lists/1/1/ü😀", False, 9),
    ]


def test_only_placeholders_are_written_anew() -> None:
    values = {"begin": "start", "wait": "3 days", "share.rest": "90%"}
    made = filled(TEXT, lambda name, form: values[name + ("." + form if form else "")])
    assert (
        made
        == """\
# A comment with $wait in it.
nodes:
  start: {type: wait, for: 3 days, "next": [start, 3 days]}   # and $begin behind
  plain: costs $wait or $$
  kept: "$wait"
  lists:
    - 90%
    - - 3 days
      - ü😀: 3 days
"""
    )


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=30),
    st.sampled_from(["yes", "null", "~", "1e5", "0x10", "09:00", "2026-05-01", "- a", "a: b",
                     "a #b", "*x", "&x", "!t x", "$wait", "{a", "[a", "'", '"', "%", "a,b", "---",
                     "a:", "?", "-", "|", ">", "@x", "`x", "a\\nb", "<<", "=", "33.33%"]),
)  # fmt: skip


@given(st.one_of(SCALARS, st.lists(st.text(min_size=1, max_size=9).filter(str.isprintable))))
def test_any_value_is_read_back_as_it_is_wherever_it_stands(value: Value) -> None:
    places: dict[str, Callable[[Value], Any]] = {
        "a: $v\n": lambda v: v,
        "a: [$v, 1]\n": lambda v: [v, 1],
        "a: {b: $v, c: 1}\n": lambda v: {"b": v, "c": 1},
        "a:\n  - '$v'\n  - 1\n": lambda v: [v, 1],
    }
    for text, place in places.items():
        made = filled(text, lambda name, form: value)
        assert read_yaml(made).value == {"a": place(value)}


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20))
def test_a_text_is_the_same_for_other_readers_of_yaml(text: str) -> None:
    assert yaml.safe_load(written(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3 days", "3 days"),
        ("20%", "20%"),
        ("contact_added", "contact_added"),
        ("consent:email", '"consent:email"'),
        ("09:00", '"09:00"'),
        ("no", '"no"'),
        (["a", "b c"], "[a, b c]"),
        (True, "true"),
        (150, "150"),
    ],
)
def test_plain_words_need_no_quotes(value: Value, text: str) -> None:
    assert written(value) == text


def test_what_looks_like_a_placeholder_can_be_kept() -> None:
    text = "a: $x\nb: '$$y'\nc: costs $5\n"
    kept = escaped(text)
    assert read_yaml(kept).value == {"a": "$$x", "b": "$$$y", "c": "costs $5"}
    assert holes(kept) == []
    assert read_yaml(filled(kept, lambda name, form: "never")).value == read_yaml(text).value


def test_pointers_of_scalars_lead_to_them() -> None:
    found = scalars("a:\n  b/c: [x, {d~e: y}]\n")
    assert [(s.text, s.pointer) for s in found if not s.key] == [
        ("x", "/a/b~1c/0"),
        ("y", "/a/b~1c/1/d~0e"),
    ]
