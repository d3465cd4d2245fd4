"""Report on live flows: versions, entrants, durations, funnels, lists of people, ways and reasons.

What was published when stands in the control log; who went where is asked of the followers of the
journals (`actors.live.following`), in a process of their own. Every answer says up to which moment
it is true.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from actors.live.engine import Engine
from actors.live.errors import RefusedError
from actors.live.following import Following
from actors.live.version import flow_of
from actors.service import flow_rows, sharing
from actors.service.access import Caller
from actors.service.errors import ConflictError, InvalidError, NotFoundError
from actors.service.flow_rows import unknown
from actors.service.successes import Success, successes_of
from actors.service.transactions import ReadTxn
from core.flow import Flow
from core.reference_time import local, midnight, zone

DAYS_MAX = 366
PEOPLE_MAX = 5_000
"""People of a list that are written into a group at a time."""
GROUP_CHARS_MAX = 100
_KEY = re.compile("[0-9]{1,4}:[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Published:
    """A version as the control log has it. `closed_ms` is when its time of entries ended, or None.

    `left` says what became of those inside then: `pin`, `drop` or `reset`; "" while it is open.
    """

    flow: str
    version: int
    document: str
    published_ms: int
    closed_ms: int | None = None
    left: str = ""

    def read(self) -> Flow:
        """The flow that the document is."""
        return flow_of(self.document, self.flow)


@dataclass(frozen=True, slots=True)
class Truth:
    """Up to when an answer is true, ms UTC, and from when on lists are whole (0: from the first).

    `behind` counts records of the journals that are not in it yet.
    """

    as_of_ms: int
    since_ms: int
    behind: int


@dataclass(frozen=True, slots=True)
class DayEntrants:
    """A day of the tenant's zone: entries, and people who entered for the first time."""

    date: str
    entries: int
    people: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of those who entered.

    `people` are different customers of a version; over several versions the sum, so that whoever
    entered two of them counts twice. `ended` entries took `mean_ms` on average from entry to end;
    `inside` tokens wait. `reached` people came to the funnel's last layer, `reach` is their share
    of the people; None without a funnel or people. `sends` are messages asked for by channel.
    """

    entries: int
    people: int
    ended: int
    mean_ms: float | None
    inside: int
    reached: int | None
    reach: float | None
    sends: dict[str, int]
    days: list[DayEntrants]


@dataclass(frozen=True, slots=True)
class LayerPeople:
    """A layer of the funnel, and how many different customers came to it."""

    name: str
    people: int


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """The figures of one version, its funnel, its A/B tests and its goal."""

    published: Published
    figures: Figures
    funnel: list[LayerPeople]
    successes: list[Success]


@dataclass(frozen=True, slots=True)
class FlowReport:
    """All versions of a flow, and their sums. It began at `started_ms` and ran `duration_ms`."""

    flow: str
    status: str
    started_ms: int
    stopped_ms: int | None
    duration_ms: int
    total: Figures
    versions: list[VersionFigures]
    truth: Truth


@dataclass(frozen=True, slots=True)
class PortCount:
    """Tokens that left by a port, different customers among them, and where it leads."""

    port: str
    tokens: int
    people: int
    targets: list[str]


@dataclass(frozen=True, slots=True)
class NodeCount:
    """What happened at a node; `outcomes` are ends, parkings and refusals by name."""

    id: str
    type: str
    title: str | None
    says: str
    entered: int
    people: int
    waiting: int
    idle: int
    outcomes: dict[str, int]
    ports: list[PortCount]


@dataclass(frozen=True, slots=True)
class Listed:
    """People of a list: `items` have key, customer, first_ms, last_ms, times; `total` in all."""

    items: list[dict[str, Any]]
    total: int
    erased: int
    truth: Truth


@dataclass(frozen=True, slots=True)
class Place:
    """What a list is of: a version, a node of it, or the branch behind one of its ports."""

    version: int
    node: str | None = None
    port: str | None = None


@dataclass(slots=True)
class LiveReports:
    """The reports of one tenant's flows. Any thread may ask."""

    engine: Engine
    following: Following

    # -- versions

    def versions(self, flow: str) -> list[Published]:
        """Every version of a flow, the oldest first. Raises NotFoundError."""
        found: list[Published] = []
        for _, command in self.engine.control.after(0):
            if command.get("flow") != flow or command["kind"] not in ("publish", "stop"):
                continue
            at_ms = command["at_ms"]
            if found and found[-1].closed_ms is None:
                last = found[-1]
                found[-1] = Published(
                    flow,
                    last.version,
                    last.document,
                    last.published_ms,
                    at_ms,
                    command.get("in_flight", "pin"),
                )
            if command["kind"] == "publish":
                found.append(Published(flow, command["version"], command["document"], at_ms))
        if not found:
            raise unknown()
        return found

    def version(self, flow: str, number: int) -> Published:
        """One version of a flow. Raises NotFoundError."""
        for each in self.versions(flow):
            if each.version == number:
                return each
        raise NotFoundError(
            f"flow {flow!r} has no version {number}", advice="See its report for its versions"
        )

    # -- figures

    def report(self, flow: str, days: int = 7) -> FlowReport:
        """What became of people in a flow; entrants of the last `days` days, today included.

        Raises NotFoundError, DownError.
        """
        published = self.versions(flow)
        now_ms = self.engine.now_ms()
        dates, edges_ms = self._days(now_ms, days)
        answer = self._ask("report", flow=flow, edges_ms=edges_ms, now_ms=now_ms)
        counted = {each["version"]: each for each in answer["versions"]}
        versions = []
        for each in published:
            found = counted.get(each.version)
            if found is None:
                continue  # no partition has it yet
            written = each.read()
            layers = [layer.name for layer in written.settings.funnel]
            funnel = [LayerPeople(name, n) for name, n in zip(layers, found["layers"], strict=True)]
            figures = _figures([found], dates, funnel[-1].people if funnel else None)
            successes = successes_of(written, found)
            versions.append(VersionFigures(each, figures, funnel, successes))
        reached = [v.figures.reached for v in versions if v.figures.reached is not None]
        total = _figures(list(counted.values()), dates, sum(reached) if reached else None)
        status = self.engine.control.standing.flows[flow].status
        stopped_ms = published[-1].closed_ms
        end_ms = now_ms if stopped_ms is None else stopped_ms
        started_ms = published[0].published_ms
        return FlowReport(
            flow, status, started_ms, stopped_ms, end_ms - started_ms, total, versions,
            _truth(answer, now_ms),
        )  # fmt: skip

    def nodes(self, flow: str, number: int) -> tuple[list[NodeCount], Truth]:
        """What happened at each node of a version, in the order of its document.

        Raises NotFoundError, DownError.
        """
        written = self.version(flow, number).read()
        now_ms = self.engine.now_ms()
        answer = self._ask("nodes", flow=flow, version=number)
        found, at = [], 0
        for i, (node_id, node) in enumerate(written.nodes.items()):
            ports = []
            for port in node.ports:
                ports.append(
                    PortCount(
                        port, answer["port"][at], answer["port_people"][at],
                        list(node.targets(port)),
                    )
                )  # fmt: skip
                at += 1
            outcomes = {name: n[i] for name, n in answer["outcomes"].items() if n[i]}
            found.append(
                NodeCount(
                    node_id, node.type, node.title, node.describe(), answer["entered"][i],
                    answer["unique"][i], answer["waiting"][i], answer["idle"][i], outcomes, ports,
                )
            )  # fmt: skip
        return found, _truth(answer, now_ms)

    # -- people

    def people(self, flow: str, place: Place, after: str, limit: int) -> Listed:
        """Who entered a version, a node or a branch, at most `limit` behind the key `after`.

        Raises NotFoundError for a place that is not there, or a key that is none.
        """
        node, port = self._numbers(flow, place)
        if after and not _KEY.fullmatch(after):
            raise NotFoundError("there is no such page", advice="Use `next` as it came")
        now_ms = self.engine.now_ms()
        answer = self._ask(
            "people",
            flow=flow,
            version=place.version,
            node=node,
            port=port,
            after=after,
            limit=limit,
        )
        truth = _truth(answer, now_ms)
        return Listed(answer["items"], answer["total"], answer["erased"], truth)

    def save_group(self, flow: str, place: Place, group: str) -> int:
        """Put all who are on a list into a group; returns how many.

        Raises as `people` does, and InvalidError for a name that no group can have, or where there
        is no room for another group.
        """
        if not group.strip() or len(group) > GROUP_CHARS_MAX:
            raise InvalidError(
                f"a group's name has 1 to {GROUP_CHARS_MAX} characters", pointer="/group"
            )
        count = 0
        for customers in self._all(flow, place):
            reply = self.engine.send(
                [{"customer": each, "groups": {"add": [group]}} for each in customers]
            )
            if reply.rejects:
                raise InvalidError(reply.rejects[0][3], advice="Use a group that there is")
            count += len(customers)
        return count

    def _all(self, flow: str, place: Place) -> Iterator[list[str]]:
        after = ""
        while items := self.people(flow, place, after, PEOPLE_MAX).items:
            yield [item["customer"] for item in items]
            after = items[-1]["key"]

    def person(self, flow: str, customer: str) -> dict[str, Any]:
        """What is known of a customer now, and where he stands in a flow. Raises NotFoundError."""
        self.versions(flow)
        customer = self.engine.identities.aliases.customer(customer)
        known = self._ask("find", customer=customer)["known"]
        found = self.engine.state_of(customer) if known else None
        if found is None:
            raise NotFoundError("there is no such customer", advice="Check the id")
        places = [place for place in found["places"] if place["flow"] == flow]
        return {**found, "places": places}

    def path(self, flow: str, number: int, customer: str) -> tuple[dict[str, Any], Truth]:
        """One customer's steps in a version, and where he stands. Raises NotFoundError."""
        self.version(flow, number)
        customer = self.engine.identities.aliases.customer(customer)
        now_ms = self.engine.now_ms()
        answer = self._ask("path", flow=flow, version=number, customer=customer)
        return _known(answer), _truth(answer, now_ms)

    def why(self, flow: str, customer: str) -> tuple[dict[str, Any], Truth]:
        """One customer's way in each version with reasons, or what kept him out.

        Raises NotFoundError.
        """
        ends = [[each.version, each.closed_ms] for each in self.versions(flow)]
        customer = self.engine.identities.aliases.customer(customer)
        now_ms = self.engine.now_ms()
        answer = self._ask("why", flow=flow, customer=customer, ends=ends, now_ms=now_ms)
        return _known(answer), _truth(answer, now_ms)

    def replay(
        self, command: Mapping[str, Any], choice: str, after: str, limit: int
    ) -> tuple[dict[str, Any], Truth]:
        """What a command that publishes an edit would do; see `actors.live.edit_replay`.

        Raises NotFoundError for a key that is none, RefusedError, DownError.
        """
        if after and not _KEY.fullmatch(after):
            raise NotFoundError("there is no such page", advice="Use `next` as it came")
        said = {"command": dict(command), "choice": choice, "after": after, "limit": limit}
        return (answer := self.following.ask("replay", **said)), _truth(answer, command["at_ms"])

    # -- within

    def _ask(self, question: str, **said: Any) -> dict[str, Any]:
        try:
            return self.following.ask(question, **said)
        except RefusedError as error:
            # The control log has the version, and no partition does.
            raise ConflictError(
                f"{error.message} in any partition yet", advice="Ask again in a moment"
            ) from error

    def _numbers(self, flow: str, place: Place) -> tuple[int | None, int | None]:
        nodes = self.version(flow, place.version).read().nodes
        if place.node is None:
            if place.port is not None:
                raise InvalidError("a port is one of a node", advice="Name the node too")
            return None, None
        if place.node not in nodes:
            raise NotFoundError(
                f"version {place.version} of {flow!r} has no node {place.node!r}",
                advice="See the version's graph for its nodes",
            )
        number = list(nodes).index(place.node)
        if place.port is None:
            return number, None
        ports = list(nodes[place.node].ports)
        if place.port not in ports:
            raise NotFoundError(
                f"the node {place.node!r} has no port {place.port!r}",
                advice=f"Its ports are {', '.join(ports) or 'none'}",
            )
        return number, ports.index(place.port)

    def _days(self, now_ms: int, days: int) -> tuple[list[str], list[int]]:
        """The last days of the tenant's zone, and when each begins and the last ends."""
        here = zone(self.engine.schema.zone or self.engine.manifest.zone)
        today = local(now_ms, here).date()
        dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
        ends = [midnight(each, here) for each in [*dates, today + timedelta(days=1)]]
        return [each.isoformat() for each in dates], ends


