"""Checks what the start-up benchmark measures, and that large flows cost in proportion.

Growth is told by counting calls, which no other work on the machine can move. `bench` is no part of
what is installed, so it is imported from the checkout.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any

import pytest
import yaml

from core.binding import bind
from core.compiler import compile_flow
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.options import RunOptions
from house import CHECKOUT

DAY_MS = 86_400_000
SMALL, LARGE = 150, 600


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def flows() -> Any:
    return import_module("bench.large_flows")


SHAPES = (
    *("chain", "tree", "broad", "tangle", "conditions"),
    *("tests", "forks", "fans", "names", "triggers"),
)


def calls(work: Callable[[], object]) -> int:
    """How many functions, ours and built-in ones, are called while `work` runs."""
    made = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made


def test_the_shapes_are_those_that_are_checked_here() -> None:
    assert tuple(flows().SHAPES) == SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_size_and_could_run(shape: str) -> None:
    document = flows().document(shape, SMALL)
    assert len(document["nodes"]) == SMALL
    assert document == flows().document(shape, SMALL)
    flow = Flow.model_validate(document)
    found = Counter(v.severity for v in lint(flow, flows().schema()))
    assert found["error"] == 0
    for text in (json.dumps(document), yaml.safe_dump(document, sort_keys=False)):
        assert read_flow(text, name="flow") == (flow, [])


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_nodes_take_four_times_the_calls(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is bounded by itself, whatever the size, would hide what isn't.
    monkeypatch.setattr("core.lint_view.close_to", lambda name, known: "")
    monkeypatch.setattr("core.lint_view._ENTRY_PAIRS_MAX", 100)
    held, people = flows().schema(), flows().audience()
    options = RunOptions(0, 30 * DAY_MS, 30 * DAY_MS)
    small, large = (Flow.model_validate(flows().document(shape, n)) for n in (SMALL, LARGE))
    for work in (
        lambda flow: lint(flow, held),
        compile_flow,
        lambda flow: bind(compile_flow(flow), people, options),
    ):
        work(small)  # whatever is made for the first time is not counted
        assert calls(partial(work, large)) < 5 * calls(partial(work, small))


def test_searching_for_names_that_look_alike_ends() -> None:
    """The search is given up at some point, whatever the flow: advice is no reason to wait."""
    lint_view = import_module("core.lint_view")
    view = lint_view.View(Flow.model_validate(flows().document("chain", 4)))
    known = lint_view.Known(f"{i:04d}" + "x" * 60 for i in range(200))
    advised = [view.close_to(f"{i:04d}" + "x" * 59 + "y", known, "") for i in range(40)]
    assert advised[0].startswith("Did you mean '0000xxx")
    assert advised[-1] == ""
    assert view.close_to("0000" + "x" * 59 + "y", known, "") == advised[0]


def test_the_quick_form_measures_everything_against_its_bar() -> None:
    figures = list(import_module("bench.start_figures").figures(quick=True, runs=1))
    bars = Counter((f.unit, f.bar.value) for f in figures if f.bar is not None)
    shapes = 3
    assert bars == {("s", 2.0): shapes, ("MiB", 200.0): shapes, ("s", 0.3): 1, ("s", 1.0): 1}
    assert len(figures) == 5 * shapes + 3
    assert all(f.ours > 0 for f in figures)
    assert {f.group for f in figures} == {"start"}
