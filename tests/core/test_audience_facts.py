"""Checks shares of people against counting them, and that what is sure is sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.audience import Column
from core.audience_build import audience_from_python
from core.audience_facts import (
    DISTINCT_MAX,
    UNKNOWN,
    AttributeFacts,
    AudienceFacts,
    Share,
    facts_of,
)
from core.conditions import Condition, Model
from core.instants import instant_ms

CONDITION: TypeAdapter[Model] = TypeAdapter(Condition)
NOW_MS = instant_ms("2026-06-15")
AUDIENCE = audience_from_python(
    [
        {"id": "a", "zone": "UTC", "attributes": {"age": 10, "city": "x", "born": "2016-01-01",
         "seen": "2026-06-14T00:00Z", "vip": True}, "tags": ["t"], "groups": ["g"]},
        {"id": "b", "attributes": {"age": 20, "city": "y", "born": "2006-01-01",
         "seen": "2026-06-01T00:00Z", "vip": True}, "tags": ["t"]},
        {"id": "c", "attributes": {"age": 30, "city": "y", "born": "1996-01-01",
         "seen": "2026-06-02T00:00Z", "vip": True}, "tags": ["t"]},
        {"id": "d", "attributes": {"city": "z", "born": "1996-01-01",
         "seen": "2026-05-02T00:00Z", "vip": True}, "tags": ["t"]},
    ],
    attribute_types={"age": "int64", "city": "string", "born": "date", "seen": "datetime",
                     "vip": "bool"},
)  # fmt: skip
FACTS = facts_of(AUDIENCE, {"bought": 2, "never": 0, "click": 400})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"attribute": "age", "above": 15}, Share(0.5)),
        ({"attribute": "age", "above": 30}, Share(0.0, never=True)),
        ({"attribute": "age", "at_least": 10}, Share(0.75)),
        ({"attribute": "age", "is_set": True}, Share(0.75)),
        ({"attribute": "age", "is": 10.0}, Share(0.25)),
        ({"attribute": "age", "is": {"entry": "x"}}, UNKNOWN),
        ({"attribute": "age", "contains": "x"}, UNKNOWN),
        ({"attribute": "other", "is": 1}, UNKNOWN),
        ({"attribute": "vip", "is": True}, Share(1.0, always=True)),
        ({"attribute": "vip", "is_set": False}, Share(0.0, never=True)),
        ({"not": {"attribute": "vip", "is": False}}, Share(1.0, always=True)),
        ({"attribute": "city", "one_of": ["x", "y"]}, Share(0.75)),
        ({"attribute": "city", "is": "w"}, Share(0.0, never=True)),
        ({"attribute": "born", "before": "2000-01-01"}, Share(0.5)),
        ({"attribute": "born", "after": "2016-01-01"}, Share(0.0, never=True)),
        ({"attribute": "born", "older_than": "1 day"}, Share(1.0)),
        ({"attribute": "seen", "within_last": "10 days"}, Share(0.25)),
        ({"attribute": "seen", "after": "2027-01-01"}, Share(0.0)),
        ({"tag": "t"}, Share(1.0, always=True)),
        ({"group": "g"}, Share(0.25)),
        ({"tag": "u"}, UNKNOWN),
        ({"entry": "x", "is": 1}, UNKNOWN),
        ({"did": "bought"}, Share(0.5)),
        ({"did": "bought", "at_least": 2}, Share(0.25)),
        ({"did": "click"}, Share(1.0)),
        ({"never_did": "never"}, Share(1.0, always=True)),
        ({"did": "never"}, Share(0.0, never=True)),
        ({"all": [{"tag": "t"}, {"group": "g"}]}, Share(0.25)),
        ({"all": [{"attribute": "city", "is": "w"}, {"tag": "u"}]}, Share(0.0, never=True)),
        ({"any": [{"group": "g"}, {"attribute": "age", "above": 15}]}, Share(0.625)),
        ({"any": [{"tag": "t"}, {"tag": "u"}]}, Share(1.0, always=True)),
    ],
)  # fmt: skip
def test_shares_of_people(condition: Any, expected: Share) -> None:
    assert FACTS.share(CONDITION.validate_python(condition), NOW_MS) == expected


def test_nothing_is_known_of_what_changes() -> None:
    for condition, what in (({"tag": "t"}, ("tag", "t")), ({"group": "g"}, ("group", "g")),
                            ({"attribute": "vip", "is": True}, ("attribute", "vip"))):  # fmt: skip
        asked = CONDITION.validate_python(condition)
        assert FACTS.share(asked, NOW_MS, {what}) == UNKNOWN
        assert FACTS.share(asked, NOW_MS, {("tag", "other")}) != UNKNOWN


def test_people_without_a_zone_are_counted() -> None:
    assert (FACTS.customers, FACTS.zoneless) == (4, 3)


def _numbers(values: Any) -> AudienceFacts:
    from core.audience_facts import _attribute_facts

    column = Column("int64", np.asarray(values, np.int64))
    return AudienceFacts(len(column), attributes={"n": _attribute_facts(column)})


def test_many_values_are_stood_for_by_some_evenly() -> None:
    facts = _numbers(np.arange(100_000))
    held = facts.attributes["n"]
    assert (len(held.values), held.whole) == (DISTINCT_MAX, False)
    assert (held.values[0][0], held.values[-1][0]) == (0, 99_999)
    share = facts.share(CONDITION.validate_python({"attribute": "n", "below": 25_000}), 0)
    assert share.guess == pytest.approx(0.25, abs=0.002)
    assert facts.share(CONDITION.validate_python({"attribute": "n", "above": 99_999}), 0).never
    assert facts.share(CONDITION.validate_python({"attribute": "n", "at_least": 0}), 0).always
    between = facts.share(CONDITION.validate_python({"attribute": "n", "is": 7}), 0)
    assert (between.never, between.always) == (False, False)


def test_work_is_bounded() -> None:
    facts = AudienceFacts(9, attributes={"n": AttributeFacts([(1, 9.0)], 0, True)}, _left=2)
    asked = CONDITION.validate_python({"attribute": "n", "is": 2})
    assert [facts.share(asked, 0).never for _ in range(3)] == [True, True, False]
