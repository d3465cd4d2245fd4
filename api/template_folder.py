"""Find templates by name, in the library that comes with Headrace and in a folder of one's own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from api.documents import open_flow, segments_for
from api.outputs import write_text
from api.template import Template, TemplateError, read_template, without_heading
from api.template_kinds import Value, kind_of
from api.template_text import Scalar, escaped, scalars, spliced, written
from core import limits
from core.flow import Flow
from core.violations import quoted, steps_of
from core.yaml_text import read_yaml

LIBRARY = Path(__file__).with_name("templates")
SUFFIX = ".yaml"
BLANK = "blank"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A template that is there: its name, its file, and whether it is the user's own."""

    name: str
    path: Path
    own: bool


def own_folder() -> Path:
    """Where one's own templates are unless stated: in the user's configuration."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "headrace" / "templates"


def entries(folder: Path | None) -> list[Entry]:
    """All templates by name, one's own after the library's; an own one hides another's name."""
    own = {e.name: e for e in _in(folder or own_folder(), own=True)}
    return [*(e for e in library() if e.name not in own), *own.values()]


def library() -> list[Entry]:
    """The templates that come with Headrace, by name."""
    return _in(LIBRARY, own=False)


def _in(folder: Path, *, own: bool) -> list[Entry]:
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix == SUFFIX)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Entry(p.stem, p, own) for p in paths if _NAME.fullmatch(p.stem)]


def find_template(name: str, folder: Path | None) -> Template:
    """The template of that name; TemplateError where there is none, or it can't be read."""
    known = {entry.name: entry for entry in entries(folder)}
    entry = known.get(name)
    if entry is None:
        near = get_close_matches(name, known, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise TemplateError(
            f"there is no template {quoted(name)}",
            advice=f"{meant}`headrace new --list` shows all",
        )
    return open_template(entry)


def open_template(entry: Entry) -> Template:
    """Read a template's file; TemplateError where it can't be read."""
    try:
        if entry.path.stat().st_size > limits.FLOW_BYTES_MAX:
            raise TemplateError("a template is not that large", file=str(entry.path))
        text = entry.path.read_text("utf-8")
    except OSError as error:
        raise TemplateError(error.strerror or str(error), file=str(entry.path)) from None
    except UnicodeDecodeError:
        raise TemplateError("it is not UTF-8 text", file=str(entry.path)) from None
    return read_template(text, entry.name, str(entry.path))


def save_template(
    flow_file: Path,
    name: str,
    parameters: Mapping[str, str],
    folder: Path | None,
    *,
    summary: str = "",
    replace: bool = False,
) -> Path:
    """Save a flow as a template of one's own, and return its file.

    `parameters` are JSON pointers by name: what stands there becomes the default. The flow's id and
    name are parameters anyway. TemplateError where the name is taken or a pointer leads to nothing
    that can be one; ViolationsError where the flow has errors.
    """
    target = (folder or own_folder()) / (name + SUFFIX)
    if not _NAME.fullmatch(name):
        raise TemplateError(
            f"{quoted(name)} is no name of a template",
            advice="Use up to 64 small letters, digits, '-' and '_'",
        )
    if any(entry.name == name for entry in library()):
        raise TemplateError(f"{name!r} is a template of the library", advice="Choose another name")
    if target.exists() and not replace:
        raise TemplateError(
            "there is such a template already",
            advice="Choose another name, or state --replace",
            file=str(target),
        )
    opened = open_flow(flow_file, None, segments_for(flow_file))
    is_json = flow_file.suffix.lower() == ".json"
    text = template_text(opened.flow, opened.text, parameters, summary, is_json=is_json)
    read_template(text, name, str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TemplateError(error.strerror or str(error), file=str(target.parent)) from None
    write_text(target, text)
    return target


def template_text(
    flow: Flow,
    source: bytes,
    pointers: Mapping[str, str],
    summary: str,
    *,
    is_json: bool = False,
) -> str:
    """The text of a template that makes a flow; `source` is the flow's own text.

    `pointers` are as for `save_template`, and it raises as that does.
    """
    text = source.decode("utf-8-sig").replace("\r\n", "\n")
    if is_json or text.lstrip()[:1] == "{":
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    text = escaped(without_heading(re.sub(r"\A---[ \t]*\n", "", text)))
    places = {"flow": "/flow", **({"name": "/name"} if flow.name else {}), **pointers}
    found = {s.pointer: s for s in scalars(text) if not s.key}
    value = read_yaml(text).value
    declared: dict[str, dict[str, Any]] = {}
    pieces: dict[tuple[int, int], str] = {}
    for name, place in places.items():
        scalar = found.get(place)
        if scalar is None:
            raise TemplateError(
                f"parameter {name!r}: no single value stands at {quoted(place)} in the flow",
                advice="Give the JSON pointer of a number or a text, such as /nodes/wait/for",
            )
        default = _at(value, place)
        if name not in ("flow", "name"):
            declared[name] = _declared(default, scalar)
        pieces[scalar.start, scalar.stop] = f"${name}"
    if len(pieces) < len(places):
        raise TemplateError("two parameters stand at the same place in the flow")
    title = flow.title
    told = summary or (flow.description or f"Saved of the flow {flow.flow}.")
    head: dict[str, Value] = {"headrace_template": 1, "title": title, "summary": _line(told)}
    lines = [f"{key}: {written(part)}" for key, part in head.items()]
    if declared:
        lines.append("parameters:")
    for name, fields in declared.items():
        inner = ", ".join(f"{key}: {written(part)}" for key, part in fields.items())
        lines.append(f"  {name}: {{{inner}}}")
    return "\n".join([*lines, "---", spliced(text, pieces)])


def _declared(default: Any, scalar: Scalar) -> dict[str, Any]:
    if default is None:
        raise TemplateError(f"nothing stands at {scalar.pointer} that could be a default")
    return {
        "type": kind_of(default),
        "default": default,
        "help": f"What stands at {scalar.pointer}."[: limits.NAME_CHARS_MAX],
    }


def _line(text: str) -> str:
    return " ".join(text.split())[: limits.NAME_CHARS_MAX]


def _at(value: Any, place: str) -> Any:
    for step in steps_of(place):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
