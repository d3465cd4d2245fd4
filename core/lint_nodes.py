"""Judge settings of nodes and of the flow: weights, branches, zones, times, names of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from core import limits
from core.lint_view import Known, Steps, View, operand_steps
from core.literals import identity, moment
from core.nodes import (
    BEST,
    DAY_MS,
    ABTest,
    BranchAttribute,
    BranchTag,
    OnSchedule,
    Split,
    TakeCoupon,
    WaitDate,
    WaitSlot,
    WaitUntil,
)
from core.patterns import PatternError, pattern_of
from core.violations import Violation, listed, quoted, violation
from core.zones import local_to_utc, transitions, zone_names

_RESERVED = ("other", "timeout")
_EPOCH = datetime(1970, 1, 1)
_TIME_ADVICE = "Write a real date like 2026-01-31, or a time like 2026-01-31T09:00."


def weights(view: View) -> Iterator[Violation]:
    """Weights that don't total 100 %, and branches that nobody gets."""
    for node_id, node in view.flow.nodes.items():
        if not isinstance(node, Split | ABTest):
            continue
        steps: Steps = ("nodes", node_id, "branches")
        total = sum(node.branches.values())
        if total != limits.WEIGHT_TOTAL:
            off = (limits.WEIGHT_TOTAL - total) / 100
            advice = f"{'Add' if off > 0 else 'Take away'} {abs(off):g}% somewhere."
            message = f"the weights total {total / 100:g}%, not 100%"
            yield violation("weights-total", steps, message, advice)
        for branch, weight in node.branches.items():
            if weight == 0:
                message = f"branch {quoted(branch)} has no weight, so nobody takes it"
                yield violation("weightless-branch", (*steps, branch), message, "Give it a weight.")


def reserved_branches(view: View) -> Iterator[Violation]:
    """Branches with the name of a port that means something else."""
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, BranchAttribute | BranchTag):
            for branch in node.branches:
                if branch in _RESERVED:
                    message = f"a branch can't have the name {quoted(branch)}"
                    advice = "Rename it: `other` is there anyway, for those whom no branch fits."
                    steps = ("nodes", node_id, "branches", branch)
                    yield violation("reserved-branch", steps, message, advice)


def endings_of_tests(view: View) -> Iterator[Violation]:
    """A/B tests that end in favour of a branch that isn't there, or could be meant in two ways."""
    for node_id, node in view.flow.tests.items():
        if node.until is None:
            continue
        if BEST in node.branches:
            message = f"a branch of a test that ends can't have the name {quoted(BEST)}"
            steps: Steps = ("nodes", node_id, "branches", BEST)
            yield violation("reserved-branch", steps, message, "Rename it.")
        elif node.until.then not in {BEST, *node.branches}:
            message = f"there is no branch {quoted(node.until.then)}"
            advice = f"Write `{BEST}` or one of {listed(node.branches)}."
            steps = ("nodes", node_id, "until", "then")
            yield violation("unknown-branch", steps, message, advice)


def coupons(view: View) -> Iterator[Violation]:
    """Pools of coupons without a number, and those that nobody takes from."""
    stated = view.flow.settings.coupons
    taken = set()
    known = Known(stated)
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, TakeCoupon):
            taken.add(node.pool)
            if node.pool not in stated:
                message = f"there is no pool {quoted(node.pool)} in the settings"
                otherwise = f"State how many there are: `coupons: {{{node.pool}: 100}}`."
                advice = view.close_to(node.pool, known, otherwise)
                yield violation("unknown-pool", ("nodes", node_id, "pool"), message, advice)
    for pool in stated:
        if pool not in taken:
            message = f"nobody takes coupons of {quoted(pool)}"
            advice = "Add a node of type take_coupon, or remove the pool."
            yield violation("unused-pool", ("settings", "coupons", pool), message, advice)


def repeated_values(view: View) -> Iterator[Violation]:
    """A value or tag in two branches, of which only the first is taken, or twice in one."""
    for node_id, node in view.flow.nodes.items():
        if not isinstance(node, BranchAttribute | BranchTag):
            continue
        first: dict[object, str] = {}
        for branch, values in node.branches.items():
            for place, value in enumerate(values):
                if (held := first.get(identity(value))) is None:
                    first[identity(value)] = branch
                    continue
                steps: Steps = ("nodes", node_id, "branches", branch)
                steps = (*steps, place) if len(values) > 1 else steps
                if held != branch:
                    message = f"{value!r} is in branch {quoted(held)} already, which comes first"
                    code, advice = "value-in-two-branches", "Keep it in one branch."
                else:
                    message = f"{value!r} is twice in branch {quoted(branch)}"
                    code, advice = "repeated-value", "Remove one of the two."
                yield violation(code, steps, message, advice)


