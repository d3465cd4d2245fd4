"""Check that what is added to a sample is plausible, and that all else of it stays the same."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from actors.audience import load_audience
from actors.sample import END_MS, make_sample
from core.audience import AudienceSchema, Needs
from core.record import EVENT_PROPERTIES, attribute_kind

DAYS = 60
BEGIN = pd.Timestamp(END_MS, unit="ms") - pd.Timedelta(days=DAYS)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AudienceSchema]:
    folder = tmp_path_factory.mktemp("lifecycle") / "shop"
    return folder, make_sample(folder, customers=3000, days=DAYS, seed=7, lifecycle=True)


@pytest.fixture(scope="module")
def events(sample: tuple[Path, AudienceSchema]) -> pd.DataFrame:
    return pd.read_parquet(sample[0] / "events.parquet")


def test_all_else_stays_the_same(
    sample: tuple[Path, AudienceSchema], events: pd.DataFrame, tmp_path: Path
) -> None:
    plain = make_sample(tmp_path / "plain", customers=3000, days=DAYS, seed=7)
    expected = pd.read_parquet(tmp_path / "plain" / "events.parquet")
    kept = events[events["event"].isin(plain.events)][expected.columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        kept.astype({"event": str}), expected.astype({"event": str}), check_like=False
    )
    people = pd.read_parquet(tmp_path / "plain" / "customers.parquet")
    further = pd.read_parquet(sample[0] / "customers.parquet")
    pd.testing.assert_frame_equal(further[people.columns], people)
    assert (sample[0] / "changes.parquet").read_bytes() == (
        tmp_path / "plain" / "changes.parquet"
    ).read_bytes()


def test_the_same_arguments_give_the_same_bytes(
    sample: tuple[Path, AudienceSchema], tmp_path: Path
) -> None:
    make_sample(tmp_path / "again", customers=3000, days=DAYS, seed=7, lifecycle=True)
    for name in ("schema.json", "customers.parquet", "events.parquet"):
        assert (sample[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_standard_names_have_their_types(sample: tuple[Path, AudienceSchema]) -> None:
    schema = sample[1]
    standard = {name: attribute_kind(name) for name in schema.attributes if attribute_kind(name)}
    assert set(standard) == {
        *{"consent:email", "consent:sms", "consent:push"},
        *{"points:shop", "tier:shop", "score", "churn"},
    }
    assert {name: schema.attributes[name].type for name in standard} == standard
    for name in ("contact_added", "page_visited", "subscription_confirmed", "product_changed"):
        found = {n: held.type for n, held in schema.events[name].properties.items()}
        assert found.items() <= EVENT_PROPERTIES[name].items()


def test_events_lie_in_the_window_and_after_the_customer_began(
    sample: tuple[Path, AudienceSchema], events: pd.DataFrame
) -> None:
    people = pd.read_parquet(sample[0] / "customers.parquet")
    began = people["created_at"].iloc[events["customer"]].reset_index(drop=True)
    assert (events["time"].reset_index(drop=True) >= began).all()
    assert events["time"].max() < pd.Timestamp(END_MS, unit="ms", tz="UTC")
    audience = load_audience(sample[0], Needs(events=set(sample[1].events)))
    assert len(audience.event_ms) == len(events) == sample[1].counts.events


def test_joining_and_visits_are_those_of_the_plain_events(events: pd.DataFrame) -> None:
    for plain, standard in (("signup", "contact_added"), ("page_view", "page_visited")):
        pairs = [events[events["event"] == name] for name in (plain, standard)]
        one, other = (rows[["customer", "time"]].reset_index(drop=True) for rows in pairs)
        pd.testing.assert_frame_equal(one, other)


def test_only_who_agreed_confirms_and_after_joining(
    sample: tuple[Path, AudienceSchema], events: pd.DataFrame
) -> None:
    people = pd.read_parquet(sample[0] / "customers.parquet")
    confirmed = events[events["event"] == "subscription_confirmed"]
    assert people["a.consent:email"].iloc[confirmed["customer"]].all()
    joined = events[events["event"] == "contact_added"].set_index("customer")["time"]
    assert (confirmed.set_index("customer")["time"] > joined[confirmed["customer"]]).all()
    assert 0.4 < len(confirmed) / len(joined) < 0.75


def test_prices_fall_and_only_who_looked_is_told(events: pd.DataFrame) -> None:
    drops = events[events["event"] == "product_changed"]
    looks = events[events["event"] == "product_view"]
    assert len(drops) > 100
    assert (drops["p.product_changed.after"] < drops["p.product_changed.before"]).all()
    joined = drops.merge(
        looks,
        left_on=["customer", "p.product_changed.product"],
        right_on=["customer", "p.product_view.product_id"],
    )
    earlier = joined[joined["time_y"] < joined["time_x"]]
    assert set(earlier["hash_x"]) == set(drops["hash"])
    last = earlier.sort_values("time_y").groupby("hash_x").last()
    assert (last["p.product_changed.before_x"] == last["p.product_view.price_y"]).all()
    assert (last["time_x"] - last["time_y"]).max() <= pd.Timedelta(days=30)


def test_birthdays_and_due_dates_are_in_reach(sample: tuple[Path, AudienceSchema]) -> None:
    people = pd.read_parquet(sample[0] / "customers.parquet")
    born = pd.to_datetime(people["a.birth_date"])
    next_one = pd.to_datetime(people["a.next_birthday"])
    assert (born.isna() == next_one.isna()).all()
    has = born.notna() & ~((born.dt.month == 2) & (born.dt.day == 29))
    assert (born[has].dt.strftime("%m-%d") == next_one[has].dt.strftime("%m-%d")).all()
    assert next_one.min() >= BEGIN
    assert next_one.max() < BEGIN + pd.Timedelta(days=367)
    due = pd.to_datetime(people["a.loan_due_date"]).dropna()
    assert 0.05 < len(due) / len(people) < 0.12
    assert (due.min() >= BEGIN, due.max() < BEGIN + pd.Timedelta(days=DAYS + 30)) == (True, True)


def test_only_members_have_points_and_the_active_stay(
    sample: tuple[Path, AudienceSchema], events: pd.DataFrame
) -> None:
    people = pd.read_parquet(sample[0] / "customers.parquet")
    member = people["groups"].map(lambda groups: "loyalty" in groups)
    for name in ("a.points:shop", "a.tier:shop"):
        assert (people[name].notna() == member).all()
    points = people.groupby("a.tier:shop")["a.points:shop"].median()
    assert points["gold"] > points["silver"] > points["basic"]
    churn = people["a.churn"]
    assert churn.between(0, 1).all()
    late = events[events["time"] > events["time"].max() - pd.Timedelta(days=5)]["customer"]
    active = people.index.isin(late.unique())
    assert churn[active].mean() < 0.1 < 0.5 < churn[~active].quantile(0.8)


def test_one_customer_and_one_day_will_do(tmp_path: Path) -> None:
    schema = make_sample(tmp_path / "x", customers=1, days=1, lifecycle=True)
    assert schema.counts.customers == 1
