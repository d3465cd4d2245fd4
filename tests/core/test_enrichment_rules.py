"""Checks the rules file of `headrace enrich`: its defaults, and what is told of a wrong one."""

import pytest

from core.duration import Duration
from core.enrichment_rules import EnrichmentRules, read_rules
from house import CHECKOUT

FULL = """
headrace_enrichment: 1
rfm: {window: 365 days, every: 1 day, money: [10, 50, 100, 500]}
churn: {horizon: 60 days, every: 30 days}
purchase: {event: order, amount: total}
geo:
  fences:
    shop: {circle: {lat: 52.52, lon: 13.4, radius_m: 200}}
    mall: {polygon: [[52.5, 13.3], [52.5, 13.31], [52.51, 13.31]]}
merchandise:
  changes: prices.csv
  rules:
    price_fell:
      when: {attribute: price, change: lowered, by_percent: 10}
      interested: [{event: page_visited, within: 30 days}, {event: wished, until: unwished}]
"""


def test_every_section_has_its_rules() -> None:
    rules, violations = read_rules(FULL, name="r.yaml")
    assert rules is not None, violations
    assert rules.rfm.window == Duration(days=365)
    assert rules.churn.every == Duration(days=30)
    assert rules.purchase.event == "order"
    assert rules.geo is not None
    assert list(rules.geo.fences) == ["shop", "mall"]
    assert rules.merchandise is not None
    assert rules.merchandise.rules["price_fell"].when.by_percent == 10


def test_the_example_of_the_page_is_sound() -> None:
    page = (CHECKOUT / "docs/customer-record.md").read_text(encoding="utf-8")
    text = page.split("```yaml rules.yaml\n")[1].split("```")[0]
    rules, violations = read_rules(text, name="rules.yaml")
    assert violations == []
    assert rules is not None
    assert rules.geo is not None
    # What it states is the default, where there is one.
    assert (rules.rfm, rules.churn) == (EnrichmentRules().rfm, EnrichmentRules().churn)
    assert rules.geo.leave_m == type(rules.geo).model_fields["leave_m"].default


def test_what_is_not_stated_has_its_default() -> None:
    rules, violations = read_rules("headrace_enrichment: 1", name="r.yaml")
    assert (rules, violations) == (EnrichmentRules(), [])
    assert EnrichmentRules().churn.horizon == Duration(days=90)
    assert EnrichmentRules().purchase.horizon == Duration(days=30)
    assert EnrichmentRules().geo is None


@pytest.mark.parametrize(
    ("text", "code", "pointer"),
    [
        ("rfm: {every: 36 hours}", "invalid-value", "/rfm"),
        ("rfm: {windw: 3 days}", "unknown-field", "/rfm/windw"),
        ("churn: {horizon: 2 months}", "invalid-value", "/churn/horizon"),
        ("geo: {}", "missing-field", "/geo"),
        ("geo: {fences: {a: {}}}", "invalid-value", "/geo/fences/a"),
        (
            "geo: {fences: {a: {circle: {lat: 95, lon: 0, radius_m: 5}}}}",
            "out-of-range",
            "/geo/fences/a/circle/lat",
        ),
        (
            "geo: {fences: {a: {polygon: [[0, 0], [1, x], [2, 2]]}}}",
            "wrong-type",
            "/geo/fences/a/polygon/1/1",
        ),
        (
            "merchandise: {changes: x, rules: {a: {when: {attribute: p}}}}",
            "missing-field",
            "/merchandise/rules/a",
        ),
        (
            "merchandise: {changes: x, rules: {a: {when: {attribute: p, change: fell}, "
            "interested: [{event: e}]}}}",
            "unknown-value",
            "/merchandise/rules/a/when/change",
        ),
        ("[]", "invalid-yaml", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, code: str, pointer: str) -> None:
    rules, violations = read_rules(f"headrace_enrichment: 1\n{text}\n", name="r.yaml")
    assert rules is None
    assert [(v.code, v.pointer) for v in violations] == [(code, pointer)]
