"""Runs every vector of the rules of execution on every interpreter.

tests/vectors/README.md says how a vector is written; any engine can run them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audience_build import audience_from_python, instant_ms
from core.counters import Counters, port_base
from core.flow import Flow
from core.options import RunOptions
from core.outcomes import Outcome
from core.responses import Responses
from interpreters import INTERPRETERS, Ran

FOLDER = Path(__file__).parent
OTHERS = {"draws.json", "hashes.json"}  # vectors of single functions


VECTORS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.json"))
    if path.name not in OTHERS
}
PER_NODE = (
    "entered", "unique", "waiting", "idle", "touched", "modelled_wakes", "modelled_entries",
    "queued", "line_sum_ms", "in_line", "refused_cap", "refused_late",
)  # fmt: skip
RUNS = [(n, i) for n in VECTORS for i in INTERPRETERS]


def run_vector(vector: dict[str, Any], interpreter: str) -> Ran:
    """Run the flow of a vector over its audience."""
    options = dict(vector["options"])
    times = {f"{name}_ms": instant_ms(options.pop(name)) for name in ("from", "until", "horizon")}
    audience = audience_from_python(
        vector["customers"],
        vector.get("events", ()),
        changes=vector.get("changes", ()),
        **vector.get("audience", {}),
    )
    responses = vector.get("responses")
    return INTERPRETERS[interpreter](
        Flow.model_validate(vector["flow"]),
        audience,
        RunOptions(**times, **options),
        None if responses is None else Responses.model_validate(responses),
    )


def expected_records(vector: dict[str, Any]) -> dict[str, list[tuple[int, Any, str, str]]]:
    """The stated lines (time, entry, node, port) of each customer."""
    lines = defaultdict(list)
    for customer, time, entry, node, port in vector["expect"]["records"]:
        lines[customer].append((instant_ms(time), entry, node, port))
    return dict(lines)


def found_records(
    ran: Ran, stated: dict[str, list[tuple[int, Any, str, str]]]
) -> dict[str, list[tuple[int, Any, str, str]]]:
    """The decided lines in the same form: an entry is its hash where the vector states that.

    Elsewhere it is the place of its identity among the customer's, in order of appearance.
    """
    lines = defaultdict(list)
    numbers: dict[str, dict[int, int]] = defaultdict(dict)
    for record in ran.records:
        mine = lines[record.customer]
        assert record.step == len(mine)
        known = numbers[record.customer]
        entry: Any = known.setdefault(record.entry, len(known))
        wanted = stated.get(record.customer, [])[len(mine) : len(mine) + 1]
        if wanted and isinstance(wanted[0][1], str):
            entry = f"{record.entry:016x}"
        mine.append((record.time_ms, entry, record.node, record.port))
    return dict(lines)


def flat(flow: Flow, counters: Counters, name: str) -> Any:
    """A counter in the form in which vectors state it: by name, zeros left out."""
    value = getattr(counters, name)
    nodes = list(flow.nodes)
    if name in PER_NODE:
        return {node: int(n) for node, n in zip(nodes, value, strict=True) if n}
    if name == "delay_sum_ms":
        return {node: int(n) for node, n in zip(nodes, value, strict=True) if n}
    if name == "port":
        base = port_base(flow)
        return {
            f"{node}.{port}": int(value[base[i] + place])
            for i, (node, declared) in enumerate(flow.nodes.items())
            for place, port in enumerate(declared.ports)
            if value[base[i] + place]
        }
    if name == "outcome":
        return {
            f"{node}.{outcome.text}": int(value[i, outcome.column])
            for i, node in enumerate(nodes)
            for outcome in Outcome
            if value[i, outcome.column]
        }
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


@pytest.mark.parametrize(("name", "interpreter"), RUNS)
def test_vector(name: str, interpreter: str) -> None:
    vector = VECTORS[name]
    assert vector["name"] == name
    ran = run_vector(vector, interpreter)
    stated = expected_records(vector)
    assert found_records(ran, stated) == stated
    flow = Flow.model_validate(vector["flow"])
    counters = vector["expect"].get("counters", {})
    assert {n: flat(flow, ran.counters, n) for n in counters} == counters


@pytest.mark.parametrize(("name", "interpreter"), RUNS)
def test_ports_and_outcomes_are_those_of_the_log(name: str, interpreter: str) -> None:
    vector = VECTORS[name]
    ran = run_vector(vector, interpreter)
    flow = Flow.model_validate(vector["flow"])
    counted = Counter(flat(flow, ran.counters, "port")) + Counter(
        flat(flow, ran.counters, "outcome")
    )
    for reason in ("refused_cap", "refused_late"):
        by_node = flat(flow, ran.counters, reason).items()
        counted += Counter({f"{node}.{reason}": count for node, count in by_node})
    assert counted == Counter(f"{record.node}.{record.port}" for record in ran.records)


def test_every_detail_has_a_vector() -> None:
    covered = {rule for vector in VECTORS.values() for rule in vector["rules"]}
    assert {f"D{number}" for number in range(1, 46)} <= covered
