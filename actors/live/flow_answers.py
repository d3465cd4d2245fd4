"""Answer what becomes of people in live flows, from the followers of all partitions.

Every answer is plain data, for it goes from one process to another. Customers are named by
`partition:number` in pages, and by their ids.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from actors.intake.routing import partition_of
from actors.live.edit_replay import replay_edit
from actors.live.errors import RefusedError
from actors.live.follower import Followed, Follower
from actors.live.happenings import Happenings
from actors.live.why import why
from core.counters import Counters
from core.hashing import hash_customer
from core.nodes import CHANNELS
from core.outcomes import OUTCOMES, Outcome, outcome_text

CATCH_UP_S = 5.0
"""An answer waits at most so long for what was not followed yet."""
QUESTIONS = (
    "report",
    "nodes",
    "people",
    "path",
    "why",
    "find",
    "ends",
    "happened",
    "named",
    "replay",
)


class FlowAnswers:
    """The questions; one thread asks at a time."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        """Answer from these, one for each partition in order."""
        self._followers = list(followers)
        self._happenings = [Happenings(follower) for follower in followers]

    def catch_up(self, within_s: float = CATCH_UP_S) -> int:
        """Follow what there is by now, for at most so long; returns how many records are left."""
        until_s = time.monotonic() + within_s
        for follower in self._followers:
            goal = follower.store.head.journal_last
            while follower.applied < goal and follower.step() and time.monotonic() < until_s:
                pass
        return sum(follower.behind for follower in self._followers)

    def ask(self, question: str, said: dict[str, Any]) -> dict[str, Any]:
        """The answer to one of QUESTIONS, with how far it is true.

        `behind` records are not in it; `clock_ms` is the time of the partition that lags most,
        `since_ms` that from which on lists are whole. RefusedError for an unknown flow or version.
        """
        behind = self.catch_up()
        if question not in QUESTIONS:
            raise RefusedError(f"there is no question {question!r}")
        found: dict[str, Any] = getattr(self, question)(**said)
        return {
            **found,
            "behind": behind,
            "clock_ms": min(follower.clock_ms for follower in self._followers),
            "since_ms": max(follower.since_ms for follower in self._followers),
        }

    def report(self, flow: str, edges_ms: list[int], now_ms: int = 0) -> dict[str, Any]:
        """Every version's figures; entries and new people between each two of `edges_ms`."""
        found = []
        for number in sorted({each.number for _, each in self._versions(flow)}):
            parts = list(self._versions(flow, number))
            counters = self._counters(parts, now_ms)
            over, total_ms = np.sum([each.log.durations() for _, each in parts], axis=0).tolist()
            days = np.sum([each.log.by_time(edges_ms) for _, each in parts], axis=0).tolist()
            found.append(
                {
                    "version": number,
                    "entries": int(counters.entries_by_hour.sum()),
                    "people": counters.people,
                    "ended": over,
                    "ended_total_ms": total_ms,
                    "inside": int(counters.waiting.sum()),
                    "layers": counters.layer_people.tolist(),
                    "watched": counters.watch_opened.tolist(),
                    "succeeded": counters.watch_succeeded_ever.tolist(),
                    "matured": counters.watch_matured.tolist(),
                    "matured_succeeded": counters.watch_succeeded.tolist(),
                    "sends": dict(
                        zip(CHANNELS, counters.sends_by_hour.sum(axis=1).tolist(), strict=True)
                    ),
                    "entries_by_day": days[0],
                    "people_by_day": days[1],
                }
            )
        return {"versions": found}

    def nodes(self, flow: str, version: int) -> dict[str, Any]:
        """How many came to each node of a version, and left by each of its ports."""
        parts = list(self._versions(flow, version))
        counters = self._counters(parts)
        people = np.sum([each.log.port_people for _, each in parts], axis=0)
        return {
            "entered": counters.entered.tolist(),
            "unique": counters.unique.tolist(),
            "waiting": counters.waiting.tolist(),
            "idle": counters.idle.tolist(),
            "outcomes": {
                Outcome(-1 - column).text: counters.outcome[:, column].tolist()
                for column in range(OUTCOMES)
            },
            "port": counters.port.tolist(),
            "port_people": people.tolist(),
        }

    def people(
        self,
        flow: str,
        version: int,
        node: int | None,
        port: int | None,
        after: str,
        limit: int,
    ) -> dict[str, Any]:
        """Who entered a version, a node of it or the branch behind a port, at most `limit`.

        Items follow the one named `after`. `total` counts all who are listed, `erased` those who
        are listed no more.
        """
        place = tuple(map(int, after.split(":"))) if after else (-1, -1)
        items: list[dict[str, Any]] = []
        total = erased = 0
        for follower, each in self._versions(flow, version):
            partition = self._followers.index(follower)
            customers, first_ms, last_ms, count, gone = each.log.people(
                each.log.lines_at(node, port)
            )
            total, erased = total + len(customers), erased + gone
            if partition < place[0]:
                continue
            start = 0
            if partition == place[0]:
                start = int(np.searchsorted(customers, place[1], side="right"))
            for i in range(start, min(len(customers), start + limit - len(items))):
                number = int(customers[i])
                items.append(
                    {
                        "key": f"{partition}:{number}",
                        "customer": follower.id_of(number),
                        "first_ms": int(first_ms[i]),
                        "last_ms": int(last_ms[i]),
                        "times": int(count[i]),
                    }
                )
        return {"items": items, "total": total, "erased": erased}

    def path(self, flow: str, version: int, customer: str) -> dict[str, Any]:
        """A customer's decisions in a version and where he stands; `known` says if there is one."""
        follower, number = self._find(customer)
        ways = [
            _way(follower, each, customer, number)
            for f, each in self._versions(flow, version)
            if f is follower
        ]
        return {"known": number >= 0, **(ways or [{"steps": [], "places": []}])[0]}

    def replay(
        self, command: dict[str, Any], choice: str, after: str, limit: int
    ) -> dict[str, Any]:
        """Who would move where if a command published an edit now; see `edit_replay`."""
        return replay_edit(self._followers, command, choice, after, limit)

    def find(self, customer: str) -> dict[str, Any]:
        """Whether there is a customer: one who was erased is none, until he comes again."""
        return {"known": self._find(customer)[1] >= 0}

    def why(self, flow: str, customer: str, ends: list[Any], now_ms: int) -> dict[str, Any]:
        """A customer's way in each version of a flow, with reasons; or why he has none.

        `ends` are pairs of a version and the end of its time of entries, ms, None while it is open.
        """
        follower, number = self._find(customer)
        until_ms = dict(ends)
        versions = []
        for each in [each for f, each in self._versions(flow) if f is follower]:
            way = _way(follower, each, customer, number)
            if number >= 0:
                version = follower.version(flow, each.number)
                # A partition's clock may be ahead, by a millisecond for each of many small frames.
                until = max(now_ms, follower.clock_ms)
                said = {"until_ms": until_ms.get(each.number), "now_ms": until}
                way = why(version, follower.store, follower.tenant, customer, way, said)
            versions.append({"version": each.number, **way})
        return {"known": number >= 0, "versions": versions}

    def ends(self) -> dict[str, Any]:
        """The last record of each journal there is: what happens from now on comes behind it."""
        return {"ends": [each.store.head.journal_last for each in self._followers]}

    def happened(
        self, partition: int, after: list[int], kinds: list[str], flows: list[str], limit: int
    ) -> dict[str, Any]:
        """What happened in a partition behind a place; see `Happenings.feed`."""
        found = self._happenings[partition]
        place = (after[0], after[1])
        items, place = found.feed(place, frozenset(kinds), frozenset(flows), limit)
        return {"items": items, "place": list(place)}

    def named(self, asked: list[list[int]]) -> dict[str, Any]:
        """The ids of customers, by partition, number and the record that tells of them.

        None for one who was erased after it.
        """
        return {"ids": [self._happenings[p].name(number, record) for p, number, record in asked]}

    def _find(self, customer: str) -> tuple[Follower, int]:
        """The follower of a customer's partition, and his number there, -1 for none."""
        hashed = np.array([hash_customer(customer)], np.uint64)
        follower = self._followers[int(partition_of(hashed, len(self._followers))[0])]
        return follower, follower.find(customer)

    def _versions(
        self, flow: str, number: int | None = None
    ) -> Iterator[tuple[Follower, Followed]]:
        found = [
            (follower, each)
            for follower in self._followers
            for each in follower.versions(flow)
            if number is None or each.number == number
        ]
        if not found:
            what = flow if number is None else f"{flow}, version {number},"
            raise RefusedError(f"{what} was never published", advice="Publish it first")
        yield from found

    def _counters(self, parts: Sequence[tuple[Follower, Followed]], now_ms: int = 0) -> Counters:
        """What is counted by now, or by the last record that was followed where some are not."""
        return Counters.total(
            [f.counts(v.flow, v.number, 0 if f.behind else now_ms) for f, v in parts]
        )


def _way(follower: Follower, each: Followed, customer: str, number: int) -> dict[str, Any]:
    """A customer's steps and places in a version; there are none of number -1."""
    if number < 0:
        return {"steps": [], "places": []}
    nodes = follower.version(each.flow, each.number).flow.nodes
    ids = list(nodes)
    steps = [
        {
            "at_ms": at_ms,
            "entry": entry,
            "node": ids[node],
            "port": nodes[ids[node]].ports[port] if port >= 0 else outcome_text(port),
            "outcome": port < 0,
        }
        for at_ms, entry, node, port in each.log.of_customer(number)
    ]
    found = follower.state_of(customer) or {"places": []}
    places = [
        {key: place[key] for key in ("node", "state", "due_ms", "since_ms")}
        for place in found["places"]
        if (place["flow"], place["version"]) == (each.flow, each.number)
    ]
    return {"steps": steps, "places": places}
