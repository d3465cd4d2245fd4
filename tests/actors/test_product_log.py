"""Checks how changes of products are read from a file, and what is said of one that can't be."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.product_log import read_product_log
from core.errors import HeadraceError

CSV = """time,product,attribute,value,note
2026-01-02T00:00:00Z,p,price,9.5,x
2026-01-01,p,price,12,
2026-01-01,q,colour,12,
2026-01-03,q,colour,blue,
2026-01-03,p,price,,
"""
DAY_MS = 86_400_000
FIRST_MS = 20_454 * DAY_MS  # 2026-01-01


def test_rows_come_in_order_of_time_with_numbers_or_texts(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(CSV)
    log = read_product_log(path)
    assert ((log.ms - FIRST_MS) // DAY_MS).tolist() == [0, 0, 1, 2, 2]
    assert [log.products[code] for code in log.product] == ["p", "q", "p", "q", "p"]
    assert [log.attributes[code] for code in log.attribute] == [
        "price", "colour", "price", "colour", "price"
    ]  # fmt: skip
    np.testing.assert_array_equal(log.number, [12, np.nan, 9.5, np.nan, np.nan])
    # One value of `colour` is no number, so all of its values are texts; a missing one is neither.
    texts = [None if code < 0 else log.texts[code] for code in log.text]
    assert texts == [None, "12", None, "blue", None]


def test_parquet_may_hold_times_and_numbers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "time": pa.array([FIRST_MS, FIRST_MS + 5], pa.timestamp("ms", tz="UTC")),
            "product": [7, 7],
            "attribute": ["price", "price"],
            "value": [1.5, 2.5],
        }
    )
    pq.write_table(table, tmp_path / "prices.parquet")
    log = read_product_log(tmp_path / "prices.parquet")
    assert log.ms.tolist() == [FIRST_MS, FIRST_MS + 5]
    assert (list(log.products), log.number.tolist()) == (["7"], [1.5, 2.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,product,attribute\n", "no column 'value'"),
        ("time,product,attribute,value\nsoon,p,price,1\n", "row 1, column time: 'soon' is no time"),
        (
            "time,product,attribute,value\n2026-01-01,p,price,1\n2026-01-01,,price,1\n",
            "row 2, column product: there is no value",
        ),
        ("time,product,attribute,value\n1,2\n", "cannot read it"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(HeadraceError) as error:
        read_product_log(path)
    assert said in str(error.value)
    assert "prices.csv" in str(error.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match="no such file"):
        read_product_log(tmp_path / "prices.csv")
