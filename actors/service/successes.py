"""Judge the successes of a live version: of the branches of its A/B tests, and of its goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.flow import Flow
from core.statistics import newcombe, wilson


@dataclass(frozen=True, slots=True)
class Share:
    """A rate, or a difference of two, with its 95 % interval."""

    value: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Success:
    """People who were watched for success, and those of them who succeeded.

    Of a branch of the A/B test `node`, or without a node of the flow's goal: those who `entered`,
    and those held out. `succeeded` are those so far. `rate` is `matured_succeeded` / `matured`: of
    those alone whose time to succeed is over, with Wilson's interval; None while it is over for
    nobody. `difference` is the rate of a branch minus that of the test's first, of those who
    entered minus that of those held out, with Newcombe's interval; None on the other side of it,
    and while either rate is.
    """

    branch: str
    watched: int
    succeeded: int
    matured: int
    matured_succeeded: int
    node: str | None = None
    rate: Share | None = None
    difference: Share | None = None


def successes_of(flow: Flow, found: Mapping[str, Sequence[int]]) -> list[Success]:
    """In the order of the counters: branches of A/B tests as in the document, then the goal.

    `found` has a number for each watch of the flow: `watched`, `succeeded`, `matured` and
    `matured_succeeded`.
    """
    sides: list[tuple[str | None, str, int | None]] = []
    for test_id, test in flow.tests.items():
        first = len(sides)
        sides += [(test_id, port, first if k else None) for k, port in enumerate(test.branches)]
    kept_out = len(sides) + 1
    sides += [(None, "entered", kept_out), (None, "held_out", None)]
    judged = []
    for place, (node, branch, other) in enumerate(sides[: flow.watches]):
        s, n = found["matured_succeeded"][place], found["matured"][place]
        against = None
        if other is not None and other < flow.watches:
            against = found["matured_succeeded"][other], found["matured"][other]
        judged.append(
            Success(
                branch, found["watched"][place], found["succeeded"][place], n, s, node,
                Share(s / n, *wilson(s, n)) if n else None, _difference(s, n, against),
            )
        )  # fmt: skip
    return judged


def _difference(s: int, n: int, against: tuple[int, int] | None) -> Share | None:
    if against is None or not n or not against[1]:
        return None
    value, lo, hi = newcombe(s, n, *against)
    return Share(value, lo, hi)
