"""Notes which ports, outcomes and comparisons random cases reach, and names those never reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import random_conditions
from core import reference_conditions
from core.flow import Flow
from core.nodes import OPERATIONS
from core.outcomes import Outcome
from core.reference import Record

NAMED = ("named", "other")
PORTS = {
    "condition": ("yes", "no"),
    "branch_attribute": NAMED,
    "branch_tag": NAMED,
    "split": ("named",),
    "ab_test": ("named",),
    "wait_date": ("next", "missing"),
    "wait_event": ("event", "timeout"),
    "wait_any": ("named", "timeout"),
    "wait_condition": ("met", "timeout"),
    "send": ("next", "named"),
    "take_coupon": ("taken", "sold_out"),
    "end": (),
}
KIND_OF = {
    "bool": "bool",
    "int": "int64",
    "float": "float64",
    "str": "string",
    "Instant": "datetime",
    "Day": "date",
}


# Random cases have none: those of coupled_cases.py have.
COUPLED = ("take_coupon",)


def ports() -> set[tuple[str, str]]:
    """Every (node type, port) of random cases; the branches of one node count as `named`."""
    return {
        (name, port)
        for name in OPERATIONS
        if name not in COUPLED
        for port in PORTS.get(name, ("next",))
    }


def comparisons() -> set[tuple[str, str, bool]]:
    """Every (type, operator, result) of a comparison of a value that is there."""
    return {
        (kind, operator, result)
        for kind, operators in random_conditions.OPERATORS.items()
        for operator in operators
        for result in (True, False)
    }


@dataclass
class Reached:
    """What cases reached so far."""

    cases: int = 0
    ports: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    comparisons: Counter[tuple[str, str, bool]] = field(default_factory=Counter)

    def note(self, flow: Flow, records: list[Record]) -> None:
        """Take in the log of a case."""
        self.cases += 1
        known = {outcome.text for outcome in Outcome}
        for record in records:
            node = flow.nodes[record.node]
            if record.port in known:
                self.outcomes[record.port] += 1
            else:
                named = record.port in {
                    *getattr(node, "branches", ()),
                    *getattr(node, "events", ()),
                    *(guard.reason for guard in getattr(node, "guards", ())),
                }
                self.ports[node.type, "named" if named else record.port] += 1

    @contextmanager
    def watching_comparisons(self) -> Iterator[None]:
        """Take in every comparison that the reference makes meanwhile."""
        compare = reference_conditions.compare

        def noting(test: Any, value: Any, view: Any) -> bool:
            result = compare(test, value, view)
            if value is not None:
                kind = KIND_OF[type(value).__name__]
                self.comparisons[kind, test.operator.rstrip("_"), result] += 1
            return result

        with mock.patch.object(reference_conditions, "compare", noting):
            yield

    def share_of_comparisons(self) -> float:
        """How many of the comparisons were seen to be true, and to be false."""
        return len(comparisons() & set(self.comparisons)) / len(comparisons())

    def report(self) -> str:
        """What was reached, and what not, in a few lines."""
        lines = [f"{self.cases} cases"]
        for name, every, found in (
            ("ports", ports(), self.ports),
            ("outcomes", {outcome.text for outcome in Outcome}, self.outcomes),
            ("comparisons", comparisons(), self.comparisons),
        ):
            left = sorted(map(str, every - set(found)))
            lines.append(f"{name}: {len(every) - len(left)} of {len(every)}; never {left}")
        return "\n".join(lines)
