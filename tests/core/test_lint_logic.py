"""Checks that conditions are judged constant only where asking everybody says so too."""

from __future__ import annotations

from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from core.conditions import Condition, Model
from core.duration import DAY_MS
from core.lint_logic import ANYTHING, Judge, facts_of, in_words, subject_of, verdict
from core.reference_conditions import View, holds
from core.reference_people import Day, Happening, Person
from random_tests import trees

CONDITION: TypeAdapter[Model] = TypeAdapter(Condition)
UTC = ZoneInfo("UTC")
NOW_MS = 20_000 * DAY_MS


def condition(value: Any) -> Model:
    return CONDITION.validate_python(value)


def _person(
    age: float | None, born: int | None, *, tagged: bool, days_ago: tuple[int, ...]
) -> View:
    values: dict[str, Any] = {"age": age, "born": None if born is None else Day(born)}
    person = Person(
        id="x",
        hash=0,
        created_ms=None,
        zone=None,
        attributes={name: value for name, value in values.items() if value is not None},
        logged=frozenset(),
        tags={"t"} if tagged else set(),
        groups=set(),
        inputs=[],
        history=[
            Happening(NOW_MS - days * DAY_MS, "e", {"p": 1}, number)
            for number, days in enumerate(days_ago)
        ],
    )
    return View(NOW_MS, person, UTC, UTC)


PEOPLE = [
    _person(age, born, tagged=tagged, days_ago=days)
    for age, born, tagged, days in product(
        [None, -1, 0, 0.5, 1, 1.5, 2, 3],
        [None, 0, 1],
        [False, True],
        [(), (5,), (50,), (5, 50)],
    )
]
AGES = st.sampled_from([0, 1, 2])
DATES = st.sampled_from(["1970-01-01", "1970-01-02", "1970-01-03"])
LEAVES = st.one_of(
    st.builds(
        lambda operator, value: {"attribute": "age", operator: value},
        st.sampled_from(["is", "is_not", "above", "at_least", "below", "at_most"]),
        AGES,
    ),
    st.builds(
        lambda operator, values: {"attribute": "age", operator: values},
        st.sampled_from(["one_of", "none_of"]),
        st.lists(AGES, min_size=1, max_size=2),
    ),
    st.builds(lambda low, more: {"attribute": "age", "between": [low, low + more]}, AGES, AGES),
    st.builds(
        lambda operator, value: {"attribute": "born", operator: value},
        st.sampled_from(["is", "is_not", "above", "at_most", "before", "after"]),
        DATES,
    ),
    st.builds(lambda name, there: {"attribute": name, "is_set": there},
              st.sampled_from(["age", "born"]), st.booleans()),
    st.just({"tag": "t"}),
    st.builds(
        lambda count, within: {"did": "e", **count, **within},
        st.sampled_from([{}, {"at_least": 2}, {"at_most": 1}, {"exactly": 1}, {"exactly": 0}]),
        st.sampled_from([{}, {"within": "10 days"}, {"within": "60 days"}]),
    ),
    st.just({"never_did": "e", "within": "10 days"}),
    st.just({"never_did": "e", "where": {"property": "p", "is": 1}}),
)  # fmt: skip


@given(trees(LEAVES))
def test_what_is_constant_is_so_for_everybody(value: Any) -> None:
    asked = condition(value)
    answers = {holds(asked, person) for person in PEOPLE}
    found = verdict(asked, {})
    if found is not None:
        assert answers == {found}


@given(st.lists(trees(LEAVES), min_size=2, max_size=3))
def test_what_is_known_settles_only_what_it_settles(values: list[Any]) -> None:
    *before, asked = map(condition, values)
    known: dict[Any, Any] = {}
    for each in before:
        for subject, test, truth in facts_of(each, True):
            known[subject] = known.get(subject, ANYTHING).after(test, truth)
    answers = {holds(asked, p) for p in PEOPLE if all(holds(each, p) for each in before)}
    found = verdict(asked, known)
    if found is not None and answers:
        assert answers == {found}


