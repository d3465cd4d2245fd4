"""Bind the columns that a program names: attributes, tags, groups and event properties.

Text that is compared across columns, or that a flow writes, needs one dictionary on both sides;
such columns are re-coded here, all others are used as they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.absent_types import absent_types
from core.audience import INT64_MIN, Audience, Column, Kind
from core.conditions import EntryRef
from core.nodes import Send, SetAttribute
from core.program import ColumnName, Program, Source, Store
from core.responses import RESERVED_PROPERTIES

STORES: dict[str, Store] = {
    "bool": Store.INT8,
    "string": Store.INT32,
    "int64": Store.INT64,
    "datetime": Store.INT64,
    "date": Store.INT64,
    "float64": Store.FLOAT64,
}
DTYPES = {"bool": np.int8, "string": np.int32, "float64": np.float64}


@dataclass(slots=True)
class Columns:
    """The bound columns: `customer[c]` as `Program.columns`, `property[p]` as `Program.properties`.

    `written[c]`: whether a run may change the column, which then is copied for each block.
    `changed[c]`: bool of each customer whether the audience has dated changes of it, None where it
    has none; such customers' value is missing until the first. `recoded[c]`: new codes of a text
    column's old ones, where they differ.
    """

    customer: list[Column]
    property: list[Column]
    written: list[bool]
    changed: list[NDArray[np.bool_] | None]
    recoded: dict[int, NDArray[np.int32]]

    @staticmethod
    def store(column: Column) -> Store:
        """How the column lies in memory."""
        return STORES[column.kind]


def bind_columns(program: Program, audience: Audience) -> Columns:
    """Find every column that `program` names in `audience`.

    Absent ones are missing for everybody.
    """
    written = [c in program.written for c in range(len(program.columns))]
    attribute_types, property_types = absent_types(program.flow, program.responses, audience)
    customer = [_customer_column(audience, attribute_types, c) for c in program.columns]
    properties = [
        audience.properties[name]
        if name in audience.properties
        else _missing(property_types.get(name, "string"), audience.events)
        for name in program.properties
    ]
    _extend_with_written(program, customer)
    _extend_with_modelled(program, properties)
    recoded = _share_dictionaries(program, customer, properties)
    changed = [_changed(audience, c) for c in program.columns]
    for c, who in enumerate(changed):
        if who is not None:
            customer[c] = _blanked(customer[c], who)
            written[c] = True
    return Columns(
        [_contiguous(c) for c in customer],
        [_contiguous(p) for p in properties],
        written,
        changed,
        recoded,
    )


def _blanked(column: Column, who: NDArray[np.bool_]) -> Column:
    values = column.values.copy()
    values[who] = _missing(column.kind, 1).values[0]
    return Column(column.kind, values, column.dictionary)


def _customer_column(audience: Audience, types: Mapping[str, Kind], name: ColumnName) -> Column:
    if name.family == "attribute":
        column = audience.attributes.get(name.name)
        return _missing(types[name.name], audience.customers) if column is None else column
    members = (audience.tags if name.family == "tag" else audience.groups).get(name.name)
    return Column("bool", np.zeros(audience.customers, np.int8) if members is None else members)


def _missing(kind: Kind, rows: int) -> Column:
    if kind == "float64":
        return Column(kind, np.full(rows, np.nan))
    if kind == "string":
        return Column(kind, np.full(rows, -1, np.int32), [])
    if kind == "bool":
        return Column(kind, np.full(rows, -1, np.int8))
    return Column(kind, np.full(rows, INT64_MIN, np.int64))


def _modelled(program: Program, name: str) -> list[object]:
    """The values of property `name` that modelled and internal events carry."""
    values: list[object] = [i.carried[name] for i in program.internals if name in i.carried]
    if program.responses is None:
        return values
    values += [o.properties[name] for o in program.responses.outcomes if name in o.properties]
    for node_id, node in program.flow.nodes.items() if name in RESERVED_PROPERTIES else ():
        if isinstance(node, Send):
            values.append(node.carried(program.flow.flow, node_id)[name])
    return values


def _extend_with_written(program: Program, customer: list[Column]) -> None:
    """Give the texts that a flow writes a code in the column's dictionary."""
    number = {column: c for c, column in enumerate(program.columns)}
    written: dict[int, list[object]] = {}
    for node in program.flow.nodes.values():
        if isinstance(node, SetAttribute):
            c = number[ColumnName("attribute", node.attribute)]
            written.setdefault(c, []).append(node.value)
    for c, values in written.items():
        customer[c] = _extended(customer[c], values)


def _extend_with_modelled(program: Program, properties: list[Column]) -> None:
    """Give the texts that modelled and internal events carry a code in the dictionary."""
    for p, name in enumerate(program.properties):
        properties[p] = _extended(properties[p], _modelled(program, name))


def _extended(column: Column, values: Iterable[object]) -> Column:
    if column.kind != "string":
        return column
    assert column.dictionary is not None
    known = set(column.dictionary)
    new = dict.fromkeys(v for v in values if isinstance(v, str) and v not in known)
    return Column("string", column.values, [*column.dictionary, *new]) if new else column


def _share_dictionaries(
    program: Program, customer: list[Column], properties: list[Column]
) -> dict[int, NDArray[np.int32]]:
    """Re-code text columns that are compared with each other to one dictionary.

    Return the customer's new codes.
    """
    number = {name: p for p, name in enumerate(program.properties)}
    recoded: dict[int, NDArray[np.int32]] = {}
    groups: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for spec in program.preds:
        if spec.test is None or not isinstance(spec.test.operand, EntryRef):
            continue
        left = ("c" if spec.source == Source.CUSTOMER else "p", spec.column)
        right = ("p", number[spec.test.operand.entry])
        one, other = groups.setdefault(left, {left}), groups.setdefault(right, {right})
        if one is not other:
            # The smaller joins the larger, so that no member moves more than log n times.
            small, large = sorted((one, other), key=len)
            large |= small
            groups.update(dict.fromkeys(small, large))
    for group in {id(g): g for g in groups.values()}.values():
        members = sorted(group)
        columns = [(customer if side == "c" else properties)[i] for side, i in members]
        if len(members) < 2 or any(c.kind != "string" for c in columns):
            continue
        shared: dict[str, int] = {}
        for (side, i), column in zip(members, columns, strict=True):
            assert column.dictionary is not None
            codes = [shared.setdefault(text, len(shared)) for text in column.dictionary]
            recode = np.array([*codes, -1], np.int32)
            if side == "c":
                recoded[i] = recode
            (customer if side == "c" else properties)[i] = Column("string", recode[column.values])
        texts = list(shared)
        for side, i in members:
            (customer if side == "c" else properties)[i].dictionary = texts
    return recoded


def _changed(audience: Audience, name: ColumnName) -> NDArray[np.bool_] | None:
    log = audience.changes
    if log is None or name.family != "attribute" or name.name not in log.attribute_names:
        return None
    rows = log.attribute == log.attribute_names.index(name.name)
    owner = np.repeat(np.arange(audience.customers), np.diff(log.offsets))
    changed = np.zeros(audience.customers, np.bool_)
    changed[owner[rows]] = True
    return changed


def _contiguous(column: Column) -> Column:
    dtype = DTYPES.get(column.kind, np.int64)
    return Column(column.kind, np.ascontiguousarray(column.values, dtype), column.dictionary)