def zone(view: View) -> Iterator[Violation]:
    """A time zone that doesn't exist."""
    name = view.flow.settings.zone
    if name is not None and name not in zone_names():
        low = name.lower().replace(" ", "_")
        cities = {z.lower().rpartition("/")[2]: z for z in sorted(zone_names())}
        known = Known(sorted(zone_names()))
        advice = view.close_to(name, known, "Write one like Europe/Berlin.")
        if low in cities:
            advice = f"Did you mean {quoted(cities[low])}?"
        message = f"there is no time zone {quoted(name)}"
        yield violation("invalid-zone", ("settings", "zone"), message, advice)


def times(view: View) -> Iterator[Violation]:
    """Dates and times that the calendar doesn't have, and times of day beyond 24:00."""
    settings = view.flow.settings
    stated: list[tuple[Steps, str | None]] = [
        (("settings", "start"), settings.start),
        (("settings", "stop"), settings.stop),
    ]
    clocks: list[tuple[Steps, int | None]] = []
    for node_id, node in view.flow.nodes.items():
        steps: Steps = ("nodes", node_id)
        match node:
            case WaitUntil(at=at):
                stated.append(((*steps, "at"), at))
            case OnSchedule(at=clock, date=date):
                stated.append(((*steps, "date"), date))
                clocks.append(((*steps, "at"), clock))
            case WaitDate(at=time_of_day):
                clocks.append(((*steps, "at"), time_of_day))
            case WaitSlot(slots=slots):
                for i, slot in enumerate(slots):
                    clocks.append(((*steps, "slots", i, "from"), slot.from_))
                    clocks.append(((*steps, "slots", i, "until"), slot.until))
    for steps, text in stated:
        if text is not None and moment(text) is None:
            message = f"{quoted(text)} is no date or time of the calendar"
            yield violation("invalid-time", steps, message, _TIME_ADVICE)
    for steps, ms in clocks:
        if ms is not None and not 0 <= ms <= DAY_MS:
            message = f"{ms:,} ms is no time of day"
            yield violation("invalid-time", steps, message, "Write a time of day like '09:00'.")


def window(view: View) -> Iterator[Violation]:
    """A window of entries that ends before it begins."""
    settings = view.flow.settings
    if settings.start is None or settings.stop is None:
        return
    start, stop = moment(settings.start), moment(settings.stop)
    if start is None or stop is None:
        return
    named = settings.zone if settings.zone in zone_names() else None
    if _utc_ms(start, named) >= _utc_ms(stop, named):
        message = f"the stop, {settings.stop}, is not after the start, {settings.start}"
        advice = "Write a later stop: entries begin from the start until before the stop."
        yield violation("window-reversed", ("settings", "stop"), message, advice)


def _utc_ms(time: datetime, zone: str | None) -> int:
    if time.tzinfo is not None:
        time = time.astimezone(UTC).replace(tzinfo=None)
        return (time - _EPOCH) // timedelta(milliseconds=1)
    return local_to_utc(transitions(zone or "UTC"), (time - _EPOCH) // timedelta(milliseconds=1))


def patterns(view: View) -> Iterator[Violation]:
    """Regular expressions that are not taken."""
    for part in view.tests:
        if part.operator != "matches":
            continue
        try:
            pattern_of(part.operand)
        except PatternError as error:
            yield violation("invalid-pattern", operand_steps(part), error.message, error.advice)


def funnel(view: View) -> Iterator[Violation]:
    """Layers of the funnel that name nodes which aren't there, or share a name."""
    names: set[str] = set()
    for i, layer in enumerate(view.flow.settings.funnel):
        steps: Steps = ("settings", "funnel", i)
        for place, node_id in enumerate(layer.nodes):
            if node_id not in view.flow.nodes:
                message = f"there is no node {quoted(node_id)}"
                advice = view.close_to(node_id, view.node_ids, "Name a node of this flow.")
                yield violation("unknown-node", (*steps, "nodes", place), message, advice)
        if layer.name in names:
            message = f"another layer is named {quoted(layer.name)} too"
            yield violation("repeated-layer", (*steps, "name"), message, "Rename one of them.")
        names.add(layer.name)


def reentry(view: View) -> Iterator[Violation]:
    """A re-entry key that some trigger can't supply, and a gap that never matters."""
    policy = view.flow.settings.reentry
    if policy.key is not None:
        for node_id in view.other_triggers:
            message = f"trigger {quoted(node_id)} is no event, so it has no {quoted(policy.key)}"
            advice = "Everybody would be refused there: remove the key, or the trigger."
            steps = ("settings", "reentry", "key")
            yield violation("key-without-event", steps, message, advice)
    if policy.gap is not None and policy.policy == "once":
        message = "there is a gap between entries, but everybody enters once only"
        advice = "Set the policy to `after_exit` or `always`, or remove the gap."
        steps = ("settings", "reentry", "gap")
        yield violation("gap-without-reentry", steps, message, advice)
