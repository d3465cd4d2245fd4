"""Declare a response model: what people would do after a message that nobody has sent yet.

A responses file lists rules; the first that fits a message applies. Its outcomes (delivered,
opened, clicked, purchase) each have a probability and a delay. Both interpreters draw them by the
same integers: a probability is in billionths, a delay is a table of quantiles in whole
milliseconds (semantics D34 and D35).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictFloat,
    StrictInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from scipy.special import ndtri

from core import limits
from core.conditions import Condition, DurationField, Model, Name, Scalar, WindowField
from core.duration import Duration, fixed_ms
from core.nodes import Channel, NodeId

CELLS = limits.QUANTILE_CELLS
DELAY_MS_MAX = 2**42  # 139 years: beyond any horizon, and a sum with any time stays within int64
RESERVED_PROPERTIES = ("channel", "template", "node", "flow")
"""Properties that every modelled event carries by itself (semantics D36)."""

Table = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Quantiles int64[4097] and the tail int64[4097], ms."""

_EXPECTED = "a probability is a number from 0 to 1 or a percentage such as '12.5%'"


def _probability(value: object) -> object:
    """Billionths, exactly, of a number (by its shortest decimal form) or of a percentage."""
    try:
        if isinstance(value, str) and value.strip().endswith("%"):
            exact = Decimal(value.strip()[:-1].rstrip()) / 100
        elif isinstance(value, int | float) and not isinstance(value, bool):
            exact = Decimal(repr(value))
        else:
            raise ValueError(f"{_EXPECTED}, not {value!r}")
    except InvalidOperation:
        raise ValueError(f"{_EXPECTED}, not {value!r}") from None
    if not (exact.is_finite() and 0 <= exact <= 1):
        raise ValueError(f"{_EXPECTED}, not {value!r}")
    billionths = exact * limits.PROBABILITY_TOTAL
    if billionths != int(billionths):
        raise ValueError(f"{value!r} is finer than a billionth; state at most 9 decimals")
    return int(billionths)


def _probability_text(billionths: int) -> str:
    percent = Decimal(billionths).scaleb(-7).normalize()
    return f"{percent:f}%"


Probability = Annotated[
    int,
    BeforeValidator(_probability),
    PlainSerializer(_probability_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "examples": ["12.5%"]},
            ]
        }
    ),
]
"""A probability in billionths."""


def _span(duration: Duration) -> Duration:
    if fixed_ms(duration) < 0:
        raise ValueError("a delay can't be negative")
    return duration


Span = Annotated[DurationField, AfterValidator(_span)]
"""A delay of fixed length, 0 or longer: a day is 24 hours, months and years are refused."""

Quantile = Annotated[StrictInt | StrictFloat, Field(ge=0, le=1)]


class Lognormal(Model):
    """A delay whose logarithm is normal: half are below `median`, `sigma` is its deviation."""

    median: WindowField
    sigma: Annotated[StrictInt | StrictFloat, Field(gt=0, le=10)]


class Exponential(Model):
    """A delay with a constant hazard."""

    mean: WindowField


