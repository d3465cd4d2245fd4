"""Read YAML text into plain values, by the core schema of YAML 1.2 and nothing beyond it.

PyYAML's loaders follow YAML 1.1, where `yes`, `no` and `on` are booleans and `12:30` is a number,
let later duplicates of a key win, and expand aliases. So only the events come from libyaml; the
values are made here, with a stack of our own instead of recursion. Where PyYAML was built without
libyaml its own parser gives the same events, some twenty times slower.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from core import limits
from core.conditions import INT64_MAX, INT64_MIN
from core.marks import Mark, Text
from core.violations import quoted, violation

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OCTAL_DIGITS_MAX = 22  # of a number within 64 bits, and more than the other bases need

_WORDS = {
    word: value
    for value, words in {
        None: "~ null Null NULL",
        True: "true True TRUE",
        False: "false False FALSE",
    }.items()
    for word in words.split()
} | {"": None}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BARRED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _StopError(Exception):
    """The rest of the text is not worth reading."""


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = ("key", "key_line", "line", "mapping", "marks", "value")

    def __init__(self, mapping: bool, line: int) -> None:
        self.mapping = mapping
        self.line = line
        self.value: Any = {} if mapping else []
        self.marks: dict[str | int, Mark] = {}
        self.key: str | None = None
        self.key_line = 0


def read_yaml(text: str) -> Text:
    """The document in `text`, with the lines of its parts and what is wrong with it."""
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except _StopError:
        pass
    except yaml.MarkedYAMLError as error:
        problem = error.problem or "it can't be parsed"
        if error.context and error.context_mark:
            problem += f" {error.context} that begins on line {error.context_mark.line + 1}"
        mark = error.problem_mark or error.context_mark
        reader.refuse("invalid-yaml", problem, _advice(problem), mark.line + 1 if mark else None)
    except yaml.YAMLError as error:
        # What is left is a character that YAML bars, and its place may count bytes or characters.
        problem = str(getattr(error, "reason", error)).replace("#", "")
        barred = _BARRED.search(text)
        line = None if barred is None else text.count("\n", 0, barred.start()) + 1
        reader.refuse(
            "invalid-yaml", problem, "Remove the character, or write it as an escape.", line
        )
    if not reader.documents and not reader.text.violations:
        advice = "Write a flow document: it begins with `headrace: 1`."
        reader.refuse("empty-document", "the text holds no document", advice, None)
    return reader.text


def _advice(problem: str) -> str:
    if "mapping values" in problem:
        return "Put text that contains ': ' in quotes, and check the indentation."
    if "tab" in problem or "cannot start any token" in problem:
        return (
            "Indent with spaces, not tabs. Put text that begins with a special character in quotes."
        )
    return "Check the indentation, the quotes and the brackets above this place."


class _Reader:
    """Turns events into values; `text` is what has been read."""

    def __init__(self) -> None:
        self.text = Text()
        self.stack: list[_Frame] = []
        self.documents = 0

    def refuse(self, code: str, message: str, advice: str, line: int | None) -> None:
        """Note a violation at the place that is being read."""
        steps = [f.key if f.mapping else len(f.value) for f in self.stack]
        while steps and steps[-1] is None:
            steps.pop()
        path = [s for s in steps if s is not None]
        self.text.violations.append(violation(code, path, message, advice, line))

    def take(self, event: Any) -> None:
        """Apply one event; raises `_StopError` where reading on is pointless."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._check(event)
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._check(event)
            self._open(event, kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            frame = self.stack.pop()
            self._put(frame.value, frame.line, frame.marks)
        elif kind is yaml.AliasEvent:
            self._stop(
                event, "alias", f"the alias *{event.anchor} stands for another part of the text"
            )
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                advice = "Keep one document in a file: remove what follows the second '---'."
                line = event.start_mark.line + 1
                self.refuse("several-documents", "a second document begins here", advice, line)
                raise _StopError

    def _stop(self, event: Any, code: str, message: str) -> None:
        advice = {
            "alias": "Write out what it stands for.",
            "tag": "Remove the tag; put text that looks like a number in quotes.",
            "too-deep": "Split nested conditions, or list the parts in one `all` or `any`.",
            "key-not-text": "Write a text as the key.",
        }[code]
        self.refuse(code, message, advice, event.start_mark.line + 1)
        raise _StopError

    def _check(self, event: Any) -> None:
        if event.anchor is not None:
            self._stop(
                event, "alias", f"the anchor &{event.anchor} is there to be repeated by aliases"
            )
        if event.tag is not None:
            self._stop(event, "tag", f"the tag {quoted(event.tag)} isn't allowed")

    def _open(self, event: Any, mapping: bool) -> None:
        if self.stack and self.stack[-1].mapping and self.stack[-1].key is None:
            self._stop(event, "key-not-text", "a mapping's key is itself a list or a mapping")
        if len(self.stack) >= limits.FLOW_DEPTH_MAX:
            depth = f"it is nested more than {limits.FLOW_DEPTH_MAX} levels deep"
            self._stop(event, "too-deep", depth)
        self.stack.append(_Frame(mapping, self._line(event)))

    def _line(self, event: Any) -> int:
        """The line of a value, which for a field is that of its key."""
        if self.stack and self.stack[-1].mapping:
            return self.stack[-1].key_line
        return int(event.start_mark.line) + 1

    def _scalar(self, event: Any) -> None:
        frame = self.stack[-1] if self.stack else None
        line = event.start_mark.line + 1
        if frame is not None and frame.mapping and frame.key is None:
            self._key(frame, event.value, line)
        else:
            value = self._plain(event.value, line) if event.implicit[0] else event.value
            self._put(value, self._line(event), None)

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        frame.key, frame.key_line = key, line
        if key in frame.marks:
            first = frame.marks[key].line
            message = f"the key {quoted(key)} is on line {first} and again on line {line}"
            self.refuse("duplicate-key", message, "Rename one of the two, or remove it.", line)

    def _put(self, value: Any, line: int, marks: dict[str | int, Mark] | None) -> None:
        if not self.stack:
            self.text.value = value
            self.text.marks = Mark(line, marks)
            return
        frame = self.stack[-1]
        if not frame.mapping:
            frame.marks[len(frame.value)] = Mark(line, marks)
            frame.value.append(value)
            return
        assert frame.key is not None
        if frame.key not in frame.value:
            frame.value[frame.key] = value
            frame.marks[frame.key] = Mark(line, marks)
        frame.key = None

    def _plain(self, text: str, line: int) -> Any:
        """The value of a plain scalar by the core schema (YAML 1.2.2, section 10.3.2)."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INT.fullmatch(text):
            return self._whole(text, line)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
            self._too_large(text, line)
            return 0
        if _NOT_FINITE.fullmatch(text):
            message = f"{text} is not a finite number"
            self.refuse("not-finite", message, "Write a finite number, or a text in quotes.", line)
            return 0
        return text

    def _whole(self, text: str, line: int) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        digits = (text[2:] if base != 10 else text.lstrip("+-")).lstrip("0") or "0"
        if len(digits) <= _OCTAL_DIGITS_MAX:
            number = int(digits, base) * (-1 if text[0] == "-" else 1)
            if INT64_MIN <= number <= INT64_MAX:
                return number
        self._too_large(text, line)
        return 0

    def _too_large(self, text: str, line: int) -> None:
        message = f"the number {quoted(text, 40)} is too large"
        advice = "Whole numbers have at most 64 bits. Put ids and codes in quotes: they are text."
        self.refuse("number-too-large", message, advice, line)
