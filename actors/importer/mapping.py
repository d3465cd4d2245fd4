"""Declare a mapping: which files hold customers, events and changes, and what their columns mean.

A mapping is written as YAML or JSON. Columns are named as the file names them; in NDJSON and
Parquet a dotted path reaches into nested objects ("value.offer_id"). docs/importing.md explains
each field.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from core.audience import Kind
from core.errors import HeadraceError
from core.instants import instant_ms
from core.json_text import mark_json, read_json
from core.limits import NAME_CHARS_MAX
from core.marks import line_of
from core.yaml_text import read_yaml
from core.zones import transitions

MAPPING_BYTES_MAX = 4 * 2**20

SINCE_MS = {
    "seconds_since": 1_000,
    "minutes_since": 60_000,
    "hours_since": 3_600_000,
    "days_since": 86_400_000,
}
UNIX_MS = {"unix_s": 1_000, "unix_ms": 1}
"""How many ms one unit of a numeric time format is."""


def _check_pattern(pattern: str) -> None:
    try:
        datetime.strptime("", pattern)  # noqa: DTZ007 -- nothing is read here
    except ValueError as error:
        if "directive" in str(error) or "stray" in str(error):
            raise ValueError(f"{pattern!r} is no pattern of strptime: {error}") from None
    if not any(year in pattern for year in ("%Y", "%y", "%G", "%c", "%x")):
        raise ValueError(f"{pattern!r} reads no year, so no date")


class Part(BaseModel):
    """Base of every part of a mapping: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: object) -> object:
    if isinstance(value, str):
        transitions(value)
    return value


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("an instant is ISO text such as 2026-01-31T00:00:00Z")
    try:
        instant_ms(value)
    except ValueError:
        message = f"{value!r} is no instant; write it like 2026-01-31T00:00:00Z"
        raise ValueError(message) from None
    return value


def _column(value: object) -> object:
    """A bare name, or a list of alternatives, is short for {column: ...}."""
    return {"column": value} if isinstance(value, str | list) else value


def _list_of_one(value: object) -> object:
    return value if isinstance(value, list) else [value]


Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
Path_ = Annotated[str, Field(min_length=1)]
Zone = Annotated[str, BeforeValidator(_zone)]
Instant = Annotated[str, BeforeValidator(_instant)]


class ColumnSpec(Part):
    """A column and how to read it; of several, the first that has a value in the row.

    `type` is inferred where it is not stated. `format` is `iso`, a pattern such as "%Y%m%d",
    `unix_s`, `unix_ms`, `seconds_since` ... `days_since` (of `epoch`), or `integer_text`
    ("17850.0" is "17850"). `zone` is that of local times, by default UTC. `missing` lists values
    that mean missing. `mixed: string` turns a column of several types into text. `constant` marks
    what never changes.
    """

    column: Annotated[list[Path_], BeforeValidator(_list_of_one), Field(min_length=1)]
    type: Kind | None = None
    format: StrictStr | None = None
    zone: Zone | None = None
    epoch: Instant | None = None
    missing: Annotated[list[Scalar], BeforeValidator(_list_of_one)] = Field(default_factory=list)
    mixed: Literal["string"] | None = None
    constant: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.format in SINCE_MS) != (self.epoch is not None):
            raise ValueError(f"'epoch' goes with one of the formats {', '.join(SINCE_MS)}")
        if self.format is not None and not self._known_format:
            known = ", ".join(["iso", *UNIX_MS, *SINCE_MS, "integer_text"])
            raise ValueError(
                f"unknown format {self.format!r}; it is one of {known} or like %Y-%m-%d"
            )
        if self.format is not None and "%" in self.format:
            _check_pattern(self.format)
        if self.format == "integer_text" and self.type not in (None, "string"):
            raise ValueError("'integer_text' makes text: its type is string")
        timely = self.format not in (None, "integer_text")
        if timely and self.type not in (None, "date", "datetime"):
            raise ValueError(f"format {self.format!r} reads times: its type is date or datetime")
        return self

    @property
    def _known_format(self) -> bool:
        named = {"iso", "integer_text", *UNIX_MS, *SINCE_MS}
        return self.format in named or "%" in (self.format or "")

    @property
    def label(self) -> str:
        """The column's name for messages."""
        return " or ".join(self.column)


Column = Annotated[ColumnSpec, BeforeValidator(_column)]


class ListSpec(Part):
    """A column of names: a list as the file has it, or text with a separator."""

    column: Path_
    separator: Annotated[str, Field(min_length=1)] = ","

    @property
    def label(self) -> str:
        """The column's name for messages."""
        return self.column


NameList = Annotated[
    ListSpec, BeforeValidator(lambda v: {"column": v} if isinstance(v, str) else v)
]


