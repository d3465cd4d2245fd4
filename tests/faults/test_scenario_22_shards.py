"""Scenario 22 for shards: actors stopped one by one, killed, and resumed in random order.

Clients send meanwhile, and the time passes. Whatever was acknowledged is there once, and every
customer gets each message once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from actors.live.data_dir import partition_path
from actors.live.engine import Engine
from actors.live.reading import reading
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from actors.relay.effect_block import decode_effects
from core.duration import DAY_MS
from waiting import PATIENCE_S, until

ray = pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
BEGIN_MS = 1_767_225_600_000
SHARDS, PARTITIONS = 3, 6
LANES, BATCHES, BATCH = 3, 6, 20
STEPS = 8
FLOW = {
    "t": {"type": "on_event", "event": "go", "next": "hello"},
    "hello": {"type": "send", "channel": "email", "template": "hello", "next": "w"},
    "w": {"type": "wait", "for": "1 day", "next": "again"},
    "again": {"type": "send", "channel": "email", "template": "again", "next": "x"},
    "x": {"type": "end"},
}


class Actors:
    """The processes of an engine's shards, which run, stand still or are being started again."""

    def __init__(self, engine: Engine) -> None:
        self.handles = list(engine._handles)
        self.stopped: dict[int, int] = {}  # process by shard
        self.killed = 0

    def process(self, shard: int) -> int:
        """The process of a shard that is not stopped, once it is there."""

        def found() -> int:
            try:
                asked = self.handles[shard].actor.process.remote()
                return int(ray.get(asked, timeout=PATIENCE_S))
            except ray.exceptions.RayError:
                return 0

        return until(found, "an actor that was started again")

    def stop(self, shard: int) -> None:
        self.stopped[shard] = self.process(shard)
        os.kill(self.stopped[shard], signal.SIGSTOP)

    def resume(self, shard: int, *, killed: bool = False) -> None:
        self.killed += killed
        os.kill(self.stopped.pop(shard), signal.SIGKILL if killed else signal.SIGCONT)


def swizzle(actors: Actors, dice: Random, steps: int, kills: int) -> None:
    """Stop a random subset one by one, resume or kill in random order; all run at the end."""
    for _ in range(steps):
        running = [n for n in range(SHARDS) if n not in actors.stopped]
        if len(running) > 1 and dice.random() < 0.6:
            actors.stop(dice.choice(running))
        elif actors.stopped:
            killed = kills > 0 and dice.random() < 0.5
            kills -= killed
            actors.resume(dice.choice(sorted(actors.stopped)), killed=killed)
        time.sleep(dice.uniform(0.0, 0.1))
    for shard in dice.sample(sorted(actors.stopped), len(actors.stopped)):
        actors.resume(shard)


def disturbed(actors: Actors, dice: Random, work: list[threading.Thread], kills: int) -> None:
    """Do the work while shards are swizzled."""
    for thread in work:
        thread.start()
    swizzle(actors, dice, STEPS, kills)
    for thread in work:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def send(engine: Engine, name: str, told: list[int]) -> None:
    """Send a lane's customers; a batch whose answer was lost is sent again by the engine."""
    for number in range(BATCHES):
        rows = [
            {"customer": f"{name}-{number}-{i}", "event": "go", "message_id": f"{name}{number}-{i}"}
            for i in range(BATCH)
        ]
        reply = engine.send(rows, deadline_s=60)
        assert reply.rejects == []
        told.append(reply.accepted + reply.duplicates)


def sent(folder: Path) -> Counter[tuple[int, int, str]]:
    """The messages that were asked for: hash of the customer's id, entry, node."""
    found: Counter[tuple[int, int, str]] = Counter()
    for number in range(PARTITIONS):
        with reading(partition_path(folder, number)) as store:
            for _, blocks in store.outbox():
                for block in blocks:
                    found.update((e.customer, e.entry, e.node) for e in decode_effects(block))
    return found


@pytest.mark.parametrize("seeds", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_shards_that_stop_die_and_come_back_in_any_order_lose_and_double_nothing(
    tmp_path: Path, seeds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
    hosting = Hosting(shards=SHARDS, relays=False, options=options)
    told: list[int] = []
    with start_engine(tmp_path / "d", Making(partitions=PARTITIONS), hosting) as engine:
        actors = Actors(engine)
        engine.set_schema({"events": {"go": {}}})
        engine.advance(BEGIN_MS)
        engine.publish(json.dumps({"headrace": 1, "flow": "f", "nodes": FLOW}))
        for seed in range(seeds):
            dice = Random(seed)
            lanes = [
                threading.Thread(target=send, args=(engine, f"{seed}-{lane}", told))
                for lane in range(LANES)
            ]
            # An actor takes seconds to be started again, so every other seed kills one.
            disturbed(actors, dice, lanes, 1 - seed % 2)
            assert len(told) == (seed + 1) * LANES * BATCHES
            for number in range(PARTITIONS):
                # A minute later it would say so itself: it lives on, and is no crash loop.
                engine._of[number].call("read", number, "tend")
            # A shard that died is at the time of its last commit.
            now_ms = BEGIN_MS + (3 * seed + 1) * DAY_MS
            passing = threading.Thread(target=engine.advance, args=(now_ms + 2 * DAY_MS,))
            disturbed(actors, dice, [passing], 0)
            engine.advance(now_ms + 2 * DAY_MS)
            people = (seed + 1) * LANES * BATCHES * BATCH
            assert engine.counts("f").entered.tolist() == [people] * len(FLOW)
    assert sum(told) == people
    found = sent(tmp_path / "d")
    assert len(found) == 2 * people
    assert max(found.values()) == 1
    with capsys.disabled():
        print(
            f"\nscenario 22: {seeds} seeds, {actors.killed} actors killed among those stopped, "
            f"{people:,} customers, lost 0, twice 0"
        )
    assert actors.killed > 0
