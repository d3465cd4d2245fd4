"""Works out the second purchase of every new customer with plain pandas, and compares all of them.

Purchases lie in the order of the raw file, so the next one is the next row of the same customer;
that is all that the flow asks for. Nothing of the engine or of the importer takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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

EXAMPLE = CHECKOUT / "examples" / "cdnow"
DAY_MS = 86_400_000
NEVER = 10**15

# From, until and horizon: all of it, and two months into which old customers come back, followed to
# a day on which waits are due.
ALL, PART = ("19970101", "19980701", "19980701"), ("19970210", "19970310", "19970610")
Window = tuple[str, str, str]


@pytest.fixture(scope="module")
def folder(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audience, imported as the example says."""
    out = tmp_path_factory.mktemp("cdnow") / "audience"
    import_audience(EXAMPLE / "mapping.yaml", out, data=data_dir("cdnow"))
    return out


@pytest.fixture(scope="module")
def purchases(data_dir: Callable[[str], Path]) -> pd.DataFrame:
    """Each purchase: customer, time, amount, how many came before it, the time of the next one."""
    frame = pd.read_csv(
        data_dir("cdnow") / "CDNOW_master.txt.gz",
        sep=r"\s+",
        dtype={"customer_id": str, "date": str},
    )
    frame["ms"] = ms(frame.date)
    frame = frame.sort_values(["customer_id", "ms"], kind="stable")
    people = frame.groupby("customer_id")
    frame["before"] = people.cumcount()
    frame["then_ms"] = people.ms.shift(-1).fillna(NEVER).astype("int64")
    return frame


def ms(dates: pd.Series[str]) -> pd.Series[int]:
    """Midnights UTC of dates such as 19970101."""
    return (pd.to_datetime(dates, format="%Y%m%d") - pd.Timestamp(0)) // pd.Timedelta("1ms")


def expected(purchases: pd.DataFrame, window: Window) -> Expectation:
    """What must become of each purchase inside the window."""
    begin, until, horizon = ms(pd.Series(window)).tolist()
    found = Expectation()
    inside: set[str] = set()
    for purchase in purchases[(purchases.ms >= begin) & (purchases.ms < until)].itertuples():
        customer = purchase.customer_id
        if customer in inside:
            refusal = purchase.ms, "bought", "refused_once"
            found.journeys.append(Journey(customer, (refusal,)))
            continue
        inside.add(customer)
        steps, waits = _journey(purchase, horizon)
        found.journeys.append(Journey(customer, tuple(steps), waits))
        found.goal.add(purchase.ms, 120 * DAY_MS, purchase.then_ms, horizon)
    return found


def _journey(purchase: Any, horizon: int) -> tuple[list[Step], str | None]:
    at, then = purchase.ms, purchase.then_ms
    steps: list[Step] = [(at, "bought", "next")]
    if purchase.before:
        return [*steps, (at, "first-ever", "no"), (at, "done", "end")], None
    steps += [(at, "first-ever", "yes")]
    due = at + 30 * DAY_MS
    if then <= due and then < horizon:
        steps += [(then, "within-30-days", "event"), (then, "quick", "next"), (then, "done", "end")]
        return steps, None
    if due >= horizon:
        return steps, "within-30-days"
    large = purchase.dollar_value > 30
    steps += [(due, "within-30-days", "timeout"), (due, "large", "yes" if large else "no")]
    steps += [(due, "voucher" if large else "tips", "next")]
    due += 90 * DAY_MS
    if then <= due and then < horizon:
        steps += [
            (then, "within-90-days", "event"),
            (then, "nudged", "next"),
            (then, "done", "end"),
        ]
        return steps, None
    if due >= horizon:
        return steps, "within-90-days"
    steps += [(due, "within-90-days", "timeout"), (due, "let-go", "next"), (due, "done", "end")]
    return steps, None


def run(folder: Path, window: Window) -> Run:
    begin, until, horizon = ms(pd.Series(window)).tolist()
    flow = EXAMPLE / "flow.yaml"
    return run_flow(flow, folder, from_ms=begin, until_ms=until, horizon_ms=horizon)


def test_the_import_keeps_everything(folder: Path) -> None:
    counts = read_schema(folder).counts
    assert (counts.customers, counts.events, counts.rejected) == (23_570, 69_659, 0)
    assert counts.duplicates == 255


def test_the_hard_cases_occur(purchases: pd.DataFrame) -> None:
    """Else the comparisons below would prove less than they seem to."""
    assert len(purchases) == 69_659
    assert purchases.customer_id.nunique() == 23_570
    assert (
        purchases.duplicated(["customer_id", "date", "number_of_cds", "dollar_value"]).sum() == 255
    )
    assert (purchases.dollar_value == 0).sum() == 80
    first = purchases[purchases.before == 0]
    assert (first.then_ms == first.ms).sum() == 351  # the second on the same day
    assert (first.then_ms == first.ms + 30 * DAY_MS).sum() == 82  # at the deadlines
    assert (first.then_ms == first.ms + 120 * DAY_MS).sum() == 26
    assert (first.dollar_value == 30).sum() == 4  # at the threshold


@pytest.mark.parametrize("window", [ALL, PART])
def test_every_customer_goes_the_same_way(
    folder: Path, purchases: pd.DataFrame, window: Window
) -> None:
    check(run(folder, window), expected(purchases, window))


@pytest.mark.parametrize("window", [ALL, PART])
def test_the_reference_says_the_same_of_a_sample(folder: Path, window: Window) -> None:
    done = run(folder, window)
    check_reference(done, sorted({*busiest(done, 20), *spread(done, 500)}))


def test_the_readme_tells_what_comes_out(folder: Path) -> None:
    figures_of_readme(EXAMPLE / "README.md", run(folder, ALL))