class Test(Part):
    """Exactly one test of a column's value as the file has it."""

    column: Path_
    is_: Annotated[
        list[Scalar] | None, BeforeValidator(lambda v: v if v is None else _list_of_one(v))
    ] = Field(None, alias="is")
    starts_with: Annotated[str, Field(min_length=1)] | None = None
    above: StrictInt | StrictFloat | None = None
    at_least: StrictInt | StrictFloat | None = None
    below: StrictInt | StrictFloat | None = None
    at_most: StrictInt | StrictFloat | None = None
    missing: StrictBool | None = None

    @property
    def operator(self) -> str:
        """The name of the test that is stated."""
        return next(name for name in self._operators() if getattr(self, name) is not None)

    @staticmethod
    def _operators() -> tuple[str, ...]:
        return ("is_", "starts_with", "above", "at_least", "below", "at_most", "missing")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        stated = [n.rstrip("_") for n in self._operators() if getattr(self, n) is not None]
        if len(stated) != 1:
            names = ", ".join(n.rstrip("_") for n in self._operators())
            raise ValueError(f"state exactly one of {names}; found {', '.join(stated) or 'none'}")
        return self


class DropRule(Test):
    """Rows for which the test holds are left out and counted under the name."""

    name: Name


class NamingRule(Test):
    """Rows for which the test holds are this event."""

    event: Name


class EventName(Part):
    """What names the event of a row: a column, a constant, or the first rule that holds."""

    column: Path_ | None = None
    constant: Name | None = None
    when: list[NamingRule] | None = Field(None, min_length=1)
    otherwise: Name | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        stated = [n for n in ("column", "constant", "when") if getattr(self, n) is not None]
        if len(stated) != 1:
            raise ValueError("state one of 'column', 'constant' and 'when'")
        if self.otherwise is not None and self.when is None:
            raise ValueError("'otherwise' goes with 'when'")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        return [self.column] if self.column is not None else [r.column for r in self.when or ()]


class Sum(Part):
    """What is added up over the rows of a group: a column, or the product of two."""

    column: Path_ | None = None
    multiply: tuple[Path_, Path_] | None = None
    round: Annotated[StrictInt, Field(ge=0, le=9)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is None) == (self.multiply is None):
            raise ValueError("state one of 'column' and 'multiply'")
        return self

    @property
    def factors(self) -> list[str]:
        """The columns to multiply."""
        return [self.column] if self.column is not None else list(self.multiply or ())


class GroupBy(Part):
    """Rows that agree in the columns `by` (and in customer and event) are one event.

    Its time is the earliest of them; `first` are properties of the first row, `sum` totals, `count`
    names a property that holds the number of rows.
    """

    by: Annotated[list[Path_], BeforeValidator(_list_of_one), Field(min_length=1)]
    sum: dict[
        Name, Annotated[Sum, BeforeValidator(lambda v: {"column": v} if isinstance(v, str) else v)]
    ] = Field(default_factory=dict)
    first: dict[Name, Column] = Field(default_factory=dict)
    count: Name | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [*self.sum, *self.first, *([self.count] if self.count else [])]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"stated twice: {', '.join(twice)}")
        return self


class Csv(Part):
    """How a CSV file is laid out.

    `delimiter` is one character, or "spaces" for runs of blanks (leading ones ignored, no
    quotes). `header: false` numbers the columns "1", "2", ...; a list names them. `quote: null`
    means that a quotation mark is a character like others.
    """

    delimiter: StrictStr = ","
    header: StrictBool | list[Path_] = True
    quote: StrictStr | None = '"'

    @model_validator(mode="after")
    def _single(self) -> Self:
        if self.delimiter != "spaces" and len(self.delimiter.encode()) != 1:
            raise ValueError('the delimiter is one ASCII character, or "spaces"')
        if self.quote is not None and len(self.quote.encode()) != 1:
            raise ValueError("the quotation mark is one ASCII character, or null")
        return self


class Source(Part):
    """What every source states: the file, its form, rows to leave out, what to do with duplicates.

    `file` is relative to the mapping, or to the data folder where one is given.
    """

    file: Annotated[str, Field(min_length=1)]
    format: Literal["csv", "ndjson", "parquet"] | None = None
    encoding: StrictStr = "utf-8"
    csv: Csv = Csv()
    drop: list[DropRule] = Field(default_factory=list)
    duplicates: Literal["keep", "drop"] = "keep"

    def columns(self) -> list[tuple[str, ...]]:
        """Every column that the source names; of alternatives, one must be in the file."""
        return [(rule.column,) for rule in self.drop]


class CustomerSource(Source):
    """A file with one row per customer, or (`repeated: first`) several, of which the first counts.

    `attributes: all` takes every column that nothing else names; `constants` are attributes that
    are the same for each customer of this source.
    """

    id: Column
    created_at: Column | None = None
    zone: Column | None = None
    attributes: dict[Name, Column] | Literal["all"] = Field(default_factory=dict)
    tags: NameList | None = None
    groups: NameList | None = None
    constants: dict[Name, Scalar] = Field(default_factory=dict)
    repeated: Literal["reject", "first"] = "reject"

    def columns(self) -> list[tuple[str, ...]]:
        """Every column that the source names, but for those that `all` means."""
        specs = [self.id, self.created_at, self.zone]
        if self.attributes != "all":
            specs += self.attributes.values()
        lists = [(spec.column,) for spec in (self.tags, self.groups) if spec is not None]
        return [*super().columns(), *(tuple(s.column) for s in specs if s is not None), *lists]


