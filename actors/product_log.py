"""Read the changes of products from a CSV or Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import HeadraceError
from core.instants import instant_ms
from core.merchandise import ProductLog

COLUMNS = ("time", "product", "attribute", "value")
Int64s = NDArray[np.int64]


def read_product_log(path: Path) -> ProductLog:
    """The log in a file of the columns time, product, attribute and value; others are passed over.

    Times are ISO 8601 (UTC without an offset). An attribute whose values are all numbers holds
    numbers, else texts; an empty value means that it was taken away. Rows need not be in order; of
    one time they count in the order of the file. Raises HeadraceError, with the row, counted from
    1, where one is wrong.
    """
    table = _table(path)
    times, products, attributes, values = (_texts(table, name, path) for name in COLUMNS)
    for name, cells in (("time", times), ("product", products), ("attribute", attributes)):
        if None in cells or "" in cells:
            row = next(i for i, cell in enumerate(cells) if not cell)
            raise _wrong(path, row, name, "there is no value")
    ms = _instants(times, path)
    product_names, product = _coded(products)
    attribute_names, attribute = _coded(attributes)
    number = np.array([_number(v) for v in values], np.float64)
    given = np.array([bool(v) for v in values], np.bool_)
    textual = np.unique(attribute[given & np.isnan(number)])
    is_text = np.isin(attribute, textual) & given
    texts, code = _coded([v if t else "" for v, t in zip(values, is_text.tolist(), strict=True)])
    code[~is_text] = -1
    number[is_text] = np.nan
    order = np.argsort(ms, kind="stable")
    return ProductLog(
        product_names,
        attribute_names,
        texts,
        ms[order],
        product[order],
        attribute[order],
        number[order],
        code[order],
    )


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        types = dict.fromkeys(COLUMNS, pa.string())
        options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
        return pyarrow.csv.read_csv(path, convert_options=options)
    except FileNotFoundError as error:
        advice = "State the path from the rules file's folder"
        raise HeadraceError("there is no such file", advice=advice, file=str(path)) from error
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0]
        advice = "It must be CSV or Parquet"
        raise HeadraceError(f"cannot read it ({said})", advice=advice, file=str(path)) from error


def _texts(table: pa.Table, name: str, path: Path) -> list[str | None]:
    if name not in table.column_names:
        raise HeadraceError(
            f"it has no column {name!r}",
            advice=f"The columns are {', '.join(COLUMNS)}",
            file=str(path),
        )
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"))
        return [None if v is None else v.isoformat() for v in column.to_pylist()]
    found: list[str | None] = column.cast(pa.string()).to_pylist()
    return found


def _instants(times: list[str | None], path: Path) -> Int64s:
    known: dict[str, int] = {}
    found = np.empty(len(times), np.int64)
    for row, text in enumerate(times):
        assert text is not None
        if text not in known:
            try:
                known[text] = instant_ms(text)
            except (ValueError, OverflowError):
                raise _wrong(path, row, "time", f"{text!r} is no time") from None
        found[row] = known[text]
    return found


def _number(text: str | None) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _coded(cells: list[str | None]) -> tuple[list[str], Int64s]:
    """The distinct texts as they come, and for each cell its place among them."""
    codes: dict[str, int] = {}
    places = [codes.setdefault(cell or "", len(codes)) for cell in cells]
    return list(codes), np.array(places, np.int64)


def _wrong(path: Path, row: int, column: str, message: str) -> HeadraceError:
    advice = "Write times as 2026-01-31T09:00:00Z" if column == "time" else "Fill it in"
    return HeadraceError(
        f"row {row + 1}, column {column}: {message}", advice=advice, file=str(path)
    )
