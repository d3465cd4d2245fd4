"""Makes up coupled flows and crowds that compete hard, and runs them by the reference interpreter.

`crowded_case(seed)` has few customers whose events fall on few instants, so that most claims are
contested; `coupled_case(seed)` puts couplings into a random case of random_flows.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.couplings import Claims, Grants, Spec, resources_of
from core.reference import claims
from differential import Loaded
from random_audiences import Dice
from random_flows import random_case

SPANS = ("0 s", "1 ms", "500 ms", "1 second", "1 second", "2 seconds", "5 seconds")
POOLS = ("p", "q")


@dataclass
class ReferenceRunner:
    """The reference interpreter as the runner of actors/coupled_run.py; counts its runs."""

    loaded: Loaded
    runs: list[int] = field(default_factory=list)

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self.loaded.audience.customers

    @property
    def specs(self) -> list[Spec]:
        """What they compete for."""
        return resources_of(self.loaded.flow, self.loaded.options)

    def run(self, customers: NDArray[np.int64], grants: Grants) -> Claims:
        """Run customers from the beginning."""
        self.runs += customers.tolist()
        given = self.loaded
        rows: Iterable[int] = customers.tolist()
        return claims(given.flow, given.audience, given.options, given.responses, grants, rows)


def crowded_case(seed: int) -> dict[str, Any]:
    """A case of a seed in which some twenty customers compete within ten seconds."""
    dice = Dice(seed)
    names = [f"n{i}" for i in range(dice.randint(2, 6))]
    nodes: dict[str, Any] = {
        f"t{i}": {"type": "on_event", "event": event, "next": dice.choice(names)}
        for i, event in enumerate(("go", "also")[: dice.randint(1, 2)])
    }
    for place, name in enumerate(names):
        nodes[name] = _node(dice, [*names[place + 1 :], "x"])
    nodes["x"] = {"type": "end"}
    if dice.chance(0.2):
        nodes["x"]["whole_flow"] = True
    people = [f"c{i}" for i in range(dice.randint(1, 25))]
    instants = [dice.randint(0, 10_000) for _ in range(dice.randint(1, 12))]
    events = [
        {
            "customer": dice.choice(people),
            "time": instants[0] if dice.chance(0.3) else dice.choice(instants),
            "event": dice.choice(("go", "go", "also", "buy")),
        }
        for _ in range(dice.randint(1, 80))
    ]
    reentry = {"policy": dice.choice(("once", "after_exit", "always", "always"))}
    if dice.chance(0.3):
        reentry["gap"] = dice.choice(SPANS[1:])
    case = {
        "flow": {
            "headrace": 1,
            "flow": "crowd",
            "settings": {"reentry": reentry, "coupons": {p: dice.randint(0, 12) for p in POOLS}},
            "nodes": nodes,
        },
        "customers": [{"id": name} for name in people],
        "events": sorted(events, key=lambda event: event["time"]),
        "options": {
            "from": 0,
            "until": dice.choice((6_000, 60_000)),
            "horizon": dice.choice((8_000, 60_000)),
            "step_budget": dice.choice((4, 1000)),
        },
    }
    case["options"]["until"] = min(case["options"]["until"], case["options"]["horizon"])
    _gate(dice, case)
    return case


def coupled_case(seed: int) -> dict[str, Any]:
    """A random case with couplings put in: some of its tags become coupons, its tests end."""
    case = random_case(seed)
    dice = Dice(seed)
    flow = case["flow"]
    flow["settings"]["coupons"] = {p: dice.randint(0, 6) for p in POOLS}
    for node in flow["nodes"].values():
        if node["type"] == "ab_test":
            node["until"] = _until(dice, node["branches"])
        elif node["type"] in ("add_tag", "remove_tag", "add_to_group", "split"):
            edges = node.get("next", [])
            targets = next(iter(edges.values()), []) if isinstance(edges, dict) else edges
            node.clear()
            node |= {"type": "take_coupon", "pool": dice.choice(POOLS)}
            node["next"] = {"taken": targets, "sold_out": targets}
    _gate(dice, case)
    return case


def _gate(dice: Dice, case: dict[str, Any]) -> None:
    settings = case["flow"]["settings"]
    if dice.chance(0.5):
        settings["entry_cap"] = dice.randint(1, 12)
    if dice.chance(0.4):
        settings["entry_rate"] = {"per_second": dice.choice((1, 1, 2, 5))}
    elif dice.chance(0.3):
        case["options"]["entry_rate"] = dice.randint(1, 3)


def _until(dice: Dice, branches: Iterable[str]) -> dict[str, Any]:
    until: dict[str, Any] = {"people": dice.randint(1, 12)}
    kind = dice.choice(("matured", "matured", "at_count", "named", "plain"))
    if kind == "named":
        until["then"] = dice.choice(sorted(branches))
    elif kind != "plain":
        until["decide"] = kind
    return until


def _node(dice: Dice, onward: list[str]) -> dict[str, Any]:
    def to() -> Any:
        return dice.some(onward, 1, 2) if dice.chance(0.2) else dice.choice(onward)

    match dice.choice(("coupon", "coupon", "coupon", "test", "test", "wait", "wait", "event")):
        case "coupon":
            edges = {"taken": to(), "sold_out": to()}
            return {"type": "take_coupon", "pool": dice.choice(POOLS), "next": edges}
        case "test":
            branches = {"A": "50%", "B": "50%"}
            target = {"event": dice.choice(("buy", "also")), "within": dice.choice(SPANS[1:])}
            return {
                "type": "ab_test",
                "branches": branches,
                "target": target,
                "sticky": dice.chance(0.5),
                "until": _until(dice, branches),
                "next": {"A": to(), "B": to()},
            }
        case "wait":
            return {"type": "wait", "for": dice.choice(SPANS), "next": to()}
    return {
        "type": "wait_event",
        "event": dice.choice(("also", "buy")),
        "timeout": dice.choice(SPANS),
        "next": {"event": to(), "timeout": to()},
    }
