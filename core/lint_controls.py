"""Find limits of messages that contradict themselves or each other, or that limit nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from core.catalogue.channels import Channel
from core.controls import Blackout, Cap, Control, QuietHours, loud_shortest_ms
from core.duration import fixed_ms
from core.lint_surges import PEOPLE_MIN
from core.lint_view import Steps, View
from core.literals import moment
from core.nodes import Send
from core.violations import Violation, quoted, violation


def controls(view: View) -> Iterator[Violation]:
    """What is wrong with caps, quiet hours, blackouts and budgets."""
    settings = view.flow.settings
    if not settings.controls:
        return
    nodes = view.core.flow.nodes.values()
    sends = [(node.channel, node.template) for node in nodes if isinstance(node, Send)]
    listed: dict[str, list[Control]] = {
        "caps": [*settings.caps],
        "quiet_hours": [*settings.quiet_hours],
        "blackouts": [*settings.blackouts],
        "budget": [*settings.budget],
    }
    for kind, each in ((kind, each) for kind, found in listed.items() for each in enumerate(found)):
        if not any(each[1].fits(*send) for send in sends):
            message = "no message of the flow is on its channels, or all are excepted"
            advice = "Name a channel on which the flow sends, or remove it."
            yield violation("idle-control", ("settings", kind, each[0]), message, advice)
    yield from _caps(settings.caps)
    yield from _quiet(settings.quiet_hours, sends)
    if view.customers is None or view.customers >= PEOPLE_MIN:
        yield from _bursts(settings.quiet_hours, sends)
    for number, blackout in enumerate(settings.blackouts):
        yield from _blackout(("settings", "blackouts", number), blackout)
    for number, budget in enumerate(settings.budget):
        if budget.messages == 0:
            advice = "State a greater number, or an amount of at least the cost."
            steps: Steps = ("settings", "budget", number)
            yield violation("empty-budget", steps, "nothing is ever sent with it", advice)


def _caps(caps: list[Cap]) -> Iterator[Violation]:
    """Caps that can't bite before another does."""
    for number, cap in enumerate(caps):
        for place, other in enumerate(caps):
            tighter = other.at_most <= cap.at_most and other.lasts_as_long_as(cap)
            equal = other.at_most == cap.at_most and cap.lasts_as_long_as(other)
            covers = _covers(other, cap) and not (_covers(cap, other) and equal and place > number)
            if place != number and tighter and covers:
                message = f"{cap.describe()} is no limit beside {other.describe()}"
                yield violation(
                    "idle-cap", ("settings", "caps", number), message, "Remove one of the two."
                )
                break


def _covers(wide: Control, narrow: Control) -> bool:
    """Whether one counts and limits every message that the other does, and counts no fewer."""
    channels = not wide.channels or (
        bool(narrow.channels) and set(narrow.channels) <= set(wide.channels)
    )
    return channels and set(wide.except_) <= set(narrow.except_)


def _quiet(hours: list[QuietHours], sends: list[tuple[Channel, str]]) -> Iterator[Violation]:
    """Quiet hours that leave messages no time, or too little for their spread."""
    told: set[int] = set()
    for channel, template in dict.fromkeys(sends):
        fitting = [n for n, each in enumerate(hours) if each.fits(channel, template)]
        if not fitting:
            continue
        last = fitting[-1]
        if loud_shortest_ms([hours[n] for n in fitting]) == 0 and last not in told:
            told.add(last)
            message = f"no hour of the week is left for {quoted(template)}"
            yield violation(
                "always-quiet", ("settings", "quiet_hours", last), message, "Shorten them."
            )
            continue
        shortest_ms = loud_shortest_ms([hours[n] for n in fitting if hours[n].then == "wait"])
        for n in fitting:
            spread = hours[n].spread
            # Half of it, so that clocks that change on that day don't push anybody over the end.
            if spread is not None and 2 * fixed_ms(spread) > shortest_ms and n not in told:
                told.add(n)
                message = f"the time between quiet hours is {shortest_ms // 60_000:,} minutes"
                advice = "Spread their end over half of that at most."
                steps: Steps = ("settings", "quiet_hours", n, "spread")
                yield violation("spread-too-long", steps, message, advice)


def _bursts(hours: list[QuietHours], sends: list[tuple[Channel, str]]) -> Iterator[Violation]:
    """Quiet hours after which all who waited are sent to at once."""
    for n, each in enumerate(hours):
        fitting = [send for send in sends if each.fits(*send)] if each.then == "wait" else []
        others = [other for other in hours if other.spread is not None]
        if any(not any(other.fits(*send) for other in others) for send in fitting):
            message = "when they are over, everybody who waited is sent a message at one instant"
            advice = "Add a `spread`, such as 1 hour."
            yield violation("surge", ("settings", "quiet_hours", n), message, advice)


def _blackout(steps: Steps, blackout: Blackout) -> Iterator[Violation]:
    """A blackout whose dates the calendar doesn't have, or in the wrong order."""
    ends: list[datetime] = []
    for name, text in (("from", blackout.from_), ("until", blackout.until)):
        time = moment(text)
        if time is None:
            message = f"{quoted(text)} is no date or time of the calendar"
            yield violation("invalid-time", (*steps, name), message, "Write one like 2026-12-24.")
        else:
            ends.append(time if time.tzinfo else time.replace(tzinfo=UTC))
    if len(ends) == 2 and ends[0] >= ends[1]:
        message = f"{blackout.until} is not after {blackout.from_}"
        advice = "Write a later `until`: it is the first moment at which sending is allowed again."
        yield violation("blackout-reversed", (*steps, "until"), message, advice)
