"""Say what a reader must know before the figures: what is missing, misspelt, cut short or unsafe.

Loudest first. A figure that is right and means nothing, because the attribute it rests on was
misspelt, is the worst thing a report can show; so such things come as errors, with the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.audience import Absence
from core.conditions import DidTest, NeverDidTest, walk
from core.counters import HOUR_MS
from core.describe import describe_scope
from core.flow import Flow
from core.internal_events import made_by_run
from core.lowering import author_of
from core.nodes import OnEvent, WaitEvent
from core.options import RunOptions
from core.quantity import day, moment, number, plural, span
from core.report import AudienceFacts, Dated, Dead, Level, Notice, Successes, Totals
from core.responses import Responses
from core.taint import Assumptions, modelled_events, rule_fits
from core.usage import GOAL, Ref, asked_by_limits, used, written
from core.violations import Violation, steps_of

LEVELS: tuple[Level, ...] = ("error", "warning", "note")
DAY_MS = 24 * HOUR_MS
LINT_MAX = 20  # lint findings shown one by one
FEW_REPLICATES = 19  # below, an interval is the range and holds less than 90 %


class Notices:
    """The notices of one report; `all()` gives them, loudest first."""

    def __init__(
        self,
        flow: Flow,
        options: RunOptions,
        audience: AudienceFacts,
        responses: Responses | None,
        assumed: Assumptions,
        replicates: int,
    ) -> None:
        self.flow = flow
        self.options = options
        self.audience = audience
        self.responses = responses
        self.assumed = assumed
        self.replicates = replicates

    def all(
        self,
        totals: Totals,
        dead: Dead,
        dated: Sequence[Dated],
        watched: Iterable[Successes],
        lint: Sequence[Violation],
        partial: bool,
    ) -> list[Notice]:
        """Every notice that the run calls for: errors, then warnings, then notes."""
        found = [
            *self._cut_short(totals, partial),
            *self._empty(totals),
            *self._absences(),
            *self._parked(totals),
            *self._unanswered(),
            *self._unused_rules(),
            *self._lint(lint),
            *self._dated(dated),
            *self._coverage(),
            *self._zones(),
            *self._immature(watched),
            *self._dead(dead),
            *self._replaced(),
            *self._replicates(),
            *self._hours(),
        ]
        return sorted(found, key=lambda notice: LEVELS.index(notice.level))

    def _cut_short(self, totals: Totals, partial: bool) -> Iterator[Notice]:
        if partial:
            yield Notice(
                level="error",
                code="partial",
                title="The run was cut short",
                text=f"All figures cover {number(totals.customers)} of the audience's "
                f"{plural(self.audience.customers, 'customer')}, and these are no random sample."
                if totals.customers < self.audience.customers
                else f"Only {plural(self.replicates, 'replicate')} came to the end; "
                "the figures rest on no more.",
                advice="Run it again to the end before you rely on a figure.",
            )

    def _empty(self, totals: Totals) -> Iterator[Notice]:
        if totals.customers and not totals.entries.value:
            window = f"{moment(self.options.from_ms)} to {moment(self.options.until_ms)}"
            fired = bool(totals.refused.value)
            yield Notice(
                level="error",
                code="nobody-entered",
                title="Nobody entered the flow",
                text="Every entry was refused by the re-entry rules."
                if fired
                else f"No trigger fired for anybody from {window}.",
                advice="Check the re-entry key."
                if fired
                else "Check the triggers' events and conditions, and whether the window lies where "
                "the audience has events.",
                nodes=list(self.flow.triggers),
            )

    def _absences(self) -> Iterator[Notice]:
        places, own = used(self.flow), written(self.flow)
        limited = asked_by_limits(self.flow.authored)
        for absence in self.audience.absent:
            ref = Ref(absence.kind, absence.name)
            if made_by_run(absence.name) or ref in limited:
                continue
            yield self._absence(absence, places.get(ref, []), ref in own)

    def _absence(self, absence: Absence, places: list[str], own: bool) -> Notice:
        kind, name = absence.kind, absence.name
        level: Level = "error"
        title = f"The audience has no {_KINDS[kind]} `{name}`"
        advice = _did_you_mean(absence)
        if kind == "event" and name in self.assumed.events:
            level = "note"
            title = f"All `{name}` events are modelled"
            text = "The recorded history holds none; those in this run come from the responses."
            advice = ""
        elif kind == "event":
            text = self._absent_event(name)
        elif own:
            level = "note"
            text = f"Only this flow sets it; before that nobody has this {_KINDS[kind]}."
            advice = ""
        elif kind in ("tag", "group"):
            # A tag that nobody carries yet may be meant; one that looks like another is not.
            level = "error" if absence.close else "warning"
            text = f"Nobody has it, so every test for this {_KINDS[kind]} failed."
        else:
            text = "It is missing for everybody, so every comparison with it failed."
        nodes = list(dict.fromkeys(author_of(p) for p in places if p in self.flow.nodes))
        if GOAL in places:
            text += " The goal needs it."
        return Notice(
            level=level, code=f"absent-{kind}", title=title, text=text, advice=advice, nodes=nodes
        )

    def _absent_event(self, name: str) -> str:
        nodes = self.flow.nodes.values()
        parts = []
        if any(isinstance(n, OnEvent) and n.event == name for n in nodes):
            parts.append("its trigger never fired")
        if any(isinstance(n, WaitEvent) and n.event == name for n in nodes):
            parts.append("everybody who waited for it waited in vain")
        text = " and ".join(parts) or "whoever asks for it learns that it never happened"
        return f"No such event is recorded, so {text}."

    def _parked(self, totals: Totals) -> Iterator[Notice]:
        if totals.parked.value:
            yield Notice(
                level="error",
                code="parked",
                title=f"{plural(totals.parked.value, 'journey')} stopped by an error",
                text="Their nodes are listed with the reason. They stay where they stopped.",
                advice="A number beyond 64 bits needs a smaller step; too many steps at one moment "
                "mean a loop without a wait, or one that waits for a time already past.",
            )

    def _unanswered(self) -> Iterator[Notice]:
        """Waits for an answer to a message, where nothing can answer it."""
        for node_id, node in self.flow.nodes.items():
            if isinstance(node, WaitEvent) and node.message is not None and not node.entry:
                answers = modelled_events(self.flow, self.responses, node.message)
                if node.event not in answers:
                    yield Notice(
                        level="error",
                        code="no-answer",
                        title=f"Nobody can answer `{node.message}`",
                        text=f"This node waits for `{node.event}` in answer to that message. It "
                        "was never really sent, so only a response model can answer it, and "
                        + ("none was given." if self.responses is None else "it has no such rule."),
                        advice=f"Give the run a responses file with `{node.event}`.",
                        nodes=[node_id],
                    )

    def _unused_rules(self) -> Iterator[Notice]:
        """Rules of the responses file that can fit no message: a misspelt node or template."""
        if self.responses is None:
            return
        for place, rule in enumerate(self.responses.rules, start=1):
            if not rule_fits(self.flow, rule):
                named = rule.for_.node is not None or rule.for_.template is not None
                yield Notice(
                    level="warning" if named else "note",
                    code="unused-rule",
                    title=f"Rule {place} of the responses file fits no message",
                    text=f"It is for {describe_scope(rule.for_)}, and the flow sends none such.",
                    advice="Compare it with the flow's channels, nodes and templates.",
                )

    def _lint(self, lint: Sequence[Violation]) -> Iterator[Notice]:
        shown = [v for v in sorted(lint) if v.severity != "info"]
        for violation in shown[:LINT_MAX]:
            steps = steps_of(violation.pointer)
            inside = len(steps) > 1 and steps[0] == "nodes" and steps[1] in self.flow.nodes
            yield Notice(
                level=violation.severity if violation.severity != "info" else "note",
                code=f"lint-{violation.code}",
                title=_sentence(violation.message),
                text="Found by lint, before the run.",
                advice=violation.advice,
                nodes=[steps[1]] if inside else [],
            )
        if len(shown) > LINT_MAX:
            yield Notice(
                level="warning",
                code="lint-more",
                title=f"Lint found {number(len(shown) - LINT_MAX)} more",
                text="They are in the report's JSON under `lint`.",
            )

    def _dated(self, dated: Sequence[Dated]) -> Iterator[Notice]:
        as_of = self.audience.as_of_ms
        names = {name for place in dated for name in place.attributes}
        if names:
            listed = ", ".join(f"`{name}`" for name in sorted(names))
            when = "" if as_of is None else f" They are as of {moment(as_of)}."
            yield Notice(
                level="warning",
                code="later-values",
                title="People were judged by values of a later date",
                text=f"The audience has one value each for {listed}, and the flow asked for them "
                f"at earlier moments.{when} Whoever changed in between may have gone another way.",
                advice="Import a log of attribute changes, or mark what never changes as constant.",
                nodes=[place.node for place in dated],
            )
        elif as_of is None and any(ref.kind == "attribute" for ref in used(self.flow)):
            yield Notice(
                level="note",
                code="undated-values",
                title="The audience does not say when its attributes were true",
                text="Whether the flow judged people by values of a later date could not be "
                "checked.",
                advice="State `as_of` when you import the customers.",
            )

    def _coverage(self) -> Iterator[Notice]:
        """Where the recorded events do not reach as far as the flow looks."""
        o, first, last = self.options, self.audience.first_ms, self.audience.last_ms
        if first is None or last is None:
            return
        if last < o.from_ms or first >= o.horizon_ms:
            yield Notice(
                level="error",
                code="no-events-in-window",
                title="The audience has no events in the window",
                text=f"Its events run from {moment(first)} to {moment(last)}.",
                advice="Choose a window inside them.",
            )
            return
        if o.horizon_ms - last > DAY_MS:
            yield Notice(
                level="warning",
                code="events-end-early",
                title=f"Recorded events end {span(o.horizon_ms - last)} before the horizon",
                text=f"The last is of {moment(last)}. After it nobody does anything, so nobody "
                "enters on an event, and waits for one run to their time-out.",
                advice=f"Set the horizon to {day(last)}, or import later events.",
            )
        looks, event = self._look_back()
        if event is not None and looks is not None and o.from_ms - looks < first:
            yield Notice(
                level="warning",
                code="look-back-uncovered",
                title=f"The flow looks back {span(looks)}, further than the events go",
                text=f"Recorded events begin at {moment(first)}, the window at {moment(o.from_ms)}."
                f" A `{event}` before the first of them is unknown, and counts as not done.",
                advice="Start the window later, or import earlier events.",
            )

    def _look_back(self) -> tuple[int | None, str | None]:
        """The longest look-back of a condition that has an end, ms, with its event."""
        longest: tuple[int | None, str | None] = (None, None)
        for node in self.flow.nodes.values():
            for part in walk(getattr(node, "if_", None)):
                if isinstance(part, DidTest | NeverDidTest) and part.window_ms is not None:
                    event = part.did if isinstance(part, DidTest) else part.never_did
                    if longest[0] is None or part.window_ms > longest[0]:
                        longest = (part.window_ms, event)
        return longest

    def _zones(self) -> Iterator[Notice]:
        if self.audience.invalid_zones:
            known = self.flow.settings.zone or self.options.audience_zone or "UTC"
            yield Notice(
                level="warning",
                code="invalid-zones",
                title=f"{plural(self.audience.invalid_zones, 'customer')} without a valid zone",
                text=f"Their time zone is no IANA name; their days and hours follow {known}.",
                advice="Correct the zones in the import, such as Europe/Berlin.",
            )

    def _immature(self, watched: Iterable[Successes]) -> Iterator[Notice]:
        every = list(watched)
        if any(w.watched.value and not w.matured.value for w in every):
            yield Notice(
                level="warning",
                code="nobody-matured",
                title="Some success windows are all still open",
                text="No rate is given where nobody's success window closed before the horizon.",
                advice="Set the horizon later by at least the success window.",
            )
        elif any(w.immature.value for w in every):
            yield Notice(
                level="note",
                code="immature",
                title="Some success windows are still open at the horizon",
                text="Rates count only people whose window has closed; the others are shown apart.",
                advice="A horizon that is later by the success window lets all of them count.",
            )

    def _dead(self, dead: Dead) -> Iterator[Notice]:
        if dead.nodes or dead.ports:
            parts = []
            if dead.nodes:
                parts.append(f"{plural(len(dead.nodes), 'node')} that nobody reached")
            if dead.ports:
                parts.append(f"{plural(len(dead.ports), 'port')} that nobody took")
            verb = "is" if parts[0].startswith("1 ") else "are"
            nodes = dict.fromkeys([*dead.nodes, *(port.node for port in dead.ports)])
            yield Notice(
                level="note",
                code="dead-branches",
                title="Parts of the flow were not used",
                text=f"There {verb} {' and '.join(parts)}.",
                advice="A branch may be rare, or its condition may never hold.",
                nodes=list(nodes),
            )

    def _replaced(self) -> Iterator[Notice]:
        if self.audience.replaced:
            yield Notice(
                level="note",
                code="replaced",
                title=f"{plural(self.audience.replaced, 'recorded event')} left out",
                text="They are effects of the flow that this one replaces.",
            )
        elif self.audience.replaces is not None:
            yield Notice(
                level="warning",
                code="nothing-replaced",
                title="Nothing was left out for the flow to be replaced",
                text=f"No event that this flow reads was recorded for `{self.audience.replaces}`.",
                advice="Compare the id with what your events say of the flow that caused them.",
            )

    def _replicates(self) -> Iterator[Notice]:
        if self.assumed.events and self.replicates == 1:
            yield Notice(
                level="note",
                code="one-replicate",
                title="One roll of the dice",
                text="Figures marked ≈ come from one draw of the responses; how far chance alone "
                "moves them is not shown.",
                advice="Run 20 or more replicates for 90 % intervals.",
            )
        elif self.assumed.events and self.replicates < FEW_REPLICATES:
            held = (self.replicates - 1) / (self.replicates + 1)
            yield Notice(
                level="note",
                code="few-replicates",
                title=f"Intervals rest on {plural(self.replicates, 'replicate')}",
                text=f"They are the whole range, which holds {held:.0%} of further replicates "
                "rather than 90 %.",
                advice="Run 20 or more replicates.",
            )

    def _hours(self) -> Iterator[Notice]:
        if self.options.from_ms % HOUR_MS:
            yield Notice(
                level="note",
                code="odd-hours",
                title="Hours do not begin on the hour",
                text=f"The window begins at {moment(self.options.from_ms)}; each hour counts for "
                "the clock hour and the day in which it begins.",
            )


_KINDS = {
    "attribute": "attribute",
    "tag": "tag",
    "group": "group",
    "event": "event type",
    "property": "event property",
}


def _did_you_mean(absence: Absence) -> str:
    if absence.close:
        return f"Did you mean {' or '.join(f'`{name}`' for name in absence.close)}?"
    return "Correct the name in the flow, or import it with the audience."


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]
