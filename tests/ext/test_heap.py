"""Holds the pairing heap and the timing wheel against plain lists, through a compiled probe."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import ModuleType

import pytest

import probes


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module `queue_probe`."""
    source = Path(probes.__file__).parent / "queue_probe.pyx"
    return probes.compiled(source, tmp_path_factory.mktemp("probe"))


@pytest.mark.parametrize(
    ("size", "keys", "removals"), [(60, 5, 0.5), (400, 10**6, 0.3), (40, 1, 0.9)]
)
def test_the_root_is_always_the_least(
    probe: ModuleType, size: int, keys: int, removals: float
) -> None:
    for seed in range(20):
        dice = Random(seed)
        heap = probe.Heap(size)
        inside: dict[int, tuple[int, int]] = {}
        outside = list(range(size))
        for tie in range(4 * size):
            if inside and (not outside or dice.random() < removals):
                # Mostly the root, as timers come due; else any, as tokens are taken out.
                least = min(inside, key=lambda i: inside[i])
                item = least if dice.random() < 0.5 else dice.choice(list(inside))
                del inside[item]
                root = heap.remove(item)
                assert not heap.inside(item)
                outside.append(item)
            else:
                item = outside.pop(dice.randrange(len(outside)))
                inside[item] = (dice.randrange(keys), dice.randrange(2**32) << 32 | tie)
                root = heap.push(item, *inside[item])
            assert root == (min(inside, key=lambda i: inside[i]) if inside else -1)
        order = []
        while inside:
            order.append(inside.pop(root))
            root = heap.remove(root)
        assert order == sorted(order)


def test_keys_beyond_32_bits_and_of_either_sign(probe: ModuleType) -> None:
    heap = probe.Heap(4)
    heap.push(0, 2**62, 0)
    heap.push(1, -(2**62), 2**64 - 1)
    heap.push(2, -(2**62), 2**63)
    assert heap.push(3, 0, 0) == 2
    assert [heap.remove(item) for item in (2, 1, 3, 0)] == [1, 3, 0, -1]


# From a step within one bucket to one beyond the widest wheel.
@pytest.mark.parametrize("span_ms", [40, 5_000, 10**6, 10**8, 10**10, 10**12])
def test_the_calendar_gives_whom_it_was_given(probe: ModuleType, span_ms: int) -> None:
    for seed in range(30):
        dice = Random(seed)
        people = 30
        until_ms = dice.choice((0, -50, 1_700_000_000_000))
        calendar = probe.Calendar(people, until_ms)
        due: dict[int, int] = {}
        for _ in range(80):
            for _ in range(dice.randrange(4)):
                if free := [c for c in range(people) if c not in due]:
                    customer = dice.choice(free)
                    reach_ms = dice.choice((3, 100, span_ms))
                    due[customer] = until_ms + dice.randrange(-3, 3 * reach_ms)
                    calendar.put(customer, due[customer])
            if due and dice.random() < 0.3:
                customer = dice.choice(list(due))
                calendar.remove(customer)
                calendar.remove(customer)
                del due[customer]
            assert calendar.next() == min(due.values(), default=2**63 - 1)
            until_ms += dice.randrange(-2, 2 * dice.choice((3, 100, span_ms)))
            late = [c for c, at in due.items() if at < until_ms]
            assert calendar.due(until_ms, 100) == len(late)
            assert calendar.due(until_ms, 2) == min(2, len(late))
            first, last = dice.choice(((0, people), (0, people), (5, 20)))
            taken = calendar.take(until_ms, first, last)
            assert sorted(taken) == sorted(c for c in late if first <= c < last)
            for customer in taken:
                del due[customer]
