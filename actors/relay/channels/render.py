"""Render templates: Liquid without a way to anything but plain values, bounded in work and size.

A template reads text, numbers, truth values, lists and mappings of these, and nothing else: values
are copied into that shape first, so no attribute of a Python object can be reached. Tags that load
other templates, or write values by themselves, are gone; filters are a short list. Work is counted,
not timed, so a template that passes a test passes in production: loops by iterations times the
template's length, filters by the bytes they may produce, output by its size. Values are written as
they are, never parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TextIO
from urllib.parse import quote

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError, LoopIterationLimitError, ResourceLimitError
from liquid.stringify import to_liquid_string
from liquid.undefined import Undefined

Encoding = Literal["text", "html", "header", "url", "sms"]
Missing = Literal["fail", "skip", "empty", "default"]
SOURCE_MAX = 64 << 10
OUTPUT_MAX = 256 << 10
VALUE_MAX = 64 << 10
DEPTH_MAX = 8
WORK_MAX = 4 << 20
TEMPLATES_MAX = 1_024
TAGS = frozenset(
    [
        *("#", "assign", "break", "capture", "case", "comment", "content", "continue"),
        *("echo", "for", "if", "illegal", "output", "unless"),
    ]
)
FILTERS = frozenset(
    [
        *("abs", "append", "at_least", "at_most", "capitalize", "ceil", "default", "divided_by"),
        *("downcase", "escape", "first", "floor", "join", "last", "lstrip", "minus", "modulo"),
        *("newline_to_br", "plus", "prepend", "remove", "replace", "round", "rstrip", "size"),
        *("slice", "split", "strip", "times", "truncate", "truncatewords", "upcase", "url_encode"),
    ]
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
# What a plain SMS may not hold; line feeds may stay.
_SMS_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u0085\u2028\u2029]")
_NUMBER_MAX = 10**18


class RenderError(ValueError):
    """A message that cannot be rendered; its text is a short code that names no value."""


class MissingError(RenderError):
    """A variable that the message needs has no value."""


@dataclass(frozen=True, slots=True)
class Source:
    """One part of a template: Liquid text, and what to do where a variable has no value.

    `default` takes the value from the template's defaults, and fails where there is none either.
    """

    text: str
    missing: Missing = "fail"


class _Absent(Undefined):
    """A variable without a value: false in conditions, caught by `default`, not to be written."""

    __slots__ = ()

    def __str__(self) -> str:
        raise MissingError("missing_variable")


class _Context(RenderContext):
    """Counts the work of one rendering."""

    __slots__ = ("work",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.work = 0

    def spend(self, amount: int) -> None:
        """Add to the work done; raises ResourceLimitError beyond WORK_MAX."""
        self.work += amount
        if self.work > WORK_MAX:
            raise ResourceLimitError("too much work", token=None)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Charge a loop for all of its iterations before the first."""
        for loop in self.loops:
            length *= loop.length
        if length > WORK_MAX:
            raise LoopIterationLimitError("too many iterations", token=None)
        self.spend(length * getattr(self.template, "weight", SOURCE_MAX))

    def get(self, path: list[object], **options: Any) -> object:
        """Resolve a variable, and count it."""
        self.spend(8 * len(path))
        return super().get(path, **options)


class _Template(BoundTemplate):
    context_class = _Context
    weight = SOURCE_MAX


def _encode_header(text: str) -> str:
    if _CONTROL.search(text):
        raise RenderError("line_break_in_header")
    return text


_ENCODERS: dict[Encoding, Callable[[str], str]] = {
    "text": lambda text: text,
    "html": lambda text: text,
    "header": _encode_header,
    "url": lambda text: quote(text, safe=""),
    "sms": lambda text: _SMS_CONTROL.sub(" ", text),
}


