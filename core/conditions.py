"""Declare what a flow may ask: conditions over a customer and filters over an event.

A *condition* reads the whole customer (attributes, tags, groups, event history, the entering
event); a *filter* reads one event. Both are trees of `all` / `any` / `not` over single tests. The
models only describe; what a test means is in docs/semantics.md, and the compiler and the reference
interpreter each carry it out on their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from core import limits
from core.catalogue.words import WORDS
from core.duration import DAY_MS, fixed_ms
from core.fields import (
    INT64_MAX,
    INT64_MIN,
    DurationField,
    Model,
    Name,
    Number,
    Scalar,
    WindowField,
)
from core.wall_clock import Slot

__all__ = [
    "COMPARISONS",
    "INT64_MAX",
    "INT64_MIN",
    "PERIODS",
    "PERIOD_MS",
    "TIME_TESTS",
    "AllOf",
    "AnyOf",
    "AttributeTest",
    "ClockTest",
    "Comparison",
    "Condition",
    "DidTest",
    "DurationField",
    "EntryRef",
    "EntryTest",
    "Filter",
    "FilterAllOf",
    "FilterAnyOf",
    "FilterNot",
    "GroupTest",
    "Kinds",
    "Model",
    "MomentTest",
    "Name",
    "NeverDidTest",
    "Not",
    "Number",
    "Operand",
    "Period",
    "PropertyTest",
    "Scalar",
    "TagTest",
    "WindowField",
    "walk",
]


class EntryRef(Model):
    """A reference to a property of the event with which the entry began: `{entry: order_id}`."""

    entry: Name


Operand = Annotated[Scalar | EntryRef, Field(union_mode="left_to_right")]

COMPARISONS = (
    "is_", "is_not", "one_of", "none_of", "above", "at_least", "below", "at_most", "between",
    "before", "after", "contains", "starts_with", "ends_with", "matches", "is_set",
    "within_last", "within_next", "older_than", "anniversary_in_days",
)  # fmt: skip
TIME_TESTS = (
    "before", "after", "within_last", "within_next", "older_than", "anniversary_in_days",
)  # fmt: skip
"""Those that only dates and times pass."""


class Comparison(Model):
    """Exactly one comparison of a value; a missing value makes all but `is_set` false."""

    is_: Operand | None = Field(None, alias="is")
    is_not: Operand | None = None
    one_of: list[Scalar] | None = Field(None, min_length=1, max_length=limits.VALUES_MAX)
    none_of: list[Scalar] | None = Field(None, min_length=1, max_length=limits.VALUES_MAX)
    above: Operand | None = None
    at_least: Operand | None = None
    below: Operand | None = None
    at_most: Operand | None = None
    between: tuple[Scalar, Scalar] | None = None
    before: StrictStr | None = None
    after: StrictStr | None = None
    contains: StrictStr | None = Field(None, min_length=1)
    starts_with: StrictStr | None = Field(None, min_length=1)
    ends_with: StrictStr | None = Field(None, min_length=1)
    matches: StrictStr | None = Field(None, min_length=1, max_length=limits.PATTERN_CHARS_MAX)
    is_set: StrictBool | None = None
    within_last: WindowField | None = None
    within_next: WindowField | None = None
    older_than: WindowField | None = None
    anniversary_in_days: Annotated[StrictInt, Field(ge=-366, le=366)] | None = Field(
        None,
        description="In how many days on the customer's clock the date comes round; 0 is today.",
    )

    @property
    def operator(self) -> str:
        """The name of the one comparison that is set, one of `COMPARISONS`."""
        # Straight from the fields: lint asks this several times of each of 100,000 tests.
        held = self.__dict__
        return next(name for name in COMPARISONS if held[name] is not None)

    @property
    def operand(self) -> Any:
        """What the value is compared with, as the document states it."""
        return getattr(self, self.operator)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        stated = [name.rstrip("_") for name in COMPARISONS if getattr(self, name) is not None]
        if len(stated) != 1:
            found = f"found {', '.join(stated)}" if stated else "found none"
            raise ValueError(
                f"a test needs exactly one comparison such as 'is', 'one_of' or 'above'; {found}"
            )
        return self


class AttributeTest(Comparison):
    """A test of a customer's attribute."""

    attribute: Name


class MomentTest(AttributeTest):
    """True for the one millisecond at which a day that an anniversary is asked for comes to `at`.

    Documents can't state it; `on_anniversary` stands for a segment of it, which is judged when it
    turns and not each day.
    """

    at: int


class EntryTest(Comparison):
    """A test of a property of the event with which the entry began; missing where no event did."""

    entry: Name


class PropertyTest(Comparison):
    """A test of a property of the event at hand (filters only)."""

    property: Name


class TagTest(Model):
    """True where the customer carries the tag."""

    tag: Name


class GroupTest(Model):
    """True where the customer is in the group."""

    group: Name


class ClockTest(Model):
    """True in these hours of the customer's week."""

    clock: list[Slot] = Field(min_length=1, max_length=limits.SLOTS_MAX)


Period = Literal["day", "week", "month"]
"""What the customer's calendar divides time into; a week begins on Monday."""
PERIODS: tuple[Period, ...] = get_args(Period)
PERIOD_MS: dict[Period, int] = {"day": 3 * DAY_MS, "week": 9 * DAY_MS, "month": 33 * DAY_MS}
"""Longer than any period lasts, whatever clocks are set to meanwhile."""


class _History(Model):
    within: WindowField | None = Field(
        None, description="How long ago at most, as seen from now; a day is 24 hours."
    )
    since: Period | None = Field(
        None, description="Since when: since the customer's day, week or month began."
    )
    where: Filter | None = None

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.within is not None and self.since is not None:
            raise ValueError("state one of 'within' and 'since'")
        return self

    @property
    def window_ms(self) -> int | None:
        """How far it looks back at most, in milliseconds, None for ever."""
        if self.since is not None:
            return PERIOD_MS[self.since]
        return None if self.within is None else fixed_ms(self.within)


