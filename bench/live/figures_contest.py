"""Say how Headrace stands in the live contest: entries a second, alone and beside its rivals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.figures import Bar, Figure
from bench.live.contest import NAMED, OURS, OURS_INLINE, Standing

RATE = "entries/s"
RATE_BAR = Bar("ours", "at least", 280_000)
NAMED_BAR = Bar("ratio", "at least", 2.0)


def figures(standings: Sequence[Standing]) -> Iterator[Figure]:
    """Ours against the bar, and ours beside each rival that ran in the same rounds."""
    ran = {s.entrant.name: s for s in standings if s.outcomes}
    if OURS in ran:
        yield Figure("contest", OURS, RATE, ran[OURS].rate, ran[OURS].spread, bar=RATE_BAR)
    for ours in (ran[name] for name in (OURS, OURS_INLINE) if name in ran):
        for theirs in (s for name, s in ran.items() if name not in (OURS, OURS_INLINE)):
            barred = (ours.entrant.name, theirs.entrant.name) == (OURS, NAMED)
            yield Figure(
                "contest",
                ours.entrant.name,
                RATE,
                ours.rate,
                ours.spread,
                theirs.entrant.name,
                theirs.rate,
                NAMED_BAR if barred else None,
                theirs.spread,
            )
