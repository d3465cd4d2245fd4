"""The tables of the catalogue name every type and every word, with what must be stated."""

from core.catalogue.page import catalogue_tables
from core.catalogue.registry import NODE_TYPES
from core.catalogue.words import WORDS


def test_every_type_and_every_word_has_one_row() -> None:
    rows = [line for line in catalogue_tables().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted([*NODE_TYPES, *WORDS])


def test_a_row_tells_fields_and_ports() -> None:
    tables = catalogue_tables()
    assert (
        "| `take_coupon` | Take a coupon: takes a coupon out of a pool, as long as there are some "
        "| **`pool`** | `taken`, `sold_out` |" in tables
    )
    assert "| `at_stage` | whether the customer is at a stage of a campaign's funnel " in tables
    assert "| `split` | Random split: leads customers on at random, by shares | " in tables
    assert "**`branches`**, `sticky` | each branch |" in tables
