"""Judge conditions by logic alone: tests that exclude each other, and those that always hold."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import DidTest, Model, NeverDidTest
from core.lint_logic import Judge, Subject, roughly, tests_of
from core.lint_view import Steps, View
from core.violations import Violation, violation


def constants(view: View) -> Iterator[Violation]:
    """Parts of conditions that are never true, or always, whoever is asked."""
    for steps, root in _roots(view):
        # One test alone is never constant, so conditions without two of one subject are passed by.
        if not _repeats(root):
            continue
        judge = Judge([])
        judge.possible(root, True, {})
        judge.possible(root, False, {})
        told: set[Steps] = set()
        for place, truth, subject in judge.found:
            if place in told:
                continue
            told.add(place)
            if truth:
                message = f"it is never true: what is asked of {subject} excludes itself"
                advice = "Change one of the tests, or join them by `any`."
            else:
                message = f"it is always true: whatever {subject} is, one of the tests holds"
                advice = "Remove it, or change one of the tests."
            yield violation("constant-condition", (*steps, *place), message, advice)


def _roots(view: View) -> Iterator[tuple[Steps, Model]]:
    """Conditions and filters as wholes: those of nodes and settings, and those of histories."""
    yield from ((part.steps, part.model) for part in view.roots)
    for part in view.parts:
        if isinstance(part.model, DidTest | NeverDidTest) and part.model.where is not None:
            yield (*part.steps, "where"), part.model.where


def _repeats(root: Model) -> bool:
    seen: set[Subject] = set()
    for test in tests_of(root):
        subject = roughly(test)
        if subject in seen:
            return True
        seen.add(subject)
    return False
