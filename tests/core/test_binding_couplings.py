"""Checks which node and which success watch is bound to which resource."""

from __future__ import annotations

import numpy as np
import pytest

from core.audience_build import audience_from_python
from core.binding import bind
from core.binding_check import check_bound
from core.compiler import compile_flow
from core.couplings import DECISION, NEVER_MS, GateSpec, Grants, PoolSpec, TrialSpec
from core.errors import HeadraceError
from core.flow import Flow
from core.options import RunOptions
from core.program import Op

TEST = {
    "type": "ab_test",
    "branches": {"a": "50%", "b": "50%"},
    "target": {"event": "win", "within": "1 day"},
    "next": {"a": "c", "b": "c"},
}
FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "f",
        "settings": {"coupons": {"p": 3, "q": 1}, "goal": {"event": "win", "within": "1 day"}},
        "nodes": {
            "t": {"type": "on_event", "event": "go", "next": ["open", "ends"]},
            "open": TEST,
            "ends": {**TEST, "until": {"people": 5}},
            "c": {"type": "take_coupon", "pool": "q", "next": {"taken": "x", "sold_out": "x"}},
            "x": {"type": "end"},
        },
    }
)


def test_nodes_and_watches_are_bound_to_their_resources() -> None:
    options = RunOptions(0, 10, 10, entry_rate=2)
    bound = bind(compile_flow(FLOW), audience_from_python([{"id": "c"}], []), options)
    couplings = bound.couplings
    kinds = [type(spec) for spec in couplings.specs]
    assert kinds == [GateSpec, PoolSpec, TrialSpec]
    assert couplings.gate == 0
    assert couplings.resources.tolist() == [-1, -1, 2, 1, -1]
    assert couplings.trials.tolist() == [-1, 2, -1]
    assert bound.nodes["op"][3] == Op.CLAIM
    decisions = np.array([(7, 2, 1)], DECISION)
    at_ms, branch = couplings.decided(Grants(np.zeros(2, np.int64), np.zeros(0), decisions))
    assert at_ms.tolist() == [NEVER_MS, NEVER_MS, 7, NEVER_MS, NEVER_MS]
    assert branch[2] == 1
    check_bound(bound)
    for name, value, told in (
        ("gate", 3, "couplings.gate"),
        ("resources", np.array([-1, -1, 2, 9, -1], np.int32), "couplings.resources"),
        ("resources", np.array([-1, -1, 2, 2, -1], np.int32), "a coupon needs a pool"),
        ("resources", np.array([2, -1, 2, 1, -1], np.int32), "a trial is of a test"),
        ("resources", np.zeros(2, np.int32), "couplings.resources"),
        ("trials", np.zeros(1, np.int32), "couplings.trials"),
    ):
        before = getattr(couplings, name)
        setattr(couplings, name, value)
        bound.checked = False
        with pytest.raises(ValueError, match=told):
            check_bound(bound)
        setattr(couplings, name, before)


def test_independent_customers_have_no_resources() -> None:
    nodes = {"t": {"type": "on_event", "event": "go", "next": "x"}, "x": {"type": "end"}}
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})
    options = RunOptions(0, 10, 10)
    couplings = bind(compile_flow(flow), audience_from_python([], []), options).couplings
    assert (list(couplings.specs), couplings.gate) == ([], -1)
    assert couplings.resources.tolist() == [-1, -1]


def test_coupons_of_another_flow_are_refused() -> None:
    options = RunOptions(0, 10, 10, coupons={"r": 1})
    with pytest.raises(HeadraceError, match="no pool of coupons 'r'"):
        bind(compile_flow(FLOW), audience_from_python([], []), options)
