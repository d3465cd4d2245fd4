"""Name what a decision can be besides a port: an end, a parking or a refusal.

In the decision log a port is its number (0 and up), an outcome its negative code. Both
interpreters, the counters and the report read this table.
"""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The code of an outcome; `name.lower()` is its text in logs and reports."""

    END = -1
    NO_BRANCH = -2
    NO_DATE = -3
    WHOLE_FLOW = -4
    PARKED_BUDGET = -5
    PARKED_OVERFLOW = -6
    REFUSED_NO_KEY = -7
    REFUSED_ONCE = -8
    REFUSED_INSIDE = -9
    REFUSED_GAP = -10
    EXIT = -11
    REFUSED_HOLDOUT = -12
    MERGED = -13

    @property
    def text(self) -> str:
        """The outcome's name in logs and reports, such as `no_branch`."""
        return self.name.lower()

    @property
    def column(self) -> int:
        """Its column in `Counters.outcome`."""
        return -1 - self


class CoupledOutcome(IntEnum):
    """The code of an outcome that there is only where customers depend on each other.

    They have counters of their own, not columns of `Counters.outcome`.
    """

    REFUSED_CAP = -14
    REFUSED_LATE = -15

    @property
    def text(self) -> str:
        """The outcome's name in logs and reports, such as `refused_cap`."""
        return self.name.lower()


def outcome_text(code: int) -> str:
    """The name of an outcome of either kind in logs and reports. ValueError for no such code."""
    if code in list(CoupledOutcome):
        return CoupledOutcome(code).text
    return Outcome(code).text


TAKEN_OUT = (Outcome.WHOLE_FLOW, Outcome.EXIT, Outcome.MERGED)
"""Ends of tokens that stood somewhere, for a reason elsewhere."""
ENDS = (Outcome.END, Outcome.NO_BRANCH, Outcome.NO_DATE, *TAKEN_OUT)
PARKS = (Outcome.PARKED_BUDGET, Outcome.PARKED_OVERFLOW)
REFUSALS = (
    Outcome.REFUSED_NO_KEY,
    Outcome.REFUSED_ONCE,
    Outcome.REFUSED_INSIDE,
    Outcome.REFUSED_GAP,
    Outcome.REFUSED_HOLDOUT,
)
OUTCOMES = len(Outcome)
LOGGED = OUTCOMES + len(CoupledOutcome)