class DidTest(_History):
    """True where the customer did the event so often within the window (default: at least once)."""

    did: Name
    at_least: Annotated[StrictInt, Field(ge=1, le=limits.HISTORY_COUNT_MAX)] | None = None
    at_most: Annotated[StrictInt, Field(ge=0, le=limits.HISTORY_COUNT_MAX)] | None = None
    exactly: Annotated[StrictInt, Field(ge=0, le=limits.HISTORY_COUNT_MAX)] | None = None

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        stated = [v for v in (self.at_least, self.at_most, self.exactly) if v is not None]
        if len(stated) > 1:
            raise ValueError("state one of 'at_least', 'at_most' and 'exactly'")
        return self

    @property
    def bounds(self) -> tuple[int, int | None]:
        """The least and the greatest count that make it true; None is no upper bound."""
        if self.exactly is not None:
            return self.exactly, self.exactly
        if self.at_most is not None:
            return 0, self.at_most
        return self.at_least or 1, None


class NeverDidTest(_History):
    """True where the customer did not do the event within the window."""

    never_did: Name

    @property
    def bounds(self) -> tuple[int, int | None]:
        """The least and the greatest count that make it true."""
        return 0, 0


class AllOf(Model):
    """True where every part is."""

    all: list[Condition] = Field(min_length=1, max_length=limits.CONDITION_PARTS_MAX)


class AnyOf(Model):
    """True where at least one part is."""

    any: list[Condition] = Field(min_length=1, max_length=limits.CONDITION_PARTS_MAX)


class Not(Model):
    """The plain negation."""

    not_: Condition = Field(alias="not")


class FilterAllOf(Model):
    """True where every part is."""

    all: list[Filter] = Field(min_length=1, max_length=limits.CONDITION_PARTS_MAX)


class FilterAnyOf(Model):
    """True where at least one part is."""

    any: list[Filter] = Field(min_length=1, max_length=limits.CONDITION_PARTS_MAX)


class FilterNot(Model):
    """The plain negation."""

    not_: Filter = Field(alias="not")


class Kinds:
    """Tell which model a mapping means by the one field that names its kind.

    Tags begin with '#' so that a validation error's location can be told from a field's name.
    """

    condition: ClassVar = (
        "all",
        "any",
        "not",
        "attribute",
        "tag",
        "group",
        "did",
        "never_did",
        "entry",
        "clock",
        *WORDS,
    )
    filter: ClassVar = ("all", "any", "not", "property", "entry")

    @staticmethod
    def pick(value: object, names: tuple[str, ...]) -> str | None:
        """The tag of the only kind-naming field of a mapping or a model, None where unclear."""
        if isinstance(value, dict):
            present = [n for n in value if n in names]
        else:
            present = [n for n in names if hasattr(value, n) or hasattr(value, f"{n}_")]
        return f"#{present[0]}" if len(present) == 1 else None


if TYPE_CHECKING:
    Condition = (
        AllOf
        | AnyOf
        | Not
        | AttributeTest
        | TagTest
        | GroupTest
        | DidTest
        | NeverDidTest
        | EntryTest
        | ClockTest
    )
else:
    Condition = Annotated[
        reduce(
            or_,
            (
                Annotated[AllOf, Tag("#all")],
                Annotated[AnyOf, Tag("#any")],
                Annotated[Not, Tag("#not")],
                Annotated[AttributeTest, Tag("#attribute")],
                Annotated[TagTest, Tag("#tag")],
                Annotated[GroupTest, Tag("#group")],
                Annotated[DidTest, Tag("#did")],
                Annotated[NeverDidTest, Tag("#never_did")],
                Annotated[EntryTest, Tag("#entry")],
                Annotated[ClockTest, Tag("#clock")],
                # A word is read as what it means, so that nobody else has to know it.
                *(
                    Annotated[word, AfterValidator(word.meant), Tag(f"#{name}")]
                    for name, word in WORDS.items()
                ),
            ),
        ),
        Discriminator(
            lambda v: Kinds.pick(v, Kinds.condition),
            custom_error_type="condition_kind",
            custom_error_message="a condition names exactly one of: " + ", ".join(Kinds.condition),
        ),
    ]

Filter = Annotated[
    Annotated[FilterAllOf, Tag("#all")]
    | Annotated[FilterAnyOf, Tag("#any")]
    | Annotated[FilterNot, Tag("#not")]
    | Annotated[PropertyTest, Tag("#property")]
    | Annotated[EntryTest, Tag("#entry")],
    Discriminator(
        lambda v: Kinds.pick(v, Kinds.filter),
        custom_error_type="filter_kind",
        custom_error_message="a filter names exactly one of: " + ", ".join(Kinds.filter),
    ),
]

for _model in (DidTest, NeverDidTest, AllOf, AnyOf, Not, FilterAllOf, FilterAnyOf, FilterNot):
    _model.model_rebuild()


def walk(condition: Model | None) -> Iterator[Model]:
    """Yield every node of a condition or filter tree, parents first, history filters included."""
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        if part is None:
            continue
        yield part
        match part:
            case Comparison() | TagTest() | GroupTest() | ClockTest():
                continue
            case AllOf(all=parts) | AnyOf(any=parts):
                waiting += reversed(parts)
            case FilterAllOf(all=parts) | FilterAnyOf(any=parts):
                waiting += reversed(parts)
            case Not(not_=child) | FilterNot(not_=child):
                waiting.append(child)
            case DidTest(where=where) | NeverDidTest(where=where):
                waiting.append(where)
