"""Write the text of a flow under another id, and leave all else as its author made it."""

from __future__ import annotations

import json
import re
from typing import Any

from api.template import without_heading
from api.template_text import scalars, spliced, written
from core.yaml_text import read_yaml

ID_CHARS_MAX = 64
_NOT_OF_IDS = re.compile(r"[^A-Za-z0-9_.-]+")


def text_of(document: str | dict[str, Any]) -> str:
    """A document as text: as it came, or as JSON where it came as values."""
    if isinstance(document, str):
        return document
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def renamed(text: str, flow: str, name: str | None) -> str:
    """A sound flow document with another id, and another name for people unless that is None."""
    is_json = text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
    values = json.loads(text.removeprefix("\ufeff")) if is_json else read_yaml(text).value
    wanted = {**values, "flow": flow, **({} if name is None else {"name": name})}
    if is_json:
        return text_of(wanted)
    text = without_heading(text)
    pieces: dict[tuple[int, int], str] = {}
    for scalar in scalars(text):
        if scalar.pointer == "/flow" and not scalar.key:
            added = "" if name is None or "name" in values else f"\nname: {written(name)}"
            pieces[scalar.start, scalar.stop] = written(flow) + added
        elif scalar.pointer == "/name" and not scalar.key and name is not None:
            pieces[scalar.start, scalar.stop] = written(name)
    made = spliced(text, pieces)
    read = read_yaml(made)
    # Where the text is laid out in a way of its own, what it says counts more than how.
    return made if not read.violations and read.value == wanted else text_of(wanted)


def id_of(name: str, otherwise: str) -> str:
    """An id for a flow with this name for people."""
    made = _NOT_OF_IDS.sub("-", name.strip().lower()).strip("-._")[: ID_CHARS_MAX - 6].rstrip("-._")
    return made or otherwise
