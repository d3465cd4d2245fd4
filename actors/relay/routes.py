"""Routes say which lane takes the effects of a channel, and from where on.

Providers are set up anew between two runs: a channel gets another provider, or the first one it
ever had. The new lane begins where the former one ended, neither before (those have left) nor after
(nobody would send them). So the outbox remembers who took what:

    route/<channel>    the lane that takes the channel's effects, and the cursor it began at
    route/             the same for every channel not named, and for what cannot be read
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgpack

from actors.relay.effects import Effect, UnreadableError, unpacked
from actors.relay.feed import IsOurs
from actors.relay.ledger import Ledger
from actors.relay.outbox import START, Cursor
from actors.relay.rows import FORMAT, Row, decode_row, encode_cursor, encode_row

UNROUTED = "unrouted"
REST = ""
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Route:
    """The lane that takes a channel's effects from a cursor on."""

    lane: str
    since: Cursor = START


class Routes:
    """The routes of one relay. `lanes` has the lane of each channel that has a provider."""

    def __init__(self, lanes: Mapping[str, str]) -> None:
        self._lanes = dict(lanes)
        self._routes = {channel: Route(lane) for channel, lane in self._lanes.items()}
        self._routes[REST] = Route(UNROUTED)

    def lane_of(self, channel: str) -> str:
        """The lane that takes a channel's effects now."""
        return self._lanes.get(channel, UNROUTED)

    def is_for(self, lane: str) -> IsOurs:
        """What says of an effect (None: cannot be read) at a cursor whether `lane` takes it."""

        def is_ours(effect: Effect | None, at: Cursor) -> bool:
            channel = REST if effect is None else effect.channel
            route = self._routes.get(channel) or self._routes[REST]
            return route.lane == lane and at >= route.since

        return is_ours

    async def settle(self, ledger: Ledger) -> None:
        """Take over from the lanes of the last run; call it before any lane is opened.

        Messages out of line of a lane that is no more go to the lane that has their channel now.
        Raises what the outbox raises.
        """
        saved = await _saved(ledger)
        before = saved or self._routes
        cursors = {
            lane: await ledger.saved(f"cursor/{lane}")
            for lane in {route.lane for route in before.values()}
        }
        kept, gained = self._compared(before, cursors)
        changes: dict[str, bytes | None] = {}
        for lane, routes in gained.items():
            starts = [route.since for route in routes.values()]
            if lane in kept:
                own = cursors[lane]
                for channel, route in kept[lane].items():
                    kept[lane][channel] = Route(lane, max(route.since, own))
                starts.append(own)
            changes[f"cursor/{lane}"] = encode_cursor(min(starts))
            changes[f"delay/{lane}"] = None
        retired = cursors.keys() - kept.keys() - gained.keys()
        for lane in sorted(retired):
            await self._rehouse(lane, ledger)
            changes[f"cursor/{lane}"] = changes[f"delay/{lane}"] = None
        self._routes = {}
        for part in (kept, gained):
            for routes in part.values():
                self._routes.update(routes)
        if self._routes != saved:
            for channel, route in self._routes.items():
                changes[f"route/{channel}"] = _encoded(route)
            await ledger.write(changes)

    def _compared(
        self, before: Mapping[str, Route], cursors: Mapping[str, Cursor]
    ) -> tuple[dict[str, dict[str, Route]], dict[str, dict[str, Route]]]:
        """The routes that stay as they were and the others, by lane and channel."""
        kept: dict[str, dict[str, Route]] = {}
        gained: dict[str, dict[str, Route]] = {}
        for channel in sorted({*before, *self._lanes}):
            lane = self._lanes.get(channel, UNROUTED)
            former = before.get(channel) or before[REST]
            if former.lane == lane:
                kept.setdefault(lane, {})[channel] = former
            else:
                since = max(former.since, cursors[former.lane])
                gained.setdefault(lane, {})[channel] = Route(lane, since)
        return kept, gained

    async def _rehouse(self, lane: str, ledger: Ledger) -> None:
        """Give a lane's messages out of line to the lanes that have their channels now."""
        for kind in ("pending", "parked", "held"):
            prefix = f"{kind}/{lane}/"
            while rows := await ledger.rows(prefix, "", ROWS_AT_ONCE):
                changes: dict[str, bytes | None] = {}
                for name, data in rows:
                    row = decode_row(data)
                    channel = REST if row.effect is None else row.effect.channel
                    target = self._lanes.get(channel, UNROUTED)
                    if kind == "pending":
                        _change_provider(row)
                    changes[name] = None
                    changes[f"{kind}/{target}/{name.removeprefix(prefix)}"] = encode_row(row)
                await ledger.write(changes)


def _change_provider(row: Row) -> None:
    """Let a message under way begin with a provider that never heard of it or its key."""
    if row.state == "sending" or row.unsure:
        # Of unknown fate, and so long ago that no provider's memory of keys covers it.
        row.state, row.unsure, row.first_ms = "sending", True, 1
    else:
        row.first_ms = 0


async def _saved(ledger: Ledger) -> dict[str, Route]:
    found: dict[str, Route] = {}
    after = ""
    while rows := await ledger.rows("route/", after, ROWS_AT_ONCE):
        after = rows[-1][0]
        for name, data in rows:
            found[name.removeprefix("route/")] = _decoded(data)
    return found


def _encoded(route: Route) -> bytes:
    return bytes(msgpack.packb((FORMAT, route.lane, *route.since)))


def _decoded(data: bytes) -> Route:
    match unpacked(data, "route", 3):
        case [str(lane), int(commit), int(done)] if commit >= 0 and done >= 0:
            return Route(lane, Cursor(commit, done))
        case _:
            raise UnreadableError("route: expected a lane and two numbers")
