"""Checks the example mappings on the public data sets, by what is known of these."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from actors.importer import import_audience
from core.audience import INT64_MIN
from importing import Imported, load_whole

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOUR_MS = 3_600_000
Find = Callable[..., Path]


def imported(name: str, data: Path, tmp_path: Path) -> Imported:
    folder = tmp_path / name
    return Imported(import_audience(EXAMPLES / name / "mapping.yaml", folder, data=data), folder)


@pytest.mark.slow
def test_starbucks(data_dir: Find, tmp_path: Path) -> None:
    data = data_dir("starbucks")
    done = imported("starbucks", data, tmp_path)
    people, log = done.summary.sources
    assert (people.read, people.kept) == (17_000, 17_000)
    assert (log.read, log.kept, log.blank, log.duplicates) == (306_648, 306_534, 114, 397)
    assert (log.rejected, log.out_of_order) == (0, 0)
    audience = load_whole(done.folder)
    assert {n: e.count for n, e in done.summary.schema.events.items()} == {
        "transaction": 138_953,
        "offer received": 76_277,
        "offer viewed": 57_725,
        "offer completed": 33_579,
    }
    assert int(audience.attributes["age"].missing().sum()) == 2_175
    assert int(audience.attributes["gender"].missing().sum()) == 2_175
    assert int(audience.attributes["age"].values.max()) < 118
    hours = (audience.event_ms - audience.event_ms.min()) // HOUR_MS
    assert int(hours.max()) == 714
    received = audience.event_type == audience.event_names.index("offer received")
    waves = Counter(hours[received].tolist())
    assert sorted(waves) == [0, 168, 336, 408, 504, 576]
    offer = audience.properties["offer_id"]
    assert not offer.missing()[received].any()
    assert (
        offer.missing().tolist()
        == (audience.event_type == audience.event_names.index("transaction")).tolist()
    )
    # One person's lines, decoded apart.
    someone = "78afa995795e4d85b5d9ceeca43f5fef"
    with gzip.open(data / "transcript.ndjson.gz") as file:
        rows = [msgspec.json.decode(line) for line in file if someone.encode() in line]
    customer = audience.index_of(someone)
    assert customer is not None
    start, stop = audience.event_offsets[customer : customer + 2]
    assert [audience.event_names[t] for t in audience.event_type[start:stop]] == [
        row["event"] for row in rows
    ]
    values = [row["value"] for row in rows]
    amount = audience.properties["amount"]
    assert [amount.value(r) for r in range(start, stop)] == [v.get("amount") for v in values]
    assert [offer.value(r) for r in range(start, stop)] == [
        v.get("offer id", v.get("offer_id")) for v in values
    ]


def test_cdnow(data_dir: Find, tmp_path: Path) -> None:
    done = imported("cdnow", data_dir("cdnow"), tmp_path)
    assert (done.source.read, done.source.kept, done.source.duplicates) == (69_659, 69_659, 255)
    audience = load_whole(done.folder)
    assert (audience.customers, audience.events) == (23_570, 69_659)
    assert audience.id_of(0) == "00001"
    amount = audience.properties["amount"]
    assert int((amount.values == 0).sum()) == 80
    assert audience.created_ms.tolist() == [INT64_MIN] * 23_570
    first, last = done.summary.schema.time.first_ms, done.summary.schema.time.last_ms
    assert (first, last) == (852_076_800_000, 899_164_800_000)  # 1997-01-01, 1998-06-30
    start, stop = audience.event_offsets[1:3]
    assert amount.values[start:stop].tolist() == [12.0, 77.0]
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    pairs = set(zip(owner.tolist(), audience.event_hash.tolist(), strict=True))
    assert len(pairs) == 69_659  # repeats of one day are told apart


@pytest.mark.slow
def test_online_retail(data_dir: Find, tmp_path: Path) -> None:
    data = data_dir("online_retail")
    done = imported("online_retail", data, tmp_path)
    people, log = done.summary.sources
    assert (people.kept, people.dropped) == (4_372, {"no customer": 135_080})
    assert (log.read, log.dropped["no customer"]) == (541_909, 135_080)
    assert log.rejected == 0
    rows = pd.read_csv(data / "online_retail.csv.gz", dtype={"InvoiceNo": str})
    rows = rows[rows["CustomerID"].notna()]
    assert log.dropped["price zero or less"] == int((rows["UnitPrice"] <= 0).sum())
    rows = rows[rows["UnitPrice"] > 0]
    rows["amount"] = rows["Quantity"] * rows["UnitPrice"]
    orders = rows.groupby(["CustomerID", "InvoiceNo"]).agg(
        amount=("amount", "sum"), items=("Quantity", "sum"), lines=("Quantity", "size"),
        at=("InvoiceDate", "min"),
    )  # fmt: skip
    audience = load_whole(done.folder)
    assert (audience.customers, audience.events) == (4_372, len(orders))
    cancelled = orders.index.get_level_values(1).str.startswith("C")
    counts = {n: e.count for n, e in done.summary.schema.events.items()}
    assert counts == {"cancellation": cancelled.sum(), "purchase": (~cancelled).sum()}
    amount, invoice = audience.properties["amount"], audience.properties["invoice"]
    assert audience.index_of("17850") == 0
    mine = orders[orders.index.get_level_values(0) == 17850.0].droplevel(0)
    own: dict[Any, Any] = mine.to_dict("index")
    start, stop = audience.event_offsets[:2]
    for row in range(start, stop):
        order = own[invoice.value(row)]
        assert amount.value(row) == pytest.approx(order["amount"], abs=0.005)
        assert audience.properties["lines"].value(row) == order["lines"]
        assert audience.properties["items"].value(row) == order["items"]
        at = pd.Timestamp(order["at"], tz="Europe/London")
        assert audience.event_ms[row] == at.value // 1_000_000
    assert stop - start == len(own)
    assert audience.attributes["country"].value(0) == "United Kingdom"
