"""Make up what a shop knows beyond orders: consents, points, due dates, predictions, price drops.

All names are the standard ones of `core.record`, so that flows which are written against these have
something to work on. It draws from a generator of its own: the customers, visits and purchases of a
sample are the same with it and without.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.audience_writer import AttributeData, CustomerData
from actors.sample_events import DAY_MS, HOUR_MS, PRODUCTS, History, Rows, Shop
from core.audience import Kind

Generator = np.random.Generator
Int64s = NDArray[np.int64]

PUSH_SHARE = 0.4
CONFIRMED_SHARE = 0.85  # of those who consent to mail and joined within the window
ANSWERED_SHARE = 0.2  # of orders, in a survey of how likely a recommendation is
ANSWERS = (0.01, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.15, 0.2, 0.18, 0.22)
LOAN_SHARE = 0.08
DUE_AFTER_DAYS = 30  # loans that are due so long after the window are in the record too
REPAID_SHARE = 0.92
DROPS_PER_DAY = 2.0
DROP_SHARES = (0.9, 0.8, 0.7)
INTEREST_DAYS = 30  # so long after a look somebody is told of changes to a product
POINTS_PER_UNIT = 1.2


class Lifecycle:
    """What is added to the history and to the record of a shop's customers.

    The parts draw from one generator, in the order of the calls: `rows` first.
    """

    def __init__(self, rng: Generator, shop: Shop) -> None:
        self.rng = rng
        self.shop = shop
        count = shop.customers
        due = shop.start_ms // DAY_MS + rng.integers(0, shop.days + DUE_AFTER_DAYS, count)
        self.due_day = np.where(rng.random(count) < LOAN_SHARE, due, -1)

    def rows(self, made: dict[str, Rows]) -> dict[str, Rows]:
        """The further events of a history of which `made` are the ones that every sample has."""
        joined = made["signup"]
        return {
            "contact_added": Rows(joined.owner, joined.ms, {}),
            "subscription_confirmed": self._confirmed(joined),
            "page_visited": Rows(
                made["page_view"].owner,
                made["page_view"].ms,
                {"url": made["page_view"].properties["page"]},
            ),
            "survey_answered": self._answers(made["purchase"]),
            "loan_repaid": self._repaid(),
            "product_changed": self._drops(made["product_view"]),
        }

    def _confirmed(self, joined: Rows) -> Rows:
        agreed = self.shop.consent_email[joined.owner]
        those = np.flatnonzero(agreed & (self.rng.random(len(joined.owner)) < CONFIRMED_SHARE))
        delay = self.rng.lognormal(1.5, 1.6, len(those)) * HOUR_MS
        return Rows(
            joined.owner[those],
            joined.ms[those] + 60_000 + delay.astype(np.int64),
            {"channel": ("string", _repeated("email", len(those)))},
        )

    def _answers(self, bought: Rows) -> Rows:
        those = np.flatnonzero(self.rng.random(len(bought.owner)) < ANSWERED_SHARE)
        days = self.rng.uniform(5.2, 12, len(those))
        score = self.rng.choice(len(ANSWERS), len(those), p=ANSWERS)
        return Rows(
            bought.owner[those],
            bought.ms[those] + (days * DAY_MS).astype(np.int64),
            {"score": ("int64", pa.array(score))},
        )

    def _repaid(self) -> Rows:
        those = np.flatnonzero((self.due_day >= 0) & self._drawn(REPAID_SHARE))
        # Most pay in the last week, some late.
        days = np.clip(self.rng.normal(-2.0, 4.0, len(those)), -14, 25)
        ms = self.due_day[those] * DAY_MS + (days * DAY_MS).astype(np.int64)
        inside = ms >= np.maximum(self.shop.start_ms, self.shop.created_ms[those])
        return Rows(those[inside], ms[inside], {})

    def _drawn(self, share: float) -> NDArray[np.bool_]:
        return self.rng.random(self.shop.customers) < share

    def _drops(self, looks: Rows) -> Rows:
        """Each price drop, told to everybody who looked at the product within the days before."""
        rng, shop = self.rng, self.shop
        names = looks.properties["product_id"][1].dictionary_encode()
        code = names.indices.to_numpy().astype(np.int64)
        price = looks.properties["price"][1].to_numpy()
        known = names.dictionary
        drops = max(1, round(DROPS_PER_DAY * shop.days))
        when = shop.start_ms + np.sort(rng.integers(0, shop.days * DAY_MS, drops))
        which = rng.integers(0, PRODUCTS, drops)
        share = rng.choice(DROP_SHARES, drops)
        place = {name: index for index, name in enumerate(known.to_pylist())}
        wanted = np.array([place.get(f"p{number + 1}", -1) for number in which], np.int64)
        parts: list[tuple[Int64s, int, float]] = []
        for drop in range(drops):
            since = when[drop] - INTEREST_DAYS * DAY_MS
            own = np.flatnonzero(
                (code == wanted[drop]) & (looks.ms >= since) & (looks.ms < when[drop])
            )
            # The last look of each, which tells the price that they know.
            latest = own[np.argsort(-looks.ms[own], kind="stable")]
            _, last = np.unique(looks.owner[latest], return_index=True)
            parts.append((latest[last], int(when[drop]), float(share[drop])))
        rows = np.concatenate([found for found, _, _ in parts])
        counts = [len(found) for found, _, _ in parts]
        after = np.round(price[rows] * np.repeat([share for _, _, share in parts], counts), 2)
        return Rows(
            looks.owner[rows],
            np.repeat(np.array([ms for _, ms, _ in parts], np.int64), counts),
            {
                "product": ("string", known.take(pa.array(code[rows]))),
                "attribute": ("string", _repeated("price", len(rows))),
                "before": ("float64", pa.array(price[rows])),
                "after": ("float64", pa.array(after)),
            },
        )

    def enrich(self, people: CustomerData, history: History) -> None:
        """Add the further attributes to the customers.

        Dates and consents never change in this shop. Points, scores and predictions do, and are
        those of the window's end.
        """
        attributes = people.attributes
        count = self.shop.customers
        spent = attributes["lifetime_value"].values.to_numpy()
        member = np.array(["loyalty" in groups for groups in people.groups.to_pylist()], bool)
        points = (spent * POINTS_PER_UNIT).astype(np.int64)
        # Tiers were given some time ago, so some have the points of a higher one by now.
        earlier = points * 0.7
        tier = np.select([earlier >= 500, earlier >= 200], [2, 1], 0)
        tiers = pa.array(("basic", "silver", "gold")).take(pa.array(np.where(member, tier, 0)))
        loan = self.due_day >= 0
        added: dict[str, tuple[Kind, pa.Array]] = {
            "consent:email": ("bool", attributes["consent_email"].values),
            "consent:sms": ("bool", attributes["consent_sms"].values),
            "consent:push": ("bool", pa.array(self.rng.random(count) < PUSH_SHARE)),
            "next_birthday": ("date", self._birthdays(attributes["birth_date"].values)),
            "loan_due_date": ("date", _dates(self.due_day, ~loan)),
            "points:shop": ("int64", pa.array(points, mask=~member)),
            "tier:shop": ("string", pa.array(tiers.to_pylist(), pa.string(), mask=~member)),
            "score": ("int64", pa.array(self.rng.poisson(4, count).astype(np.int64))),
            "churn": ("float64", pa.array(self._churn(history))),
        }
        for name, (kind, values) in added.items():
            constant = name.startswith("consent:") or kind == "date"
            attributes[name] = AttributeData(kind, values, constant=constant)

    def _birthdays(self, born: pa.Array) -> pa.Array:
        """The first birthday in or after the window of those whose birth date is known."""
        none = born.is_null().to_numpy(zero_copy_only=False)
        days = born.cast(pa.int32()).fill_null(0).to_numpy().astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        day = (days - months.astype("datetime64[D]")).astype(np.int64)
        month = months.astype(np.int64) % 12
        first = np.datetime64(self.shop.start_ms // DAY_MS, "D")
        year = first.astype("datetime64[Y]").astype(np.int64)
        # 29 February becomes 1 March in other years, as adding days to the month has it.
        this = ((year * 12 + month).astype("datetime64[M]").astype("datetime64[D]")) + day
        later = (((year + 1) * 12 + month).astype("datetime64[M]").astype("datetime64[D]")) + day
        return _dates(np.where(this >= first, this, later).astype(np.int64), none)

    def _churn(self, history: History) -> NDArray[np.float64]:
        """A chance that grows with the days since somebody last did anything, float64[n]."""
        events, shop = history.events, self.shop
        last = np.full(shop.customers, shop.start_ms)
        np.maximum.at(last, events.customer, events.ms)
        quiet = (shop.end_ms - last) / DAY_MS
        odds = (quiet - shop.days * 0.6) / (shop.days * 0.15) + self.rng.normal(0, 0.7, len(last))
        return np.round(1 / (1 + np.exp(-odds)), 4)


def _repeated(word: str, count: int) -> pa.Array:
    return pa.array([word]).take(pa.array(np.zeros(count, np.int64)))


def _dates(days: Int64s, missing: NDArray[np.bool_]) -> pa.Array:
    return pa.array(days.astype(np.int32), mask=missing).cast(pa.date32())
