"""Checks enriched audiences: what is computed is in the folder, and all else is as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from actors.audience import load_audience, read_schema
from actors.enrichment import Enriched, enrich
from actors.importer import import_audience
from actors.sample import make_sample
from core.audience import Audience, Needs
from core.calibration import Calibration
from core.enrichment_rules import EnrichmentRules, PredictionRules
from core.errors import HeadraceError

DAY_MS = 86_400_000
MONDAY_MS = 20_458 * DAY_MS  # 2026-01-05
MAPPING = """
headrace_mapping: 1
as_of: 2026-02-01T00:00:00Z
customers:
  file: people.csv
  id: id
  attributes: {plan: plan}
events:
  - file: events.csv
    customer: id
    time: time
    event: {column: event}
    properties:
      amount: {column: amount, type: float64}
      lat: {column: lat, type: float64}
      lon: {column: lon, type: float64}
      product: product
changes:
  file: changes.csv
  customer: id
  time: time
  attribute: attribute
  value: value
"""
EVENTS = """id,time,event,amount,lat,lon,product
ann,2026-01-03T10:00:00Z,purchase,10,,,
ann,2026-01-06T10:00:00Z,position,,52.52,13.405,
ann,2026-01-07T10:00:00Z,position,,52.62,13.405,
ann,2026-01-20T10:00:00Z,purchase,50,,,
ben,2026-01-08T10:00:00Z,purchase,20,,,
ben,2026-01-09T10:00:00Z,page_visited,,,,p1
ben,2026-01-10T10:00:00Z,position,,152.5,13.4,
cyd,2026-01-09T11:00:00Z,page_visited,,,,p2
"""
PRICES = """time,product,attribute,value
2026-01-01,p1,price,60
2026-01-15,p1,price,40
2026-01-15,p2,price,30
2026-01-25,p1,stock,out
2026-02-03,p1,price,70
2026-02-04,p1,price,20
"""
RULES = EnrichmentRules.model_validate(
    {
        "geo": {"fences": {"shop": {"circle": {"lat": 52.52, "lon": 13.405, "radius_m": 300}}}},
        "merchandise": {
            "changes": "prices.csv",
            "rules": {
                "fell": {
                    "when": {"attribute": "price", "below": 50},
                    "interested": [{"event": "page_visited", "within": "30 days"}],
                }
            },
        },
    }
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small audience with events of all kinds, and a change of an attribute."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.csv").write_text("id,plan\nann,pro\nben,free\ncyd,\n")
    (data / "events.csv").write_text(EVENTS)
    (data / "changes.csv").write_text(
        "id,time,attribute,value\nann,2026-01-05T00:00:00Z,plan,free\n"
        "ann,2026-01-12T00:00:00Z,plan,pro\n"
    )
    (data / "prices.csv").write_text(PRICES)
    (data / "mapping.yaml").write_text(MAPPING)
    import_audience(data / "mapping.yaml", tmp_path / "shop")
    return tmp_path / "shop"


def enriched(shop: Path, *parts: str, rules: EnrichmentRules = RULES, **options: Any) -> Enriched:
    out = shop.with_name("out")
    return enrich(shop, out, set(parts), rules, base=shop.with_name("data"), **options)


def rows(folder: Path, events: set[str], properties: set[str]) -> list[tuple[Any, ...]]:
    """(customer, event, properties) of some events, in the order of the folder."""
    audience = load_audience(folder, Needs(set(), set(), set(), events, properties))
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    return [
        (
            audience.id_of(int(owner[row])),
            audience.event_names[audience.event_type[row]],
            *(audience.properties[name].value(row) for name in sorted(properties)),
        )
        for row in range(audience.events)
    ]


def test_rfm_is_an_attribute_with_its_changes(shop: Path) -> None:
    done = enriched(shop, "rfm")
    out = shop.with_name("out")
    audience = load_audience(out, Needs({"rfm", "plan"}, set(), set(), set(), set()))
    log = audience.changes
    assert log is not None
    column = audience.attributes["rfm"]
    assert column.dictionary is not None
    name = log.attribute_names.index("rfm")
    found = [
        (
            audience.id_of(c),
            (int(log.ms[row]) - MONDAY_MS) // DAY_MS,
            column.dictionary[log.value[row]],
        )
        for c in range(3)
        for row in range(int(log.offsets[c]), int(log.offsets[c + 1]))
        if log.attribute[row] == name
    ]
    # On the 5th Ann alone has bought; on the 12th Ben bought last and for more; on the 26th Ann did
    # both again. Of two people the codes are 1 and 3.
    assert found == [
        ("ann", 0, "lost"),
        ("ann", 21, "needs_attention"),
        ("ben", 7, "about_to_sleep"),
        ("ben", 21, "lost"),
    ]
    assert [column.value(c) for c in range(3)] == ["needs_attention", "lost", None]
    assert len(log.ms) == 6
    schema = read_schema(out)
    assert schema.attributes["rfm"].model_dump() == {
        "type": "string",
        "constant": False,
        "nulls": 1,
    }
    assert schema.counts.changes == 6
    assert done.told[0].startswith("rfm: 2 of 3 customers have a status; 4 changes at ")


def test_what_was_there_stays_as_it_was(shop: Path) -> None:
    enriched(shop, "rfm", "geo", "merchandise")
    out = shop.with_name("out")
    before, after = (pq.read_table(folder / "customers.parquet") for folder in (shop, out))
    assert after.drop_columns(["a.rfm"]).equals(before)
    old = pq.read_table(shop / "events.parquet").to_pylist()
    new = pq.read_table(out / "events.parquet").to_pylist()
    made = ("geo_entered", "geo_exited", "product_changed")
    kept = [{key: row[key] for key in old[0]} for row in new if row["event"] not in made]
    assert kept == old
    keys = [(row["customer"], row["time"]) for row in new]
    assert keys == sorted(keys)
    schema = read_schema(out)
    assert schema.model_dump(exclude={"attributes", "events", "counts", "time"}) == read_schema(
        shop
    ).model_dump(exclude={"attributes", "events", "counts", "time"})
    assert (out / "rejects.csv").read_text() == (shop / "rejects.csv").read_text()
    record = json.loads((out / "enrichment.json").read_text())
    assert list(record["rules"]) == ["rfm", "geo", "merchandise"]
    assert record["rules"]["rfm"]["every"] == "7 days"


def test_fences_make_events_behind_the_position(shop: Path) -> None:
    done = enriched(shop, "geo")
    found = rows(shop.with_name("out"), {"position", "geo_entered", "geo_exited"}, {"fence"})
    assert found == [
        ("ann", "position", None),
        ("ann", "geo_entered", "shop"),
        ("ann", "position", None),
        ("ann", "geo_exited", "shop"),
        ("ben", "position", None),
    ]
    assert done.told == [
        "geo: 1 entrance and 1 exit of 1 fence, from 2 positions; 1 event told no place on earth"
    ]
    schema = read_schema(shop.with_name("out"))
    assert schema.events["geo_entered"].count == 1
    assert schema.counts.events == 10


def test_changes_of_products_reach_those_who_are_interested(shop: Path) -> None:
    done = enriched(shop, "merchandise")
    out = shop.with_name("out")
    names = {"product", "attribute", "before", "after", "after_text", "rule"}
    # On 4 February the price fell below 50 again, and Ben's visit was less than 30 days ago.
    assert rows(out, {"product_changed"}, names) == [
        ("ben", "product_changed", 40.0, None, "price", 60.0, "p1", "fell"),
        ("ben", "product_changed", 20.0, None, "price", 70.0, "p1", "fell"),
    ]
    assert done.told == ["merchandise: 2 events, of 2 changes that concern 1 customer"]
    # An event after the last one of before makes the window longer.
    assert read_schema(out).time.last_ms == (20_454 + 34) * DAY_MS


def test_equal_inputs_give_equal_folders(shop: Path) -> None:
    digests = []
    for name in ("one", "two"):
        out = shop.with_name(name)
        enrich(shop, out, {"rfm", "geo", "merchandise"}, RULES, base=shop.with_name("data"))
        digests.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert digests[0] == digests[1]


def test_nothing_is_replaced(shop: Path) -> None:
    enriched(shop, "rfm")
    with pytest.raises(HeadraceError, match="an audience is there already"):
        enriched(shop, "geo")
    out = shop.with_name("out")
    with pytest.raises(HeadraceError, match="has the attribute 'rfm' already"):
        enrich(out, shop.with_name("again"), {"rfm"}, RULES)
    assert not shop.with_name("again").exists()
    # What was enriched can be enriched further.
    base = shop.with_name("data")
    enrich(out, shop.with_name("again"), {"geo"}, RULES, base=base)
    assert set(read_schema(shop.with_name("again")).attributes) == {"plan", "rfm"}
    with pytest.raises(HeadraceError, match="has the event 'geo_entered' already"):
        enrich(shop.with_name("again"), shop.with_name("third"), {"geo"}, RULES, base=base)


@pytest.mark.parametrize(
    ("part", "rules", "said"),
    [
        ("geo", {}, "there are no fences"),
        ("merchandise", {}, "there are no interest rules"),
        ("rfm", {"rfm": {"event": "order"}}, "no event 'order', which 'rfm' is computed from"),
        ("churn", {}, "four times the horizon of 90 days is needed"),
        ("purchase", {"purchase": {"horizon": "1 day"}}, "at least 30 must have it"),
    ],
)
def test_what_cannot_be_computed_is_said_and_nothing_is_written(
    shop: Path, part: str, rules: dict[str, Any], said: str
) -> None:
    stated = EnrichmentRules.model_validate(rules)
    with pytest.raises(HeadraceError, match=said):
        enriched(shop, part, rules=stated)
    assert not shop.with_name("out").exists()


class Tossed:
    """A scorer that knows nothing: everybody has the same chance, and the last nobody."""

    method = "none"

    def __init__(self, question: str, rules: PredictionRules, seed: int) -> None:
        self.seed = seed

    def fit(self, audience: Audience, as_of_ms: int) -> Calibration:
        return Calibration(2, 1, 0.25, 0.2, 0.3, 0.25, 0.5, [])

    def predict(self, audience: Audience, as_of_ms: int) -> NDArray[np.float64]:
        scores = np.full(audience.customers, self.seed / 10)
        scores[-1] = np.nan
        return scores


def test_another_model_can_take_the_place_of_ours(shop: Path) -> None:
    done = enriched(shop, "churn", seed=4, scorer=Tossed)
    audience = load_audience(shop.with_name("out"), Needs({"churn"}, set(), set(), set(), set()))
    assert [audience.attributes["churn"].value(c) for c in range(3)] == [0.4, 0.4, None]
    assert audience.changes is not None
    assert audience.changes.offsets.tolist() == [0, 1, 2, 2]
    (made,) = done.predictions
    assert (made.method, made.scored) == ("none", 2)


def test_predictions_hold_from_when_they_were_made(tmp_path: Path) -> None:
    make_sample(tmp_path / "a", customers=2_000, days=300)
    rules = EnrichmentRules.model_validate(
        {"churn": {"horizon": "40 days", "every": "60 days"}, "purchase": {"horizon": "40 days"}}
    )
    seen: list[str] = []
    done = enrich(
        tmp_path / "a",
        tmp_path / "b",
        {"churn", "purchase"},
        rules,
        page=lambda made: f"<p>{made.question}</p>",
        progress=lambda label, done, total: seen.append(label),
    )
    churn, purchase = done.predictions
    assert (churn.question, churn.times, purchase.times) == ("churn", 3, 1)
    needs = Needs({"churn", "purchase_score"}, set(), set(), set(), set())
    audience = load_audience(tmp_path / "b", needs)
    log = audience.changes
    assert log is not None
    schema = read_schema(tmp_path / "a")
    assert schema.time.last_ms is not None
    code = log.attribute_names.index("churn")
    times = np.unique(log.ms[log.attribute == code])
    assert (schema.time.last_ms - times).tolist() == [120 * DAY_MS, 60 * DAY_MS, 0]
    values = log.value[log.attribute == code].view(np.float64)
    assert ((values >= 0) & (values <= 1)).all()
    # The last change of each customer is what the column says.
    column = audience.attributes["churn"]
    for customer in range(audience.customers):
        mine = slice(int(log.offsets[customer]), int(log.offsets[customer + 1]))
        own = log.value[mine][log.attribute[mine] == code]
        assert column.value(customer) == (own[-1:].view(np.float64)[0] if len(own) else None)
    assert not audience.attributes["purchase_score"].missing().any()
    assert (tmp_path / "b" / "churn.html").read_text() == "<p>churn</p>"
    record = json.loads((tmp_path / "b" / "enrichment.json").read_text())
    assert record["predictions"]["churn"]["brier"] == churn.calibration.brier
    assert record["predictions"]["churn"]["as_of_ms"] == schema.time.last_ms
    assert "predicting churn" in seen
    assert "writing customers" in seen
