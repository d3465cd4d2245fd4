"""Holds the compiled interpreter against the reference on random cases, however it is cut up.

Cases come from `random_flows`, a seed each; a failing one is made small and printed whole.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

from core.audience import Audience, ChangeLog, Column
from core.lint import lint
from core.outcomes import Outcome
from core.reference import Record
from coverage_of_cases import Reached, ports
from differential import (
    CUTS,
    Cut,
    Loaded,
    TooLongError,
    difference,
    difference_of_cut,
    disagreement,
    load,
    run_cut,
    run_reference,
)
from random_flows import random_case
from shrinking import shrunk

SEEDS = st.integers(0, 2**63 - 1)
# A case is made small by `shrunk`: Hypothesis could only try other seeds.
PHASES = (Phase.explicit, Phase.generate)
CASES = 300


@cache
def explained(seed: int) -> str:
    """The case of a seed, made small, and how the interpreters disagree about it."""
    case = random_case(seed)
    said = disagreement(case, CUTS, seed) or ""

    def fails(candidate: dict[str, Any]) -> bool:
        try:
            found = disagreement(candidate, CUTS, seed)
            errors = [v for v in lint(load(candidate).flow) if v.severity == "error"]
        except Exception:
            return False
        return found is not None and not errors

    small = shrunk(case, fails) if fails(case) else case
    return f"seed {seed}: {said}\n{json.dumps(small, ensure_ascii=False)}"


def check(seed: int, reached: Reached) -> None:
    """Run the case of a seed on both interpreters, the compiled one in every cut."""
    loaded = load(random_case(seed))
    try:
        with reached.watching_comparisons():
            expected = run_reference(loaded)
    except TooLongError:
        return
    reached.note(loaded.flow, expected[0])
    bound = loaded.bound()
    for cut in CUTS:
        if difference_of_cut(expected, bound, cut, seed) is not None:
            pytest.fail(explained(seed))


def check_many(cases: int, reached: Reached) -> None:
    """Check as many random cases."""

    @settings(max_examples=cases, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        check(seed, reached)

    check_one()


def test_both_interpreters_decide_alike() -> None:
    reached = Reached()
    check_many(CASES, reached)
    print(reached.report())
    assert reached.cases >= 0.9 * CASES
    assert len(ports() & set(reached.ports)) >= 0.95 * len(ports()), reached.report()
    # Customers are merged live alone.
    possible = {outcome.text for outcome in Outcome if outcome is not Outcome.MERGED}
    assert set(reached.outcomes) == possible, reached.report()
    assert reached.share_of_comparisons() >= 0.8, reached.report()


@pytest.mark.soak
def test_both_interpreters_decide_alike_in_many_cases() -> None:
    reached = Reached()
    check_many(settings().max_examples, reached)
    print(reached.report())
    assert ports() <= set(reached.ports), reached.report()
    assert reached.share_of_comparisons() >= 0.99, reached.report()


@settings(max_examples=100, phases=PHASES)
@given(SEEDS)
def test_random_flows_are_free_of_lint_errors(seed: int) -> None:
    flow = load(random_case(seed)).flow
    assert [v for v in lint(flow) if v.severity == "error"] == []


# -- what must change nothing


def decided(case: dict[str, Any]) -> list[Record]:
    """The log of the compiled interpreter. Raises TooLongError where it would be long."""
    loaded = load(case)
    run_reference(loaded)
    return run_cut(loaded.bound(), CUTS[0])[0]


def short_case(seed: int) -> dict[str, Any]:
    """The case of a seed, if it is not too long."""
    case = random_case(seed)
    try:
        run_reference(load(case))
    except TooLongError:
        reject()
    return case


def edited(case: dict[str, Any], seed: int) -> dict[str, Any]:
    """The case with other titles, nodes in another order, and more that nobody reaches.

    Triggers keep their order, because it decides.
    """
    dice = Random(seed)
    case = copy.deepcopy(case)
    flow = case["flow"]
    nodes = flow["nodes"]
    enters = [n for n in nodes if nodes[n]["type"].startswith("on_") or nodes[n].get("entry")]
    others = [n for n in nodes if n not in enters]
    onward = dice.choice(others)
    more = {
        "spare-wait": {"type": "wait_event", "event": "order", "next": ["spare-mail", onward]},
        "spare-mail": {"type": "send", "channel": "sms", "template": "spare", "next": "spare-test"},
        "spare-test": {
            "type": "ab_test",
            "branches": {"a": 5000, "b": 5000},
            "target": {"event": "visit", "within": "1 day", "where": {"property": "new", "is": 1}},
            "next": {"a": "spare-ask", "b": onward},
        },
        "spare-ask": {
            "type": "condition",
            "if": {"all": [{"never_did": "signup"}, {"attribute": "spare", "above": 3}]},
        },
    }
    shuffled = [*others, *more]
    dice.shuffle(shuffled)
    places = sorted(dice.sample(range(len(enters) + len(shuffled)), len(enters)))
    for place, name in zip(places, enters, strict=True):
        shuffled.insert(place, name)
    flow["nodes"] = {n: {**(nodes | more)[n], "title": f"T {n}", "note": "x"} for n in shuffled}
    flow["name"], flow["description"] = "another name", "told anew"
    flow.get("settings", {}).pop("funnel", None)
    return case


@settings(max_examples=100, phases=PHASES)
@given(SEEDS)
def test_an_edit_that_says_nothing_changes_no_decision(seed: int) -> None:
    case = short_case(seed)
    assert decided(edited(case, seed)) == decided(case)


def branches(case: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """The branches that customers took at the sticky splits of a case."""
    nodes = case["flow"]["nodes"]
    taken: dict[tuple[str, str], set[str]] = {}
    for record in decided(case):
        node = nodes[record.node]
        sticky = node["type"] in ("split", "ab_test") and node.get("sticky", True)
        if sticky and record.port in node["branches"]:
            taken.setdefault((record.customer, record.node), set()).add(record.port)
    return taken


def test_another_draft_moves_nobody_in_a_split() -> None:
    compared = 0
    for seed in range(300):
        case = random_case(seed)
        case["flow"]["lineage"] = "line"
        draft = edited(case, seed)
        draft["flow"]["flow"] = "another"
        draft["options"]["seed"] = 99
        for node in draft["flow"]["nodes"].values():
            if node["type"] == "wait":
                node["for"] = "2 hours"
            if node["type"] == "send":
                node["template"] = "another"
        try:
            first, second = branches(case), branches(draft)
        except TooLongError:
            continue
        assert all(len(ports) == 1 for ports in (*first.values(), *second.values()))
        assert {k: first[k] for k in first if k in second} == {
            k: second[k] for k in second if k in first
        }
        compared += len(first.keys() & second.keys())
    assert compared > 50


def alone(audience: Audience, c: int) -> Audience:
    """The audience of one customer."""
    rows = slice(int(audience.event_offsets[c]), int(audience.event_offsets[c + 1]))

    def one(column: Column, at: slice) -> Column:
        return Column(column.kind, column.values[at], column.dictionary)

    changes = audience.changes
    if changes is not None:
        first, end = (int(offset) for offset in changes.offsets[c : c + 2])
        changes = ChangeLog(
            changes.attribute_names,
            np.array([0, end - first], np.int64),
            changes.ms[first:end],
            changes.attribute[first:end],
            changes.value[first:end],
        )
    start, stop = (int(offset) for offset in audience.id_offsets[c : c + 2])
    return replace(
        audience,
        id_offsets=np.array([0, stop - start], np.int64),
        id_data=audience.id_data[start:stop],
        id_hash=audience.id_hash[c : c + 1],
        created_ms=audience.created_ms[c : c + 1],
        zone_code=audience.zone_code[c : c + 1],
        attributes={k: one(v, slice(c, c + 1)) for k, v in audience.attributes.items()},
        tags={k: v[c : c + 1] for k, v in audience.tags.items()},
        groups={k: v[c : c + 1] for k, v in audience.groups.items()},
        event_offsets=np.array([0, rows.stop - rows.start], np.int64),
        event_type=audience.event_type[rows],
        event_ms=audience.event_ms[rows],
        event_hash=audience.event_hash[rows],
        properties={k: one(v, rows) for k, v in audience.properties.items()},
        changes=changes,
        _index=None,
    )


@settings(max_examples=60, phases=PHASES)
@given(SEEDS)
def test_a_customer_alone_decides_as_in_a_crowd(seed: int) -> None:
    loaded = load(short_case(seed))
    crowd, _ = run_cut(loaded.bound(), CUTS[0])
    for c in range(loaded.audience.customers):
        single: Loaded = replace(loaded, audience=alone(loaded.audience, c))
        name = loaded.audience.id_of(c)
        mine = [record for record in crowd if record.customer == name]
        assert run_cut(single.bound(), CUTS[0])[0] == mine


def crowded(case: dict[str, Any], copies: int) -> dict[str, Any]:
    """The case with as many copies of each customer, under other ids."""
    names = {row["id"] for row in case["customers"]} | {row["customer"] for row in case["events"]}
    known = {row["id"]: row for row in case["customers"]}
    grown = {**case, "customers": [], "events": [], "changes": []}
    for number in range(copies):
        for name in sorted(names):
            customer = {**known.get(name, {}), "id": f"{name}-{number}"}
            grown["customers"].append(customer)
    for part in ("events", "changes"):
        for row in case[part]:
            grown[part] += [{**row, "customer": f"{row['customer']}-{n}"} for n in range(copies)]
    return grown


def test_a_large_block_decides_as_small_ones_do() -> None:
    # So many customers that every array of a block must grow.
    compared = 0
    for seed in (22, 33, 129, 153):
        try:
            decided(random_case(seed))
        except TooLongError:
            continue
        bound = load(crowded(random_case(seed), 120)).bound()
        small = run_cut(bound, Cut(block=5, lanes=2))
        assert difference(small, run_cut(bound, Cut())) is None
        assert difference(small, run_cut(bound, Cut(1024, 64, 2, 4), seed)) is None
        compared += len(small[0])
    assert compared > 50_000


DIGEST = """
import hashlib
from differential import CUTS, TooLongError, load, run_cut, run_reference
from random_flows import random_case
digest = hashlib.sha256()
for seed in range(60):
    loaded = load(random_case(seed))
    try:
        run_reference(loaded)
    except TooLongError:
        continue
    records, counters = run_cut(loaded.bound(), CUTS[0])
    digest.update(repr(records).encode())
    digest.update(counters.port.tobytes() + counters.outcome.tobytes())
print(digest.hexdigest())
"""


def test_the_order_of_hashed_names_does_not_matter() -> None:
    found = set()
    for number in ("0", "1", "4711"):
        path = os.pathsep.join([str(Path(__file__).parents[1] / "support"), *sys.path])
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": path}
        ran = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        found.add(ran.stdout)
    assert len(found) == 1
