"""What two documents have otherwise: nodes, fields, lists, kinds of values."""

from __future__ import annotations

from typing import Any

import pytest

from actors.service.differences import Change, differences


def of(before: Any, after: Any) -> list[Change]:
    """The changes of two values of a field."""
    return differences({"x": before}, {"x": after}).changes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        (1, 2, [Change("/x", "changed", 1, 2)]),
        (1, True, [Change("/x", "changed", 1, True)]),
        (1, 1.0, [Change("/x", "changed", 1, 1.0)]),
        ({"a": None}, {}, [Change("/x/a", "removed", None)]),
        ({}, {"a/b~": 1}, [Change("/x/a~1b~0", "added", after=1)]),
        (["a", "b"], ["b", "a"], [Change("/x", "changed", ["a", "b"], ["b", "a"])]),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 3}], [Change("/x/1/b", "changed", 2, 3)]),
        ([{"a": 1}], [], [Change("/x", "changed", [{"a": 1}], [])]),
        ({"a": 1}, [1], [Change("/x", "changed", {"a": 1}, [1])]),
    ],
)
def test_each_field_is_told_by_its_place(before: Any, after: Any, expected: list[Change]) -> None:
    assert of(before, after) == expected


def test_nodes_that_come_or_go_are_named_and_not_told_field_by_field() -> None:
    before = {"nodes": {"a": {"next": "b"}, "b": {"type": "end"}, "c": {"x": 1}}}
    after = {"nodes": {"a": {"next": "d"}, "c": {"x": 1}, "d": {"type": "end"}}}
    found = differences(before, after)
    assert (found.added, found.removed, found.changed) == (["d"], ["b"], ["a"])
    assert found.changes == [Change("/nodes/a/next", "changed", "b", "d")]


def test_what_is_no_flow_is_compared_too() -> None:
    found = differences({"nodes": [1]}, {"nodes": {"a": 1}})
    assert (found.added, found.changes) == (["a"], [])
