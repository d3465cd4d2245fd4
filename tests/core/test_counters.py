"""Checks how counts of several machines are added, and the times since entry that they hold."""

import numpy as np
import pytest

from core.counters import DELAY_CELLS, HOUR_MS, HOURLY, Counters, delay_cell, delay_table
from core.flow import Flow

FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "f",
        "nodes": {
            "t": {"type": "on_event", "event": "go", "next": "w"},
            "w": {"type": "wait", "for": "1 hour", "next": "x"},
            "x": {"type": "end"},
        },
    }
)


def counted(**delays_ms: list[int]) -> Counters:
    """Counters whose tokens came to nodes after these times."""
    counters = Counters.zeros(FLOW, hours=2, outcomes=0)
    index = {node: i for i, node in enumerate(FLOW.nodes)}
    for node, arrivals in delays_ms.items():
        counters.entered[index[node]] = len(arrivals)
    counters.delays = delay_table({index[n]: arrivals for n, arrivals in delays_ms.items()})
    return counters


def test_cells_are_exact_below_64_and_then_64_an_octave() -> None:
    assert [delay_cell(ms) for ms in (0, 1, 63, 64, 127, 128, 129, 130)] == [
        *(0, 1, 63, 64, 127, 128, 128, 129)
    ]
    assert delay_cell(1 << 60) == DELAY_CELLS - 1
    for ms in np.unique(np.geomspace(64, 1 << 41, 500).astype(np.int64)).tolist():
        assert delay_cell(ms) < delay_cell(ms + ms // 60 + 1), "a cell is at most 1.6 % wide"


def test_tables_hold_a_row_for_each_cell_in_order_and_no_zeros() -> None:
    table = delay_table({2: [100, 0, 100, 70], 1: [HOUR_MS], 0: [0, 0]})
    assert table.tolist() == [
        [DELAY_CELLS + delay_cell(HOUR_MS), 1, HOUR_MS],
        [2 * DELAY_CELLS + delay_cell(70), 1, 70],
        [2 * DELAY_CELLS + delay_cell(100), 2, 200],
    ]
    assert delay_table({}).shape == (0, 3)


def test_adding_is_counting_together() -> None:
    one, other = counted(t=[0, 0], w=[0], x=[HOUR_MS, 5]), counted(t=[0], x=[5, 5, 0, 7])
    one.customers, other.customers = 3, 4
    one.add(other)
    assert one.customers == 7
    assert one.entered.tolist() == [3, 1, 6]
    assert np.array_equal(one.delays, delay_table({2: [5, 5, 5, 7, HOUR_MS]}))
    none = counted()
    none.add(counted())
    assert none.delays.shape == (0, 3)


@pytest.mark.parametrize(
    ("delays_ms", "median"),
    [
        ([], None),
        ([0, 0], 0.0),
        ([0, 0, 9], 0.0),
        ([0, 9], 0.0),
        ([0, 9, 9], 9.0),
        ([3, 9, 50], 9.0),
        ([3, 9], 3.0),
        ([128, 129], 128.5),
    ],
)
def test_the_median_is_that_of_the_lower_middle(delays_ms: list[int], median: float | None) -> None:
    assert counted(w=[1, 2, 3], x=delays_ms).median_delay_ms(2) == median


def of_hours(entries: list[int], sends: dict[tuple[int, int], int]) -> Counters:
    counters = Counters.zeros(FLOW, hours=len(entries), outcomes=0)
    counters.entries_by_hour[:] = entries
    for (channel, hour), n in sends.items():
        counters.sends_by_hour[channel, hour] = n
    return counters


def test_hours_after_the_last_with_any_are_cut_and_filled_again() -> None:
    whole = of_hours([0, 2, 0, 0, 0], {(3, 2): 7})
    cut = whole.cut()
    assert cut.entries_by_hour.tolist() == [0, 2, 0]
    assert cut.sends_by_hour.shape[1] == 3
    assert cut.sends_by_hour.base is not None, "it is the same memory"
    again = of_hours([9, 9, 9, 9, 9], {(0, 4): 1})
    again.fill("entries_by_hour", cut.entries_by_hour.ravel())
    again.fill("sends_by_hour", cut.sends_by_hour.copy().ravel())
    assert again.entries_by_hour.tolist() == whole.entries_by_hour.tolist()
    assert again.sends_by_hour.tolist() == whole.sends_by_hour.tolist()
    assert of_hours([0, 0], {}).cut().entries_by_hour.tolist() == []


def test_counts_of_no_hour_are_filled() -> None:
    none = of_hours([], {})
    for name in HOURLY:
        none.fill(name, np.zeros(0, np.int64))
        assert getattr(none, name).size == 0
        with pytest.raises(ValueError, match="reshape"):
            none.fill(name, np.ones(4, np.int64))


@pytest.mark.parametrize(
    ("name", "size"), [("entries_by_hour", 6), ("sends_by_hour", 20), ("entered", 2)]
)
def test_what_does_not_fit_is_not_filled_in(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="reshape"):
        of_hours([1] * 5, {}).fill(name, np.zeros(size, np.int64))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_counts_of_fewer_hours_are_added(order: slice) -> None:
    parts = [of_hours([1, 0, 2], {(1, 2): 5}).cut(), of_hours([4, 0, 0], {}).cut()]
    total = Counters.total(parts[order])
    assert total.entries_by_hour.tolist() == [5, 0, 2]
    assert total.sends_by_hour[1].tolist() == [0, 0, 5]
