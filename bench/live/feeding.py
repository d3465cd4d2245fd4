"""Feed an engine on the machine's own clock: journeys whose days are short, and one that surges.

The customers and their events are those of the live load; only the times are not: an event happens
when it arrives, and days of the journey last as long as the run wants them to.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from actors.intake.frame import NOT_STATED_MS, Frame
from actors.live.engine import Engine
from actors.live.hosted import Receipt
from actors.live.starting import Hosting, Making, start_engine
from bench.journey import FLOW
from bench.live.headrace import SCHEMA, UNDER_WAY, frames_of, settle
from bench.live.load import TRIGGER, Batch, Load
from bench.live.measured import measured_factory

Request = list[Frame]
"""A frame for each partition, in their order; or one that is yet to be routed."""

SURGE = "surge"
COUNTRY = b"DE"


def start(folder: Path, *, partitions: int, inline: bool, snapshots: bool = False) -> Engine:
    """An engine on the machine's clock that sends no messages, with the journey's schema.

    See `MeasuredFactory` for `snapshots`.
    """
    engine = start_engine(
        folder,
        Making(tenant="bench", partitions=partitions),
        Hosting(inline=inline, shards=partitions, relays=False),
        factory=measured_factory(snapshots=snapshots),
    )
    engine.set_schema(SCHEMA)
    return engine


def journey_of(day_ms: int) -> str:
    """The reference journey with days of so many milliseconds."""
    document = FLOW.model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["nodes"]["clicked"]["timeout"] = f"{day_ms} ms"
    document["nodes"]["later"]["for"] = f"{3 * day_ms} ms"
    return json.dumps(document)


def surge_until(at_s: int) -> str:
    """A flow whose customers all wait until one instant, seconds UTC, and then are sent a mail."""
    at = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return json.dumps(
        {
            "headrace": 1,
            "flow": SURGE,
            "settings": {"zone": "UTC"},
            "nodes": {
                "start": {"type": "on_event", "event": "go", "next": "opening"},
                "opening": {"type": "wait_until", "at": at, "zone": "flow", "next": "mail"},
                "mail": {"type": "send", "channel": "email", "template": "now", "next": "end"},
                "end": {"type": "end"},
            },
        }
    )


def requests_of(
    load: Load, source: bytes, partitions: int, *, triggers_only: bool = False
) -> list[Request]:
    """The load's batches for a source that numbers them; their events happen when they arrive."""
    batches = (batch for batch in load.batches() if len(batch))
    if triggers_only:
        batches = (batch.rows_of(TRIGGER) for batch in batches)
    requests = [frames_of(batch, partitions) for batch in batches]
    for number, frames in enumerate(requests, 1):
        for frame in frames:
            _arriving(frame)
            frame.source, frame.sequence = source, number
    return requests


def renamed(load: Load, initial: bytes) -> Load:
    """The load with customers of other names, so that nobody is in two loads."""
    letters = load.ids.view(np.uint8).reshape(load.entries, -1).copy()
    letters[:, 0] = initial[0]
    return replace(load, ids=letters.view(load.ids.dtype)[:, 0])


def one_event(number: int, prefix: bytes = b"p") -> Request:
    """The trigger of a customer of his own, who is new; not of a source that numbers them."""
    batch = Batch(
        number,
        0,
        np.array([TRIGGER], np.int8),
        np.array([prefix + b"%08d" % number], "S9"),
        np.zeros(1, np.int64),
        np.array([COUNTRY], "S2"),
        np.ones(1, np.int8),
    )
    frames = frames_of(batch, 1)
    _arriving(frames[0])
    frames[0].source, frames[0].sequence = b"", 0
    return frames


def submit(engine: Engine, request: Request) -> list[Future[Receipt]]:
    """Send a request on its way: a receipt for each partition that it concerns."""
    if len(request) < engine.partitions:
        return engine.submit(request[0])
    sent = [engine.submit(frame, number) for number, frame in enumerate(request)]
    return [receipt for receipts in sent for receipt in receipts]


def fill(engine: Engine, requests: Iterable[Request]) -> None:
    """Send requests as fast as they are taken in; all are durable when it returns."""
    under_way: deque[list[Future[Receipt]]] = deque()
    for request in requests:
        under_way.append(submit(engine, request))
        if len(under_way) > UNDER_WAY:
            settle(under_way.popleft())
    for receipts in under_way:
        settle(receipts)


def _arriving(frame: Frame) -> None:
    """Let its events happen when they arrive."""
    frame.received_ms = np.zeros(frame.rows, np.int64)
    frame.occurred_ms = np.full(frame.rows, NOT_STATED_MS)
