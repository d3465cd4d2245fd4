"""Write the part of docs/templates.md that tells each template of the library.

`python -m api.template_page` prints it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from api.template import Parameter, Template, make_flow, values_of
from api.template_folder import library, open_template
from api.template_kinds import Value
from core.describe import describe
from core.flow import Flow

COLUMNS = 120
# What is shown where a parameter has no default.
SHOWN: dict[str, Value] = {"announce_on": "2026-05-11", "launch_on": "2026-05-18"}


def library_page() -> str:
    """The templates of the library as Markdown: an overview, then each with its steps."""
    found = [open_template(entry) for entry in library()]
    rows = [f"| [`{t.name}`](#{t.name}) | {t.head.summary} |" for t in found]
    parts = ["\n".join(["| template | |", "|---|---|", *rows]), *map(_section, found)]
    return "\n\n".join(parts) + "\n"


def _section(template: Template) -> str:
    given = {n: SHOWN[n] for n, p in template.parameters.items() if p.default is None}
    made = make_flow(template, given)
    lines = [f"### {template.name}", "", template.head.summary]
    if template.head.about.strip():
        lines += ["", *textwrap.wrap(" ".join(template.head.about.split()), COLUMNS)]
    lines += ["", "```text", *steps(made.flow), "```", ""]
    values = values_of(template, given)
    shown = {n: p for n, p in template.parameters.items() if n not in ("flow", "name")}
    lines += ["| parameter | type | default | |", "|---|---|---|---|"]
    lines += [_row(name, parameter, values[name]) for name, parameter in shown.items()]
    return "\n".join(lines)


def _row(name: str, parameter: Parameter, value: Value) -> str:
    told = ", ".join(value) if isinstance(value, list) else str(value)
    default = "must be set" if parameter.default is None else f"`{told}`"
    return f"| `{name}` | `{parameter.type}` | {default} | {parameter.help} |"


def steps(flow: Flow) -> Iterator[str]:
    """A line for each node of a flow: its id, what it does, and where each port leads."""
    width = max(map(len, flow.nodes))
    for node_id, node in flow.nodes.items():
        told = f"{node.title} · {describe(node)}" if node.title else describe(node)
        ports = [f"{p} -> {', '.join(t)}" for p, t in node.next.items()]
        if list(node.next) == ["next"]:
            ports = [f"-> {', '.join(node.next['next'])}"]
        yield f"{node_id:<{width}}  {told}"
        if ports:
            yield f"{'':<{width}}    {'; '.join(ports)}"


if __name__ == "__main__":
    print(library_page(), end="")