class EventSource(Source):
    """A file with one row per event, or (`group_by`) several rows per event."""

    customer: Column
    time: Column
    event: Annotated[
        EventName, BeforeValidator(lambda v: {"column": v} if isinstance(v, str) else v)
    ]
    id: Column | None = None
    properties: dict[Name, Column] | Literal["all"] = Field(default_factory=dict)
    group_by: GroupBy | None = None

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        if self.group_by is not None and (self.properties or self.id is not None):
            raise ValueError("with 'group_by', properties go under it, and there is no 'id'")
        return self

    def columns(self) -> list[tuple[str, ...]]:
        """Every column that the source names, but for those that `all` means."""
        specs = [self.customer, self.time, self.id]
        if self.properties != "all":
            specs += self.properties.values()
        singles = self.event.columns
        if self.group_by is not None:
            specs += self.group_by.first.values()
            singles = [*singles, *self.group_by.by]
            singles += [name for total in self.group_by.sum.values() for name in total.factors]
        found = [*(tuple(s.column) for s in specs if s is not None), *((n,) for n in singles)]
        return [*super().columns(), *found]


class ChangeSource(Source):
    """A log of attribute changes: one row per change, the value read as the attribute's type."""

    customer: Column
    time: Column
    attribute: Annotated[
        EventName, BeforeValidator(lambda v: {"column": v} if isinstance(v, str) else v)
    ]
    value: Column

    @model_validator(mode="after")
    def _no_rules(self) -> Self:
        if self.attribute.when is not None:
            raise ValueError("state a 'column' or a 'constant'")
        return self

    def columns(self) -> list[tuple[str, ...]]:
        """Every column that the source names."""
        specs = (self.customer, self.time, self.value)
        singles = [(name,) for name in self.attribute.columns]
        return [*super().columns(), *(tuple(spec.column) for spec in specs), *singles]


class AliasSource(Source):
    """A file with one row per id that means a customer who has another id."""

    alias: Column
    customer: Column

    def columns(self) -> list[tuple[str, ...]]:
        """Every column that the source names."""
        return [*super().columns(), tuple(self.alias.column), tuple(self.customer.column)]


class Mapping(Part):
    """A whole mapping; `as_of` dates the attributes, `zone` is the tenant's default."""

    headrace_mapping: Literal[1] = 1
    as_of: Instant | None = None
    zone: Zone | None = None
    customers: Annotated[list[CustomerSource], BeforeValidator(_list_of_one)] = Field(
        default_factory=list
    )
    events: Annotated[list[EventSource], BeforeValidator(_list_of_one)] = Field(
        default_factory=list
    )
    changes: Annotated[list[ChangeSource], BeforeValidator(_list_of_one)] = Field(
        default_factory=list
    )
    aliases: Annotated[list[AliasSource], BeforeValidator(_list_of_one)] = Field(
        default_factory=list
    )
    replaces_property: Name = "flow"

    @model_validator(mode="after")
    def _some_source(self) -> Self:
        if not self.customers and not self.events:
            raise ValueError("state at least one source of 'customers' or 'events'")
        return self


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file; HeadraceError with the file and the place of what is wrong in it."""
    text = _read_text(path)
    json = path.suffix.lower() == ".json"
    document = read_json(text) if json else read_yaml(text)
    for found in sorted(document.violations):
        pointer = _placed(found.pointer, found.line)
        raise HeadraceError(found.message, advice=found.advice, file=str(path), pointer=pointer)
    try:
        return Mapping.model_validate(document.value)
    except ValidationError as error:
        problems = error.errors()
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        pointer = _pointer(first["loc"])
        line = line_of(mark_json(text) if json else document.marks, pointer)
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"no field {str(first['loc'][-1])!r} belongs here"
        raise HeadraceError(
            message + more,
            advice="docs/importing.md lists the fields.",
            file=str(path),
            pointer=_placed(pointer, line),
        ) from error


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAPPING_BYTES_MAX:
            raise HeadraceError("a mapping is not that large; is it the data?", file=str(path))
        text = path.read_text("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
        raise HeadraceError(f"cannot read the mapping ({reason})", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise HeadraceError("it is not UTF-8 text; is it the data?", file=str(path)) from error
    if not text.strip():
        raise HeadraceError("the mapping is empty", file=str(path))
    return text


def _placed(pointer: str, line: int | None) -> str | None:
    places = [*([f"line {line}"] if line else []), *([pointer] if pointer else [])]
    return ", ".join(places) or None


def _pointer(location: tuple[int | str, ...]) -> str:
    """The JSON pointer of a validation error, without the names of alternatives pydantic adds."""
    steps = [str(step) for step in location if not str(step).startswith(("dict[", "literal["))]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
