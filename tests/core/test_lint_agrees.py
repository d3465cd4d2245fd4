"""Checks that a flow without errors of lint can be bound to that audience and run."""

import json
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import AttributeSchema, AudienceSchema, EventSchema, Kind, PropertySchema
from core.audience_build import audience_from_python
from core.binding import bind
from core.compiler import compile_flow
from core.document import read_flow
from core.errors import HeadraceError
from core.instants import instant_ms
from core.lint import lint
from core.options import RunOptions
from core.reference import run
from core.violations import has_errors
from random_tests import FILTERS, NODES, comparisons_of

KINDS: dict[str, Kind] = {
    "age": "int64",
    "amount": "float64",
    "birth_date": "date",
    "plan": "string",
    "purchase": "datetime",
    "vip": "bool",
}
VALUES = {
    "age": 5,
    "amount": 2.5,
    "birth_date": "2026-01-31",
    "plan": "a",
    "purchase": "2026-01-31T09:00Z",
    "vip": True,
}
AUDIENCE = audience_from_python(
    [{"id": "x", "attributes": VALUES, "tags": ["vip"], "groups": ["vip"]}],
    [
        {
            "customer": "x",
            "event": "purchase",
            "time": "2026-02-01T00:00Z",
            "properties": VALUES,
        }
    ],
    attribute_types=KINDS,
    property_types=KINDS,
)
SCHEMA = AudienceSchema(
    attributes={name: AttributeSchema(type=kind) for name, kind in KINDS.items()},
    tags={"vip": 1},
    groups={"vip": 1},
    events={
        "purchase": EventSchema(
            properties={n: PropertySchema(type=kind, column=n) for n, kind in KINDS.items()}
        )
    },
)
OPTIONS = RunOptions(
    from_ms=instant_ms("2026-01-31"),
    until_ms=instant_ms("2026-02-02"),
    horizon_ms=instant_ms("2026-02-03"),
)
# Mistakes that leave a meaning, though hardly the one that was meant; so does waiting for the date
# that a number would be.
RUNS_ANYHOW = {"between-reversed", "value-in-two-branches"}


def _runs(flow: Any) -> str:
    """Why the flow can't be bound and run, or nothing."""
    try:
        bind(compile_flow(flow), AUDIENCE, OPTIONS)
        run(flow, AUDIENCE, OPTIONS, None)
    except HeadraceError as error:
        return str(error)
    return ""


def test_all_kinds_are_there() -> None:
    assert set(KINDS.values()) == set(get_args(Kind))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(NODES, st.none() | comparisons_of("property", "entry") | FILTERS)
def test_what_lint_accepts_runs_and_what_runs_lint_accepts(node: Any, where: Any) -> None:
    start = {"type": "on_event", "event": "purchase", "where": where, "next": "a"}
    nodes = {"start": start, "a": node, "end": {"type": "end"}}
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": nodes})
    flow, violations = read_flow(text, name="f.json")
    assert violations == []
    assert flow is not None
    found = lint(flow, SCHEMA)
    reason = _runs(flow)
    if reason:
        assert has_errors(found), reason
    else:
        errors = [v for v in found if v.severity == "error" and v.code not in RUNS_ANYHOW]
        assert errors == [] or node["type"] == "wait_date"
