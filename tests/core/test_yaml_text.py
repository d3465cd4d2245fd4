"""Checks that YAML is read by the core schema of YAML 1.2, and that its traps are refused."""

from typing import Any

import pytest
import yaml

from core import limits, yaml_text
from core.marks import line_of
from core.yaml_text import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("''", ""),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("'true'", "true"),
        ("12", 12),
        ("+12", 12),
        ("-0", 0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("'12'", "12"),
        ("|\n  12", "12"),
        ("09:30", "09:30"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ("50%", "50%"),
        (".", "."),
        ("-", [None]),
        ("+", "+"),
        ("=", "="),
        ("<<", "<<"),
        ("[1, a, [], {}]", [1, "a", [], {}]),
        ("{a: 1, b: }", {"a": 1, "b": None}),
        (
            "1: a\ntrue: b\nno: c\n1.0: d\n~: e",
            {"1": "a", "true": "b", "no": "c", "1.0": "d", "~": "e"},
        ),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_values_follow_the_core_schema(text: str, value: object) -> None:
    read = read_yaml(text)
    assert read.violations == []
    assert read.value == value
    assert type(read.value) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "pointer", "line"),
    [
        ("a: &x 1\nb: 2", "alias", "/a", 1),
        ("a: 1\nb: *x", "alias", "/b", 2),
        ("a: !!str 1", "tag", "/a", 1),
        ("a: !x {}", "tag", "/a", 1),
        ("a: 1\n---\nb: 2", "several-documents", "", 2),
        ("? [a]\n: 1", "key-not-text", "", 1),
        ("a:\n  {b: 1}: 2", "key-not-text", "/a", 2),
        ("a: 1\nb: 2\na: 3", "duplicate-key", "/a", 3),
        ("x:\n  1: a\n  '1': b", "duplicate-key", "/x/1", 3),
        ("a: .nan", "not-finite", "/a", 1),
        ("a:\n- 1\n- -.inf", "not-finite", "/a/1", 3),
        ("a: 1e400", "number-too-large", "/a", 1),
        ("a: 9223372036854775808", "number-too-large", "/a", 1),
        ("a: " + "9" * 5000, "number-too-large", "/a", 1),
        ("a: 0x" + "f" * 5000, "number-too-large", "/a", 1),
        ("", "empty-document", "", None),
        ("# nothing", "empty-document", "", None),
        ("a: 1\n\tb: 2", "invalid-yaml", "/a", 2),
        ("a: b: c", "invalid-yaml", "", 1),
        ("a: [", "invalid-yaml", "/a/0", 2),
        ("a: 1\nb: \x01", "invalid-yaml", "", 2),
        ('a: "\\ud800"', "invalid-yaml", "/a", 1),
    ],
)
def test_what_is_refused(text: str, code: str, pointer: str, line: int | None) -> None:
    (found,) = read_yaml(text).violations
    assert (found.code, found.pointer, found.line) == (code, pointer, line)
    assert found.message
    assert found.advice


def test_zeros_in_front_do_not_make_a_number_large() -> None:
    assert read_yaml("0" * 5000 + "7").value == 7


def test_a_duplicate_key_names_both_lines_and_the_first_is_kept() -> None:
    read = read_yaml("a: 1\nb:\n  c: 1\n  c: {d: 2}\na: 3")
    assert [(v.pointer, v.message) for v in read.violations] == [
        ("/b/c", "the key 'c' is on line 3 and again on line 4"),
        ("/a", "the key 'a' is on line 1 and again on line 5"),
    ]
    assert read.value == {"a": 1, "b": {"c": 1}}


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    read = read_yaml("\n".join(["a0: &a0 lol", *levels]))
    assert [(v.code, v.line) for v in read.violations] == [("alias", 1)]


def test_depth_is_limited() -> None:
    most = limits.FLOW_DEPTH_MAX
    assert read_yaml("[" * most + "]" * most).violations == []
    (found,) = read_yaml("[" * (most + 1) + "]" * (most + 1)).violations
    assert (found.code, found.line) == ("too-deep", 1)
    assert found.pointer == "/0" * most
    (found,) = read_yaml("[" * 100_000).violations
    assert found.code == "too-deep"


def test_lines_are_those_of_the_keys() -> None:
    marks = read_yaml("a: 1\nb:\n  c:\n\n    - x\n    - {y: 1,\n       z: 2}\n").marks
    lines = {p: line_of(marks, p) for p in ("", "/a", "/b", "/b/c", "/b/c/0", "/b/c/1", "/b/c/1/z")}
    assert lines == {
        "": 1, "/a": 1, "/b": 2, "/b/c": 3, "/b/c/0": 5, "/b/c/1": 6, "/b/c/1/z": 7,
    }  # fmt: skip
    assert line_of(marks, "/b/none/deeper") == 2
    assert line_of(None, "/b") is None


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, yes, 'x', 2026-01-01]\nb:\n  c: {d: null}\n  a: 1\n  a: 2\ne: .inf\n"
    fast = read_yaml(text)
    loader: Any = yaml.SafeLoader
    monkeypatch.setattr(yaml_text, "_LOADER", loader)
    slow = read_yaml(text)
    assert (slow.value, slow.marks, slow.violations) == (fast.value, fast.marks, fast.violations)
