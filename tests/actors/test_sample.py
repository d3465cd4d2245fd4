"""Check that a sample is the same every time, plausible, and a sound audience."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from actors.audience import load_audience, read_schema
from actors.sample import END_MS, make_sample
from core.audience import AudienceSchema, Needs
from core.errors import HeadraceError

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AudienceSchema]:
    folder = tmp_path_factory.mktemp("sample") / "shop"
    return folder, make_sample(folder, customers=3_000, days=30, seed=7)


def test_the_same_arguments_give_the_same_bytes(
    sample: tuple[Path, AudienceSchema], tmp_path: Path
) -> None:
    folder, _ = sample
    make_sample(tmp_path / "again", customers=3_000, days=30, seed=7)
    make_sample(tmp_path / "other", customers=3_000, days=30, seed=8)
    for name in ("schema.json", "customers.parquet", "events.parquet", "changes.parquet"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_the_schema_counts_what_the_files_hold(sample: tuple[Path, AudienceSchema]) -> None:
    folder, schema = sample
    assert read_schema(folder) == schema
    events = pq.read_table(folder / "events.parquet").to_pandas()
    assert schema.counts.events == len(events)
    assert {n: e.count for n, e in schema.events.items()} == dict(events["event"].value_counts())
    assert not events.duplicated(["customer", "hash"]).any()
    assert events["customer"].is_monotonic_increasing
    assert (events.groupby("customer")["time"].diff().dropna().dt.total_seconds() >= 0).all()
    for name, event in schema.events.items():
        own = events[events["event"] == name]
        for held in event.properties.values():
            assert own[held.column].notna().all()
            assert events[held.column].notna().sum() == len(own)
    customers = pq.read_table(folder / "customers.parquet").to_pandas()
    assert customers["id"].is_unique
    assert {n: a.nulls for n, a in schema.attributes.items()} == {
        n: int(customers[f"a.{n}"].isna().sum()) for n in schema.attributes
    }
    assert schema.tags["vip"] == sum("vip" in tags for tags in customers["tags"])


def test_events_lie_in_the_window_and_after_the_customer_began(
    sample: tuple[Path, AudienceSchema],
) -> None:
    folder, schema = sample
    audience = load_audience(folder, Needs(events=set(schema.events)))
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    assert (audience.event_ms >= audience.created_ms[owner]).all()
    assert audience.event_ms.min() >= END_MS - 30 * DAY_MS
    assert audience.event_ms.max() < END_MS
    assert audience.as_of_ms == END_MS


def test_habits_are_plausible(sample: tuple[Path, AudienceSchema]) -> None:
    folder, schema = sample
    needs = Needs(attributes={"country", "age", "plan"}, events={"page_view", "purchase"})
    audience = load_audience(folder, needs)
    views = np.diff(audience.event_offsets)
    busiest = np.sort(views)[-300:].sum() / views.sum()
    assert 0.3 < busiest < 0.7  # a tenth of the customers does about half
    hours = np.bincount(audience.event_ms // 3_600_000 % 24, minlength=24)
    assert hours[18:21].mean() > 2 * hours[6:9].mean()
    country = audience.attributes["country"]
    assert country.dictionary is not None
    assert 0.25 < (country.values == country.dictionary.index("US")).mean() < 0.35
    assert 0.14 < audience.attributes["age"].missing().mean() < 0.22
    assert schema.events["email_clicked"].count < schema.events["email_opened"].count / 4
    # The log ends with the value that the customer has now.
    log, plan = audience.changes, audience.attributes["plan"]
    assert log is not None
    for customer in range(audience.customers):
        start, stop = log.offsets[customer : customer + 2]
        assert stop - start in (0, 2)
        if stop > start:
            assert log.value[stop - 1] == plan.values[customer]
            assert log.value[start] != log.value[stop - 1]
            assert log.ms[start] == audience.created_ms[customer]


@pytest.mark.parametrize(("customers", "days"), [(0, 5), (5, 0), (10**9, 5), (5, 10**6)])
def test_senseless_sizes_are_refused(tmp_path: Path, customers: int, days: int) -> None:
    with pytest.raises(HeadraceError, match="a sample"):
        make_sample(tmp_path / "x", customers=customers, days=days)
    assert list(tmp_path.iterdir()) == []


def test_one_customer_and_one_day_will_do(tmp_path: Path) -> None:
    schema = make_sample(tmp_path / "x", customers=1, days=1)
    assert load_audience(tmp_path / "x", Needs(events=set(schema.events))).customers == 1
