"""Checks that JSON is read strictly, and that its flaws are found with their places."""

import pytest

from core import limits
from core.json_text import mark_json, read_json
from core.marks import line_of


def test_values_are_plain() -> None:
    read = read_json('{"a": [1, -2.5, true, null, "\\u00e9\\ud83d\\ude00"], "b": {}}')
    assert read.violations == []
    assert read.value == {"a": [1, -2.5, True, None, "é😀"], "b": {}}


@pytest.mark.parametrize(
    ("text", "code", "pointer"),
    [
        ('{"a": NaN}', "not-finite", "/a"),
        ('{"a": [0, -Infinity]}', "not-finite", "/a/1"),
        ('{"a": 1e400}', "number-too-large", "/a"),
        ('{"a": 9223372036854775808}', "number-too-large", "/a"),
        ('{"a": -9223372036854775809}', "number-too-large", "/a"),
        ('{"a": ' + "9" * 5000 + "}", "number-too-large", "/a"),
        ('{"a": "x\\ud800"}', "lone-surrogate", "/a"),
        ('{"\\udc00": 1}', "lone-surrogate", "/\\udc00"),
        ('{"b": {"a": 1, "a": 2}}', "duplicate-key", "/b/a"),
        ('{"a": 1,}', "invalid-json", ""),
        ('{"a": 1} x', "invalid-json", ""),
        ("{'a': 1}", "invalid-json", ""),
        ('{"a": 01}', "invalid-json", ""),
        ('"a\tb"', "invalid-json", ""),
        (" \n ", "empty-document", ""),
        ("[" * 100_000, "too-deep", ""),
    ],
)
def test_what_is_refused(text: str, code: str, pointer: str) -> None:
    (found,) = read_json(text).violations
    assert (found.code, found.pointer) == (code, pointer)
    assert found.advice


def test_the_limits_of_numbers_are_inside() -> None:
    assert read_json("[9223372036854775807, -9223372036854775808]").violations == []


def test_depth_is_limited() -> None:
    most = limits.FLOW_DEPTH_MAX
    assert read_json("[" * most + "]" * most).violations == []
    (found,) = read_json("[" * (most + 1) + "]" * (most + 1)).violations
    assert (found.code, found.pointer) == ("too-deep", "/0" * most)


def test_all_flaws_are_found_at_once() -> None:
    read = read_json('{"a": NaN,\n "a": 2,\n "b": {"c": 1e999, "b": 1,\n "b": 2}}')
    assert [(v.code, v.pointer, v.line) for v in sorted(read.violations)] == [
        ("number-too-large", "/b/c", None),
        ("duplicate-key", "/a", 2),
        ("duplicate-key", "/b/b", 4),
    ]
    messages = [v.message for v in read.violations if v.code == "duplicate-key"]
    assert messages[0] == "the key 'a' is on line 1 and again on line 2"


def test_lines_are_found_afterwards() -> None:
    marks = mark_json('{"a": 1,\n "b":\n  [{"c": "}]\\"\\n"},\n   -1.5e3, true],\n "d/e": {}}')
    lines = {p: line_of(marks, p) for p in ("", "/a", "/b", "/b/0/c", "/b/1", "/b/2", "/d~1e")}
    assert lines == {"": 1, "/a": 1, "/b": 2, "/b/0/c": 3, "/b/1": 4, "/b/2": 4, "/d~1e": 5}
