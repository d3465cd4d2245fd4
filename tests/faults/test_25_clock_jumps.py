"""Scenario 25: the machine's clock leaps an hour ahead, an hour back, a year ahead, and is slewed.

A shard with a real partition runs on a pair of fake clocks: one on the wall, which somebody sets,
and a steady one. Each customer waits an hour after the signup. However the wall clock leaps in that
hour, nobody goes on before an hour of steady time has passed, everybody does soon after, and once.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.rows import decode_rows
from actors.live.clock import CONFIRM_MS, WallClock
from actors.live.control import TenantSettings
from actors.live.household import HouseholdFactory
from actors.live.shard import Shard, ShardOptions
from actors.live.watermarks import Marks
from core.tenant_schema import TenantSchema
from waiting import PATIENCE_S

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
YEAR_MS = 365 * 24 * HOUR_MS
START_MS = 1_800_000_000_000
CUSTOMERS = 50
SCHEMA: dict[str, Any] = {"events": {"signup": {}}}
FLOW = """
headrace: 1
flow: hour
nodes:
  in: {type: on_event, event: signup, next: hour}
  hour: {type: wait, for: 1 hour, next: after}
  after: {type: add_tag, tag: waited, next: out}
  out: {type: end}
"""


class Clocks:
    """The wall clock, which can be set, and the steady one, which cannot."""

    def __init__(self) -> None:
        self.steady_ms = 1_000_000.0
        self.wall_ms = float(START_MS)

    def make(self, start_ms: int) -> WallClock:
        return WallClock(
            start_ms, wall=lambda: self.wall_ms / 1000, steady=lambda: self.steady_ms / 1000
        )

    def after(self, ms: float, slewed: float = 1.0) -> None:
        self.steady_ms += ms
        self.wall_ms += ms * slewed


class Run:
    """A shard under test."""

    def __init__(self, folder: Path) -> None:
        self.clocks = Clocks()
        factory = HouseholdFactory(folder, TenantSettings("shop"), relays=False)
        options = ShardOptions(marks=Marks(disk_full=1.1))
        self.shard = Shard(folder, (0,), factory(), options, clock=self.clocks.make)
        commands = [
            {"kind": "schema", "schema": SCHEMA, "at_ms": START_MS},
            {"kind": "publish", "flow": "hour", "version": 1, "document": FLOW, "at_ms": START_MS},
        ]
        self.shard.follow(list(enumerate(commands, 1)), 2)

    def sign_up(self, first: int) -> None:
        rows = [
            {"customer": f"c{i}", "event": "signup", "message_id": f"m{i}"}
            for i in range(first, first + CUSTOMERS)
        ]
        frame = decode_rows(rows, TenantSchema.of(SCHEMA)).frame
        assert self.shard.submit(0, frame).result(PATIENCE_S).accepted == CUSTOMERS

    def entered(self) -> list[int]:
        """Arrivals at each node, after the shard has looked at its clock."""
        self.shard.ask(lambda: None)
        self.shard.ask(lambda: None)
        return list(map(int, self.shard.read(0, "counts", "hour").entered))

    def minutes(self, count: int, slewed: float = 1.0) -> list[int]:
        """How many went on after each minute."""
        found = []
        for _ in range(count):
            self.clocks.after(MINUTE_MS, slewed)
            found.append(self.entered()[2])
        return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.shard.close()


@pytest.mark.parametrize(
    ("leap_ms", "slack"),
    [
        (HOUR_MS, 0),
        (-HOUR_MS, 60),  # at half speed until the wall clock has come up
        (YEAR_MS, 0),
        (-YEAR_MS, 60),
    ],
)
def test_a_leap_that_is_put_right_moves_nobody_early(
    run: Run, leap_ms: int, slack: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run.sign_up(0)
    assert run.minutes(20) == [0] * 20
    run.clocks.wall_ms += leap_ms
    # Put right within the time after which an hour's leap would be believed.
    run.clocks.after(CONFIRM_MS - 1)
    assert run.entered()[2] == 0
    run.clocks.wall_ms -= leap_ms
    later = run.minutes(39 + slack)
    run.clocks.after(2)
    later.append(run.entered()[2])
    assert set(later[:38]) == {0}
    assert later[-1] == CUSTOMERS
    assert set(later) == {0, CUSTOMERS}
    run.sign_up(CUSTOMERS)
    assert run.minutes(61 + slack)[-1] == 2 * CUSTOMERS
    assert run.entered() == [2 * CUSTOMERS] * 4
    with capsys.disabled():
        print(f"\nscenario 25: leap of {leap_ms / HOUR_MS:+,.0f} h: early 0, twice 0")


def test_a_leap_that_lasts_is_followed_and_fires_once(run: Run) -> None:
    run.sign_up(0)
    assert run.minutes(10) == [0] * 10
    run.clocks.wall_ms += HOUR_MS  # the clock was slow, and is right now
    moved = run.minutes(3)
    assert moved[-1] == CUSTOMERS
    assert run.minutes(120)[-1] == CUSTOMERS


def test_a_year_ahead_is_told_and_fires_nothing_early(run: Run) -> None:
    run.sign_up(0)
    run.clocks.wall_ms += YEAR_MS
    assert run.minutes(59) == [0] * 59
    assert run.shard.status()["clock_difference_ms"] == YEAR_MS
    assert run.minutes(2)[-1] == CUSTOMERS


def test_a_step_back_that_lasts_makes_late_and_never_stops(run: Run) -> None:
    run.sign_up(0)
    run.clocks.wall_ms -= HOUR_MS
    found = run.minutes(125)
    assert found[58] == 0
    assert found[-1] == CUSTOMERS
    moved = found.index(CUSTOMERS) + 1
    assert 60 <= moved <= 121


@pytest.mark.parametrize("slewed", [1.0005, 0.9995])
def test_a_slewed_clock_is_followed(run: Run, slewed: float) -> None:
    run.sign_up(0)
    found = run.minutes(62, slewed)
    moved = found.index(CUSTOMERS) + 1
    assert moved in (60, 61)
    assert run.entered() == [CUSTOMERS] * 4


def test_random_leaps_move_everybody_once(run: Run) -> None:
    generator = np.random.default_rng(1)
    begun = time.process_time()
    waves = 5
    for wave in range(waves):
        run.sign_up(wave * CUSTOMERS)
        for _ in range(10):
            run.clocks.wall_ms += float(generator.normal(0, HOUR_MS))
            run.minutes(2)
    run.clocks.wall_ms = START_MS + run.clocks.steady_ms - 1_000_000
    run.minutes(24 * 60 // 4, 1.0)
    run.clocks.after(48 * HOUR_MS)
    run.minutes(61)
    assert run.entered() == [waves * CUSTOMERS] * 4
    assert time.process_time() - begun < 30
