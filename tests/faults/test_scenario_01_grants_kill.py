"""Scenario 1 for what customers compete for: an engine killed between claims, grants and answers.

Every customer gets an answer, once, and no more coupons are given than there are.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from actors.live.engine import Engine
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from live_work import fork
from store_work import in_memory
from waiting import until

COUPONS, PEOPLE = 30, 90
FLOW = {
    "t": {"type": "on_event", "event": "go", "next": "take"},
    "take": {"type": "take_coupon", "pool": "spring", "next": {"taken": "mail", "sold_out": "x"}},
    "mail": {"type": "send", "channel": "email", "template": "m", "next": "x"},
    "x": {"type": "end"},
}
DOCUMENT = json.dumps(
    {
        "headrace": 1,
        "flow": "f",
        "settings": {"coupons": {"spring": COUPONS}, "entry_rate": {"per_second": 1_000}},
        "nodes": FLOW,
    }
)


def started(folder: Path) -> Engine:
    """The engine, which has lived on for a minute: what dies young again and again stays shut."""
    options = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
    hosting = Hosting(inline=True, shards=2, relays=False, options=options)
    engine = start_engine(folder, Making(partitions=4), hosting)
    for number in range(4):
        engine._of[number].call("read", number, "tend")
    engine.control.tend()
    engine.coordinate()
    engine._coordinating._tend()
    return engine


def work(folder: Path, first: int, tell: Callable[[object], None]) -> None:
    """Let customers come one after the other, and be answered."""
    with started(folder) as engine:
        tell("open")
        for number in range(first, PEOPLE):
            row = {"customer": f"c{number}", "event": "go", "message_id": f"{number}"}
            engine.send([row])
            tell(number)
            engine.advance(engine.now_ms() + 100)
            engine.coordinate()


def answered(engine: Engine) -> bool:
    """Whether everybody was; time goes on where not."""
    if engine.counts("f").entered[3] == PEOPLE:
        return True
    engine.advance(engine.now_ms() + 1_000)
    engine.coordinate()
    return False


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.soak)])
def test_an_engine_killed_at_any_moment_grants_each_coupon_once(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = Random(kills)
    died = rounds = 0
    with in_memory(tmp_path) as place:
        while died < kills:
            folder = place / f"{rounds}"
            rounds += 1
            with started(folder) as engine:
                engine.set_schema({"events": {"go": {}}})
                engine.publish(DOCUMENT)
            done, code = 0, -signal.SIGKILL
            while code:
                child = fork(lambda tell, f=folder, d=done: work(f, d, tell))
                time.sleep(dice.uniform(0.1, 1.2))
                if died < kills:
                    child.kill()
                told, code = child.wait()
                assert code in (0, -signal.SIGKILL), told
                died += code != 0
                numbers = [int(each) for each in told if each != "open"]
                done = max([done, *(number + 1 for number in numbers)])
            with started(folder) as engine:
                until(lambda e=engine: answered(e), "an answer for everybody")
                assert engine.counts("f").entered.tolist() == [PEOPLE, PEOPLE, COUPONS, PEOPLE]
    with capsys.disabled():
        print(
            f"\nscenario 1: {died} kills in {rounds} engines that grant, {COUPONS} coupons of "
            f"{COUPONS} given, {PEOPLE} of {PEOPLE} people answered once"
        )
