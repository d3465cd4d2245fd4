"""Works out every silence of 60 days from the raw order lines, and compares all of them.

Invoices are put together with pandas; who falls silent when, and comes back, is found by walking
through each customer's purchases in order. Waits of days and months are counted on London's clock
by the standard library. Nothing of the engine or of the importer takes part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from dateutil.relativedelta import relativedelta

from actors.audience import read_schema
from actors.importer import import_audience
from house import CHECKOUT
from journeys import (
    Expectation,
    Journey,
    Run,
    Step,
    busiest,
    check,
    check_reference,
    figures_of_readme,
    run_flow,
    spread,
)

pytestmark = pytest.mark.slow

EXAMPLE = CHECKOUT / "examples" / "online_retail"
LONDON = ZoneInfo("Europe/London")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NEVER = 10**15
EUROS = {
    "Austria", "Belgium", "EIRE", "Finland", "France", "Germany", "Italy", "Netherlands", "Spain",
}  # fmt: skip

Window = tuple[str, str, str]
# From, until and horizon: all of it; a part before which there is history, with somebody who falls
# silent at the very instant where it begins and where it ends, and with a purchase and a timer at
# its horizon; and the one that the example's README tells of.
ALL: Window = ("2010-12-01 08:26", "2011-12-09 12:50:00.001", "2011-12-09 12:50:00.001")
PART: Window = ("2011-03-05 11:42", "2011-06-30 11:55", "2011-07-17 10:55")
TOLD: Window = ("2011-06-01 00:00", "2011-10-01 00:00", "2011-12-09 00:00")


@dataclass
class Customer:
    """The purchases and cancellations of one customer, ms in order, and the country."""

    id: str
    country: str
    purchases: list[int]
    cancellations: list[int]

    def purchases_between(self, after: int, until: int) -> int:
        """How many purchases lie in (after, until]."""
        return bisect_right(self.purchases, until) - bisect_right(self.purchases, after)

    def cancelled_between(self, after: int, until: int) -> bool:
        """Whether there is a cancellation in (after, until]."""
        return bisect_right(self.cancellations, until) > bisect_right(self.cancellations, after)

    def next_purchase(self, after: int) -> int:
        """The first purchase later than that."""
        place = bisect_right(self.purchases, after)
        return self.purchases[place] if place < len(self.purchases) else NEVER


@pytest.fixture(scope="module")
def folder(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audience, imported as the example says."""
    out = tmp_path_factory.mktemp("online-retail") / "audience"
    import_audience(EXAMPLE / "mapping.yaml", out, data=data_dir("online_retail"))
    return out


