"""Computes the record of CDNOW's customers, and holds it against pandas and against what they did.

The status is worked out a second time, date by date, with the ranks of pandas. Predictions are made
for a day a year in, and compared with what then happened, which the model has not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actors.audience import load_audience
from actors.enrichment import enrich
from actors.importer import import_audience
from actors.prediction import HistoryScorer
from core.audience import Audience, Needs
from core.duration import DAY_MS
from core.enrichment_rules import EnrichmentRules, PredictionRules
from core.instants import instant_ms
from core.rfm import STATUSES
from house import CHECKOUT

pytestmark = pytest.mark.slow

AS_OF_MS = instant_ms("1998-04-01")
HORIZON_DAYS = 90


@pytest.fixture(scope="module")
def folder(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audience, imported as the example says."""
    out = tmp_path_factory.mktemp("record") / "audience"
    import_audience(CHECKOUT / "examples/cdnow/mapping.yaml", out, data=data_dir("cdnow"))
    return out


@pytest.fixture(scope="module")
def purchases(data_dir: Callable[[str], Path]) -> pd.DataFrame:
    """Each purchase: customer, time in ms, amount."""
    frame = pd.read_csv(
        data_dir("cdnow") / "CDNOW_master.txt.gz",
        sep=r"\s+",
        dtype={"customer_id": str, "date": str},
    )
    days = (pd.to_datetime(frame.date, format="%Y%m%d") - pd.Timestamp("1970-01-01")).dt.days
    return pd.DataFrame(
        {"customer": frame.customer_id, "ms": days * DAY_MS, "amount": frame.dollar_value}
    )


def fifths(values: pd.Series[float]) -> pd.Series[int]:
    """1 and the whole number of fifths of all that are smaller, by ranks."""
    return 1 + (values.rank(method="min") - 1).astype(int) * 5 // len(values)


def statuses(purchases: pd.DataFrame, at_ms: int) -> dict[str, str]:
    """The status of everybody who bought by a time."""
    mine = (
        purchases[purchases.ms <= at_ms]
        .groupby("customer")
        .agg(last=("ms", "max"), often=("ms", "size"), money=("amount", "sum"))
    )
    # Sums in another order differ in their last digits, and would tear equal ones apart.
    mean = (fifths(mine.often) + fifths(mine.money.round(6)) + 1) // 2
    return {
        customer: STATUSES[str(recency)][column - 1]
        for customer, recency, column in zip(mine.index, fifths(mine["last"]), mean, strict=True)
    }


def test_the_status_is_that_of_pandas_at_any_time(folder: Path, purchases: pd.DataFrame) -> None:
    out = folder.with_name("rfm")
    enrich(folder, out, {"rfm"}, EnrichmentRules())
    audience = load_audience(out, Needs({"rfm"}, set(), set(), set(), set()))
    column, log = audience.attributes["rfm"], audience.changes
    assert log is not None
    assert column.dictionary is not None
    owner = np.repeat(np.arange(audience.customers), np.diff(log.offsets))
    for day in ("1997-01-06", "1997-05-05", "1998-01-05", "1998-06-29"):
        at_ms = instant_ms(day)
        found = {}
        for row in np.flatnonzero(log.ms <= at_ms).tolist():
            found[audience.id_of(int(owner[row]))] = column.dictionary[log.value[row]]
        expected = statuses(purchases, at_ms)
        differing = [c for c in expected if found.get(c) != expected[c]]
        # Money that differs in the last digit alone can be on either side of a fifth.
        assert len(differing) <= 0.001 * len(expected), (day, len(differing))
        assert found.keys() == expected.keys()


def history(folder: Path) -> Audience:
    needs = Needs(set(), set(), set(), {"purchase"}, {"amount"})
    return load_audience(folder, needs)


@pytest.mark.parametrize("question", ["churn", "purchase"])
def test_predictions_are_better_than_the_base_rate_and_hold_in_the_next_months(
    folder: Path, purchases: pd.DataFrame, question: str
) -> None:
    audience = history(folder)
    rules = PredictionRules.model_validate({"horizon": f"{HORIZON_DAYS} days"})
    scorer = HistoryScorer("churn" if question == "churn" else "purchase", rules)
    found = scorer.fit(audience, AS_OF_MS)
    scores = scorer.predict(audience, AS_OF_MS)
    next_ = purchases[
        (purchases.ms > AS_OF_MS) & (purchases.ms <= AS_OF_MS + HORIZON_DAYS * DAY_MS)
    ]
    bought = set(next_.customer)
    ids = [audience.id_of(c) for c in range(audience.customers)]
    happened = np.array([(i in bought) == (question == "purchase") for i in ids])
    brier = float(((scores - happened) ** 2).mean())
    base = float(happened.mean() * (1 - happened.mean()))
    print(f"{question}: judged {found.brier:.4f}, then {brier:.4f}; base rate {base:.4f}")
    assert found.auc > 0.8
    assert found.brier_high < found.brier_base
    assert brier < 0.85 * base
    order = np.argsort(scores)
    low, high = (happened[part].mean() for part in (order[:5_000], order[-5_000:]))
    assert high > low + 0.2
