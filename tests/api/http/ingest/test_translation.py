"""What formats have in common: flat values, ids, times."""

from __future__ import annotations

from typing import Any

import pytest

from actors.intake.values import RefusedError
from api.http.ingest.translation import Places, flat, id_text, message_id, of_seconds, skew_ms
from core.tenant_schema import TenantSchema


def test_values_become_flat() -> None:
    given = {"a": 1, "b": {"c": 2, "d": {"e": None}}, "b_c": 3, "f": [{"g": 1}], "h": {}}
    assert flat(given) == {"a": 1, "b_c": 3, "b_d_e": None, "f": [{"g": 1}]}
    plain = {"a": 1}
    assert flat(plain) is plain


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", None), (None, None), (7, "7"), (7.0, "7"), (-1, "-1")],
)
def test_ids_are_texts_or_numbers(value: Any, text: str | None) -> None:
    assert id_text(value) == text


@pytest.mark.parametrize("value", [True, 1.5, [], {}])
def test_nothing_else_is_an_id(value: Any) -> None:
    with pytest.raises(RefusedError):
        id_text(value)


def test_ids_of_messages_stay_apart_by_format() -> None:
    assert message_id("a", "x") != message_id("b", "x")
    assert message_id("a", None) is None
    long = message_id("a", "x" * 5_000)
    assert long is not None
    assert long.startswith("a#")
    assert len(long) == 34


@pytest.mark.parametrize(
    ("sent_at", "skew"),
    [(None, 0), ("1970-01-01T00:00:01Z", 9_000), (9_500, 500), ("never", 0), ([], 0), (True, 0)],
)
def test_a_senders_clock_is_held_against_ours(sent_at: Any, skew: int) -> None:
    assert skew_ms(sent_at, 10_000) == skew


@pytest.mark.parametrize(
    ("value", "ms"),
    [(1_767_225_600, 1_767_225_600_000), (1_767_225_600_123, 1_767_225_600_123), (1.5, 1_500),
     ("2026-01-01", "2026-01-01"), (None, None), (True, True), (1e300, 1e300)],
)  # fmt: skip
def test_seconds_become_milliseconds(value: Any, ms: Any) -> None:
    assert of_seconds(value) == ms


def test_places_are_the_schemas() -> None:
    places = Places.of(
        TenantSchema.of(
            {
                "attributes": {"seen": {"type": "datetime"}, "plan": {"type": "string"}},
                "events": {"signup": {"properties": {"context_ip": "string", "plan": "string"}}},
            }
        )
    )
    assert places.attributes == {"seen", "plan"}
    assert places.instants == {"seen"}
    assert places.context == {"signup": {"context_ip"}}
    assert places.events["page_visited"] == {"url"}
