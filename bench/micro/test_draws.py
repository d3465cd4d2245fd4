"""Time chance: Philox by itself, splits that stick and that don't, and modelled responses."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from bench.micro.crowd import make_crowd
from bench.micro.flows import LINKS, Document, chain, lattice
from bench.micro.stopwatch import Stopwatch
from core.limits import WEIGHT_TOTAL
from core.responses import Responses
from ext.machine import BLOCK
from ext.philox import draw_many, scale_many, slot_many

DRAWS = 1 << 20
CLICKED = "email_clicked"
RESPONSES = Responses.model_validate(
    {
        "headrace_responses": 1,
        "rules": [
            {
                "for": {"channel": "email"},
                "outcomes": [
                    {
                        "event": "email_opened",
                        "probability": "40%",
                        "delay": {"lognormal": {"median": "2 hours", "sigma": 1.4}},
                    },
                    {
                        "event": CLICKED,
                        "after": "email_opened",
                        "probability": "50%",
                        "delay": {"exponential": {"mean": "5 minutes"}},
                    },
                ],
            }
        ],
    }
)


@pytest.fixture(name="words")
def _words(stopwatch: Stopwatch) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.random.default_rng(1).integers(0, 2**64, stopwatch.size(DRAWS), dtype=np.uint64)


def test_philox(words: np.ndarray[tuple[int], np.dtype[np.uint64]], stopwatch: Stopwatch) -> None:
    """Time draws at addresses."""
    slots = np.zeros_like(words)
    stopwatch.time(partial(draw_many, 1, words, slots), steps=len(words), unit="draw")


def test_slots(words: np.ndarray[tuple[int], np.dtype[np.uint64]], stopwatch: Stopwatch) -> None:
    """Time the slots of entries and their visits."""
    visits = np.zeros_like(words)
    stopwatch.time(partial(slot_many, words, visits), steps=len(words), unit="slot")


def test_scaling(words: np.ndarray[tuple[int], np.dtype[np.uint64]], stopwatch: Stopwatch) -> None:
    """Time draws scaled to the weights of a split."""
    stopwatch.time(partial(scale_many, words, WEIGHT_TOTAL), steps=len(words), unit="draw")


@pytest.mark.parametrize("branches", [2, 10])
@pytest.mark.parametrize("sticky", [True, False], ids=["sticky", "each entry"])
def test_split(sticky: bool, branches: int, stopwatch: Stopwatch) -> None:
    """Time splits, which draw once for a customer or once for each entry."""
    weights = {f"b{i}": WEIGHT_TOTAL // branches for i in range(branches)}
    flow = lattice(lambda i: {"type": "split", "branches": weights, "sticky": sticky})
    people = make_crowd(stopwatch.size(8 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2)


def test_responses_unheard(stopwatch: Stopwatch) -> None:
    """Time messages whose modelled outcomes nothing waits for."""
    flow = chain(_send)
    people = make_crowd(stopwatch.size(2 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2, responses=RESPONSES)


def test_responses_awaited(stopwatch: Stopwatch) -> None:
    """Time messages and the waits for their modelled clicks, one in five of which comes."""
    flow = chain(lambda i: _send(i) if i % 2 == 0 else _await_click(i - 1))
    people = make_crowd(stopwatch.size(2 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2, responses=RESPONSES)


def _send(i: int) -> Document:
    return {"type": "send", "channel": "email", "template": f"m{i}"}


def _await_click(sent: int) -> Document:
    return {"type": "wait_event", "event": CLICKED, "message": f"n{sent}", "timeout": "5 days"}
