"""Turn pydantic's validation errors into violations that a person who writes documents can act on.

A location of pydantic's mixes keys of the document with names of its own: tags of unions (which
begin with '#' in our models), names of a union's members, and '[key]'. The document itself tells
them apart. Where every member of a union of plain values refuses a value, one violation says what
would have been right.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from core.conditions import Kinds
from core.nodes import LOCAL_TIME, NODE_TYPES
from core.violations import Violation, close_to, listed, quoted, violation

_Steps = tuple[str | int, ...]

_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_ORDER = ("text", "a number", "true or false", "{entry: property}")
_ID = "1 to 64 letters, digits, '_', '.' and '-', with a letter or digit first"
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": ("an id", f"An id has {_ID}."),
    r"^[A-Za-z0-9][A-Za-z0-9 _.%-]{0,63}$": (
        "a name of a branch",
        f"A branch's name has {_ID}; spaces and '%' are allowed too.",
    ),
    r"^\d{4}-\d{2}-\d{2}$": ("a date", "Write it like 2026-01-31."),
    LOCAL_TIME: (
        "a date and time",
        "Write it like 2026-01-31 or 2026-01-31T09:00. With Z or +01:00 it is not local.",
    ),
}


class _Place(NamedTuple):
    """Where an error is: the steps into the document, and the value there.

    `outer` are the steps that led to the union, None without one. `absent` is a last step that
    isn't there.
    """

    steps: _Steps
    value: Any
    outer: _Steps | None
    absent: str | int | None


def shape_violations(
    error: ValidationError, model: type[BaseModel], document: Any
) -> list[Violation]:
    """What `error`, raised for `document` by `model`, amounts to: one for each place and cause."""
    found: dict[tuple[str, str], Violation] = {}
    unions: dict[_Steps, list[tuple[dict[str, Any], _Place]]] = {}
    for item in error.errors(include_url=False, include_input=False):
        place = _place(item["loc"], document, missing=item["type"] == "missing")
        if place.outer is not None:
            unions.setdefault(place.outer, []).append((dict(item), place))
            continue
        said = _say(dict(item), place, model)
        found.setdefault((said.pointer, said.message), said)
    for members in unions.values():
        for said in _say_union(members, model, document):
            found.setdefault((said.pointer, said.message), said)
    return sorted(found.values())


def _place(loc: tuple[str | int, ...], document: Any, missing: bool) -> _Place:
    steps: list[str | int] = []
    outer: _Steps | None = None
    absent: str | int | None = None
    value = document
    for number, step in enumerate(loc):
        inside = (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if inside:
            value = value[step]
            steps.append(step)
        elif isinstance(step, str) and (step.startswith("#") or step == "[key]"):
            continue
        elif missing and number == len(loc) - 1:
            absent = step
        elif outer is None:
            outer = tuple(steps)
    return _Place(tuple(steps), value, outer, absent)


def _say(item: dict[str, Any], place: _Place, model: type[BaseModel]) -> Violation:
    kind, context = item["type"], item.get("ctx", {})
    steps, value = place.steps, place.value
    if kind == "extra_forbidden":
        return _unknown_field(item["loc"], steps, model)
    if kind == "missing":
        return _missing_field(item["loc"], place, model)
    if kind == "node_type":
        return _unknown_node_type(steps, value)
    if kind in ("condition_kind", "filter_kind"):
        return _unclear_condition(steps, value, kind == "filter_kind")
    if kind == "literal_error":
        return _unknown_value(steps, value, str(context["expected"]))
    if kind == "string_pattern_mismatch":
        return _invalid_name(item["loc"], steps, value, str(context["pattern"]))
    if kind in _EXPECTED:
        return _wrong_type(steps, value, [_EXPECTED[kind]])
    if "value_error" in kind:
        return _invalid_value(steps, value, str(context.get("error", item["msg"])))
    return _out_of_range(item, steps, value)


def _say_union(
    members: list[tuple[dict[str, Any], _Place]], model: type[BaseModel], document: Any
) -> Iterator[Violation]:
    """One violation for a union of plain values, or those of the member that was meant."""
    for item, place in members:
        if item["type"] == "value_error":
            message = str(item.get("ctx", {}).get("error", item["msg"]))
            yield _invalid_value(place.outer or (), place.value, message)
            return
    meant = [
        (item, place)
        for item, place in members
        if place.absent is not None or len(place.steps) > len(place.outer or ())
    ]
    if meant:
        for item, place in meant:
            yield _say(item, place, model)
        return
    item, place = members[0]
    if item["type"] not in _EXPECTED:
        yield _say(item, place, model)
        return
    wanted = [_EXPECTED[m["type"]] for m, _ in members if m["type"] in _EXPECTED]
    if "a mapping" in wanted:
        wanted[wanted.index("a mapping")] = "{entry: property}"
    yield _wrong_type(place.outer or (), place.value, wanted)


def _unknown_field(loc: tuple[str | int, ...], steps: _Steps, model: type[BaseModel]) -> Violation:
    field = str(steps[-1]) if steps else ""
    known = sorted({name for m in _models_at(model, loc[:-1]) for name in _fields(m)})
    advice = close_to(field, known, "Remove it.")
    if known:
        advice += f" The fields here are {listed(known, 40)}."
    return violation("unknown-field", steps, f"there is no field {quoted(field)} here", advice)


def _missing_field(loc: tuple[str | int, ...], place: _Place, model: type[BaseModel]) -> Violation:
    if isinstance(place.absent, int):
        message = f"the list has {len(place.value)} values, and needs {place.absent + 1}"
        return violation("missing-field", place.steps, message, "Add what is missing.")
    field = str(place.absent)
    advice = {
        "headrace": "Write `headrace: 1`, the version of the format.",
        "headrace_responses": "Write `headrace_responses: 1`, the version of the format.",
        "flow": "Write `flow:` with an id for the flow.",
    }.get(field, f"Add `{field}`.")
    known = {name for m in _models_at(model, loc[:-1]) for name in _fields(m)}
    stray = [str(k) for k in place.value if k not in known] if isinstance(place.value, dict) else []
    advice = close_to(field, stray, advice).replace(
        "Did you mean", f"Is `{field}` what you meant by"
    )
    return violation("missing-field", place.steps, f"the field '{field}' is missing", advice)


def _unknown_node_type(steps: _Steps, value: Any) -> Violation:
    types_known = f"The types are {listed(NODE_TYPES, 40)}."
    if not isinstance(value, dict):
        return violation(
            "wrong-type",
            steps,
            f"a node is a mapping with a type, not {_found(value)}",
            types_known,
        )
    if "type" not in value:
        return violation(
            "unknown-node-type", steps, "the node has no type", f"Add `type`. {types_known}"
        )
    name = value["type"]
    advice = types_known
    if isinstance(name, str):
        advice = " ".join(filter(None, (close_to(name.lower(), NODE_TYPES), types_known)))
    return violation(
        "unknown-node-type", (*steps, "type"), f"there is no node type {_quoted(name)}", advice
    )


def _quoted(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else _found(value)


def _unclear_condition(steps: _Steps, value: Any, event_only: bool) -> Violation:
    what = "filter" if event_only else "condition"
    # A segment is none of the model's kinds: it is replaced by what it stands for before.
    kinds = Kinds.filter if event_only else (*Kinds.condition, "segment")
    names = f"A {what} names exactly one of {listed(kinds, 40)}."
    if not isinstance(value, dict):
        if value is None or value == []:
            return violation(
                "empty-condition", steps, f"the {what} is empty", f"Remove it, or fill it. {names}"
            )
        return violation("wrong-type", steps, f"a {what} is a mapping, not {_found(value)}", names)
    if not value:
        return violation(
            "empty-condition", steps, f"the {what} is empty", f"Remove it, or fill it. {names}"
        )
    present = [k for k in kinds if k in value]
    if present:
        message = f"the {what} names several kinds of test: {listed(present)}"
        return violation(
            "unclear-condition", steps, message, f"Join tests by `all` or `any`. {names}"
        )
    if event_only and (other := [k for k in Kinds.condition if k in value]):
        message = f"a filter reads one event only, so it has no '{other[0]}'"
        return violation("unclear-condition", steps, message, names)
    hints = (close_to(str(key), kinds) for key in value)
    advice = " ".join(filter(None, (next(filter(None, hints), ""), names)))
    return violation("unclear-condition", steps, f"the {what} names no kind of test", advice)


def _unknown_value(steps: _Steps, value: Any, expected: str) -> Violation:
    known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    advice = close_to(value, known) if isinstance(value, str) else ""
    allowed = f"Write {expected}." if len(known) == 1 else f"Write one of {listed(known, 40)}."
    message = f"{_found(value)} isn't possible here"
    return violation("unknown-value", steps, message, f"{advice} {allowed}".strip())


def _invalid_name(loc: tuple[str | int, ...], steps: _Steps, value: Any, pattern: str) -> Violation:
    what, advice = _PATTERNS.get(pattern, ("valid", f"It must match {pattern}."))
    shown = steps[-1] if loc and loc[-1] == "[key]" else value
    return violation("invalid-name", steps, f"{_quoted(shown)} is not {what}", advice)


def _wrong_type(steps: _Steps, value: Any, wanted: list[str]) -> Violation:
    names = list(dict.fromkeys(wanted))
    if "a number" in names and "a whole number" in names:
        names.remove("a whole number")
    names.sort(key=lambda n: _ORDER.index(n) if n in _ORDER else 0)
    expected = " or ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])
    message = f"expected {expected}, found {_found(value)}"
    advice = f"Write {expected}."
    if "text" in names and isinstance(value, bool | int | float):
        advice = f"Put it in quotes to make it text: {str(value).lower()!r}."
    elif value is None:
        advice = f"Write {expected}, or leave the field out where it may be absent."
    return violation("wrong-type", steps, message, advice)


def _invalid_value(steps: _Steps, value: Any, reason: str) -> Violation:
    """What a model's own check says; its messages tell the cure after a ':' or ';'."""
    what, _, cure = reason.partition(": ")
    if not cure:
        what, _, cure = reason.partition("; ")
    if cure.startswith("found "):
        advice = "Write one comparison; join several tests by `all` or `any`."
        return violation("invalid-value", steps, reason, advice)
    if cure:
        return violation("invalid-value", steps, what, f"{cure[0].upper()}{cure[1:]}.")
    if isinstance(value, dict | list):
        return violation("invalid-value", steps, reason, "Change the fields so that this holds.")
    message = f"{_found(value)} can't be understood: {reason}"
    return violation("invalid-value", steps, message, "Write it that way.")


