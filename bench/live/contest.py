"""Run the live contenders side by side, once their counts and effects are found to be equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.contest import CountsDifferError
from bench.figures import spread_of
from bench.live.contender import SENDS, LiveContender, NotHereError, Outcome
from bench.live.load import Load, make_load
from bench.rivals.columns import NODES

NAMED = "Python over LMDB"
SQLITE, POSTGRES = "SQL on SQLite", "SQL on PostgreSQL"
BYTEWAX, DBOS = "Bytewax", "DBOS"
TRIAL_ENTRIES, TRIAL_BATCH = 2_000, 100


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender by name: the class in `module`, and how many customers it takes at most.

    `entries_max` keeps a slow one's run short; all are compared by entries a second. `batch_max`
    overrides the contest's where the contender has batches of its own.
    """

    name: str
    module: str
    kind: str
    entries_max: int | None = None
    batch_max: int | None = None

    def load(self) -> Callable[[], LiveContender]:
        """The class, imported only now; NotHereError where what it needs is not installed."""
        try:
            found: Callable[[], LiveContender] = getattr(import_module(self.module), self.kind)
        except ModuleNotFoundError as error:
            raise NotHereError(f"the package {error.name} is not installed") from error
        return found


OURS, OURS_INLINE = "Headrace on Ray", "Headrace, one process"
RIVALS = (
    Entrant(OURS, "bench.live.headrace", "Headrace", batch_max=10_000),
    Entrant(OURS_INLINE, "bench.live.headrace", "HeadraceInline"),
    Entrant(NAMED, "bench.rivals_live.lmdb_python", "LmdbPython"),
    Entrant(SQLITE, "bench.rivals_live.sqlite_sets", "SqliteSets"),
    Entrant(POSTGRES, "bench.rivals_live.postgres_sets", "PostgresSets"),
    Entrant(BYTEWAX, "bench.rivals_live.bytewax_flow", "BytewaxFlow"),
    Entrant(DBOS, "bench.rivals_live.dbos_workflows", "DbosWorkflows", 200, 50),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one contender: its runs, or why there are none (`skipped`)."""

    entrant: Entrant
    entries: int
    batch_max: int
    outcomes: tuple[Outcome, ...] = ()
    skipped: str | None = None

    @property
    def rate(self) -> float:
        """The median of its runs, entries a second; 0 where it was skipped."""
        if not self.outcomes:
            return 0.0
        return self.entries / float(np.median([outcome.seconds for outcome in self.outcomes]))

    @property
    def spread(self) -> float:
        """See `bench.figures.spread_of`; 0 where it was skipped."""
        return spread_of([o.seconds for o in self.outcomes]) if self.outcomes else 0.0

    @property
    def stages(self) -> dict[str, float]:
        """Microseconds an entry by stage, the medians of its runs."""
        names = list(dict.fromkeys(name for outcome in self.outcomes for name in outcome.stages))
        return {
            name: float(np.median([o.stages.get(name, 0.0) for o in self.outcomes]))
            / self.entries
            * 1e6
            for name in names
        }


def run_once(kind: Callable[[], LiveContender], load: Load) -> Outcome:
    """Run a contender in a new folder, hold its counts and effects against the dry run's.

    CountsDifferError where they differ.
    """
    contender = kind()
    with TemporaryDirectory(prefix="headrace-bench-") as folder:
        try:
            contender.prepare(Path(folder), load)
            outcome = contender.run()
        finally:
            contender.close()
    hold_equal(outcome, load)
    return outcome


def hold_equal(outcome: Outcome, load: Load) -> None:
    """Compare counts with a dry run, and effects with the counts of the nodes that send."""
    said = [
        f"{node} {theirs:,} instead of {wanted:,}"
        for node, theirs, wanted in zip(NODES, outcome.counts, load.expected, strict=True)
        if theirs != wanted
    ]
    said += [
        f"{theirs:,} effects of {NODES[node]} instead of {load.expected[node]:,}"
        for node, theirs in zip(SENDS, outcome.effects, strict=True)
        if theirs != load.expected[node]
    ]
    if outcome.entries != load.entries:
        said.append(f"{outcome.entries:,} entries instead of {load.entries:,}")
    if said:
        raise CountsDifferError(", ".join(said))


def contest(
    entrants: Sequence[Entrant],
    entries: int,
    batch_max: int,
    runs: int,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Standing]:
    """Run all in turn, `runs` rounds; nothing is timed before all agree on a small load.

    CountsDifferError names the contender that counts otherwise, in the trial or in a run.
    """
    sizes = {e.name: (min(entries, e.entries_max or entries), e.batch_max or batch_max)
             for e in entrants}  # fmt: skip
    kinds, skipped = _trial(entrants, entries, tell)
    loads: dict[tuple[int, int], Load] = {}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in kinds}
    for round_number in range(1, runs + 1):
        for name, kind in kinds.items():
            tell(f"round {round_number} of {runs}: {name}")
            size = sizes[name]
            load = loads.setdefault(size, make_load(*size))
            with _named(name):
                outcomes[name].append(run_once(kind, load))
    return [
        Standing(e, *sizes[e.name], tuple(outcomes.get(e.name, ())), skipped.get(e.name))
        for e in entrants
    ]


def _trial(
    entrants: Sequence[Entrant], entries: int, tell: Callable[[str], None]
) -> tuple[Mapping[str, Callable[[], LiveContender]], Mapping[str, str]]:
    """Run each once on a small load; the classes of those that can run, why the others can't."""
    kinds: dict[str, Callable[[], LiveContender]] = {}
    skipped: dict[str, str] = {}
    for entrant in entrants:
        few = min(entries, entrant.entries_max or entries, TRIAL_ENTRIES)
        tell(f"trial: {entrant.name}")
        try:
            kind = entrant.load()
            with _named(entrant.name):
                run_once(kind, make_load(few, min(TRIAL_BATCH, entrant.batch_max or TRIAL_BATCH)))
        except NotHereError as error:
            skipped[entrant.name] = str(error)
        else:
            kinds[entrant.name] = kind
    return kinds, skipped


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say whose counts differ."""
    try:
        yield
    except CountsDifferError as error:
        raise CountsDifferError(f"{name} counts otherwise than the dry run: {error}") from None
