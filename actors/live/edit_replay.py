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
from typing import Any

import msgpack

from actors.live.errors import DownError, RefusedError
from actors.live.follower import Follower
from actors.live.version import LiveVersion
from core.errors import HeadraceError
from core.outcomes import outcome_text

CHOICES = ("pin", "drop", "reset")
REPLACED = "version_replaced"
ALIVE_S = 110  # a process that was forgotten ends by itself

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

    def ways(self) -> list[tuple[int, str, int, str, str]]:
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
    counted: Counter[tuple[int, str, int, str, str]] = Counter()
    items: list[dict[str, Any]] = []
    people = 0
    for index, follower in enumerate(followers):
        moves = _moves(follower, command)
        people += len(moves)
        for customer, move in moves.items():
            counted.update(set(move.ways()))
            if (index, customer) > behind and len(items) < limit:
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


def _moves(follower: Follower, command: Mapping[str, Any]) -> dict[int, Move]:
    """Who was inside a flow before a command was carried out, in order, and what became of him."""
    flow = command["flow"]
    before: dict[int, list[Place]] = {}
    for version in follower.running(flow):
        for customer in range(version.machine.customers if not version.dropped else 0):
            places = _places(version, customer)
            if places:
                before.setdefault(customer, []).extend(places)
    follower.try_out(command)
    ends: dict[int, list[tuple[int, str, str]]] = {}
    for version in follower.running(flow):
        if version.number == command["version"]:
            lines = version.machine.take_log()
            over = lines[lines["port"] < 0]
            for customer, node, port in zip(
                over["customer"].tolist(), over["node"].tolist(), over["port"].tolist(), strict=True
            ):
                end = (version.number, version.program.node_ids[node], outcome_text(port))
                ends.setdefault(customer, []).append(end)
    return {
        customer: Move(
            places,
            [at for version in follower.running(flow) for at in _places(version, customer)],
            ends.get(customer, []),
        )
        for customer, places in sorted(before.items())
    }


def _places(version: LiveVersion, customer: int) -> list[Place]:
    return [
        (version.number, version.program.node_ids[node], due)
        for node, _, due, _, _ in version.machine.places(customer)
    ]


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
