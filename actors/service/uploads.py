"""Read a CSV file of specific users into changes of customers' records.

The first line names the columns: `customer` (or `id`) has the ids, `zone` and `created` say what
they do in a change, all others are attributes of the tenant's schema. An empty cell changes
nothing. A line that can't be taken costs only itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from actors.service.errors import InvalidError
from core.audience import Kind
from core.tenant_schema import TenantSchema
from core.violations import close_to, quoted

LINES_MAX = 200_000
IDS = ("customer", "id")
FIELDS = ("zone", "created")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class Refused(NamedTuple):
    """A line of the file that was not taken: its number from 1, a column, a code."""

    line: int
    column: str
    code: str


class Upload(NamedTuple):
    """What was read: rows as `Engine.send` takes them, the line of each, and what was refused."""

    rows: list[dict[str, Any]]
    lines: list[int]
    refused: list[Refused]


def read_upload(data: bytes, schema: TenantSchema, groups: Sequence[str] = ()) -> Upload:
    """The rows in a CSV file as UTF-8, whose customers are put into groups as well.

    Raises InvalidError for a file that can't be read as one, or names what the schema lacks.
    """
    lines = _lines(data)
    header = next(lines, (0, []))[1]
    readers = _columns(header, schema)
    found = Upload([], [], [])
    for number, cells in lines:
        if len(found.lines) + len(found.refused) >= LINES_MAX:
            raise InvalidError(
                f"the file has more than {LINES_MAX:,} lines",
                advice="Upload it in parts, or use headrace import",
            )
        if len(cells) != len(header):
            found.refused.append(Refused(number, "", "wrong-number-of-cells"))
            continue
        row: dict[str, Any] = {"set": {}}
        wrong = ""
        for (name, put), cell in zip(readers, cells, strict=True):
            try:
                if cell.strip():
                    put(row, cell.strip())
            except ValueError:
                wrong = name
        if wrong or "customer" not in row:
            code = "wrong-type" if wrong else "no-customer"
            found.refused.append(Refused(number, wrong or "customer", code))
            continue
        if groups:
            row["groups"] = {"add": list(groups)}
        found.rows.append(row)
        found.lines.append(number)
    return found


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, with the number of each."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidError("the file is not UTF-8 text", advice="Save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise InvalidError(
            f"the file is no CSV: {error} in line {reader.line_num}",
            advice="Separate cells by commas, and put quotes around texts that have any",
        ) from None


_Put = Callable[[dict[str, Any], str], None]


def _columns(header: Sequence[str], schema: TenantSchema) -> list[tuple[str, _Put]]:
    names = [name.strip() for name in header]
    if not any(name in IDS for name in names):
        raise InvalidError(
            "the first line names no column customer",
            advice="Begin with a line such as customer,email",
        )
    for name in names:
        if names.count(name) > 1 or (name == "id" and "customer" in names):
            raise InvalidError(f"column {quoted(name)} stands twice", advice="Keep one")
    return [(name, _put(name, schema)) for name in names]


def _put(name: str, schema: TenantSchema) -> _Put:
    if name in IDS or name in FIELDS:
        target = "customer" if name in IDS else name
        return lambda row, cell: row.__setitem__(target, cell)
    declared = schema.attributes.get(name)
    kind = declared.type if declared is not None else schema.attribute_kind(name)
    if kind is None:
        advice = close_to(name, schema.attributes, "Declare it in the schema, or leave it out.")
        raise InvalidError(
            f"the schema has no attribute {quoted(name)}", advice=advice.rstrip("."), pointer=name
        )
    read = _READERS.get(kind, str)
    return lambda row, cell: row["set"].__setitem__(name, read(cell))


def _bool_of(cell: str) -> bool:
    if cell.lower() in _TRUE:
        return True
    if cell.lower() in _FALSE:
        return False
    raise ValueError


_READERS: dict[Kind, Callable[[str], Any]] = {"bool": _bool_of, "int64": int, "float64": float}
