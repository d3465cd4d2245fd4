"""Enrich an audience: compute attributes and events from its own history, and write it anew.

Each computed attribute comes with a log of its changes, so a dry run on the past sees at each
moment what was known then, and not what the history looks like from its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from actors.audience import load_audience, read_schema
from actors.audience_writer import Progress, new_folder
from actors.enrichment_folder import Derived, NewEvents, write_enriched
from actors.product_log import read_product_log
from core.audience import Audience, AudienceSchema, Column, Needs
from core.behaviour import behaviour_of
from core.calibration import Calibration
from core.duration import fixed_ms
from core.enrichment_rules import EnrichmentRules, PredictionRules
from core.errors import HeadraceError
from core.geo import ENTERED, EXITED, crossings, positions_of
from core.instants import instant_ms
from core.merchandise import EVENT as PRODUCT_CHANGED
from core.merchandise import concerned
from core.rfm import ATTRIBUTE as RFM
from core.rfm import purchases_of, schedule_ms, statuses_over_time

if TYPE_CHECKING:
    from actors.prediction import Scorer

Question = Literal["churn", "purchase"]
MakeScorer = Callable[[Question, PredictionRules, int], "Scorer"]
ATTRIBUTES = {"rfm": RFM, "churn": "churn", "purchase": "purchase_score"}
EVENTS = {"geo": (ENTERED, EXITED), "merchandise": (PRODUCT_CHANGED,)}
PARTS = (*ATTRIBUTES, *EVENTS)
"""What can be asked for."""

PREDICTIONS_MAX = 1_000  # times at which a model is fitted

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction that was made: the question, the rules, when the last one was, and how good.

    `method` is the calibration, `times` how often it was predicted, `scored` how many customers
    have a score at the end.
    """

    question: Question
    rules: PredictionRules
    as_of_ms: int
    method: str
    times: int
    scored: int
    calibration: Calibration


@dataclass(slots=True)
class Enriched:
    """What an enrichment made: lines that tell it, predictions, and the folder's schema."""

    told: list[str] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    schema: AudienceSchema = field(default_factory=AudienceSchema)


def _history_scorer(question: Question, rules: PredictionRules, seed: int) -> Scorer:
    from actors.prediction import HistoryScorer  # what it needs takes a second to import

    return HistoryScorer(question, rules, seed=seed)


