"""Take the bodies of several requests in as one, for as long as those before are on their way.

What a call of a shard and a commit cost hardly depends on how many rows they concern, and nor does
most of what reading columns costs. So a request that finds nobody under way goes at once, and those
that come meanwhile go together: no timer waits for anybody, and the more there is to do, the less
each costs. Each request is answered for itself. One whose body is unusual in any way, or one of a
group that cannot be taken as it is, is left to the way that takes requests one by one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from actors.intake.frame import Frame
from actors.intake.tagging import REQUEST_ID, joined_tags
from actors.live.engine import Engine
from actors.live.errors import BusyError, DownError, FullError, UnknownError
from actors.live.replies import Reply
from api.http.ingest.translation import Places
from core.tenant_schema import TenantSchema

GROUP_BYTES = 4 << 20  # of bodies in one group
UNDER_WAY = 2  # groups of one tenant: while the shards work at one, the next is read
THREADS = 16


class Bulk(Protocol):
    """What was read of one body."""

    @property
    def count(self) -> int:
        """How many rows it has, at least one."""
        ...


@dataclass(frozen=True, slots=True)
class Together:
    """How bodies of one format are taken in together.

    `parse` reads one, None if it is not plain; `join` makes the rows of several one frame, None if
    not all are accepted as they stand. Each row has a message id.
    """

    parse: Callable[[bytes, Places, int], Any]
    join: Callable[[Sequence[Any], Places, TenantSchema], Frame | None]


class Waiting:
    """A request that waits for its answer: a reply, or None if it is to be taken by itself."""

    def __init__(self, body: bytes, spend: Callable[[int], None]) -> None:
        """Its body is read; `spend` takes a number of rows out of its budget, and may raise."""
        self.body = body
        self.spend = spend
        self.tag = REQUEST_ID.get()
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Reply | None] = self._loop.create_future()

    async def reply(self) -> Reply | None:
        """Its answer, once there is one."""
        return await self._future

    def tell(self, found: Reply | Exception | None) -> None:
        """Answer. Any thread may call it."""
        self._loop.call_soon_threadsafe(self._told, found)

    def _told(self, found: Reply | Exception | None) -> None:
        if self._future.done():
            return  # the client is gone
        if isinstance(found, Exception):
            self._future.set_exception(found)
        else:
            self._future.set_result(found)


class Gathering:
    """The groups of all tenants, and the threads that take them in."""

    def __init__(
        self,
        engine: Callable[[str], Engine],
        places: Callable[[str, TenantSchema], Places],
        deadline_s: float,
    ) -> None:
        """Take in for tenants' engines, which answer within `deadline_s`."""
        self._engine = engine
        self._places = places
        self._deadline_s = deadline_s
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="gathering")
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._lock = threading.Lock()

    async def take(self, tenant: str, together: Together, waiting: Waiting) -> Reply | None:
        """Take a request in together with others; None if it is to be taken by itself.

        Raises what taking it in raises.
        """
        key = tenant, id(together)
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane(self, tenant, together)
        if lane.put(waiting):
            self._pool.submit(lane.work)
        return await waiting.reply()

    def close(self) -> None:
        """Let what is under way end."""
        self._pool.shutdown()

    def read(
        self, tenant: str, together: Together, group: Sequence[Waiting]
    ) -> tuple[list[Waiting], Frame | None, list[int]]:
        """Those of a group that go together, their rows, and where each one's begin."""
        found: list[tuple[Waiting, Bulk]] = []
        engine = self._engine(tenant)
        schema = engine.schema
        places = self._places(tenant, schema)
        for waiting in group:
            try:
                bulk = together.parse(waiting.body, places, engine.now_ms())
                if bulk is None:
                    waiting.tell(None)
                    continue
                waiting.spend(bulk.count)
                found.append((waiting, bulk))
            except Exception as error:
                waiting.tell(error)
        going = [waiting for waiting, _ in found]
        bulks = [bulk for _, bulk in found]
        firsts = np.cumsum([0, *(bulk.count for bulk in bulks)])[:-1].tolist()
        frame = together.join(bulks, places, schema) if bulks else None
        if frame is not None:
            frame.tag = joined_tags(waiting.tag for waiting in going)
        return going, frame, firsts

    def send(self, tenant: str, frame: Frame, firsts: Sequence[int]) -> list[Reply | Exception]:
        """What became of the requests whose rows are in a frame."""
        engine = self._engine(tenant)
        first = np.array(firsts, np.int64)
        return engine.send_together(frame, first, deadline_s=self._deadline_s)


class _Lane:
    """The requests of one tenant in one format, in their order."""

    def __init__(self, gathering: Gathering, tenant: str, together: Together) -> None:
        self._gathering = gathering
        self._tenant = tenant
        self._together = together
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._queue: deque[Waiting] = deque()
        self._working = 0

    def put(self, waiting: Waiting) -> bool:
        """Queue a request; whether somebody should begin to `work`."""
        with self._lock:
            self._queue.append(waiting)
            more = self._working < UNDER_WAY
            self._working += more
            return more

    def work(self) -> None:
        """Take groups in until nobody waits."""
        going = True
        while going:
            with self._reading:
                group = self._next()
                going = bool(group)
                ready = self._read(group)
            if ready is not None:
                self._send(*ready)

    def _next(self) -> list[Waiting]:
        """The next group; nobody waits if it is empty, and then the work is over."""
        group: list[Waiting] = []
        size = 0
        with self._lock:
            while self._queue and (not group or size + len(self._queue[0].body) <= GROUP_BYTES):
                size += len(self._queue[0].body)
                group.append(self._queue.popleft())
            if not group:
                self._working -= 1
        return group

    def _read(self, group: list[Waiting]) -> tuple[list[Waiting], Frame, list[int]] | None:
        if not group:
            return None
        try:
            going, frame, firsts = self._gathering.read(self._tenant, self._together, group)
        except Exception as error:
            for waiting in group:
                waiting.tell(error)
            return None
        if frame is None:
            _apart(going)
            return None
        return going, frame, firsts

    def _send(self, going: Sequence[Waiting], frame: Frame, firsts: list[int]) -> None:
        try:
            found = self._gathering.send(self._tenant, frame, firsts)
        except Exception as error:
            found = [error] * len(going)
        for waiting, reply in zip(going, found, strict=True):
            waiting.tell(_by_itself(reply, len(going)))


def _by_itself(reply: Reply | Exception, group: int) -> Reply | Exception | None:
    """What a request is told; None for an error that it may have because of others."""
    if isinstance(reply, Reply):
        return reply
    if isinstance(reply, DownError):
        return None  # That way waits for the shard to come back.
    return reply if group == 1 or isinstance(reply, BusyError | FullError | UnknownError) else None


def _apart(group: Sequence[Waiting]) -> None:
    for waiting in group:
        waiting.tell(None)