@pytest.fixture(scope="module")
def invoices(data_dir: Callable[[str], Path]) -> pd.DataFrame:
    """Each invoice that somebody paid for or got back: its customer, its time, what it is."""
    lines = pd.read_csv(
        data_dir("online_retail") / "online_retail.csv.gz",
        usecols=["InvoiceNo", "InvoiceDate", "UnitPrice", "CustomerID", "Country"],
        dtype={"InvoiceNo": str, "CustomerID": str},
    )
    lines = lines[lines.CustomerID.notna()]
    lines["customer"] = lines.CustomerID.str.removesuffix(".0")
    lines["country"] = lines.groupby("customer").Country.transform("first")
    lines = lines[lines.UnitPrice > 0]
    frame = lines.groupby("InvoiceNo", as_index=False).agg(
        customer=("customer", "first"), country=("country", "first"), at=("InvoiceDate", "min")
    )
    local = pd.to_datetime(frame["at"]).dt.tz_localize("Europe/London")
    frame["ms"] = (local - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("1ms")
    frame["cancels"] = frame.InvoiceNo.str.startswith("C")
    return frame


@pytest.fixture(scope="module")
def customers(invoices: pd.DataFrame) -> list[Customer]:
    """Everybody's purchases and cancellations."""
    return [
        Customer(
            str(name),
            own.country.iloc[0],
            sorted(own.ms[~own.cancels].tolist()),
            sorted(own.ms[own.cancels].tolist()),
        )
        for name, own in invoices.groupby("customer")
    ]


def instant(text: str) -> int:
    """Milliseconds of a time on London's clock."""
    return round(datetime.fromisoformat(text).replace(tzinfo=LONDON).timestamp() * 1000)


def later(ms: int, span: timedelta | relativedelta) -> int:
    """The same time of day so many days or months later on London's clock."""
    local = datetime.fromtimestamp(ms // 1000, LONDON).replace(tzinfo=None) + span
    moved = local.replace(tzinfo=LONDON).astimezone(UTC)
    return round(moved.timestamp()) * 1000 + ms % 1000


def expected(customers: list[Customer], window: Window) -> Expectation:
    """What must become of everybody who falls silent inside the window."""
    begin, until, horizon = map(instant, window)
    found = Expectation(dated={"which-voucher"})
    for customer in customers:
        for silent in silences(customer):
            # Who is silent when it begins was so before, and does not join.
            if begin < silent < until:
                steps, waits = _journey(customer, silent, horizon)
                found.journeys.append(Journey(customer.id, tuple(steps), waits))
                back = customer.next_purchase(silent)
                found.goal.add(silent, 30 * DAY_MS, back, horizon)
    return found


def silences(customer: Customer) -> Iterator[int]:
    """When 60 days are over without a purchase; one exactly then breaks the silence."""
    for purchase, then in pairwise([*customer.purchases, NEVER]):
        if then > purchase + 60 * DAY_MS:
            yield purchase + 60 * DAY_MS


def _journey(customer: Customer, at: int, horizon: int) -> tuple[list[Step], str | None]:
    sent_back = customer.cancelled_between(at - 90 * DAY_MS, at)
    steps: list[Step] = [(at, "silent", "next")]
    steps += [(at, "sent-back-lately", "yes" if sent_back else "no")]
    steps += [(at, "sorry" if sent_back else "news", "next")]
    then, due = customer.next_purchase(at), later(at, timedelta(days=30))
    if then <= due and then < horizon:
        steps += [(then, "within-30-days", "event"), (then, "back", "next"), (then, "done", "end")]
        return steps, None
    if due >= horizon:
        return steps, "within-30-days"
    worth = customer.purchases_between(due - 180 * DAY_MS, due) >= 2
    steps += [(due, "within-30-days", "timeout")]
    steps += [(due, "worth-a-voucher", "yes" if worth else "no")]
    if not worth:
        return [*steps, (due, "done", "end")], None
    port, offer = "other", "free-shipping"
    if customer.country == "United Kingdom":
        port, offer = "home", "voucher"
    elif customer.country in EUROS:
        port, offer = "in euros", "voucher-euro"
    steps += [(due, "which-voucher", port), (due, offer, "next")]
    then, due = customer.next_purchase(due), later(due, relativedelta(months=1))
    if then <= due and then < horizon:
        steps += [(then, "another-month", "event"), (then, "back-late", "next")]
        return [*steps, (then, "done", "end")], None
    if due >= horizon:
        return steps, "another-month"
    steps += [(due, "another-month", "timeout"), (due, "given-up", "next"), (due, "done", "end")]
    return steps, None


def run(folder: Path, window: Window) -> Run:
    begin, until, horizon = map(instant, window)
    flow = EXAMPLE / "flow.yaml"
    return run_flow(flow, folder, from_ms=begin, until_ms=until, horizon_ms=horizon)


def test_the_import_keeps_what_it_should(folder: Path, invoices: pd.DataFrame) -> None:
    schema = read_schema(folder)
    assert schema.counts.customers == 4_372  # one of whom nothing was paid for
    assert schema.counts.rejected == 0
    assert {name: event.count for name, event in schema.events.items()} == {
        "cancellation": invoices.cancels.sum(),
        "purchase": (~invoices.cancels).sum(),
    }


def test_the_hard_cases_occur(invoices: pd.DataFrame, customers: list[Customer]) -> None:
    """Else the comparisons below would prove less than they seem to."""
    assert invoices.cancels.sum() == 3_654
    assert len(invoices) == 22_186
    begin, until, _ = map(instant, ALL)
    inside = [(c, at) for c in customers for at in silences(c) if begin < at < until]
    assert (len(inside), len({c.id for c, _ in inside})) == (4_935, 3_344)  # some, silent again
    # A cancellation does not break a silence.
    assert sum(c.cancelled_between(at - 60 * DAY_MS, at) for c, at in inside) == 765
    # The clocks change while somebody waits.
    days = [later(at, timedelta(days=30)) - at - 30 * DAY_MS for _, at in inside]
    assert (days.count(-HOUR_MS), days.count(HOUR_MS)) == (294, 408)
    # A month has 30 days or 31.
    starts = [later(at, timedelta(days=30)) for _, at in inside]
    months = [round((later(at, relativedelta(months=1)) - at) / DAY_MS) for at in starts]
    assert Counter(months) == {30: 1_856, 31: 3_079}


@pytest.mark.parametrize("window", [ALL, PART, TOLD])
def test_everybody_goes_the_same_way(
    folder: Path, customers: list[Customer], window: Window
) -> None:
    check(run(folder, window), expected(customers, window))


@pytest.mark.parametrize("window", [ALL, PART])
def test_the_reference_says_the_same_of_a_sample(folder: Path, window: Window) -> None:
    done = run(folder, window)
    check_reference(done, sorted({*busiest(done, 20), *spread(done, 500)}))


def test_the_readme_tells_what_comes_out(folder: Path) -> None:
    figures_of_readme(EXAMPLE / "README.md", run(folder, TOLD))
