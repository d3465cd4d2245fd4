"""Makes data directories as an engine leaves them: with customers, a flow and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from serving import SCHEMA, WELCOME, customers, signups

START_MS = 1_780_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def driven_engine(folder: Path, partitions: int | None = None) -> Engine:
    """An engine in this process whose clock is driven, and whose messages stay in the outbox."""
    hosting = Hosting(inline=True, relays=False, options=ShardOptions(driven=True))
    return start_engine(folder, Making(tenant="shop", partitions=partitions), hosting)


def work(engine: Engine, first: int = 0, count: int = 60) -> None:
    """Let so many customers come, sign up, and go two days along the flow."""
    engine.advance(engine.now_ms() + HOUR_MS)
    engine.send(customers(count, first))
    engine.send(signups(count, first))
    engine.advance(engine.now_ms() + 2 * DAY_MS)
    clicks = [{"customer": f"c{i}", "event": "email_clicked"} for i in range(first, first + count)]
    engine.send(clicks[::3])


def begin(engine: Engine) -> None:
    """Publish a flow, and let customers go along it."""
    engine.advance(START_MS)
    engine.set_schema(SCHEMA)
    engine.publish(WELCOME)
    work(engine)


def digest_of(engine: Engine) -> int:
    """The tenant's digest."""
    total = 0
    for number in range(engine.partitions):
        total += int(engine._of[number].call("read", number, "digest"))
    return total % 2**64


def made(folder: Path, partitions: int = 2, *, snapshot: bool = True) -> int:
    """Make a data directory in `folder`; returns its digest. Some of it is behind a snapshot."""
    with driven_engine(folder, partitions) as engine:
        begin(engine)
        for number in range(partitions if snapshot else 0):
            while engine._of[number].call("read", number, "snapshot", True):
                pass
        work(engine, first=60, count=20)
        return digest_of(engine)


def findings(found: list[Any]) -> set[tuple[str, str]]:
    """Codes and places."""
    return {(finding.code, finding.place) for finding in found}
