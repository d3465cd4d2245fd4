"""Bind predicates: literals become ranges, sets and tables over the columns' own values.

Whole numbers and fractions compare exactly: a bound is moved to the nearest value that the column's
type can hold, never rounded. Text predicates are evaluated once for each distinct text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.audience import Column
from core.binding_columns import Columns
from core.binding_zones import Zones, literal_day, literal_ms
from core.conditions import INT64_MAX, INT64_MIN, PERIODS, Comparison, EntryRef, MomentTest, Scalar
from core.duration import fixed_ms
from core.errors import HeadraceError
from core.patterns import pattern_of
from core.program import PRED, Pred, PredSpec, Program, Relation, Source, Store

FOREVER_MS = INT64_MAX
RELATIONS = {
    "is_": Relation.IS,
    "is_not": Relation.IS_NOT,
    "above": Relation.ABOVE,
    "after": Relation.ABOVE,
    "at_least": Relation.AT_LEAST,
    "below": Relation.BELOW,
    "before": Relation.BELOW,
    "at_most": Relation.AT_MOST,
}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}


@dataclass(slots=True)
class BoundPreds:
    """`records` (PRED), and their pools `bytes` uint8[], `sets` int64[], `float_sets` float64[]."""

    records: NDArray[np.void]
    bytes: NDArray[np.uint8]
    sets: NDArray[np.int64]
    float_sets: NDArray[np.float64]


@dataclass(slots=True)
class _Pools:
    bytes: list[NDArray[np.uint8]] = field(default_factory=list)
    bytes_size: int = 0
    sets: list[int] = field(default_factory=list)
    float_sets: list[float] = field(default_factory=list)


def bind_preds(program: Program, columns: Columns, zones: Zones) -> BoundPreds:
    """Bind every predicate of `program`.

    HeadraceError where a literal does not fit a column's type.
    """
    records = np.zeros(len(program.preds), PRED)
    pools = _Pools()
    history_of = {name: h for h, name in enumerate(program.histories)}
    property_of = {name: p for p, name in enumerate(program.properties)}
    for row, spec in zip(records, program.preds, strict=True):
        row["source"], row["on_true"], row["on_false"] = spec.source, spec.on_true, spec.on_false
        row["col"] = spec.column
        if spec.event is not None:
            _history(row, spec, history_of[spec.event])
            continue
        if spec.slots is not None:
            row["op"], (row["lo"], row["hi"]) = Pred.CLOCK, spec.slots
            continue
        held = columns.customer if spec.source == Source.CUSTOMER else columns.property
        column = held[spec.column]
        row["store"] = Columns.store(column)
        if spec.test is None:
            row["op"], row["lo"], row["hi"] = Pred.RANGE, 1, 1
        elif isinstance(spec.test.operand, EntryRef):
            _compare(row, spec, column, property_of[spec.test.operand.entry], program, columns)
        else:
            _literal(row, _name(program, spec), column, spec.test, zones, pools)
    return BoundPreds(
        records,
        np.concatenate(pools.bytes) if pools.bytes else np.zeros(0, np.uint8),
        np.array(pools.sets, np.int64),
        np.array(pools.float_sets, np.float64),
    )


def _name(program: Program, spec: PredSpec) -> str:
    if spec.source == Source.CUSTOMER:
        return f"attribute {program.columns[spec.column].name!r}"
    return f"event property {program.properties[spec.column]!r}"


def _history(row: np.void, spec: PredSpec, history: int) -> None:
    least, most = spec.bounds
    row["op"], row["source2"] = Pred.HISTORY, spec.filter
    row["col2"] = history
    row["col"], row["store2"] = least, -1 if most is None else most
    row["lo"] = FOREVER_MS if spec.window_ms is None else spec.window_ms
    row["hi"] = 0 if spec.since is None else 1 + PERIODS.index(spec.since)


def _compare(
    row: np.void, spec: PredSpec, column: Column, other: int, program: Program, columns: Columns
) -> None:
    assert spec.test is not None
    operator = spec.test.operator
    numbers = ("int64", "float64")
    right = columns.property[other].kind
    fits = column.kind == right or (column.kind in numbers and right in numbers)
    ordered = column.kind not in ("string", "bool") or operator in ("is_", "is_not")
    fits = fits and ordered and operator in RELATIONS
    if not fits and (_has_no_values(column) or _has_no_values(columns.property[other])):
        row["op"] = Pred.NEVER
        return
    if not fits:
        raise HeadraceError(
            f"{_name(program, spec)} is of type {column.kind}, the entering event's "
            f"{program.properties[other]!r} of type {right}: "
            f"{operator.rstrip('_')!r} can't compare them",
            advice="Compare values of one type; text and booleans have no order",
        )
    row["op"], row["hi"] = Pred.COMPARE, RELATIONS[operator]
    row["source2"], row["col2"] = Source.ENTRY, other
    row["store2"] = Columns.store(columns.property[other])


def _has_no_values(column: Column) -> bool:
    """Whether nothing tells a column's type: the audience lacks it, and nobody ever sets it."""
    return column.kind == "string" and not column.dictionary


