"""Damages bound programs at random and runs a machine on them, as a process of its own.

As a program it reads a seed from each line of its input and answers each with what became of the
damaged program: `refused`, `run` or `stopped`. A crash is then the end of this process alone.
"""

from __future__ import annotations

import copy
import resource
import sys
import threading
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiled import granted
from core.audience import Audience, Column
from core.binding import Bound
from core.errors import HeadraceError
from coupled_cases import coupled_case
from differential import TooLongError, load, run_reference
from ext.machine import Machine
from random_flows import random_case

MEMORY_BYTES_MAX = 3 * 2**30
RUN_S_MAX = 1.0  # then the machine is asked to stop
COUPLED_SHARE = 0.25
PARTS = ("columns", "inputs", "zones", "responses", "values", "program", "options", "audience")
SCALARS = ("gap_ms", "policy", "key_property", "hours", "entry_from_ms", "entry_until_ms")
OPTIONS = ("from_ms", "until_ms", "horizon_ms", "step_budget")
EDGES = (
    -1, 0, 1, 2, 3, 5, 100, 4096, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**61, 2**62, 2**63 - 1,
    -(2**63), -(2**62),
)  # fmt: skip


def arrays(held: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all arrays within a bound program, as names and indices."""
    if isinstance(held, np.ndarray):
        return [path]
    if isinstance(held, list):
        return [p for i, each in enumerate(held) for p in arrays(each, (*path, i))]
    if is_dataclass(held):
        names = [f.name for f in fields(held) if not f.name.startswith("_")]
        if isinstance(held, Audience):
            names = ["id_hash", "created_ms"]
        return [p for name in names for p in arrays(getattr(held, name), (*path, name))]
    return []


def damaged(bound: Bound, dice: Random) -> Bound:
    """A copy of `bound` with one to three things in it changed."""
    places = [place for place in arrays(bound) if place[:2] != ("columns", "recoded")]
    for _ in range(dice.randint(1, 3)):
        chance = dice.random()
        if chance < 0.07:
            name = dice.choice(SCALARS)
            bound = replace(bound, **{name: number(dice, getattr(bound, name))})
        elif chance < 0.12:
            name = dice.choice(OPTIONS)
            changed = number(dice, getattr(bound.options, name))
            bound = replace(bound, options=replace(bound.options, **{name: changed}))
        else:
            place = dice.choice(places)
            bound = put(bound, place, spoilt(at(bound, place), dice))
    return bound


def at(held: Any, path: tuple[Any, ...]) -> Any:
    """What is held at a place."""
    for key in path:
        held = getattr(held, key) if isinstance(key, str) else held[key]
    return held


def put(held: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with `value` at a place."""
    if not path:
        return value
    key, *rest = path
    if isinstance(key, str):
        inner = put(getattr(held, key), tuple(rest), value)
        changed = copy.copy(held)
        object.__setattr__(changed, key, inner)
        if isinstance(changed, Bound):
            changed.checked = False
        if isinstance(changed, Column):
            changed._codes = None
        return changed
    return [put(each, tuple(rest), value) if i == key else each for i, each in enumerate(held)]


def number(dice: Random, near: int) -> int:
    """A whole number: an edge, one near another, or any."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.choice(EDGES)
    if kind == 1:
        return int(near) + dice.choice((-1, 1, 2, -100, 86_400_000))
    return dice.randint(-4, 12) if kind == 2 else dice.randint(-(2**63), 2**63 - 1)


def spoilt(array: NDArray[Any], dice: Random) -> NDArray[Any]:
    """The array cut off, lengthened, or with some numbers changed."""
    kind = dice.random()
    if kind < 0.1:
        return array[: dice.randint(0, max(0, len(array) - 1))].copy()
    if kind < 0.15 and len(array):
        return np.concatenate([array, array[-1:]])
    array = array.copy()
    for _ in range(dice.choice((1, 1, 1, 3, 20))):
        if array.size:
            index = dice.randrange(len(array))
            if array.dtype.names:
                name = dice.choice(array.dtype.names)
                array[name][index] = fitting(number(dice, array[name][index]), array.dtype[name])
            elif array.ndim > 1:
                row = array[index].reshape(-1)
                if row.size:
                    row[dice.randrange(row.size)] = fitting(number(dice, 0), array.dtype)
            else:
                near = 0 if array.dtype.kind == "f" else array[index]
                array[index] = fitting(number(dice, near), array.dtype)
    return array


def fitting(value: int, dtype: np.dtype[Any]) -> Any:
    """The low bits of a number, as the type holds them; any bits for a double."""
    word = np.array([value % 2**64], np.uint64)
    if dtype.kind == "f":
        return word.view(np.float64)[0]
    if dtype.kind == "b":
        return bool(value & 1)
    return word.view(np.uint8)[: dtype.itemsize].copy().view(dtype)[0]


def became(seed: int) -> str:
    """Damage the case of a seed and run it."""
    dice = Random(seed)
    make = coupled_case if dice.random() < COUPLED_SHARE else random_case
    loaded = load(make(dice.randrange(2**63)))
    try:
        run_reference(loaded)
    except TooLongError:
        return "skipped"
    bound = damaged(granted(loaded.bound()), dice)
    try:
        machine = Machine(bound, block_max=64, lanes=dice.choice((1, 64)), log=True)
        watch = threading.Timer(RUN_S_MAX, machine.stop)
        watch.start()
        machine.load(0, bound.customers)
        done = all(machine.apply(until) for until in (number(dice, 0), bound.options.horizon_ms))
        watch.cancel()
        machine.finish()
        machine.take_counters()
        machine.take_log()
    except (ValueError, IndexError, HeadraceError):
        return "refused"
    except MemoryError:
        return "no room"
    return "run" if done else "stopped"


def main() -> None:
    """Answer seeds until there are none left."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    for line in sys.stdin:
        print(became(int(line)), flush=True)


if __name__ == "__main__":
    main()
