"""Read flow templates, and make flows of them.

A template is a text of two parts with a line `---` between them: a head that names it and declares
its parameters, and a flow document in which placeholders stand for them. docs/templates.md explains
it to who writes one.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from api.template_kinds import FORMS, KINDS, Value, formed, read_value
from api.template_text import Hole, filled, holes
from core import limits
from core.conditions import Model
from core.document import located, read_flow
from core.errors import HeadraceError
from core.flow import Flow
from core.lint import lint
from core.marks import placed
from core.segments import Segments
from core.shape import shape_violations
from core.violations import Violation, quoted
from core.yaml_text import read_yaml

MADE_OF = "Made of the template"
_BREAK = re.compile(r"^---[ \t]*\n", re.MULTILINE)
_PARAMETER_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_HELP_COLUMNS = 100

KindName = Literal[
    "text", "name", "names", "id", "integer", "number", "boolean", "share", "duration", "window",
    "time", "date", "channel", "zone",
]  # fmt: skip


class Parameter(Model):
    """A parameter: its type, the value it has unless set, and what it is for.

    Without a default it must be set. `least` and `most` bound numbers.
    """

    type: KindName
    help: str = Field(min_length=1, max_length=limits.NAME_CHARS_MAX)
    default: StrictBool | StrictInt | StrictFloat | StrictStr | list[StrictStr] | None = None
    least: StrictInt | StrictFloat | None = None
    most: StrictInt | StrictFloat | None = None


class Head(Model):
    """The first part of a template."""

    headrace_template: Literal[1]
    title: str = Field(min_length=1, max_length=limits.NAME_CHARS_MAX)
    summary: str = Field(min_length=1, max_length=limits.NAME_CHARS_MAX)
    about: str = ""
    parameters: dict[str, Parameter] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A template: its name, its head with all parameters, the text of its flow, and its holes.

    `flow` (the flow's id) and `name` (its name for people) are parameters of every template that
    has a place for them.
    """

    name: str
    head: Head
    parameters: dict[str, Parameter]
    body: str
    holes: list[Hole]


@dataclass(frozen=True, slots=True)
class Made:
    """A flow that was made of a template: its text, the flow, and what lint found beside errors."""

    text: str
    flow: Flow
    violations: list[Violation]


class TemplateError(HeadraceError):
    """A template that can't be used as it is, or a parameter that it does not take."""