def _literal(
    row: np.void, name: str, column: Column, test: Comparison, zones: Zones, pools: _Pools
) -> None:
    operator, operand = test.operator, test.operand
    if operator == "is_set":
        row["op"], row["negate"] = Pred.PRESENT, not operand
    elif operator in ("within_last", "within_next", "older_than"):
        if column.kind not in ("date", "datetime"):
            raise _unfit(name, column, operator, "a date or a time")
        row["op"] = {"within_last": Pred.LAST, "within_next": Pred.NEXT}.get(operator, Pred.OLDER)
        row["lo"], row["col2"] = fixed_ms(operand), column.kind == "date"
    elif operator == "anniversary_in_days":
        if column.kind not in ("date", "datetime"):
            raise _unfit(name, column, operator, "a date or a time")
        row["op"] = Pred.ANNIVERSARY
        row["lo"], row["col2"] = operand, column.kind == "date"
        row["hi"] = test.at if isinstance(test, MomentTest) else -1
    elif operator in ("one_of", "none_of"):
        row["negate"] = operator == "none_of"
        bits = [b for v in operand if (b := literal_bits(column, v, zones, name)) is not None]
        _one_of(row, column, bits, pools)
    elif operator in ("is_", "is_not"):
        row["negate"] = operator == "is_not"
        value = literal_bits(column, operand, zones, name)
        _range(row, column, value, value)
    elif operator in ("contains", "starts_with", "ends_with", "matches"):
        if column.kind != "string":
            raise _unfit(name, column, operator, "text")
        _table(row, _text_table(column, operator, operand), pools)
    else:
        low, high = operand if operator == "between" else (operand, operand)
        _bounds(row, name, column, operator, low, high, zones)


def _unfit(name: str, column: Column, operator: str, wanted: str) -> HeadraceError:
    return HeadraceError(
        f"{name} is of type {column.kind}, but '{operator.rstrip('_')}' needs {wanted}",
        advice="Compare it with a value of its own type",
    )


