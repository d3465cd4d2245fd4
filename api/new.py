"""Write new flows: blank, or of templates; list templates, and save a flow as one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from api.console import console
from api.documents import segments_for, violations_told
from api.outputs import check_outputs, write_text
from api.template import Template, make_flow
from api.template_folder import BLANK, entries, find_template, open_template, save_template
from api.template_kinds import KINDS, Value
from core.errors import HeadraceError
from core.yaml_text import read_yaml

_SEGMENT = re.compile(r"""\bsegment["']?\s*:""")


def write(
    template: str | None,
    settings: Sequence[str],
    output: Path | None,
    folder: Path | None,
    *,
    replace: bool,
) -> None:
    """Write the flow of a template, a blank one unless named, to a file or to standard output.

    A template may name the segments of `segments.yaml` beside the file, or where the command runs.
    HeadraceError where a parameter is wrong, which it names, or the file is there.
    """
    if output is not None:
        check_outputs({"--output": output}, ())
        if output.exists() and not replace:
            raise HeadraceError(
                "there is such a file already",
                advice="Choose another place, or state --replace",
                file=str(output),
            )
    found = find_template(template or BLANK, folder)
    segments = None
    if _SEGMENT.search(found.body):
        with violations_told():
            segments = segments_for(output or Path())
    made = make_flow(found, _pairs(settings, "--set"), segments)
    text = made.text
    if output is None:
        print(text, end="")
        return
    if output.suffix.lower() == ".json":
        text = json.dumps(read_yaml(text).value, indent=2, ensure_ascii=False) + "\n"
    write_text(output, text)
    nodes = len(made.flow.nodes)
    print(f"wrote {output}: flow {made.flow.flow}, {nodes} node{'s' * (nodes != 1)}")


def show(template: str | None, folder: Path | None) -> None:
    """Print all templates as a table, or one with its parameters."""
    if template is None:
        _show_all(folder)
    else:
        _show_one(find_template(template, folder))


def save(
    flow: Path,
    name: str,
    parameters: Sequence[str],
    folder: Path | None,
    *,
    summary: str,
    replace: bool,
) -> None:
    """Save a flow as a template of one's own, and say how to use it."""
    places = {k: str(v) for k, v in _pairs(parameters, "--parameter").items()}
    with violations_told():
        path = save_template(flow, name, places, folder, summary=summary, replace=replace)
    print(f"wrote {path}: use it with `headrace new --template {name}`")


def _pairs(stated: Sequence[str], option: str) -> dict[str, Value]:
    pairs: dict[str, Value] = {}
    for text in stated:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise HeadraceError(
                f"{option}: {text!r} is not a name and a value", advice="Write NAME=VALUE"
            )
        if name in pairs:
            raise HeadraceError(f"{option}: {name!r} is set twice", advice="Set it once")
        pairs[name] = value
    return pairs


def _show_all(folder: Path | None) -> None:
    table = _table("template", "what it does", "parameters")
    for entry in entries(folder):
        name = entry.name + (" (own)" if entry.own else "")
        try:
            found = open_template(entry)
        except HeadraceError as error:
            if not entry.own:
                raise
            table.add_row(escape(name), f"[red]{escape(str(error))}[/]", "")
            continue
        names = ", ".join(n for n in found.parameters if n not in ("flow", "name"))
        table.add_row(escape(name), escape(found.head.summary), escape(names))
    console().print(table)


def _show_one(template: Template) -> None:
    out = console()
    out.print(f"{template.head.title}: {template.head.summary}", markup=False)
    if template.head.about.strip():
        out.print(" ".join(template.head.about.split()), markup=False)
    table = _table("parameter", "what it is", "default", "what for")
    for name, parameter in template.parameters.items():
        default = parameter.default
        told = ", ".join(default) if isinstance(default, list) else str(default)
        if default is None:
            told = "must be set"
        expected = KINDS[parameter.type].expected
        table.add_row(name, expected, escape(told), escape(parameter.help))
    out.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
