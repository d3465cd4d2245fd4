"""Read JSON text into plain values, and refuse what the standard library lets pass.

Python's decoder accepts NaN, lets the last of two equal keys win, turns 1e400 into infinity and
keeps half a character. What its hooks find is left in the tree as a `_Flaw`, because only a walk
over the whole knows the place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from core import limits
from core.conditions import INT64_MAX, INT64_MIN
from core.marks import Mark, Text
from core.violations import Violation, quoted, violation

_DIGITS_MAX = 20  # of a number within 64 bits, with its sign
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile(r"[\ud800-\udfff]")
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)

_Path = tuple[Any, str | int] | None
"""A place in the tree: the path of what holds it and the key there; None at the root."""


class _Flaw:
    """What stands in the tree for a value that is refused."""

    __slots__ = ("advice", "code", "message")

    def __init__(self, code: str, message: str, advice: str) -> None:
        self.code = code
        self.message = message
        self.advice = advice


class _Repeating(dict[str, Any]):
    """An object in which a key comes more than once."""


def _whole(text: str) -> int | _Flaw:
    if len(text) <= _DIGITS_MAX and INT64_MIN <= (number := int(text)) <= INT64_MAX:
        return number
    return _too_large(text)


def _fraction(text: str) -> float | _Flaw:
    number = float(text)
    return number if math.isfinite(number) else _too_large(text)


def _too_large(text: str) -> _Flaw:
    advice = "Whole numbers have at most 64 bits. Put ids and codes in quotes: they are text."
    return _Flaw("number-too-large", f"the number {quoted(text, 40)} is too large", advice)


def _constant(text: str) -> _Flaw:
    advice = "Write a finite number, or a text in quotes."
    return _Flaw("not-finite", f"{text} is not a finite number", advice)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else _Repeating(values)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_whole,
    parse_float=_fraction,
    parse_constant=_constant,
)


def read_json(text: str) -> Text:
    """The document in `text` and what is wrong with it; without marks: see `mark_json`."""
    if not text.strip(" \t\r\n"):
        advice = "Write a flow document: it begins with `headrace: 1`."
        return _refused("empty-document", "the text holds no document", advice)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        advice = "Check the commas, quotes and brackets around this place."
        return _refused("invalid-json", f"{error.msg}, column {error.colno}", advice, error.lineno)
    except RecursionError:
        return _refused("too-deep", _DEPTH_MESSAGE, _DEPTH_ADVICE)
    result = Text(value)
    repeating = False
    for path, flaw in _flaws(value, surrogates=_SURROGATE.search(text) is not None):
        if flaw is None:
            repeating = True
            continue
        result.violations.append(violation(flaw.code, _steps(path), flaw.message, flaw.advice))
    if repeating:
        result.violations += _Marker(text).repeated
    return result


def mark_json(text: str) -> Mark | None:
    """The lines of the parts of a well-formed JSON text."""
    return _Marker(text).marks


_DEPTH_MESSAGE = f"it is nested more than {limits.FLOW_DEPTH_MAX} levels deep"
_DEPTH_ADVICE = "Split nested conditions, or list the parts in one `all` or `any`."


def _refused(code: str, message: str, advice: str, line: int | None = None) -> Text:
    return Text(violations=[violation(code, (), message, advice, line)])


def _steps(path: _Path) -> list[str | int]:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    return steps[::-1]


def _flaws(root: Any, surrogates: bool) -> Iterator[tuple[_Path, _Flaw | None]]:
    """Every flaw with its path, None for repeated keys; ends at the first that is too deep."""
    waiting: list[tuple[Any, _Path, int]] = [(root, None, 1)]
    while waiting:
        value, path, depth = waiting.pop()
        if isinstance(value, _Flaw):
            yield path, value
        elif isinstance(value, str):
            if surrogates and _HALF.search(value):
                yield path, _lone_surrogate(value)
        elif isinstance(value, dict | list):
            if depth > limits.FLOW_DEPTH_MAX:
                yield path, _Flaw("too-deep", _DEPTH_MESSAGE, _DEPTH_ADVICE)
                return
            if isinstance(value, _Repeating):
                yield path, None
            parts: Any = value.items() if isinstance(value, dict) else enumerate(value)
            for key, part in parts:
                if surrogates and isinstance(key, str) and _HALF.search(key):
                    yield (path, key), _lone_surrogate(key)
                waiting.append((part, (path, key), depth + 1))


def _lone_surrogate(text: str) -> _Flaw:
    message = f"the text {quoted(text)} holds half of a character"
    return _Flaw("lone-surrogate", message, "Write the whole character, or both of its escapes.")


class _Marker:
    """Goes through the tokens of a well-formed text for the lines of values and repeated keys."""

    def __init__(self, text: str) -> None:
        self.marks: Mark | None = None
        self.repeated: list[Violation] = []
        # For each open container: its line, the marks of its parts, and the key of the field at
        # hand (None in an object before a key, the place in an array).
        self._open: list[tuple[int, dict[str | int, Mark]]] = []
        self._keys: list[str | int | None] = []
        self._key_line = 0
        line, end = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            self._take(match.group(), line)

    def _take(self, token: str, line: int) -> None:
        if token in "{[":
            self._open.append((self._line(line), {}))
            self._keys.append(None if token == "{" else 0)
        elif token in "}]":
            self._keys.pop()
            start, parts = self._open.pop()
            self._put(Mark(start, parts))
        elif token in ":,":
            return
        elif self._keys and self._keys[-1] is None:
            self._key(json.loads(token, strict=False), line)
        else:
            self._put(Mark(self._line(line), None))

    def _line(self, line: int) -> int:
        return self._key_line if self._keys and isinstance(self._keys[-1], str) else line

    def _key(self, key: str, line: int) -> None:
        self._keys[-1] = key
        self._key_line = line
        first = self._open[-1][1].get(key)
        if first is not None:
            steps = [k for k in self._keys if k is not None]
            message = f"the key {quoted(key)} is on line {first.line} and again on line {line}"
            advice = "Rename one of the two, or remove it."
            self.repeated.append(violation("duplicate-key", steps, message, advice, line))

    def _put(self, mark: Mark) -> None:
        if not self._keys:
            self.marks = mark
            return
        key = self._keys[-1]
        assert key is not None
        self._open[-1][1].setdefault(key, mark)
        self._keys[-1] = key + 1 if isinstance(key, int) else None