def read_template(text: str, name: str, file: str) -> Template:
    """The template in `text`; `name` is what it is called, `file` where it was read.

    TemplateError with the line of what is wrong with it. The flow is judged when it is made.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    cut = _BREAK.search(text)
    if cut is None:
        raise TemplateError(
            "a template has two parts with a line '---' in between, and this has one",
            advice="Write the head with the parameters, then '---', then the flow",
            file=file,
        )
    head = _head(text[: cut.start()], file)
    lines = text.count("\n", 0, cut.end())
    body = text[cut.end() :]
    # Empty lines in the place of the head, so that every line that is told is the file's.
    for found in sorted(read_yaml("\n" * lines + body).violations):
        raise TemplateError(
            found.message,
            advice=found.advice,
            file=file,
            pointer=f"line {found.line}" if found.line else None,
        )
    found_holes = holes(body)
    parameters = _with_usual(head, name, {hole.name for hole in found_holes})
    _check_holes(parameters, found_holes, lines, file)
    return Template(name, head, parameters, body, found_holes)


def _head(text: str, file: str) -> Head:
    read = read_yaml(text)
    problems = read.violations
    if not problems:
        try:
            head = Head.model_validate(read.value)
        except ValidationError as error:
            problems = placed(shape_violations(error, Head, read.value), read.marks)
        else:
            _check_parameters(head, file)
            return head
    first = sorted(problems)[0]
    line = f"line {first.line}, " if first.line else ""
    raise TemplateError(
        first.message, advice=first.advice, file=file, pointer=f"{line}{first.pointer or '/'}"
    )


def _check_parameters(head: Head, file: str) -> None:
    for name, parameter in head.parameters.items():
        place = f"/parameters/{name}"
        if not re.fullmatch(_PARAMETER_NAME, name):
            raise TemplateError(
                f"{quoted(name)} is no name of a parameter",
                advice="Use small letters, digits and '_'",
                file=file,
                pointer=place,
            )
        bounded = parameter.least is not None or parameter.most is not None
        if bounded and parameter.type not in ("integer", "number"):
            raise TemplateError(
                f"'least' and 'most' bound numbers; {name!r} is {KINDS[parameter.type].expected}",
                file=file,
                pointer=place,
            )
        if parameter.default is not None:
            try:
                value_of(name, parameter, parameter.default)
            except TemplateError as error:
                raise TemplateError(error.message, file=file, pointer=place) from None


def _with_usual(head: Head, name: str, used: set[str]) -> dict[str, Parameter]:
    usual = {
        "flow": Parameter(type="id", help="The id of the flow.", default=name),
        "name": Parameter(type="text", help="The flow's name for people.", default=head.title),
    }
    return {n: p for n, p in usual.items() if n in used} | head.parameters


def _check_holes(
    parameters: Mapping[str, Parameter], found: list[Hole], lines: int, file: str
) -> None:
    for hole in found:
        line = f"line {hole.scalar.line + lines}"
        parameter = parameters.get(hole.name)
        if parameter is None:
            raise TemplateError(
                f"the placeholder ${hole.name} has no parameter of that name",
                advice=f"Declare it in the head, or write $${hole.name} for the text ${hole.name}",
                file=file,
                pointer=line,
            )
        if hole.scalar.key and parameter.type == "names":
            raise TemplateError(
                f"the parameter {hole.name!r} is a list, which can't be a key",
                advice="Make it a name, or write the placeholder behind a key",
                file=file,
                pointer=line,
            )
        form = FORMS.get(hole.form)
        if hole.form and (form is None or parameter.type not in form.kinds):
            known = [n for n, f in FORMS.items() if parameter.type in f.kinds]
            told = f"it has {', '.join(known)}" if known else "it has none"
            raise TemplateError(
                f"{KINDS[parameter.type].expected} has no form {quoted(hole.form)}; {told}",
                file=file,
                pointer=line,
            )
    unused = set(parameters) - {hole.name for hole in found}
    if unused:
        raise TemplateError(
            f"the flow has no place for the parameter {min(unused)!r}",
            advice=f"Write ${min(unused)} where its value belongs, or remove it",
            file=file,
            pointer=f"/parameters/{min(unused)}",
        )


def value_of(name: str, parameter: Parameter, value: Value) -> Value:
    """The value of a parameter; TemplateError, which names it, where it is none of its type."""
    try:
        found = read_value(parameter.type, value)
        _in_bounds(parameter, found)
    except ValueError as error:
        shown = value if isinstance(value, str) else str(value)
        raise TemplateError(
            f"parameter {name!r}: {quoted(shown)}: {error}",
            advice=f"It is {KINDS[parameter.type].expected}: {parameter.help}",
        ) from None
    return found


def _in_bounds(parameter: Parameter, value: Value) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if parameter.least is not None and value < parameter.least:
            raise ValueError(f"it is below {parameter.least:,}")
        if parameter.most is not None and value > parameter.most:
            raise ValueError(f"it is above {parameter.most:,}")


def values_of(template: Template, given: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every parameter, `given` or its default.

    TemplateError where one is unknown, of another type, or missing; it names the parameter.
    """
    for name in given:
        if name not in template.parameters:
            near = get_close_matches(name, template.parameters, 1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            known = ", ".join(template.parameters) or "none"
            raise TemplateError(
                f"template {template.name!r} has no parameter {quoted(name)}",
                advice=f"{meant}It has {known}",
            )
    values: dict[str, Value] = {}
    for name, parameter in template.parameters.items():
        value = given.get(name, parameter.default)
        if value is None:
            raise TemplateError(
                f"parameter {name!r} of template {template.name!r} has no default",
                advice=f"Set it: --set {name}=... It is {KINDS[parameter.type].expected}: "
                f"{parameter.help}",
            )
        values[name] = value_of(name, parameter, value)
    return values


def make_flow(
    template: Template, given: Mapping[str, Value], segments: Segments | None = None
) -> Made:
    """The flow of a template with these values for its parameters; it may name `segments`.

    TemplateError where a value is wrong, by itself or where it stands; it names the parameter.
    """
    values = values_of(template, given)
    body = filled(template.body, lambda name, form: formed(form, values[name]))
    text = _heading(template, values) + body
    flow, violations = read_flow(text, name="flow.yaml", segments=segments)
    if flow is not None:
        violations = located(lint(flow), text, name="flow.yaml")
    errors = [v for v in violations if v.severity == "error"]
    if flow is None or errors:
        raise _mistaken(template, values, errors[0])
    return Made(text, flow, violations)


def _mistaken(template: Template, values: Mapping[str, Value], first: Violation) -> TemplateError:
    """An error of the flow that was made, with the parameters that are to blame for it."""
    pointer = first.pointer + "/"
    named = dict.fromkeys(
        hole.name
        for hole in template.holes
        if pointer.startswith(hole.scalar.pointer + "/")
        or (hole.scalar.pointer + "/").startswith(pointer)
    )
    told = ", ".join(f"{name}={values[name]}" for name in named)
    blamed = f"parameters {told}: " if told else ""
    return TemplateError(
        f"template {template.name!r} makes no flow that can run: {blamed}"
        f"{first.pointer or '/'}: {first.message}",
        advice=first.advice,
    )


def _heading(template: Template, values: Mapping[str, Value]) -> str:
    """A comment for who opens the file: what the flow does, and what was chosen."""
    head = template.head
    lines = _wrapped(f"{head.title}: {head.summary}")
    if head.about.strip():
        lines += ["#", *_wrapped(head.about)]
    lines += ["#", f"# {MADE_OF} {template.name}, with:"]
    shown = {name: _shown(value) for name, value in values.items()}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        begin = f"#   {name:<{width}} = {value}"
        told = f"{begin}  ({template.parameters[name].help})"
        lines.append(told if len(told) <= _HELP_COLUMNS else begin)
    return "\n".join(lines) + "\n\n"


def _shown(value: Value) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _HELP_COLUMNS,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def without_heading(text: str) -> str:
    """A flow's text without the comment that `make_flow` puts before it."""
    heading, blank, rest = text.partition("\n\n")
    ours = all(line.startswith("#") for line in heading.splitlines()) and any(
        line.startswith(f"# {MADE_OF} ") for line in heading.splitlines()
    )
    return rest if blank and ours else text
