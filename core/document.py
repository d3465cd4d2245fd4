"""Read a flow, responses or a content list from its text: the model, or all that is wrong with it.

Reading has three stages, and one that finds errors ends it: the text must be decodable and of a
size, it must be JSON or YAML without ambiguities, and its values must have the shape of the model.
What the document *means* is the business of `core.lint`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core import limits
from core.collection import collection_paused
from core.content import Content
from core.flow import Flow
from core.json_text import mark_json, read_json
from core.marks import Text, placed, there
from core.responses import Responses
from core.segments import Segments, check_segments, resolve_document
from core.shape import shape_violations
from core.violations import Violation, violation
from core.yaml_text import read_yaml

M = TypeVar("M", bound=BaseModel)

_SEGMENT = re.compile(r"""segment["']?\s*:""")  # the field


def read_flow(
    text: str | bytes, *, name: str, segments: Segments | None = None
) -> tuple[Flow | None, list[Violation]]:
    """The flow in `text`, or None and what is wrong.

    `name` is the file's name: .json is read as JSON, .yaml and .yml as YAML, anything else by its
    first character. `segments`, which must have passed `check_segments`, are those that its
    conditions may name: the flow has what they stand for.
    """
    return _read(Flow, text, name, segments or Segments())


def read_responses(
    text: str | bytes, *, name: str, segments: Segments | None = None
) -> tuple[Responses | None, list[Violation]]:
    """The responses model in `text`, or None and what is wrong; all else as for `read_flow`."""
    return _read(Responses, text, name, segments or Segments())


def read_segments(text: str | bytes, *, name: str) -> tuple[Segments | None, list[Violation]]:
    """The segments in `text`, or None and all that is wrong; `name` as for `read_flow`."""
    segments, violations = _read(Segments, text, name)
    if segments is None:
        return None, violations
    found = check_segments(segments)
    return (None, located(found, text, name=name)) if found else (segments, [])


def resolved_text(text: str, *, name: str, segments: Segments) -> str:
    """A flow's text that means without segments what `text` means with them.

    It is `text` itself where that names none, else JSON. Only for a text of which `read_flow` makes
    a flow.
    """
    if not _may_name(text, segments):
        return text
    stated = read_values(text, name=name)
    plain, _ = resolve_document(stated, segments)
    return text if plain is stated else json.dumps(plain, ensure_ascii=False)


def read_values(text: str, *, name: str) -> Any:
    """The mappings, lists and scalars of a document that is sound; `name` as for `read_flow`."""
    return _parsed(text.removeprefix("\ufeff"), name).value


def read_document(
    model: type[M], text: str | bytes, *, name: str
) -> tuple[M | None, list[Violation]]:
    """The document of a `model` in `text`, or None and what is wrong; `name` as in `read_flow`."""
    return _read(model, text, name)


def read_content(text: str | bytes, *, name: str) -> tuple[Content | None, list[Violation]]:
    """The content list in `text`, or None and what is wrong; `name` as for `read_flow`."""
    return _read(Content, text, name)


def located(violations: Iterable[Violation], text: str | bytes, *, name: str) -> list[Violation]:
    """The violations, sorted, with the lines at which their pointers lead to in `text`.

    For those of `core.lint`, which sees the flow and not its text. A word is read as the test that
    it means; what is wrong with a part of that is told at the word.
    """
    violations = list(violations)
    decoded, refused = _decoded(text)
    if decoded is None or refused or not violations:
        return sorted(violations)
    if _is_json(decoded, name):
        found = read_json(decoded)
        marks = None if found.violations else mark_json(decoded)
    else:
        marks = read_yaml(decoded).marks
    known = [replace(v, pointer=there(marks, v.pointer)) for v in violations]
    return placed(known, marks)


def _read(
    model: type[M], text: str | bytes, name: str, segments: Segments | None = None
) -> tuple[M | None, list[Violation]]:
    with collection_paused():
        return _made(model, text, name, segments)


def _made(
    model: type[M], text: str | bytes, name: str, segments: Segments | None
) -> tuple[M | None, list[Violation]]:
    decoded, violations = _decoded(text)
    if decoded is None:
        return None, violations
    parsed = _parsed(decoded, name)
    if parsed.violations:
        if _is_json(decoded, name) and parsed.value is not None:
            parsed.marks = mark_json(decoded)
        return None, placed(parsed.violations, parsed.marks)
    if oversize := _oversize(parsed):
        return None, oversize
    value: Any = parsed.value
    if segments is not None and _may_name(decoded, segments):
        value, violations = resolve_document(value, segments)
    if not violations:
        try:
            return model.model_validate(value), []
        except ValidationError as error:
            violations = shape_violations(error, model, value)
    if _is_json(decoded, name):
        parsed.marks = mark_json(decoded)
    if value is not parsed.value:
        violations = [replace(v, pointer=there(parsed.marks, v.pointer)) for v in violations]
    return None, placed(violations, parsed.marks)


def _may_name(text: str, segments: Segments) -> bool:
    """Whether a document can name a segment, or start on a group that leaves people out.

    A look at the text, because most documents don't, and walking through all of them takes longer.
    """
    return segments.deduplicate or _SEGMENT.search(text) is not None


def _decoded(text: str | bytes) -> tuple[str | None, list[Violation]]:
    """The text without its byte order mark, or None and why it is refused, unparsed."""
    if len(text) > limits.FLOW_BYTES_MAX:
        return None, [_too_large(len(text))]
    try:
        if isinstance(text, bytes):
            return text.decode("utf-8-sig"), []
        size = len(text.encode())
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        before = error.object[: error.start]
        line = (before.encode() if isinstance(before, str) else before).count(b"\n") + 1
        message = f"the text is not UTF-8: {error.reason}"
        return None, [violation("not-utf8", (), message, "Save the file as UTF-8.", line)]
    if size > limits.FLOW_BYTES_MAX:
        return None, [_too_large(size)]
    return text.removeprefix("\ufeff"), []


def _too_large(size: int) -> Violation:
    most = limits.FLOW_BYTES_MAX
    message = f"the text has {size:,} bytes, and the limit is {most:,}"
    return violation("file-too-large", (), message, "Split the flow into several.")


def _is_json(text: str, name: str) -> bool:
    suffix = name.lower().rpartition(".")[2]
    if suffix in ("json", "yaml", "yml"):
        return suffix == "json"
    return text.lstrip()[:1] in ("{", "[")


def _parsed(text: str, name: str) -> Text:
    return read_json(text) if _is_json(text, name) else read_yaml(text)


def _oversize(parsed: Text) -> list[Violation]:
    """Refuse far too many nodes before a model is made for each."""
    nodes = parsed.value.get("nodes") if isinstance(parsed.value, dict) else None
    if not isinstance(nodes, dict) or len(nodes) <= limits.NODES_MAX:
        return []
    return [too_many_nodes(len(nodes))]


def too_many_nodes(nodes: int) -> Violation:
    """The violation of a flow with more nodes than the limit."""
    message = f"the flow has {nodes:,} nodes, and the limit is {limits.NODES_MAX:,}"
    return violation("too-many-nodes", ("nodes",), message, "Split the flow into several.")