@given(st.lists(LEAVES, min_size=2, max_size=4))
def test_tests_of_numbers_that_exclude_each_other_are_all_found(leaves: list[Any]) -> None:
    only = [leaf for leaf in leaves if leaf.get("attribute") == "age"]
    if only:
        asked = condition({"all": only})
        nobody = not any(holds(asked, person) for person in PEOPLE)
        assert (verdict(asked, {}) is False) == nobody


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"all": [{"attribute": "a", "is": "x"}, {"any": [{"attribute": "a", "is": "y"},
                                                         {"attribute": "a", "is": "z"}]}]}, False),
        ({"all": [{"attribute": "a", "is": "x"}, {"any": [{"attribute": "a", "is": "y"},
                                                         {"attribute": "a", "is": "x"}]}]}, None),
        ({"all": [{"all": [{"attribute": "a", "above": 5}]},
          {"attribute": "a", "below": 5}]}, False),
        ({"all": [{"not": {"any": [{"tag": "t"}, {"tag": "u"}]}}, {"tag": "u"}]}, False),
        ({"any": [{"attribute": "a", "is_set": True}, {"attribute": "a", "is_set": False}]}, True),
        ({"any": [{"attribute": "a", "below": 5}, {"attribute": "a", "at_least": 5}]}, None),
        ({"any": [{"attribute": "a", "below": 5},
          {"not": {"attribute": "a", "at_most": 4}}]}, True),
        ({"all": [{"attribute": "a", "contains": "x"},
                  {"not": {"attribute": "a", "contains": "x"}}]}, False),
        ({"all": [{"attribute": "a", "is": {"entry": "p"}},
                  {"not": {"attribute": "a", "is": {"entry": "p"}}}]}, False),
        ({"all": [{"did": "e", "within": "7 days"},
                  {"never_did": "e", "within": "30 days"}]}, False),
        ({"all": [{"did": "e"}, {"never_did": "e", "within": "30 days"}]}, None),
        ({"all": [{"did": "e", "at_least": 3}, {"did": "e", "at_most": 2}]}, False),
        ({"all": [{"did": "e", "where": {"property": "p", "is": 1}},
                  {"never_did": "e", "where": {"property": "p", "is": 2}}]}, None),
        ({"all": [{"attribute": "a", "above": "2026-01-02T00:00Z"},
                  {"attribute": "a", "below": "2026-01-01"}]}, None),
        ({"all": [{"attribute": "a", "between": [1, 2]}, {"attribute": "a", "is": 2}]}, None),
        ({"all": [{"attribute": "a", "between": [1, 2]}, {"attribute": "a", "above": 2}]}, False),
        ({"all": [{"entry": "p", "is": 1}, {"attribute": "p", "is": 2}]}, None),
    ],
)  # fmt: skip
def test_examples(value: Any, expected: bool | None) -> None:
    assert verdict(condition(value), {}) is expected


def test_the_innermost_part_is_found_with_its_place() -> None:
    value = {"any": [{"tag": "u"}, {"all": [{"tag": "t"}, {"not": {"tag": "t"}}]}]}
    judge = Judge([])
    assert judge.possible(condition(value), True, {})
    assert judge.found == [(("any", 1, "all"), True, "the tag 't'")]


def test_subjects_tell_kinds_and_filters_apart() -> None:
    subjects = [
        subject_of(condition(value))
        for value in (
            {"attribute": "x", "is": 1},
            {"tag": "x"},
            {"did": "x"},
            {"never_did": "x", "within": "1 day"},
            {"did": "x", "where": {"property": "p", "is": 1}},
            {"did": "x", "where": {"not": {"property": "p", "is": 1}}},
            {"all": [{"tag": "x"}]},
        )
    ]
    assert subjects[2] == subjects[3] == ("did", "x", "")
    assert len(set(subjects)) == 6
    assert subjects[-1] is None
    assert in_words(("entry", "p")) == "the entry's 'p'"