def literal_bits(column: Column, value: Scalar, zones: Zones, name: str) -> int | None:
    """The cell (an int64, a double's bits or a dictionary code) that equals `value`, if one can.

    HeadraceError where the literal is of a type that the column's values are never compared with.
    """
    kind = column.kind
    if kind == "string" and isinstance(value, str):
        return column.code(value)
    if kind == "bool" and isinstance(value, bool):
        return int(value)
    if (
        kind in ("int64", "float64")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        if kind == "int64":
            return int(value) if value == math.floor(value) and _in_range(int(value)) else None
        exact = float(value)
        return int(np.float64(exact).view(np.int64)) if exact == value else None
    if kind in ("date", "datetime") and isinstance(value, str):
        return literal_day(value) if kind == "date" else literal_ms(value, zones.flow)
    raise HeadraceError(
        f"{name} is of type {kind} and can't be compared with {value!r}",
        advice="Compare it with a value of its own type",
    )


def held_bits(column: Column, value: Scalar, zones: Zones, name: str) -> int:
    """The cell that holds `value`, or the fraction next to it; HeadraceError where none can."""
    if column.kind == "float64" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    bits = literal_bits(column, value, zones, name)
    if bits is None:
        raise HeadraceError(
            f"{name}: a value of type {column.kind} can't be {value!r}",
            advice="Write a value that the type can hold",
        )
    return bits


def _in_range(value: int) -> bool:
    return INT64_MIN < value <= INT64_MAX


def _range(row: np.void, column: Column, low: int | None, high: int | None) -> None:
    """lo <= value <= hi; None on either side makes it empty."""
    if low is None or high is None:
        row["op"] = Pred.RANGE_FLOAT if column.kind == "float64" else Pred.RANGE
        row["lo"] = _float_bits(1.0) if column.kind == "float64" else 1
        return
    row["op"] = Pred.RANGE_FLOAT if column.kind == "float64" else Pred.RANGE
    row["lo"], row["hi"] = low, high


def _float_bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _bounds(
    row: np.void, name: str, column: Column, operator: str, low: Scalar, high: Scalar, zones: Zones
) -> None:
    strict = operator in ("above", "below", "after", "before")
    down = operator in ("below", "at_most", "before")
    up = operator in ("above", "at_least", "after")
    if column.kind in ("date", "datetime"):
        first, last = (literal_bits(column, v, zones, name) for v in (low, high))
        assert first is not None and last is not None
        _range(row, column, INT64_MIN + 1 if down else first + (strict and up),
               INT64_MAX if up else last - (strict and down))  # fmt: skip
        return
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
    if column.kind not in ("int64", "float64") or not numeric:
        raise _unfit(name, column, operator, "numbers or dates on both sides")
    assert not isinstance(low, str) and not isinstance(high, str)
    if column.kind == "int64":
        above, below = math.floor(low) + 1, math.ceil(high) - 1
        least = INT64_MIN if down else above if strict else math.ceil(low)
        most = INT64_MAX if up else below if strict else math.floor(high)
        if least > INT64_MAX or most <= INT64_MIN:
            _range(row, column, None, None)
        else:
            _range(row, column, max(least, INT64_MIN + 1), min(most, INT64_MAX))
        return
    least_float = -math.inf if down else _least_double(low, strict)
    most_float = math.inf if up else -_least_double(-high, strict)
    _range(row, column, _float_bits(least_float), _float_bits(most_float))


def _least_double(bound: float, strict: bool) -> float:
    """The least double that is >= bound, or > bound where strict.

    Exact for whole numbers beyond 2**53 too.
    """
    double = float(bound)
    if double < bound or (strict and double == bound):
        double = math.nextafter(double, math.inf)
    elif not strict or double > bound:
        below = math.nextafter(double, -math.inf)
        double = below if below > bound or (below == bound and not strict) else double
    return double


def _one_of(row: np.void, column: Column, bits: list[int], pools: _Pools) -> None:
    if column.kind == "string":
        assert column.dictionary is not None
        table = np.zeros(len(column.dictionary), np.uint8)
        table[bits] = 1
        _table(row, table, pools)
    elif column.kind == "float64":
        row["op"], row["lo"], row["hi"] = Pred.IN_FLOAT, len(pools.float_sets), len(bits)
        pools.float_sets += sorted(float(np.int64(b).view(np.float64)) for b in bits)
    else:
        row["op"], row["lo"], row["hi"] = Pred.IN, len(pools.sets), len(bits)
        pools.sets += sorted(bits)


def _table(row: np.void, table: NDArray[np.uint8], pools: _Pools) -> None:
    row["op"], row["lo"], row["hi"] = Pred.TABLE, pools.bytes_size, len(table)
    row["store"] = Store.INT32
    pools.bytes.append(table)
    pools.bytes_size += len(table)


def _text_table(column: Column, operator: str, operand: str) -> NDArray[np.uint8]:
    assert column.dictionary is not None
    return text_hits(column.dictionary, operator, operand)


def text_hits(texts: Sequence[str], operator: str, operand: str) -> NDArray[np.uint8]:
    """Which of `texts` pass a test of TEXT_TESTS or `matches`: 1 or 0 each, uint8[len(texts)]."""
    if operator == "matches":
        searches = pattern_of(operand).searches
        hits = (searches(text) for text in texts)
    else:
        test = TEXT_TESTS[operator]
        hits = (test(text, operand) for text in texts)
    return np.fromiter(hits, np.uint8, len(texts))