class _EncodingNode(OutputNode):
    """Writes a value in the encoding of its part."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        encode = getattr(context.env, "encode", _encode_header)
        written: str = encode(to_liquid_string(value, context.autoescape))
        return buffer.write(written)


class _Output(Output):
    node_class = _EncodingNode


class _EchoNode(EchoNode, _EncodingNode):
    __slots__ = ()
    render_to_output = _EncodingNode.render_to_output


class _Echo(EchoTag):
    node_class = _EchoNode


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_size, value)) + 8 * len(value)
    return 32


def _product(name: str, value: object, args: tuple[Any, ...]) -> int:
    """An upper bound of the characters that a filter makes."""
    total = _size(value) + sum(map(_size, args))
    if name == "replace" and len(args) > 1:
        return total + (_size(value) + 1) * _size(args[1])
    if name == "join":
        return total + (len(value) if isinstance(value, list) else 1) * sum(map(_size, args))
    return total * 9 if name in ("escape", "newline_to_br", "url_encode") else total


def _bounded(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, refusing what would be large before it is made."""
    environment = getattr(work, "with_environment", False)

    def bounded(value: Any, *args: Any, context: _Context, **options: Any) -> Any:
        made = _product(name, value, args)
        if made > 10 * VALUE_MAX:
            raise ResourceLimitError("a filter makes too much", token=None)
        context.spend(16 + made // 16)
        if environment:
            options["environment"] = context.env
        result = work(value, *args, **options)
        if isinstance(result, int | float) and abs(result) > _NUMBER_MAX:
            raise ResourceLimitError("a number is too large", token=None)
        return result

    bounded.with_context = True  # type: ignore[attr-defined]
    return bounded


class _Environment(Environment):
    template_class = _Template
    loop_iteration_limit = WORK_MAX
    output_stream_limit = OUTPUT_MAX
    local_namespace_limit = 4 * OUTPUT_MAX
    context_depth_limit = 20
    block_nesting_limit = 20

    def __init__(self, encoding: Encoding, undefined: type[Undefined]) -> None:
        super().__init__(autoescape=encoding == "html", undefined=undefined)
        self.encode = _ENCODERS[encoding]
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.add_tag(_Output)
        self.add_tag(_Echo)
        self.filters = {
            name: _bounded(name, work) for name, work in self.filters.items() if name in FILTERS
        }


@lru_cache(maxsize=10)
def _environment(encoding: Encoding, empty: bool) -> _Environment:
    return _Environment(encoding, Undefined if empty else _Absent)


def _compiled(source: Source, encoding: Encoding) -> BoundTemplate:
    if len(source.text) > SOURCE_MAX:
        raise RenderError("template_too_long")
    template = _parsed(source.text, encoding, source.missing == "empty")
    if template is None:
        raise RenderError("template_invalid")
    return template


_ENTRY = re.compile(r"entry\.[A-Za-z0-9_-]+")


@lru_cache(maxsize=TEMPLATES_MAX)
def _parsed(text: str, encoding: Encoding, empty: bool) -> BoundTemplate | None:
    """The compiled template; None, which is remembered as well, if it cannot be compiled."""
    try:
        template = _environment(encoding, empty).from_string(text)
    except (LiquidError, RecursionError):
        return None
    template.weight = max(64, len(text))  # type: ignore[attr-defined]
    return template


def check(source: Source, encoding: Encoding) -> None:
    """Compile a part; raises RenderError if it is no template that may be rendered."""
    _compiled(source, encoding)


def variables_of(source: Source, encoding: Encoding) -> frozenset[str]:
    """The names of the values that a part reads, none of one that is no template."""
    return _names(source.text, encoding, source.missing == "empty")


@lru_cache(maxsize=TEMPLATES_MAX)
def _names(text: str, encoding: Encoding, empty: bool) -> frozenset[str]:
    template = None if len(text) > SOURCE_MAX else _parsed(text, encoding, empty)
    return frozenset() if template is None else frozenset(template.global_variables())


def entries_of(text: str) -> frozenset[str]:
    """What a part with this text shows of the entering event, such as `entry.amount`."""
    template = None if len(text) > SOURCE_MAX else _parsed(text, "text", False)
    paths = [] if template is None else template.global_variable_paths()
    return frozenset(path for path in map(str, paths) if _ENTRY.fullmatch(path))


def render(
    source: Source,
    encoding: Encoding,
    values: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
) -> str:
    """Return a part with the values filled in, each encoded for where it stands.

    A value of None is absent. Raises MissingError if a variable is written that has none (under
    "fail", "skip" and, without a default, "default"), RenderError for anything else that is wrong.
    """
    template = _compiled(source, encoding)
    known = {name: value for name, value in values.items() if value is not None}
    if source.missing == "default":
        known = {**(defaults or {}), **known}
    try:
        written = template.render(**{name: _plain(value, 0) for name, value in known.items()})
    except RenderError:
        raise
    except ResourceLimitError:
        raise RenderError("template_over_limit") from None
    except (LiquidError, ArithmeticError, ValueError, TypeError, RecursionError):
        raise RenderError("template_failed") from None
    return _encode_header(written) if encoding == "header" else written


def _plain(value: object, depth: int) -> object:
    """The value as nothing but built-in types, copied."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > VALUE_MAX:
            raise RenderError("value_too_long")
        # A subclass, such as one marked as safe HTML, becomes plain text again.
        return "".join(value)
    if isinstance(value, int | float):
        return value if type(value) in (int, float) else float(value)
    if depth < DEPTH_MAX and isinstance(value, list | tuple) and len(value) <= VALUE_MAX:
        return [_plain(each, depth + 1) for each in value]
    if depth < DEPTH_MAX and isinstance(value, dict) and len(value) <= VALUE_MAX:
        return {str(name): _plain(each, depth + 1) for name, each in value.items()}
    raise RenderError("value_of_unknown_kind")
