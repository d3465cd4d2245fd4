"""Make flows of templates: those of the library, and those that a tenant saved himself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr

from actors.live.engine import Engine
from actors.live.publishing import segments_of
from actors.service.errors import NotFoundError
from actors.service.transactions import ReadTxn
from api.http.problems import refuse
from api.template import Template, TemplateError, make_flow, read_template
from api.template_folder import BLANK, library, open_template

__all__ = ["BLANK", "Values", "flow_of_template", "own_templates", "template_of"]

TABLE = "templates"
Values = dict[str, StrictBool | StrictInt | StrictFloat | StrictStr | list[StrictStr]]
"""Values of a template's parameters by name."""


def own_templates(txn: ReadTxn) -> dict[str, dict[str, Any]]:
    """The records of templates that the tenant saved, by name: text, when and by whom."""
    return dict(txn.scan(TABLE))


def template_of(txn: ReadTxn, name: str) -> tuple[Template, bool]:
    """A template, and whether it is the tenant's own. Raises NotFoundError."""
    record = txn.get(TABLE, name)
    if record is not None:
        return read_template(record["text"], name, f"template {name}"), True
    for entry in library():
        if entry.name == name:
            return open_template(entry), False
    raise NotFoundError("there is no such template", advice="List the templates that there are")


def flow_of_template(
    txn: ReadTxn, engine: Engine, name: str, values: Mapping[str, Any], title: str | None
) -> str:
    """The text of a flow that a template makes; `title` is its name for people.

    Raises NotFoundError; a problem names the parameter that is wrong.
    """
    template, _ = template_of(txn, name)
    given = dict(values)
    if title is not None and "name" in template.parameters:
        given["name"] = title
    try:
        return make_flow(template, given, segments_of(engine.control.standing)).text
    except TemplateError as error:
        raise refuse(422, "invalid", error.message, error.advice, pointer="/values") from None
