"""Report who succeeded: A/B tests, the goal, and the layers of the funnel."""

from __future__ import annotations

from core.describe import describe, describe_target
from core.limits import WEIGHT_TOTAL
from core.nodes import ABTest
from core.report import (
    ABReport,
    BranchReport,
    Funnel,
    GoalReport,
    HoldoutReport,
    Layer,
    Successes,
)
from core.report_figures import Count, Figures, read
from core.statistics import detectable_difference

ASSUMED_TEST = (
    "Who succeeds is drawn from the responses file. A difference between branches repeats what "
    "that file assumes about them; it is no evidence that one branch is better."
)
HISTORY_TEST = (
    "Success is what people did in the recorded past, when none of these messages had reached "
    "them, and branches are assigned by chance: a difference between branches here is chance too. "
    "The table tells how many people each branch will get, how often people succeed unasked, and "
    "how small a difference a live test of this size could find."
)


def watch_places(figures: Figures) -> tuple[dict[str, int], int]:
    """The place of each A/B test's first branch in the watch counters, and that of the goal."""
    places, place = {}, 0
    for node_id, node in figures.flow.tests.items():
        places[node_id] = place
        place += len(node.branches)
    return places, place


def ab_reports(figures: Figures) -> list[ABReport]:
    """All A/B tests in document order."""
    places, _ = watch_places(figures)
    return [
        _test(figures, node_id, node, places[node_id])
        for node_id, node in figures.flow.tests.items()
    ]


def _test(figures: Figures, node_id: str, node: ABTest, place: int) -> ABReport:
    opened = node_id in figures.assumed.entered
    assumed = node_id in figures.assumed.tests
    counts = [_rate_counts(place + k) for k, _ in enumerate(node.branches)]
    branches = [
        BranchReport(
            port=port,
            weight=weight / WEIGHT_TOTAL,
            successes=successes(figures, place + k, opened, assumed),
            difference=figures.difference(counts[0], counts[k], assumed) if k else None,
        )
        for k, (port, weight) in enumerate(node.branches.items())
    ]
    return ABReport(
        node=node_id,
        label=node.title or describe(node),
        target=describe_target(node.target),
        branches=branches,
        detectable=_detectable(figures, counts),
        meaning=ASSUMED_TEST if node.target.event in figures.assumed.events else HISTORY_TEST,
    )


def _rate_counts(place: int) -> tuple[Count, Count]:
    """The readers of successes and of trials, matured only."""
    return read("watch_succeeded", place), read("watch_matured", place)


def _detectable(figures: Figures, counts: list[tuple[Count, Count]]) -> float | None:
    """The detectable difference of the first and the smallest other branch, at their joint rate."""
    succeeded = sum(figures.mean(s) for s, _ in counts)
    sizes = [figures.mean(n) for _, n in counts]
    if min(sizes) == 0 or not 0 < succeeded < sum(sizes):
        return None
    return detectable_difference(succeeded / sum(sizes), sizes[0], min(sizes[1:]))


def goal_report(figures: Figures) -> GoalReport | None:
    """Conversions of the goal; None where the flow has none."""
    goal = figures.flow.settings.goal
    if goal is None:
        return None
    _, place = watch_places(figures)
    found = successes(figures, place, figures.assumed.entries, figures.assumed.goal)
    holdout = None
    if figures.flow.settings.holdout is not None:
        kept_out = successes(figures, place + 1, figures.assumed.entries, figures.assumed.entries)
        counts = _rate_counts(place + 1), _rate_counts(place)
        difference = figures.difference(*counts, figures.assumed.goal)
        holdout = HoldoutReport(successes=kept_out, difference=difference)
    return GoalReport(target=describe_target(goal), successes=found, holdout=holdout)


def successes(figures: Figures, place: int, opened: bool, assumed: bool) -> Successes:
    """What the watches at `place` saw.

    `opened`: whether the number of watches is assumed; `assumed`: whether their successes are.
    """
    watched, matured = read("watch_opened", place), read("watch_matured", place)
    return Successes(
        watched=figures.figure(watched, opened, "watched"),
        matured=figures.figure(matured, opened, "matured"),
        immature=figures.figure(lambda c: watched(c) - matured(c), opened, "immature"),
        succeeded=figures.figure(read("watch_succeeded", place), assumed, "succeeded"),
        succeeded_ever=figures.figure(
            read("watch_succeeded_ever", place), assumed, "succeeded_ever"
        ),
        modelled=figures.figure(read("watch_modelled", place), assumed, "watch_modelled"),
        rate=figures.rate(read("watch_succeeded", place), matured, assumed),
    )


def funnel_report(figures: Figures) -> Funnel | None:
    """The funnel's layers; None where the flow defines none.

    A081, "reached the standard": people of the last layer / people who entered.
    """
    entries = figures.assumed.entries
    layers: list[Layer] = []
    before: tuple[Count, bool] = (lambda c: c.people, entries)
    for k, layer in enumerate(figures.flow.settings.funnel):
        people = read("layer_people", k)
        assumed = not figures.assumed.entered.isdisjoint(layer.nodes)
        layers.append(
            Layer(
                name=layer.name,
                nodes=layer.nodes,
                people=figures.figure(people, assumed, f"people of layer {layer.name!r}"),
                of_entered=figures.ratio(
                    people, lambda c: c.people, assumed or entries, f"share of {layer.name!r}"
                ),
                of_previous=figures.ratio(
                    people, before[0], assumed or before[1], f"step to {layer.name!r}"
                ),
            )
        )
        before = (people, assumed)
    return Funnel(layers=layers, standard=layers[-1].of_entered) if layers else None
