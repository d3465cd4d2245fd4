"""Find the placeholders in the text of a flow, and put values in their places.

A placeholder is a whole scalar such as `$wait`, or `$share.rest` in a form; `$$wait` is the text
`$wait`. Only those scalars are written anew, so comments, order and layout stay as their author
made them. What comes out is held against the same substitution in the values: a text that would
read as anything else is never handed out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from api.template_kinds import Value
from core.errors import HeadraceError
from core.violations import pointer
from core.yaml_text import read_yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACEHOLDER = re.compile(r"\$([a-z][a-z0-9_]*)(?:\.([a-z]+))?", re.ASCII)
_DOLLARS = re.compile(r"\$+[a-z][a-z0-9_]*(?:\.[a-z]+)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z](?:[\w .+/%-]*[\w.%])?|[0-9]+ [a-z]+(?: [0-9]+ [a-z]+)*", re.ASCII)
_PERCENT = re.compile(r"[0-9]+(?:\.[0-9]+)?%", re.ASCII)
# Texts of one word that some reader of YAML takes for something else.
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar of a text: its value as text, whether it is a key, and where it stands.

    `pointer` is the JSON pointer to it, or for a key to what it is the key of; `start` and `stop`
    count characters; `line` counts from 1.
    """

    text: str
    key: bool
    pointer: str
    start: int
    stop: int
    line: int


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder: the parameter and the form that it asks for, and the scalar that it is."""

    name: str
    form: str
    scalar: Scalar


def scalars(text: str) -> list[Scalar]:
    """Every scalar of a YAML text that `core.yaml_text.read_yaml` reads without violations."""
    found: list[Scalar] = []
    path: list[tuple[bool, str | int | None]] = []

    def here() -> list[str | int]:
        return [step for _, step in path if step is not None]

    def moved() -> None:
        if path:
            mapping, step = path[-1]
            path[-1] = (mapping, None if mapping else int(step or 0) + 1)

    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.ScalarEvent):
            key = bool(path) and path[-1] == (True, None)
            if key:
                path[-1] = (True, event.value)
            begin: Any = event.start_mark
            end: Any = event.end_mark
            place = (begin.index, end.index, begin.line + 1)
            found.append(Scalar(event.value, key, pointer(here()), *place))
            if not key:
                moved()
        elif isinstance(event, yaml.MappingStartEvent):
            path.append((True, None))
        elif isinstance(event, yaml.SequenceStartEvent):
            path.append((False, 0))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            path.pop()
            moved()
    return found


def holes(text: str) -> list[Hole]:
    """The placeholders of a text, in its order."""
    found = []
    for scalar in scalars(text):
        match = _PLACEHOLDER.fullmatch(scalar.text)
        if match is not None:
            found.append(Hole(match[1], match[2] or "", scalar))
    return found


def filled(text: str, value_of: Callable[[str, str], Value]) -> str:
    """The text with `value_of(name, form)` in the place of each placeholder.

    Raises HeadraceError where it would not read as meant.
    """
    pieces: dict[tuple[int, int], str] = {}
    for scalar in scalars(text):
        match = _PLACEHOLDER.fullmatch(scalar.text)
        if match is not None:
            pieces[scalar.start, scalar.stop] = written(value_of(match[1], match[2] or ""))
        elif _DOLLARS.fullmatch(scalar.text):
            pieces[scalar.start, scalar.stop] = written(scalar.text[1:])
    made = spliced(text, pieces)
    wanted = _substituted(read_yaml(text).value, value_of)
    found = read_yaml(made)
    if found.violations or not _same(found.value, wanted):
        raise HeadraceError(
            "a value does not fit where the template puts it",
            advice="Put each placeholder in a line of its own, after its key",
        )
    return made


def escaped(text: str) -> str:
    """The text with what would be taken for a placeholder written as the text that it is."""
    found = [s for s in scalars(text) if _DOLLARS.fullmatch(s.text)]
    return spliced(text, {(s.start, s.stop): written("$" + s.text) for s in found})


def spliced(text: str, pieces: Mapping[tuple[int, int], str]) -> str:
    """The text with each span of characters, none of which overlap, replaced by a piece."""
    parts, at = [], 0
    for (start, stop), piece in sorted(pieces.items()):
        parts += [text[at:start], piece]
        at = stop
    return "".join([*parts, text[at:]])


def written(value: Value) -> str:
    """A value as YAML that reads as it, on one line and in any place."""
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) or _PERCENT.fullmatch(value)
    if plain and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _substituted(value: Any, value_of: Callable[[str, str], Value]) -> Any:
    if isinstance(value, dict):
        return {
            _substituted(key, value_of): _substituted(part, value_of) for key, part in value.items()
        }
    if isinstance(value, list):
        return [_substituted(part, value_of) for part in value]
    if isinstance(value, str) and _DOLLARS.fullmatch(value):
        match = _PLACEHOLDER.fullmatch(value)
        return value[1:] if match is None else value_of(match[1], match[2] or "")
    return value


def _same(one: Any, other: Any) -> bool:
    """Whether two documents are equal with their types and the order of their fields."""
    return json.dumps(one) == json.dumps(other)
