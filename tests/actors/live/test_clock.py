"""Tests of `actors.live.clock`: the machine's clock guarded, and the driven one."""

from itertools import pairwise

import pytest

from actors.live.clock import CONFIRM_MS, LEAP_MAX_MS, STEP_MS, DrivenClock, WallClock, steady_s

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000


class Machine:
    """Two clocks that pass together, until somebody sets the one on the wall. Milliseconds."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.steady_ms = 5_000
        self.clock = self.guarded()

    def guarded(self, start_ms: int = 0) -> WallClock:
        return WallClock(
            start_ms, wall=lambda: self.wall_ms / 1000, steady=lambda: self.steady_ms / 1000
        )

    def after(self, ms: int) -> int:
        self.wall_ms += ms
        self.steady_ms += ms
        return self.clock.now_ms()

    def passed(self, ms: int, step_ms: int = 1000) -> list[int]:
        return [self.after(step_ms) for _ in range(ms // step_ms)]


def test_it_is_the_wall_clock_while_nobody_sets_that() -> None:
    machine = Machine()
    assert machine.after(0) == START_MS
    assert machine.after(1234) == START_MS + 1234
    assert machine.clock.difference_ms == 0


@pytest.mark.parametrize("step_ms", [1, STEP_MS])
def test_a_small_step_ahead_is_caught_up_with(step_ms: int) -> None:
    machine = Machine()
    machine.wall_ms += step_ms
    assert machine.after(10) == machine.wall_ms


def test_a_leap_ahead_is_followed_once_it_has_lasted() -> None:
    machine = Machine()
    machine.wall_ms += HOUR_MS
    before = machine.after(1000)
    assert before == START_MS + 1000
    assert machine.clock.difference_ms == HOUR_MS
    assert machine.passed(CONFIRM_MS - 1000)[-1] == START_MS + CONFIRM_MS
    assert machine.after(1000) == machine.wall_ms == START_MS + HOUR_MS + CONFIRM_MS + 1000


def test_a_leap_that_is_taken_back_is_never_followed() -> None:
    machine = Machine()
    for _ in range(3):
        machine.wall_ms += HOUR_MS
        machine.passed(CONFIRM_MS - 5000)
        machine.wall_ms -= HOUR_MS
        machine.passed(5000)
    assert machine.clock.now_ms() == machine.wall_ms == START_MS + 3 * CONFIRM_MS


def test_a_leap_of_a_year_is_told_and_not_followed() -> None:
    machine = Machine()
    machine.wall_ms += 365 * 24 * HOUR_MS
    assert machine.passed(10 * CONFIRM_MS)[-1] == START_MS + 10 * CONFIRM_MS
    assert machine.clock.difference_ms == 365 * 24 * HOUR_MS > LEAP_MAX_MS
    # An engine that is started anew takes the clock as it is.
    assert machine.guarded().now_ms() == machine.wall_ms


def test_a_step_back_is_waited_for_at_half_speed() -> None:
    machine = Machine()
    machine.wall_ms -= HOUR_MS
    found = machine.passed(2 * HOUR_MS - 1000, 1000)
    assert found[0] == START_MS + 500
    assert all(one < other for one, other in pairwise(found))
    assert found[-1] == machine.wall_ms + 500
    assert machine.after(1000) == machine.wall_ms
    assert machine.after(1000) == machine.wall_ms


def test_it_begins_where_the_partitions_are() -> None:
    machine = Machine()
    clock = machine.guarded(START_MS + 10_000)
    assert clock.now_ms() == START_MS + 10_000
    assert clock.difference_ms == -10_000


def test_a_slewed_clock_is_followed_closely() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.wall_ms += 1001  # 1,000 parts per million
        machine.steady_ms += 1000
        assert machine.clock.now_ms() == machine.wall_ms


def test_a_driven_clock_stands_until_it_is_set() -> None:
    clock = DrivenClock(5)
    assert clock.now_ms() == 5
    clock.advance(9)
    clock.advance(7)
    assert (clock.now_ms(), clock.difference_ms) == (9, 0)


def test_the_steady_clock_goes_on() -> None:
    assert steady_s() <= steady_s()
    assert WallClock().now_ms() > START_MS
