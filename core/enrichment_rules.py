"""Read what is to be computed for an audience: the rules file of `headrace enrich`."""

from __future__ import annotations

from typing import Literal

from core.conditions import Model, Name, WindowField
from core.document import read_document
from core.duration import Duration
from core.geo import GeoRules
from core.merchandise import MerchandiseRules
from core.rfm import RfmRules
from core.violations import Violation


class PredictionRules(Model):
    """What is predicted: whether somebody buys within the `horizon`.

    Purchases are events `event` with the number `amount` as a property. With `every` it is also
    predicted so often before, each time from nothing but what was known then, as far back as the
    history allows.
    """

    event: Name = "purchase"
    amount: Name = "amount"
    horizon: WindowField = Duration(days=90)
    every: WindowField | None = None


class EnrichmentRules(Model):
    """The rules file, format version 1; every section may be left out.

    What computes attributes has defaults; fences and interests have none.
    """

    headrace_enrichment: Literal[1] = 1
    rfm: RfmRules = RfmRules()
    churn: PredictionRules = PredictionRules()
    purchase: PredictionRules = PredictionRules(horizon=Duration(days=30))
    geo: GeoRules | None = None
    merchandise: MerchandiseRules | None = None


def read_rules(text: str | bytes, *, name: str) -> tuple[EnrichmentRules | None, list[Violation]]:
    """The rules in `text`, or None and all that is wrong with them; `name` as for `read_flow`."""
    return read_document(EnrichmentRules, text, name=name)
