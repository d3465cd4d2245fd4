"""Checks what a tenant's schema may say, and what is told of one that may not."""

from typing import Any

import pytest

from core.errors import HeadraceError
from core.tenant_schema import TenantSchema, read_tenant_schema, schema_changes

SHOP: dict[str, Any] = {
    "attributes": {
        "email": {"type": "string", "personal": True},
        "plan": {"type": "string"},
        "birthday": {"type": "date", "constant": True},
    },
    "events": {
        "order": {"properties": {"total": "float64", "items": "int64"}},
        "refund": {"properties": {"total": "float64"}},
        "visit": {},
    },
    "zone": "Europe/Berlin",
}


def test_a_schema_is_read_with_its_defaults() -> None:
    schema, violations = read_tenant_schema(SHOP)
    assert violations == []
    assert schema is not None
    assert schema.properties == {"total": "float64", "items": "int64"}
    assert schema.personal == {"email"}
    assert schema.kept == {"plan": "string", "birthday": "date"}
    assert schema.settings.model_dump() == {
        "late_ms": 86_400_000,
        "future_ms": 600_000,
        "unknown_customers": "create",
        "unknown_fields": "reject",
        "unknown_events": "reject",
        "wrong_types": "reject",
        "id_bytes_max": 511,
        "text_bytes_max": 65_536,
        "fields_max": 1_000,
    }
    assert TenantSchema.of(schema.to_json()) == schema
    assert TenantSchema.of({}) == TenantSchema()


@pytest.mark.parametrize(
    ("value", "code", "pointer", "said"),
    [
        ([], "wrong-type", "", "expected a mapping, found an empty list"),
        ({"atributes": {}}, "unknown-field", "/atributes", "no field 'atributes'"),
        ({"attributes": {"a": {}}}, "missing-field", "/attributes/a", "'type' is missing"),
        (
            {"attributes": {"a": {"type": "text"}}},
            "unknown-value",
            "/attributes/a/type",
            "'text' isn't possible",
        ),
        (
            {"attributes": {"a/b": {"type": "bool", "personal": 1}}},
            "wrong-type",
            "/attributes/a~1b/personal",
            "expected true or false",
        ),
        (
            {"events": {"e": {"properties": {"p": "bool"}}, "f": {"properties": {"p": "date"}}}},
            "contradictory-types",
            "/events/f/properties/p",
            "'p' is date here and bool in 'e'",
        ),
        ({"zone": "Europe/Berln"}, "invalid-zone", "/zone", "no zone 'Europe/Berln'"),
        ({"settings": {"late_ms": -1}}, "out-of-range", "/settings/late_ms", "-1 is out of range"),
        ({"settings": {"late_ms": 1.5}}, "wrong-type", "/settings/late_ms", "a whole number"),
        ({"settings": {"id_bytes_max": 512}}, "out-of-range", "/settings/id_bytes_max", "512"),
        ({"headrace_schema": 2}, "unknown-value", "/headrace_schema", "2"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    value: Any, code: str, pointer: str, said: str
) -> None:
    schema, violations = read_tenant_schema(value)
    assert schema is None
    (found,) = violations
    assert (found.code, found.pointer) == (code, pointer)
    assert said in found.message
    with pytest.raises(HeadraceError, match="the tenant's schema is wrong"):
        TenantSchema.of(value)


def test_a_misspelt_zone_is_offered_its_like() -> None:
    _, (found,) = read_tenant_schema({"zone": "Europe/Berln"})
    assert found.advice.startswith("Did you mean 'Europe/Berlin'")


def test_a_type_cannot_change_under_customers() -> None:
    old = TenantSchema.of(SHOP)
    changed = {
        "attributes": {
            "email": {"type": "string"},
            "plan": {"type": "int64"},
            "new": {"type": "bool"},
        },
        "events": {"order": {"properties": {"total": "string"}}},
    }
    found = schema_changes(old, TenantSchema.of(changed))
    assert [(v.code, v.pointer) for v in found] == [
        ("type-mismatch", "/attributes/email"),
        ("type-mismatch", "/attributes/plan"),
        ("type-mismatch", "/events/order/properties/total"),
    ]
    assert "was personal string and would be string" in found[0].message
    assert schema_changes(old, TenantSchema()) == []
