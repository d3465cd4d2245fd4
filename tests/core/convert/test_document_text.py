"""Checks that documents are written so that they read the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.convert.document_text import document_text
from core.yaml_text import read_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRICKY = st.sampled_from(
    (
        *("yes", "no", "on", "null", "~", "true", "1e3", "0x1f", "12:30", "007", "- a", "a: b"),
        *("#", "", "3 days", "28 hours", "'", '"', "\u2028", "\x85", "a\nb", " a", "a ", "{"),
        *("1_000", "=", "!a"),
    )
)
VALUES = st.recursive(
    TEXT | TRICKY | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | TRICKY, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXT | TRICKY, VALUES, max_size=4))
def test_what_is_written_is_read(document: dict[str, Any]) -> None:
    read = read_yaml(document_text(document, ["A comment."]))
    if document:
        assert (read.value, read.violations) == (document, [])


def test_it_looks_as_people_write_it() -> None:
    nodes = {"a": {"type": "wait", "for": "3 days", "next": "b"}, "b": {"type": "end"}}
    document = {"headrace": 1, "nodes": nodes, "x": {"yes": "on", "no": "1"}}
    assert document_text(document, ["Why.", "What."]) == (
        "# Why.\n# What.\nheadrace: 1\nnodes:\n  a: {type: wait, for: 3 days, next: b}\n"
        '  b: {type: end}\nx: {yes: on, no: "1"}\n'
    )