class _Work:
    """An audience to enrich, and what has been computed for it so far."""

    def __init__(
        self,
        source: Path,
        rules: EnrichmentRules,
        base: Path,
        seed: int,
        scorer: MakeScorer,
        progress: Progress,
    ) -> None:
        self.source, self.rules, self.base = source, rules, base
        self.seed, self.scorer, self.progress = seed, scorer, progress
        self.schema = read_schema(source)
        self.derived: list[Derived] = []
        self.events: list[NewEvents] = []
        self.done = Enriched()
        span = self.schema.time
        if span.first_ms is None or span.last_ms is None:
            raise HeadraceError(
                "the audience has no events", advice="Import its history", file=str(source)
            )
        self.first_ms, self.last_ms = span.first_ms, span.last_ms
        as_of = span.last_ms if self.schema.as_of is None else instant_ms(self.schema.as_of)
        self.as_of_ms = as_of

    def load(self, events: set[str], properties: set[str]) -> Audience:
        """The audience with these events and properties, and no attributes."""
        needs = Needs(set(), set(), set(), events & set(self.schema.events), properties)
        return load_audience(self.source, needs, progress=self.progress)

    def event_of(self, name: str, section: str) -> str:
        """The name of an event that must be there, else HeadraceError."""
        if name not in self.schema.events:
            raise HeadraceError(
                f"the audience has no event {name!r}, which '{section}' is computed from",
                advice=f"Name the event under '{section}: event' in the rules file",
                file=str(self.source),
            )
        return name

    def rfm(self) -> None:
        """The status at each scheduled time."""
        rules = self.rules.rfm
        event = self.event_of(rules.event, "rfm")
        audience = self.load({event}, {rules.amount})
        self.progress("computing rfm", 0, 1)
        until_ms = max(self.as_of_ms, self.last_ms)
        try:
            times = schedule_ms(rules, self.first_ms, until_ms)
        except ValueError as error:
            raise HeadraceError(f"rfm: {error}", advice="State a longer 'every'") from None
        found = statuses_over_time(rules, purchases_of(audience, event, rules.amount), times)
        column = found.column()
        self.derived.append(
            Derived(RFM, column, found.customer, found.ms, found.status.astype(np.int64))
        )
        self.done.told.append(
            f"rfm: {int((found.now >= 0).sum()):,} of {audience.customers:,} customers have a "
            f"status; {len(found.ms):,} changes at {len(times):,} times"
        )

    def predict(self, question: Question, rules: PredictionRules) -> None:
        """The scores now, and at earlier times where the rules ask for that."""
        event = self.event_of(rules.event, question)
        # A property that is a number in one event and text in another can't be loaded from both.
        kinds = {
            name: held.properties[rules.amount].type if rules.amount in held.properties else None
            for name, held in self.schema.events.items()
        }
        events = {n for n, kind in kinds.items() if kind in (None, "int64", "float64")} | {event}
        audience = self.load(events, {rules.amount})
        times = self._times(audience, rules)
        label = f"predicting {question}"
        self.progress(label, 0, len(times))
        scorer = self.scorer(question, rules, self.seed)
        calibration = scorer.fit(audience, times[0])
        scores = [scorer.predict(audience, times[0])]
        for place, at_ms in enumerate(times[1:], 1):
            self.progress(label, place, len(times))
            earlier = self.scorer(question, rules, self.seed)
            try:
                earlier.fit(audience, at_ms)
            except HeadraceError:
                break  # too little was known by then, and less before
            scores.append(earlier.predict(audience, at_ms))
        self.progress(label, len(times), len(times))
        name = ATTRIBUTES[question]
        self.derived.append(_scored(name, scores[::-1], times[: len(scores)][::-1]))
        made = Prediction(
            question,
            rules,
            times[0],
            scorer.method,
            len(scores),
            int((~np.isnan(scores[0])).sum()),
            calibration,
        )
        self.done.predictions.append(made)
        self.done.told.append(
            f"{name}: {made.scored:,} of {audience.customers:,} customers have a score, predicted "
            f"at {_counted(made.times, 'time')}; "
            f"Brier score {calibration.brier:.4f} ({calibration.brier_low:.4f} to "
            f"{calibration.brier_high:.4f}; {calibration.brier_base:.4f} by the base rate), "
            f"AUC {calibration.auc:.3f}"
        )

    def _times(self, audience: Audience, rules: PredictionRules) -> list[int]:
        """When to predict, falling: at the end of the history, and before it as the rules say."""
        # Where the export is younger than its last event, nobody knows what happened between.
        end_ms = min(self.as_of_ms, self.last_ms)
        if rules.every is None:
            return [end_ms]
        behaviour = behaviour_of(audience, rules.event, rules.amount)
        bought = behaviour.ms[behaviour.bought]
        earliest = (int(bought[0]) if len(bought) else end_ms) + 4 * fixed_ms(rules.horizon)
        every = fixed_ms(rules.every)
        count = max(0, (end_ms - earliest) // every) + 1
        if count > PREDICTIONS_MAX:
            raise HeadraceError(
                f"a model would be fitted {count:,} times; at most {PREDICTIONS_MAX:,} are allowed",
                advice="State a longer 'every'",
            )
        return [end_ms - every * k for k in range(count)]

    def geo(self) -> None:
        """Entrances and exits of fences."""
        rules = self.rules.geo
        if rules is None:
            raise _no_section("geo", "fences")
        event = self.event_of(rules.event, "geo")
        audience = self.load({event}, {rules.lat, rules.lon})
        self.progress("computing geo", 0, 1)
        positions, left_out = positions_of(audience, rules)
        found = crossings(rules, positions)
        names = list(rules.fences)
        for name, flag in ((ENTERED, True), (EXITED, False)):
            rows = np.flatnonzero(found.entered == flag)
            fence = [names[code] for code in found.fence[rows].tolist()]
            new = NewEvents(name, found.customer[rows], found.ms[rows])
            new.properties["fence"] = ("string", fence)
            self.events.append(new)
        entrances, exits = int(found.entered.sum()), int((~found.entered).sum())
        told = f"geo: {_counted(entrances, 'entrance')} and {_counted(exits, 'exit')} of "
        told += f"{_counted(len(names), 'fence')}, from {_counted(len(positions.ms), 'position')}"
        if left_out:
            told += f"; {_counted(left_out, 'event')} told no place on earth"
        self.done.told.append(told)

    def merchandise(self) -> None:
        """Changes of products, for everybody whom they concern."""
        rules = self.rules.merchandise
        if rules is None:
            raise _no_section("merchandise", "interest rules")
        log = read_product_log(self.base / rules.changes)
        interests = [i for rule in rules.rules.values() for i in rule.interested]
        for interest in interests:
            self.event_of(interest.event, "merchandise")
        events = {i.event for i in interests} | {i.until for i in interests if i.until}
        audience = self.load(events, {i.property for i in interests})
        self.progress("computing merchandise", 0, 1)
        found = concerned(rules.rules, log, audience)
        new = NewEvents(PRODUCT_CHANGED, found.customer, log.ms[found.after])
        names = list(rules.rules)
        after, before = found.after.tolist(), found.before.tolist()
        number, text = log.number.tolist(), log.text.tolist()
        new.properties = {
            "product": ("string", [log.products[log.product[row]] for row in after]),
            "attribute": ("string", [log.attributes[log.attribute[row]] for row in after]),
            "before": ("float64", [_number(number[row]) for row in before]),
            "after": ("float64", [_number(number[row]) for row in after]),
            "before_text": ("string", [_text(log.texts, text[row]) for row in before]),
            "after_text": ("string", [_text(log.texts, text[row]) for row in after]),
            "rule": ("string", [names[code] for code in found.rule.tolist()]),
        }
        self.events.append(new)
        self.done.told.append(
            f"merchandise: {_counted(len(found.after), 'event')}, of "
            f"{_counted(len(np.unique(found.after)), 'change')} that concern "
            f"{_counted(len(np.unique(found.customer)), 'customer')}"
        )


def enrich(
    source: Path | str,
    out_dir: Path | str,
    parts: set[str],
    rules: EnrichmentRules,
    *,
    base: Path | str = ".",
    seed: int = 0,
    scorer: MakeScorer | None = None,
    page: Callable[[Prediction], str] | None = None,
    progress: Progress | None = None,
) -> Enriched:
    """Write the audience `source` as `out_dir` with the `parts` computed, of `PARTS`.

    `base` is the folder of the rules file. `scorer` makes what predicts, of a question, its rules
    and the seed; unless stated, an `actors.prediction.HistoryScorer`. `page` makes the page that
    shows a prediction's calibration. Raises HeadraceError for an attribute or event that is there
    already, for what is missing to compute a part, and as `new_folder` does; then nothing is
    written.
    """
    told = progress or (lambda label, done, total: None)
    work = _Work(Path(source), rules, Path(base), seed, scorer or _history_scorer, told)
    _refuse_what_is_there(work.schema, parts, Path(source))
    with new_folder(Path(out_dir)) as folder:
        if "rfm" in parts:
            work.rfm()
        if "churn" in parts:
            work.predict("churn", rules.churn)
        if "purchase" in parts:
            work.predict("purchase", rules.purchase)
        if "geo" in parts:
            work.geo()
        if "merchandise" in parts:
            work.merchandise()
        work.done.schema = write_enriched(
            work.source, folder, work.schema, work.derived, work.events, progress=told
        )
        for made in work.done.predictions if page is not None else ():
            assert page is not None
            (folder / f"{made.question}.html").write_text(page(made), encoding="utf-8")
        text = json.dumps(_record(work, parts), indent=2, ensure_ascii=False)
        (folder / "enrichment.json").write_text(text + "\n", encoding="utf-8")
    return work.done


def _refuse_what_is_there(schema: AudienceSchema, parts: set[str], source: Path) -> None:
    clash = [f"attribute {ATTRIBUTES[p]!r}" for p in ATTRIBUTES if p in parts
             and ATTRIBUTES[p] in schema.attributes]  # fmt: skip
    clash += [f"event {n!r}" for p in EVENTS if p in parts for n in EVENTS[p] if n in schema.events]
    if clash:
        raise HeadraceError(
            f"the audience has the {clash[0]} already, which would be replaced",
            advice="Enrich the audience without it",
            file=str(source),
        )


def _scored(name: str, scores: list[NDArray[np.float64]], times: list[int]) -> Derived:
    """Scores at rising times as an attribute: a change wherever a score differs from the last."""
    before = np.full(len(scores[0]), np.nan)
    parts: list[tuple[Int64s, Int64s, Int64s]] = []
    for at_ms, now in zip(times, scores, strict=True):
        differs = (now != before) & ~(np.isnan(now) & np.isnan(before))
        who = np.flatnonzero(differs)
        parts.append((who, np.full(len(who), at_ms, np.int64), now[who].view(np.int64)))
        before = now
    customer, ms, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(customer, kind="stable")
    return Derived(name, Column("float64", before), customer[order], ms[order], value[order])


def _record(work: _Work, parts: set[str]) -> Mapping[str, Any]:
    """What enrichment.json says: what was computed by which rules, and how good predictions are."""
    stated = work.rules.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "headrace_enriched": 1,
        "seed": work.seed,
        "rules": {part: stated[part] for part in PARTS if part in parts},
        "predictions": {
            made.question: {
                "as_of_ms": made.as_of_ms,
                "calibration": made.method,
                "times": made.times,
                "scored": made.scored,
                **made.calibration.to_json(),
            }
            for made in work.done.predictions
        },
    }


def _no_section(section: str, what: str) -> HeadraceError:
    return HeadraceError(
        f"there are no {what}", advice=f"State them under '{section}' in a rules file, with --rules"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _text(texts: Any, code: int) -> str | None:
    return None if code < 0 else str(texts[code])
