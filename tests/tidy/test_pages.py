"""Checks that generated pages are up to date, and that each promised feature is tested or open."""

from __future__ import annotations

from features_page import NOT_LIVE, checklist, ids_live, ids_tested, live_tests
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
    assert len(names) == len(set(names)) == 245


def test_every_feature_that_is_tested_runs_live_or_says_why_not() -> None:
    """What runs in the interpreters runs live in the same test, by `ran` of both_ways.py."""
    tested = ids_tested().keys() & checklist().keys()
    reasons = [name for names in NOT_LIVE.values() for name in names.split()]
    assert sorted(tested - ids_live()) == sorted(reasons)


def test_a_test_runs_live_by_the_functions_and_marks_that_it_uses() -> None:
    found = live_tests(
        "from both_ways import GO, modelled, told\n"
        "from live_side import EVERY_WAY\n"
        "from interpreters import run_machine\n"
        "every = mark(EVERY_WAY)\n"
        "def log():\n    return told(GO)\n"
        "def more():\n    return log()\n"
        "def test_called():\n    assert more()\n"
        "@every\ndef test_marked(run):\n    assert run()\n"
        "def test_modelled():\n    assert modelled(GO)\n"
        "def test_dry():\n    assert run_machine()\n"
    )
    assert found == {"test_called", "test_marked"}
