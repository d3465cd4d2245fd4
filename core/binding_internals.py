"""Bind what a program makes happen by itself, waits for in groups, exits and the holdout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.binding_columns import Columns
from core.graph import components
from core.internal_events import CHANGE_KINDS, met_event
from core.nodes import NodeBase, WaitAny, WaitCondition, WaitEvent
from core.options import RunOptions
from core.philox import holdout_key
from core.program import EVENT_WAITED, INTERNAL, LISTEN, Program

FIRES = len(CHANGE_KINDS) + 1
"""Numbers a column has in `column_fires`: an internal event by kind of change, and `zero`."""
ZERO_KINDS = ("bool", "int64", "float64")


@dataclass(slots=True)
class BoundInternals:
    """Internal events and what else asks for events.

    `events` (INTERNAL). `column_fires` int32[columns, FIRES]: the internal event of each kind of
    change, -1 for none, then 1 where no value counts as 0. `column_watched` uint8[columns].
    `listens` and `exits` (LISTEN). `guards` int32[]: first tests. `listeners` int32[events]: the
    list in which those that wait for an event are, -1 where nobody does; events that one wait is
    for share it. `lists` in all. `holdout_points` of 10,000 customers are kept out, drawn by
    `holdout_key`.
    """

    events: NDArray[np.void]
    column_fires: NDArray[np.int32]
    column_watched: NDArray[np.uint8]
    listens: NDArray[np.void]
    exits: NDArray[np.void]
    guards: NDArray[np.int32]
    listeners: NDArray[np.int32]
    lists: int
    holdout_points: int
    holdout_key: int


def bind_internals(
    program: Program, columns: Columns, options: RunOptions, events: NDArray[np.void]
) -> BoundInternals:
    """Bind them; `events` (EVENT) are those of the program."""
    number = {name: i for i, name in enumerate(program.events)}
    internals = np.zeros(len(program.internals), INTERNAL)
    internals["event"] = [number[each.event] for each in program.internals]
    fires = np.full((len(program.columns), FIRES), -1, np.int32)
    for i, column in enumerate(columns.customer):
        fires[i, -1] = column.kind in ZERO_KINDS
    for (place, change), internal in program.column_fires.items():
        fires[place, CHANGE_KINDS.index(change)] = internal
    listeners, lists = _listeners(program, events, number)
    settings = program.flow.settings
    group = None if settings.holdout is None else settings.holdout.group
    return BoundInternals(
        events=internals,
        column_fires=fires,
        column_watched=np.any(fires[:, :-1] >= 0, axis=1).astype(np.uint8),
        listens=_listens(program.listens, number),
        exits=_listens(program.exits, number),
        guards=np.array(program.guards, np.int32),
        listeners=listeners,
        lists=lists,
        holdout_points=0 if settings.holdout is None else settings.holdout.share,
        holdout_key=holdout_key(options.salt, group, program.flow.draws_as),
    )


def waited_events(node_id: str, node: NodeBase) -> Iterator[str]:
    """The events that a node waits for."""
    if isinstance(node, WaitEvent):
        yield node.event
    elif isinstance(node, WaitAny):
        yield from (each.event for each in node.events.values())
    elif isinstance(node, WaitCondition):
        yield met_event(node_id)


def _listens(rows: list[tuple[str, int]], number: dict[str, int]) -> NDArray[np.void]:
    return np.array([(number[event], cond) for event, cond in rows], LISTEN)


def _listeners(
    program: Program, events: NDArray[np.void], number: dict[str, int]
) -> tuple[NDArray[np.int32], int]:
    beside: list[list[int]] = [[] for _ in events]
    for node in program.flow.nodes.values():
        if isinstance(node, WaitAny):
            together = [number[each.event] for each in node.events.values()]
            for one, other in pairwise(together):
                beside[one].append(other)
                beside[other].append(one)
    waited = (events["flags"] & EVENT_WAITED) != 0
    group = np.array(components(beside, [True] * len(events)), np.int64)
    found = np.full(len(events), -1, np.int32)
    distinct, places = np.unique(group[waited], return_inverse=True)
    found[waited] = places
    return found, len(distinct)
