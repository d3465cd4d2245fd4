"""Bind what customers compete for to the nodes at which they do: resources by node and by watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.couplings import NEVER_MS, GateSpec, Grants, PoolSpec, Spec, TrialSpec, resources_of
from core.nodes import TakeCoupon
from core.options import RunOptions

if TYPE_CHECKING:
    from core.program import Program

NO_RESOURCE = -1


@dataclass(slots=True)
class BoundCouplings:
    """The resources of a flow, numbered by their place in `specs`, NO_RESOURCE for none.

    `gate`: what entries claim. `resources` int32[nodes]: the pool of a coupon node, the trial of a
    test that ends. `trials` int32[watches]: the trial of the test that a success watch is of.
    """

    specs: Sequence[Spec]
    gate: int
    resources: NDArray[np.int32]
    trials: NDArray[np.int32]

    def decided(self, grants: Grants | None) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """From when on a node's test is decided, int64[nodes] (NEVER_MS), and for which branch."""
        at_ms = np.full(len(self.resources), NEVER_MS, np.int64)
        branch = np.zeros(len(self.resources), np.int32)
        for decision in () if grants is None else grants.decisions:
            mine = self.resources == decision["resource"]
            at_ms[mine], branch[mine] = decision["time_ms"], decision["branch"]
        return at_ms, branch


def bind_couplings(program: Program, options: RunOptions) -> BoundCouplings:
    """Number what the customers of a run compete for.

    HeadraceError where the options state coupons of a pool that the flow doesn't have.
    """
    specs = resources_of(program.flow, options)
    numbered = list(enumerate(specs))
    pools = {spec.name: i for i, spec in numbered if isinstance(spec, PoolSpec)}
    tests = {spec.node: i for i, spec in numbered if isinstance(spec, TrialSpec)}
    found = [
        pools[node.pool] if isinstance(node, TakeCoupon) else tests.get(node_id, NO_RESOURCE)
        for node_id, node in program.flow.nodes.items()
    ]
    declared = list(program.flow.tests)
    return BoundCouplings(
        specs=specs,
        gate=next((i for i, spec in numbered if isinstance(spec, GateSpec)), NO_RESOURCE),
        resources=np.array(found, np.int32),
        trials=np.array(
            [
                NO_RESOURCE if watch.test < 0 else tests.get(declared[watch.test], NO_RESOURCE)
                for watch in program.watches
            ],
            np.int32,
        ),
    )
