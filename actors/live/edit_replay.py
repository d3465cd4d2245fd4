"""Tell who of those in a flow would move where if an edit were published now, changing nothing.

The command that would publish is carried out by the very code that carries it out live, on the
state that followers have, in a process that is forked for that and ends with its answer. So the
flow runs on, and what is told is what would happen, up to what comes in between.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors.live.errors import DownError, RefusedError
from actors.live.follower import Follower
from actors.live.version import LiveVersion
from core.errors import HeadraceError
from core.outcomes import outcome_text
from ext.positions import positions

CHOICES = ("pin", "drop", "reset")
REPLACED = "version_replaced"
ALIVE_S = 110  # a process that was forgotten ends by itself

NEVER_MS = np.iinfo(np.int64).max

Way = tuple[int, str, int, str, str]
"""From version and node to version and node, and why."""
Place = tuple[int, str, int | None]
"""Where somebody stands: version, node, and when he is due there, ms; None for never."""


@dataclass(frozen=True, slots=True)
class Move:
    """Where one customer stands before and after; where he ended at once in the new version.

    `ends` has version, node and outcome of each entry that ended as soon as it began.
    """

    before: Sequence[Place]
    after: Sequence[Place]
    ends: Sequence[tuple[int, str, str]]

    def ways(self) -> list[Way]:
        """From where to where, and why: version, node, version, node, reason.

        Who stays has no reason. Who leaves the flow goes to version 0, or if he began anew and
        ended at once, to where that was.
        """
        stays = {place[:2] for place in self.after} & {place[:2] for place in self.before}
        anew = [place[:2] for place in self.after if place[:2] not in stays]
        found = []
        for version, node, _ in self.before:
            if (version, node) in stays:
                found.append((version, node, version, node, ""))
                continue
            found += [(version, node, *to, REPLACED) for to in anew]
            found += [(version, node, *end) for end in self.ends]
            if not anew and not self.ends:
                found.append((version, node, 0, "", REPLACED))
        return found


def replay_edit(
    followers: Sequence[Follower], command: Mapping[str, Any], choice: str, after: str, limit: int
) -> dict[str, Any]:
    """What each choice of CHOICES would do, and a page of who would move by `choice`.

    `command` publishes the edit, apart from the choice; at most `limit` people follow the one named
    `after`, 0 for none. Raises RefusedError for what can not be published.
    """
    found = {
        each: _apart(
            followers,
            partial(
                _tried,
                followers,
                {**command, "in_flight": each},
                after,
                limit if each == choice else 0,
            ),
        )
        for each in CHOICES
    }
    items = found[choice].pop("items")
    return {
        "choices": {
            name: {"people": told["people"], "moves": told["moves"]} for name, told in found.items()
        },
        "items": items,
    }


def _tried(
    followers: Sequence[Follower], command: Mapping[str, Any], after: str, limit: int
) -> dict[str, Any]:
    """Carry a command out for all partitions, and see who moved. The state is spoilt then."""
    partition, _, number = after.partition(":")
    behind = (int(partition), int(number)) if after else (-1, -1)
    counted: Counter[Way] = Counter()
    items: list[dict[str, Any]] = []
    people = 0
    for index, follower in enumerate(followers):
        tried = _Tried.of(follower, command)
        people += len(tried.people)
        counted.update(tried.ways())
        first = 0
        if index <= behind[0]:
            first = len(tried.people) if index < behind[0] else tried.behind(behind[1])
        for place in range(first, min(first + limit - len(items), len(tried.people))):
            customer, move = int(tried.people[place]), tried.move(place)
            items.append(
                {
                    "key": f"{index}:{customer}",
                    "customer": follower.id_of(customer),
                    "before": move.before,
                    "after": move.after,
                    "ends": move.ends,
                }
            )
    moves_told = [[*way, n] for way, n in sorted(counted.items())]
    return {"people": people, "moves": moves_told, "items": items}


class _Standing:
    """Where people stand in all versions of a flow, by customer."""

    def __init__(self, versions: Sequence[LiveVersion]) -> None:
        self._nodes = [(v.number, node) for v in versions for node in v.program.node_ids]
        first = np.cumsum([0, *(len(v.program.node_ids) for v in versions)])
        found = [positions(v.machine) for v in versions]
        customer = np.concatenate([np.empty(0, np.int32), *(each[0] for each in found)])
        order = np.argsort(customer, kind="stable")
        self.customer = customer[order]
        at = [each[1] + begin for each, begin in zip(found, first, strict=False)]
        self.node = np.concatenate([np.empty(0, np.int64), *at])[order]
        self.due_ms = np.concatenate([np.empty(0, np.int64), *(each[2] for each in found)])[order]

    def bounds(self, people: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Between which of the places each one's are."""
        left = np.searchsorted(self.customer, people, "left")
        return left, np.searchsorted(self.customer, people, "right")

    def name(self, node: int) -> tuple[int, str]:
        """Version and node."""
        return self._nodes[node]

    def places(self, start: int, end: int) -> list[Place]:
        """What is between two bounds."""
        dues = self.due_ms[start:end].tolist()
        return [
            (*self.name(node), None if due == NEVER_MS else due)
            for node, due in zip(self.node[start:end].tolist(), dues, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Tried:
    """Who was inside a flow before a command was carried out, ascending, and what became of him."""

    people: NDArray[np.int32]
    before: _Standing
    after: _Standing
    ends: Mapping[int, Sequence[tuple[int, str, str]]]

    @classmethod
    def of(cls, follower: Follower, command: Mapping[str, Any]) -> Self:
        flow = command["flow"]
        before = _Standing([v for v in follower.running(flow) if not v.dropped])
        follower.try_out(command)
        ends: dict[int, list[tuple[int, str, str]]] = {}
        for version in follower.running(flow):
            if version.number == command["version"]:
                lines = version.machine.take_log()
                over = lines[lines["port"] < 0]
                for customer, node, port in zip(
                    *(over[name].tolist() for name in ("customer", "node", "port")), strict=True
                ):
                    end = (version.number, version.program.node_ids[node], outcome_text(port))
                    ends.setdefault(customer, []).append(end)
        after = _Standing(follower.running(flow))
        return cls(np.unique(before.customer), before, after, ends)

    def behind(self, customer: int) -> int:
        """How many of the people are up to a customer."""
        return int(np.searchsorted(self.people, customer, "right"))

    def move(self, place: int) -> Move:
        """Of one of the people."""
        who = self.people[place : place + 1]
        before, after = (
            standing.places(*(int(bound[0]) for bound in standing.bounds(who)))
            for standing in (self.before, self.after)
        )
        return Move(before, after, self.ends.get(int(who[0]), []))

    def ways(self) -> Counter[Way]:
        """How many of them go which way; most have one place before and one or none after."""
        found: Counter[Way] = Counter()
        start, end = self.before.bounds(self.people)
        start_after, end_after = self.after.bounds(self.people)
        ended = np.isin(self.people, np.fromiter(self.ends, np.int64, len(self.ends)))
        simple = (end - start == 1) & (end_after - start_after <= 1) & ~ended
        stays = simple & (end_after > start_after)
        nobody = np.full(len(self.people), -1)
        nobody[stays] = self.after.node[start_after[stays]]
        pairs = np.stack([self.before.node[start[simple]], nobody[simple]], 1)
        for (was, now), n in zip(
            *(x.tolist() for x in np.unique(pairs, axis=0, return_counts=True)), strict=True
        ):
            places = [(*self.after.name(now), None)] if now >= 0 else []
            for way in Move([(*self.before.name(was), None)], places, []).ways():
                found[way] += n
        for place in np.flatnonzero(~simple).tolist():
            found.update(set(self.move(place).ways()))
        return found


def _apart(followers: Sequence[Follower], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` finds in a process of its own, which leaves everything here as it was."""
    reading, writing = os.pipe()
    for follower in followers:
        follower.store.close()  # a process cannot use what its parent has open
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(ALIVE_S)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(msgpack.packb(_answered(followers, work)))
        finally:
            os._exit(0)
    os.close(writing)
    for follower in followers:
        follower.reopen()
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise DownError("the edit could not be replayed", advice="Ask again in a moment")
    found: dict[str, Any] = msgpack.unpackb(data)
    if "error" in found:
        raise RefusedError(found["error"], advice=found["advice"])
    return found


def _answered(followers: Sequence[Follower], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        for follower in followers:
            follower.reopen()
        return work()
    except HeadraceError as error:
        return {"error": error.message, "advice": error.advice}