class Reporting:
    """The reports of every tenant, each with a process of its own while it is asked."""

    def __init__(self) -> None:
        """Nothing runs before somebody asks."""
        self._lock = threading.Lock()
        self._following: dict[Path, Following] = {}

    def of(self, engine: Engine) -> LiveReports:
        """The reports of an engine's flows."""
        with self._lock:
            following = self._following.setdefault(engine.path, Following(engine.path))
        return LiveReports(engine, following)

    def close(self) -> None:
        """End all processes. Again does nothing."""
        with self._lock:
            found = list(self._following.values())
        for each in found:
            each.rest()


def check_seen(txn: ReadTxn, caller: Caller, flow: str) -> None:
    """Raise NotFoundError if a flow was deleted, or is shared, and not with this caller.

    A flow that was published without the service has no row, and is everybody's.
    """
    row = flow_rows.find(txn, flow)
    if row is None:
        return
    shared = sharing.find(txn, flow)
    his = caller.role == "admin" or sharing.is_owner(row, caller) or caller.user in shared.users
    if row.deleted or (shared.visibility == "shared" and not his):
        raise unknown()


def _known(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer["known"]:
        raise NotFoundError("there is no such customer", advice="Check the id")
    return answer


def _truth(answer: Mapping[str, Any], now_ms: int) -> Truth:
    """What was followed to the end was true when it was asked; else when its last record was."""
    behind = answer["behind"]
    as_of_ms = now_ms if behind == 0 else min(now_ms, answer["clock_ms"])
    return Truth(as_of_ms, answer["since_ms"], behind)


def _figures(
    parts: Sequence[Mapping[str, Any]], dates: Sequence[str], reached: int | None
) -> Figures:
    def total(name: str) -> int:
        return sum(part[name] for part in parts)

    ended, people = total("ended"), total("people")
    days = [
        DayEntrants(
            date,
            sum(part["entries_by_day"][i] for part in parts),
            sum(part["people_by_day"][i] for part in parts),
        )
        for i, date in enumerate(dates)
    ]
    sends: dict[str, int] = {}
    for part in parts:
        for channel, count in part["sends"].items():
            if count:
                sends[channel] = sends.get(channel, 0) + count
    return Figures(
        total("entries"),
        people,
        ended,
        total("ended_total_ms") / ended if ended else None,
        total("inside"),
        reached,
        None if reached is None or people == 0 else reached / people,
        sends,
        days,
    )
