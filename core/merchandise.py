"""Map a change of a product to the customers whom it concerns.

A product is no person, so its price falling enters nobody anywhere. An interest rule says which
changes matter and who is interested: whoever viewed the product lately, has it on the wish list, or
bought it. Each of them then has the event `product_changed` at the time of the change, which a flow
can start on and wait for like any other.

A change is the step from a value that was known to another one: the first value of an attribute
makes no change. A comparison in a rule must begin to hold by the change, so a price that falls
further below a bound concerns nobody again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictFloat, StrictInt, StrictStr, model_validator

from core.audience import Audience
from core.conditions import Model, Name, WindowField
from core.duration import fixed_ms

EVENT = "product_changed"
RULES_MAX = 1_000
PAIRS = 1 << 22  # of a change with an interested event that are looked at together

Int64s = NDArray[np.int64]
Flags = NDArray[np.bool_]
Number = StrictInt | StrictFloat


class Change(Model):
    """Which changes of a product's attribute matter; of the comparisons at most one is stated.

    `by_percent`: by at least so much of the value before, up or down.
    """

    attribute: Name
    change: Literal["changed", "raised", "lowered"] = "changed"
    is_: Annotated[StrictInt | StrictFloat | StrictStr | None, Field(alias="is")] = None
    above: Number | None = None
    at_least: Number | None = None
    below: Number | None = None
    at_most: Number | None = None
    by_percent: Annotated[StrictInt | StrictFloat, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        stated = [self.is_, self.above, self.at_least, self.below, self.at_most]
        if sum(bound is not None for bound in stated) > 1:
            raise ValueError("state one of 'is', 'above', 'at_least', 'below' and 'at_most'")
        return self


class Interest(Model):
    """Whoever did `event` with the product named in `property`, lately if `within` is stated.

    `until` is the event that ends the interest, as taking something from a wish list does.
    """

    event: Name
    property: Name = "product"
    within: WindowField | None = None
    until: Name | None = None


class MerchandiseRule(Model):
    """A change of products, and who is interested: by any of several reasons."""

    when: Change
    interested: list[Interest] = Field(min_length=1, max_length=100)


class MerchandiseRules(Model):
    """The interest rules of a tenant by name, and the file of products' changes.

    `changes` is a file of columns `time`, `product`, `attribute` and `value`.
    """

    changes: Name
    rules: dict[Name, MerchandiseRule] = Field(min_length=1, max_length=RULES_MAX)


@dataclass(frozen=True, slots=True)
class ProductLog:
    """Dated values of products' attributes, k rows in order of time.

    `product` int64[k] and `attribute` int64[k] are codes into `products` and `attributes`, `number`
    float64[k] is the value or NaN where it is a text, `text` int64[k] its code in `texts` or -1;
    where both lack, the attribute was taken away. `ms` int64[k].
    """

    products: Sequence[str]
    attributes: Sequence[str]
    texts: Sequence[str]
    ms: Int64s
    product: Int64s
    attribute: Int64s
    number: NDArray[np.float64]
    text: Int64s


@dataclass(frozen=True, slots=True)
class Steps:
    """Changes of products: rows of the log, int64[s] each, where and from where a value stepped."""

    after: Int64s
    before: Int64s


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom changes concern: in order of customer, time, rule and change.

    `customer` int64[e], `rule` int32[e] a place among the rules, `after` and `before` int64[e] rows
    of the log.
    """

    customer: Int64s
    rule: NDArray[np.int32]
    after: Int64s
    before: Int64s


