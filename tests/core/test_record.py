"""Checks the vocabulary of the customer record, and who knows it: schema, lint and binding."""

import re

import pytest

from core.absent_types import absent_types
from core.audience import AttributeSchema, AudienceSchema, EventSchema
from core.audience_build import audience_from_python
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.record import (
    ATTRIBUTES,
    EVENT_PROPERTIES,
    EVENTS,
    attribute_kind,
    standard_attribute,
    standard_group,
    vocabulary_tables,
)
from core.tenant_schema import TenantSchema, schema_changes
from house import CHECKOUT

PAGE = CHECKOUT / "docs" / "customer-record.md"


BOUGHT = {"purchase": EventSchema(count=1)}


def flow_of(test: str) -> Flow:
    text = "\n".join(
        [
            "headrace: 1",
            "flow: f",
            "nodes:",
            "  start: {type: on_event, event: purchase, next: a}",
            f"  a: {{type: condition, if: {test}, next: {{yes: done, no: done}}}}",
            "  done: {type: end}",
        ]
    )
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    return flow


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("score", "int64"),
        ("score:vip", "int64"),
        ("score:a:b", "int64"),
        ("score:", None),
        ("scores", None),
        ("Score", None),
        ("consent:email", "bool"),
        ("consent", None),
        ("tier:club", "string"),
        ("churn", "float64"),
        ("churn:x", None),
        ("", None),
    ],
)
def test_a_name_has_the_type_of_its_pattern(name: str, kind: str | None) -> None:
    assert attribute_kind(name) == kind


def test_every_declaration_is_found_under_its_own_name() -> None:
    for declared in ATTRIBUTES:
        name = re.sub("<.*>", "x", declared.name)
        assert standard_attribute(name) is declared


def test_a_property_has_one_type_in_all_standard_events() -> None:
    kinds: dict[str, set[str]] = {}
    for event in EVENTS:
        for name, kind in event.properties.items():
            kinds.setdefault(name, set()).add(kind)
    assert {name for name, found in kinds.items() if len(found) > 1} == set()
    assert len(EVENT_PROPERTIES) == len(EVENTS)


def test_groups_of_co_owners_and_networks_are_known() -> None:
    owner, network = standard_group("co_owner:ann"), standard_group("audience:google:buyers")
    assert owner is not None
    assert owner.name == "co_owner:<user>"
    assert network is not None
    assert network.name == "audience:google:<name>"
    assert [standard_group(n) for n in ("vip", "co_owner:", "audience:myspace:x")] == [None] * 3


def test_the_page_has_the_tables() -> None:
    assert vocabulary_tables() in PAGE.read_text(encoding="utf-8")


# -- a tenant's schema


def test_a_standard_name_needs_no_declaration() -> None:
    schema = TenantSchema.of({"attributes": {"plan": {"type": "string"}}})
    names = ("score", "score:vip", "plan", "pla")
    assert [schema.attribute_kind(n) for n in names] == ["int64", "int64", "string", None]
    assert schema.kept == {"plan": "string"}
    assert schema.known_events["banner_clicked"] == {"banner": "string"}
    assert "shipped" not in schema.known_events


def test_what_a_schema_declares_holds() -> None:
    schema = TenantSchema.of(
        {
            "attributes": {
                "score": {"type": "float64"},
                "owner": {"type": "string", "personal": True},
            },
            "events": {"purchase": {"properties": {"sku": "string", "fence": "int64"}}},
        }
    )
    assert schema.attribute_kind("score") == "float64"
    assert schema.attribute_kind("owner") is None
    expected = {"amount": "float64", "sku": "string", "fence": "int64"}
    assert schema.known_events["purchase"] == expected
    # One property has one type in all events, so the declared one holds in the standard event too.
    assert schema.known_events["geo_entered"] == {"fence": "int64"}
    assert schema.properties == {"sku": "string", "fence": "int64"}


def test_a_standard_name_keeps_its_type_once_there_is_a_schema() -> None:
    plain = TenantSchema.of({"attributes": {"plan": {"type": "string"}}})
    own = TenantSchema.of({"attributes": {"score": {"type": "float64"}}})
    personal = TenantSchema.of({"attributes": {"owner": {"type": "string", "personal": True}}})
    same = TenantSchema.of({"attributes": {"score": {"type": "int64"}}})
    fences = TenantSchema.of({"events": {"x": {"properties": {"fence": "int64"}}}})
    assert schema_changes(TenantSchema(), own) == []
    assert schema_changes(TenantSchema(), fences) == []
    assert schema_changes(plain, same) == schema_changes(same, plain) == []
    (changed,) = schema_changes(plain, own)
    assert changed.pointer == "/attributes/score"
    assert changed.message == "attribute 'score' was int64 and would be float64"
    # What was personal must not become readable by leaving it out.
    (bared,) = schema_changes(personal, plain)
    assert bared.message == "attribute 'owner' was personal string and would be string"
    (typed,) = schema_changes(plain, fences)
    assert typed.message == "property 'fence' was string and would be int64"


# -- lint and binding


def test_lint_knows_standard_types_without_an_audience() -> None:
    for test in ("{attribute: 'consent:email', is: true}", "{attribute: score, at_least: 5}"):
        assert lint(flow_of(test)) == []
    (found,) = lint(flow_of("{attribute: 'score:vip', is: gold}"))
    assert (found.code, found.severity) == ("standard-name", "warning")
    assert found.pointer == "/nodes/a/if/is"
    (found,) = lint(flow_of("{did: page_visited, where: {property: url, above: 5}}"))
    assert found.code == "standard-name"


def test_lint_takes_the_standard_type_for_what_an_audience_lacks() -> None:
    flow = flow_of("{attribute: score, is: gold}")
    codes = {v.code: v.severity for v in lint(flow, AudienceSchema())}
    assert codes["type-mismatch"] == "error"
    own = AudienceSchema(attributes={"score": AttributeSchema(type="string")})
    assert "type-mismatch" not in {v.code for v in lint(flow, own)}


def test_lint_says_how_a_computed_attribute_is_made() -> None:
    (found,) = lint(flow_of("{attribute: rfm, is: lost}"), AudienceSchema(events=BOUGHT))
    assert found.code == "absent-attribute"
    assert found.advice == "Compute it with `headrace enrich --rfm`."


def test_what_an_audience_lacks_is_bound_to_the_standard_type() -> None:
    audience = audience_from_python([{"id": "a"}])
    flow = flow_of("{any: [{attribute: score, above: 2.5}, {attribute: churn, at_least: 1}]}")
    assert absent_types(flow, None, audience)[0] == {"score": "int64", "churn": "float64"}
