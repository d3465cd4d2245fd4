"""Tell findings about a flow in operations at the place, and by the ids, that its author wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from core.lint_view import View
from core.lowering import HELPER_MARK, author_of
from core.violations import Violation, pointer, steps_of

_HELPER = re.compile(rf"(?<=[\w.-]){HELPER_MARK}[\w.{HELPER_MARK}-]+")


def as_written(view: View, found: Iterable[Violation]) -> list[Violation]:
    """The findings of rules that looked at `view.core`, without those that come to be the same."""
    if view.core is view:
        return list(found)
    return list(dict.fromkeys(_moved(view, violation) for violation in found))


def _moved(view: View, found: Violation) -> Violation:
    message, advice = (_HELPER.sub("", text) for text in (found.message, found.advice))
    steps = steps_of(found.pointer)
    if len(steps) < 2 or steps[0] != "nodes":
        return replace(found, message=message, advice=advice)
    node_id, fields = author_of(steps[1]), steps[2:]
    authored, core = view.flow.nodes.get(node_id), view.core.flow.nodes.get(steps[1])
    if node_id != steps[1]:
        fields = []
    elif authored is not None and type(authored) is not type(core):
        models = type(authored).model_fields
        stated = {models[name].alias or name for name in authored.model_fields_set}
        fields = fields[:1] if fields[:1] and fields[0] in stated else []
    place = pointer(["nodes", node_id, *fields])
    return replace(found, pointer=place, message=message, advice=advice)
