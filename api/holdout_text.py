"""Say in sentences how those fared who were kept out, beside those who were let in."""

from __future__ import annotations

from core.quantity import THIN, number, percent, percents, points
from core.report import Figure, HoldoutReport


def holdout_told(holdout: HoldoutReport) -> list[str]:
    """A sentence for those kept out, and one for the difference where there is one."""
    s = holdout.successes
    told = f"Kept out for comparison: {_figure(s.succeeded)} of {_figure(s.matured)} did it anyway"
    if s.rate is not None:
        told += f", {percent(s.rate.value)} ({percents(s.rate.lo, s.rate.hi)})"
    if s.immature.value:
        told += f"; {_figure(s.immature)} more have their window still open"
    found = [f"{told}."]
    if holdout.difference is not None:
        d = holdout.difference
        around = f"{points(d.lo)} to {points(d.hi)}"
        approx = f"≈{THIN}" if d.assumed else ""
        told = f"The flow's rate is {approx}{points(d.value)} beside theirs ({around})"
        clear = d.lo > 0 or d.hi < 0
        told += "." if clear else "; the interval contains no difference at all."
        found.append(told)
    return found


def _figure(figure: Figure) -> str:
    return (f"≈{THIN}" if figure.assumed else "") + number(figure.value)