def _out_of_range(item: dict[str, Any], steps: _Steps, value: Any) -> Violation:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "too_short" and steps and steps[-1] in ("all", "any"):
        message = f"'{steps[-1]}' has no parts"
        return violation("empty-condition", steps, message, "Add a test, or remove the condition.")
    if kind == "string_too_short":
        return violation("out-of-range", steps, "the text is empty", "Write a text.")
    if kind == "string_too_long":
        message = f"{_found(value)} is too long"
        advice = f"Write at most {context['max_length']:,} characters."
        return violation("out-of-range", steps, message, advice)
    if kind in ("too_short", "too_long"):
        message = f"it has {context['actual_length']:,} parts"
        least = kind == "too_short"
        number = context["min_length" if least else "max_length"]
        advice = f"At {'least' if least else 'most'} {number:,} are possible."
        return violation("out-of-range", steps, message, advice)
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    limit = " and ".join(f"{words} {context[b]}" for b, words in bounds.items() if b in context)
    if isinstance(value, str) and value.rstrip().endswith("%"):
        limit = "at most 100%"
    message = f"{_found(value)} is out of range"
    return violation(
        "out-of-range", steps, message, f"Write {limit or 'a value within the limit'}."
    )


def _found(value: Any) -> str:
    """A value in words."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "a mapping" if value else "an empty mapping"


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The models that the end of a pydantic location may stand for."""
    shapes: list[Any] = [model]
    for step in loc:
        shapes = [inner for shape in shapes for inner in _step(shape, step)]
    return [leaf for shape in shapes for leaf in _leaves(shape) if _is_model(leaf)]