def steps_of(log: ProductLog) -> Steps:
    """Every change of a value that was known to another one, in order of time."""
    order = np.lexsort((np.arange(len(log.ms)), log.attribute, log.product))
    product, attribute = log.product[order], log.attribute[order]
    number, text = log.number[order], log.text[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (product[1:] == product[:-1]) & (attribute[1:] == attribute[:-1])
    known = ~np.isnan(number) | (text >= 0)
    differs = np.zeros(len(order), np.bool_)
    both_nan = np.isnan(number[1:]) & np.isnan(number[:-1])
    differs[1:] = ((number[1:] != number[:-1]) & ~both_nan) | (text[1:] != text[:-1])
    at = np.flatnonzero(same & differs & known)
    at = at[known[at - 1]]
    after, before = order[at], order[at - 1]
    by_time = np.argsort(after, kind="stable")
    return Steps(after[by_time], before[by_time])


def matching(change: Change, log: ProductLog, steps: Steps) -> Flags:
    """Which steps a rule is about, bool[s]."""
    code = _place(log.attributes, change.attribute)
    found: Flags = log.attribute[steps.after] == code
    after, before = log.number[steps.after], log.number[steps.before]
    # Comparisons with NaN, which texts have, are false.
    if change.change == "raised":
        found &= after > before
    elif change.change == "lowered":
        found &= after < before
    if change.by_percent is not None:
        found &= np.abs(after - before) * 100 >= change.by_percent * np.abs(before)
    if (holds := _comparison(change, log)) is not None:
        found &= holds[steps.after] & ~holds[steps.before]
    return found


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _comparison(change: Change, log: ProductLog) -> Flags | None:
    """For which rows of the log the comparison holds, bool[k]; None where none is stated."""
    holds: Flags | None = None
    if isinstance(change.is_, str):
        holds = (log.text == _place(log.texts, change.is_)) & (log.text >= 0)
    elif change.is_ is not None:
        holds = log.number == float(change.is_)
    elif change.above is not None:
        holds = log.number > change.above
    elif change.at_least is not None:
        holds = log.number >= change.at_least
    elif change.below is not None:
        holds = log.number < change.below
    elif change.at_most is not None:
        holds = log.number <= change.at_most
    return holds


def concerned(
    rules: Mapping[str, MerchandiseRule], log: ProductLog, audience: Audience
) -> Concerned:
    """Whom the changes concern, once for each rule and change, whatever the reasons.

    Needs the events and properties of the rules loaded.
    """
    steps = steps_of(log)
    code_of = {name: code for code, name in enumerate(log.products)}
    parts: list[tuple[Int64s, Int64s, int]] = []
    for place, rule in enumerate(rules.values()):
        fired = np.flatnonzero(matching(rule.when, log, steps))
        found = [np.zeros((0, 2), np.int64)]
        for interest in rule.interested:
            found += _interested(interest, log, steps, fired, audience, code_of)
        pairs = np.unique(np.concatenate(found), axis=0)
        parts.append((pairs[:, 0], pairs[:, 1], place))
    customer = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    step = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
    place_of = [np.full(len(part[0]), part[2], np.int32) for part in parts]
    number = np.concatenate([np.zeros(0, np.int32), *place_of])
    order = np.lexsort((step, number, log.ms[steps.after[step]], customer))
    step = step[order]
    return Concerned(customer[order], number[order], steps.after[step], steps.before[step])


def _interested(
    interest: Interest,
    log: ProductLog,
    steps: Steps,
    fired: Int64s,
    audience: Audience,
    code_of: Mapping[str, int],
) -> Iterator[Int64s]:
    """Pairs of a customer and a step that concerns them, int64[q, 2], in pieces, maybe repeated."""
    customer, ms, product, begins = _reasons(interest, audience, code_of)
    # One number for a product at a time, so that a look-back is one run of rows.
    times = np.unique(np.concatenate([ms, log.ms[steps.after[fired]]]))
    width = len(times) + 1
    key = product * width + np.searchsorted(times, ms)
    order = np.argsort(key, kind="stable")
    key, customer, begins = key[order], customer[order], begins[order]
    at_ms, item = log.ms[steps.after[fired]], log.product[steps.after[fired]]
    last = np.searchsorted(key, item * width + np.searchsorted(times, at_ms), side="right")
    first = np.searchsorted(key, item * width, side="left")
    if interest.within is not None:
        # A window is (t - d, t].
        since = np.searchsorted(times, at_ms - fixed_ms(interest.within), side="right")
        first = np.searchsorted(key, item * width + since, side="left")
    for some in _chunks(last - first):
        count = (last - first)[some]
        step = np.repeat(fired[some], count)
        row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row += np.repeat(first[some], count)
        whose = customer[row]
        if interest.until is not None:
            # Of each customer's rows with the product the last one tells, and it must be no end.
            by = np.lexsort((row, whose, step))
            step, whose, row = step[by], whose[by], row[by]
            final = np.ones(len(row), np.bool_)
            final[:-1] = (step[1:] != step[:-1]) | (whose[1:] != whose[:-1])
            final &= begins[row]
            step, whose = step[final], whose[final]
        yield np.stack([whose, step], axis=1)


def _reasons(
    interest: Interest, audience: Audience, code_of: Mapping[str, int]
) -> tuple[Int64s, Int64s, Int64s, NDArray[np.bool_]]:
    """The events that begin or end an interest: customer, ms, product, and whether it begins."""
    names = audience.event_names
    begin = names.index(interest.event) if interest.event in names else -1
    end = names.index(interest.until) if interest.until in names else -1
    column = audience.properties.get(interest.property)
    if column is None or column.kind not in ("string", "int64"):
        none = np.zeros(0, np.int64)
        return none, none, none, np.zeros(0, np.bool_)
    rows = np.flatnonzero(np.isin(audience.event_type, [c for c in (begin, end) if c >= 0]))
    rows = rows[~column.missing()[rows]]
    values = column.values[rows]
    if column.kind == "string":
        product = np.array([code_of.get(t, -1) for t in column.dictionary or ()], np.int64)
        item = product[values] if len(product) else np.zeros(len(rows), np.int64)
    else:
        # Whole numbers name products as the log writes them.
        distinct, place = np.unique(values, return_inverse=True)
        item = np.array([code_of.get(str(v), -1) for v in distinct.tolist()], np.int64)[place]
    rows, item = rows[item >= 0], item[item >= 0]
    owner = np.searchsorted(audience.event_offsets, rows, side="right") - 1
    return owner, audience.event_ms[rows], item, audience.event_type[rows] == begin


def _chunks(sizes: Int64s) -> Iterator[slice]:
    """Runs of places whose sizes add up to about `PAIRS` at most, or one place each."""
    start, total = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if total and total + size > PAIRS:
            yield slice(start, place)
            start, total = place, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))
