"""Read what is saved as a draft: any sound document of the flow, whatever is still wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from actors.live.engine import Engine
from actors.live.errors import FlowError
from actors.live.publishing import judge
from actors.service.errors import InvalidError
from core import limits
from core.flow import Reentry
from core.json_text import read_json
from core.violations import Violation, quoted, violation
from core.yaml_text import read_yaml


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says of itself: its flow, its name for people, who may enter again.

    `reentry` is None where that is not written as it must be.
    """

    flow: str
    name: str
    reentry: dict[str, Any] | None


def read_draft(document: str) -> Reading:
    """What a document says of itself. Raises FlowError where it is no mapping that names a flow."""
    try:
        size = len(document.encode())
    except UnicodeEncodeError:
        what = "the text holds half of a character (a lone surrogate)"
        raise FlowError([violation("lone-surrogate", (), what, "Remove it.")]) from None
    if size > limits.FLOW_BYTES_MAX:
        what = f"the text has {size:,} bytes, and the limit is {limits.FLOW_BYTES_MAX:,}"
        raise FlowError([violation("file-too-large", (), what, "Split the flow into several.")])
    text = document.removeprefix("\ufeff")
    parsed = read_json(text) if text.lstrip()[:1] in ("{", "[") else read_yaml(text)
    if parsed.violations:
        raise FlowError(parsed.violations)
    values = parsed.value
    flow = values.get("flow") if isinstance(values, dict) else None
    if not isinstance(flow, str):
        what = "a draft is a mapping that says which flow it is of"
        advice = "Write `flow:` with its id."
        raise FlowError([violation("missing-field", ("flow",), what, advice)])
    name = values.get("name")
    told = name.strip() if isinstance(name, str) else ""
    return Reading(flow, told[: limits.NAME_CHARS_MAX] or flow, _reentry(values))


def _reentry(values: Mapping[str, Any]) -> dict[str, Any] | None:
    settings = values.get("settings", {})
    stated = settings.get("reentry", {}) if isinstance(settings, dict) else None
    if not isinstance(stated, dict):
        return None
    try:
        return json.loads(Reentry.model_validate(stated).model_dump_json())  # type: ignore[no-any-return]
    except ValidationError:
        return None


def check_reentry(fixed: Mapping[str, Any] | None, reading: Reading) -> None:
    """Raise InvalidError if a document lets people enter again otherwise than the first save."""
    if fixed is None or reading.reentry is None or reading.reentry == fixed:
        return
    policy = fixed["policy"]
    raise InvalidError(
        f"who may enter again is fixed since the first save: {quoted(policy)}",
        advice="Leave it as it was, or copy the flow and change it in the copy",
        pointer="/settings/reentry",
    )


def lint_draft(engine: Engine, document: str, name: str) -> list[Violation]:
    """All that publishing a document would find, errors first: unready content included.

    Raises HeadraceError where a template or content list can not be read.
    """
    try:
        standing, schema = engine.control.standing, engine.schema
        return judge(document, name, engine.path, schema, standing, engine.now_ms()).doubts
    except FlowError as error:
        return list(error.violations)
