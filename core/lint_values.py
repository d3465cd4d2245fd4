"""Judge the values that conditions compare with: operands that fit no comparison."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import EntryRef
from core.lint_logic import ORDERINGS, clock_of, order_of
from core.lint_view import Part, Steps, View, entry_names, operand_steps
from core.literals import NUMBER, TIMES, families_of, families_of_all, moment
from core.nodes import BranchAttribute
from core.violations import Violation, quoted, violation


def operands(view: View) -> Iterator[Violation]:
    """Comparisons with values that they can't order, or that don't fit together."""
    for part in view.tests:
        yield from _operand(part)
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, BranchAttribute):
            values = [v for listed in node.branches.values() for v in listed]
            if not families_of_all(values):
                message = "the branches mix numbers, texts or true and false"
                advice = "Write values of one type: put numbers in quotes where they are text."
                steps = ("nodes", node_id, "branches")
                yield violation("mixed-values", steps, message, advice)


def _operand(part: Part) -> Iterator[Violation]:
    steps, operator, operand = operand_steps(part), part.operator, part.operand
    if operator in ("before", "after"):
        if moment(operand) is None:
            message = f"{quoted(operand)} is no date or time of the calendar"
            advice = "Write a real date like 2026-01-31, or a time like 2026-01-31T09:00."
            yield violation("invalid-time", steps, message, advice)
    elif operator in ORDERINGS and not isinstance(operand, EntryRef):
        if not families_of(operand) & (NUMBER | TIMES):
            message = f"'{operator}' needs a number or a date, not {operand!r}"
            advice = "Write a number without quotes, or a date like 2026-01-31."
            yield violation("not-orderable", steps, message, advice)
    elif operator == "between":
        yield from _between(steps, operand)
    elif operator in ("one_of", "none_of") and not families_of_all(operand):
        message = "the list mixes numbers, texts or true and false"
        advice = "Write values of one type: put numbers in quotes where they are text."
        yield violation("mixed-values", steps, message, advice)


def _between(steps: Steps, bounds: tuple[object, object]) -> Iterator[Violation]:
    shared = families_of_all(list(bounds)) & (NUMBER | TIMES)
    if not shared:
        message = f"'between' needs two numbers or two dates, not {bounds[0]!r} and {bounds[1]!r}"
        advice = "Write numbers without quotes, or dates like 2026-01-31."
        yield violation("not-orderable", steps, message, advice)
    elif clock_of(bounds[0]) == clock_of(bounds[1]) and order_of(bounds[0]) > order_of(bounds[1]):
        message = f"{bounds[0]!r} is beyond {bounds[1]!r}, so nothing is between them"
        yield violation("between-reversed", steps, message, "Write the lower bound first.")


def entry_references(view: View) -> Iterator[Violation]:
    """Tests of the entering event where there is none, or not always."""
    others = view.other_triggers
    for part in view.tests:
        if part.entry == "own" or (part.entry == "entry" and not others):
            continue
        for steps, name in entry_names(part):
            if part.entry == "nothing" or not view.entry_events:
                message = f"no event begins the entry, so it has no {quoted(name)}"
                advice = "The test is always false: test an attribute, or use an on_event trigger."
            else:
                message = (
                    f"entries by {quoted(others[0])} begin with no event, so with no {quoted(name)}"
                )
                advice = "The test is false for them."
            yield violation("entry-without-event", steps, message, advice)