def _step(shape: Any, step: str | int) -> Iterator[Any]:
    """The annotations behind one step of a location."""
    if isinstance(step, str) and step.startswith("#"):
        yield from _tagged(shape, step)
        return
    for leaf in _leaves(shape):
        origin, arguments = get_origin(leaf), get_args(leaf)
        if _is_model(leaf):
            for name, field in leaf.model_fields.items():
                if (field.alias or name) == step:
                    yield field.annotation
            if leaf.__name__ == step:
                yield leaf
        elif origin is dict and isinstance(step, str):
            yield arguments[1]
        elif origin in (list, tuple) and isinstance(step, int):
            yield arguments[min(step, len(arguments) - 1)]


def _leaves(shape: Any) -> Iterator[Any]:
    """What an annotation may be, without `Annotated` and unions."""
    origin = get_origin(shape)
    if origin is Annotated:
        yield from _leaves(get_args(shape)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(shape):
            yield from _leaves(member)
    else:
        yield shape


def _tagged(shape: Any, tag: str) -> Iterator[Any]:
    """The member of a union that bears a tag."""
    origin = get_origin(shape)
    if origin is Annotated:
        inner, *metadata = get_args(shape)
        if any(isinstance(m, Tag) and m.tag == tag for m in metadata):
            yield inner
        else:
            yield from _tagged(inner, tag)
    elif origin in (Union, types.UnionType):
        for member in get_args(shape):
            yield from _tagged(member, tag)


def _is_model(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, BaseModel)
