"""Checks that generated pages are up to date, and that each promised feature is tested or open."""

from __future__ import annotations

from features_page import checklist, ids_tested
from write_pages import outdated


def test_generated_pages_are_up_to_date() -> None:
    assert outdated() == [], "run `make docs`"


def test_every_feature_has_a_test_or_says_why_not() -> None:
    tested = ids_tested()
    promises = checklist().items()
    lacking = [name for name, promise in promises if not promise.open and name not in tested]
    assert lacking == []


def test_tests_that_the_checklist_names_are_there() -> None:
    tested = ids_tested()
    for name, promise in checklist().items():
        assert set(promise.by) <= set(tested.get(name, [])), name


def test_the_checklist_names_every_feature_once() -> None:
    names = list(checklist())
    assert len(names) == len(set(names)) == 201