class Delay(Model):
    """How long after its cause an outcome comes: exactly one law, durations of fixed length."""

    constant: Span | None = None
    lognormal: Lognormal | None = None
    exponential: Exponential | None = None
    uniform: tuple[Span, Span] | None = None
    quantiles: (
        Annotated[list[tuple[Quantile, Span]], Field(min_length=1, max_length=1000)] | None
    ) = None

    @field_validator("uniform")
    @classmethod
    def _ordered(cls, bounds: tuple[Duration, Duration] | None) -> object:
        if bounds is not None and fixed_ms(bounds[0]) > fixed_ms(bounds[1]):
            raise ValueError("a uniform delay goes from the shorter to the longer duration")
        return bounds

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, points: list[tuple[float, Duration]] | None) -> object:
        if points is None:
            return None
        shares = [share for share, _ in points]
        spans = [fixed_ms(span) for _, span in points]
        if shares[0] <= 0 or any(a >= b for a, b in pairwise(shares)):
            raise ValueError("the shares of quantiles rise from above 0; the delay at 0 is 0")
        if shares[-1] != 1:
            raise ValueError("the last quantile is the longest delay, at the share 1")
        if any(a > b for a, b in pairwise(spans)):
            raise ValueError("the delays of quantiles do not fall")
        return points

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = ", ".join(type(self).model_fields)
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(f"a delay is exactly one of: {names}")
        return self

    def inverse(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of the distribution function at `shares` in [0, 1): float64, same shape, ms.

        Lognormal: median * exp(sigma * z) with z the standard normal quantile; exponential:
        -mean * ln(1 - p); quantiles: linear between the stated points and (0, 0).
        """
        if self.constant is not None:
            return np.full(shares.shape, float(fixed_ms(self.constant)))
        if self.lognormal is not None:
            normal = np.asarray(ndtri(shares), np.float64)
            median = fixed_ms(self.lognormal.median)
            return np.asarray(median * np.exp(self.lognormal.sigma * normal), np.float64)
        if self.exponential is not None:
            return -fixed_ms(self.exponential.mean) * np.log1p(-shares)
        if self.uniform is not None:
            low, high = (fixed_ms(bound) for bound in self.uniform)
            return low + (high - low) * shares
        assert self.quantiles is not None
        known = [0.0, *(float(share) for share, _ in self.quantiles)]
        spans = [0.0, *(float(fixed_ms(span)) for _, span in self.quantiles)]
        return np.asarray(np.interp(shares, known, spans), np.float64)


class Outcome(Model):
    """Something that follows a message, or follows another outcome, by chance and after a delay."""

    event: Name
    after: Name | None = None
    probability: Probability
    delay: Delay
    properties: dict[Name, Scalar] = Field(default_factory=dict)

    @field_validator("properties")
    @classmethod
    def _not_reserved(cls, properties: dict[str, Scalar]) -> object:
        taken = [name for name in RESERVED_PROPERTIES if name in properties]
        if taken:
            raise ValueError(f"a modelled event carries {', '.join(taken)} by itself; leave it out")
        return properties

    def table(self) -> Table:
        """The delay's quantiles int64[4097] and tail int64[4097], ms, rising, in [1, 2**42] (D35).

        Quantile i is the inverse distribution function at i/4096; tail j at 1 - 1/4096 + j/4096**2.
        The last of both stands at 1 - 2**-26, so that a law without an upper end has one. Rounded
        half to even.
        """
        places = np.arange(CELLS + 1, dtype=np.float64)
        last = 1.0 - 2.0**-26
        shares = np.minimum(places / CELLS, last)
        tail_shares = np.minimum(1.0 - 1.0 / CELLS + places / CELLS**2, last)
        return _whole(self.delay.inverse(shares)), _whole(self.delay.inverse(tail_shares))


def _whole(ms: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(np.rint(ms), 1, DELAY_MS_MAX).astype(np.int64)


def delay_ms(table: Table, draw: int) -> int:
    """The delay that a u64 draw picks from `Outcome.table()`, in ms (semantics D35).

    The upper 12 bits choose a cell and the next 32 the place in it; in the last cell the next 12
    choose a cell of the tail, and the 32 after them the place.
    """
    quantiles, tail = table
    cell = draw >> 52
    if cell < CELLS - 1:
        values, place = quantiles, (draw >> 20) & 0xFFFFFFFF
    else:
        values, cell, place = tail, (draw >> 40) & 0xFFF, (draw >> 8) & 0xFFFFFFFF
    low, high = int(values[cell]), int(values[cell + 1])
    return low + ((high - low) * place >> 32)


class Scope(Model):
    """Which messages a rule is for: each field that is stated must fit."""

    channel: Channel | None = None
    node: NodeId | None = None
    template: Name | None = None
    if_: Condition | None = Field(None, alias="if")


class Rule(Model):
    """What follows the messages of a scope."""

    for_: Scope = Field(default=Scope(), alias="for")
    outcomes: list[Outcome] = Field(max_length=100)

    @model_validator(mode="after")
    def _chain(self) -> Self:
        known: set[str] = set()
        for outcome in self.outcomes:
            if outcome.event in known:
                raise ValueError(f"two outcomes of the rule are '{outcome.event}'; keep one")
            if outcome.after is not None and outcome.after not in known:
                raise ValueError(
                    f"'{outcome.event}' comes after '{outcome.after}', "
                    "which is no earlier outcome of the rule"
                )
            known.add(outcome.event)
        return self


class Responses(Model):
    """A whole responses file, format version 1."""

    headrace_responses: Literal[1]
    rules: list[Rule] = Field(max_length=10_000)

    def numbered(self) -> Iterator[tuple[int, int, Outcome]]:
        """Yield (index in `Counters.modelled`, rule number, outcome) in file order."""
        number = 0
        for place, rule in enumerate(self.rules):
            for outcome in rule.outcomes:
                yield number, place, outcome
                number += 1

    @property
    def outcomes(self) -> list[Outcome]:
        """Every outcome in file order."""
        return [outcome for _, _, outcome in self.numbered()]
