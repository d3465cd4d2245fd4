"""Checks who gets what: lines, caps, coupons and ends of tests, at once and in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.couplings import (
    CLAIM,
    NEVER_MS,
    Claims,
    Coordinator,
    GateSpec,
    Kind,
    PoolSpec,
    Result,
    Spec,
    TrialSpec,
    in_order,
    line_times,
    resources_of,
)
from core.errors import HeadraceError
from core.flow import Flow
from core.options import RunOptions

Row = tuple[int, int, Kind, int, int, int]  # time, hash, kind, resource, branch, start


def claims_of(rows: list[Row]) -> Claims:
    claims = np.zeros(len(rows), CLAIM)
    for record, (time, id_hash, kind, resource, branch, start) in zip(claims, rows, strict=True):
        record["time_ms"], record["hash"], record["kind"] = time, id_hash, kind
        record["resource"], record["branch"], record["start_ms"] = resource, branch, start
        record["customer"] = id_hash & 0xFFFF
    # A customer's own claims count up in the order given.
    for number in range(len(rows)):
        claims["number"][number] = number
    return in_order(claims)


def entries(*times: int, people: list[int] | None = None) -> Claims:
    hashes = people or list(range(len(times)))
    return claims_of([(t, h, Kind.ENTRY, 0, 0, 0) for t, h in zip(times, hashes, strict=True)])


def answers_of(spec: Spec, claims: Claims) -> list[tuple[int, int]]:
    answers = Coordinator([spec]).take(claims)
    return [(int(a["time_ms"]), int(a["result"])) for a in answers]


def test_a_line_lets_in_so_many_a_second() -> None:
    answers = answers_of(GateSpec(2, None), entries(0, 0, 0, 10, 1500, 1500, 9000))
    assert [time for time, _ in answers] == [0, 0, 1000, 1000, 2000, 2000, 9000]
    assert {result for _, result in answers} == {Result.GRANTED}


def test_a_line_goes_by_hash_within_an_instant() -> None:
    claims = entries(5, 5, 5, people=[3, 2**64 - 1, 1])
    assert claims["hash"].tolist() == [1, 3, 2**64 - 1]
    assert [time for time, _ in answers_of(GateSpec(1, None), claims)] == [5, 1005, 2005]


def test_a_cap_counts_people_and_takes_no_place_in_line_from_the_refused() -> None:
    claims = entries(0, 1, 2, 3, 4, 5, people=[7, 8, 7, 9, 8, 9])
    granted, refused = Result.GRANTED, Result.REFUSED
    assert answers_of(GateSpec(None, 2), claims) == [
        (0, granted), (1, granted), (2, granted), (3, refused), (4, granted), (5, refused),
    ]  # fmt: skip
    assert answers_of(GateSpec(1, 2), claims) == [
        (0, granted), (1000, granted), (2000, granted), (3, refused), (3000, granted), (5, refused),
    ]  # fmt: skip


def test_coupons_go_to_the_first() -> None:
    rows: list[Row] = [(t, 9 - t, Kind.COUPON, 0, 0, 0) for t in range(4)]
    assert answers_of(PoolSpec("p", 3), claims_of(rows)) == [(0, 0), (1, 0), (2, 0), (3, 1)]
    assert answers_of(PoolSpec("p", 0), claims_of(rows[:1])) == [(0, 1)]


def visit(time: int, branch: int | None = None, person: int = 0) -> list[Row]:
    arrived: Row = (time, person, Kind.ARRIVED, 0, 0, 0)
    opened: list[Row] = [] if branch is None else [(time, person, Kind.OPENED, 0, branch, time)]
    return [arrived, *opened]


def success(time: int, branch: int, start: int) -> Row:
    return (time, 1, Kind.SUCCEEDED, 0, branch, start)


def branches(spec: TrialSpec, rows: list[Row]) -> list[int]:
    claims = claims_of(rows)
    answers = Coordinator([spec]).take(claims)
    return [int(r) for r in answers["result"][claims["kind"] == Kind.ARRIVED]]


def test_A071_the_best_branch_follows_when_the_last_had_his_time() -> None:  # noqa: N802
    spec = TrialSpec("t", 3, 101, -1, 2)
    rows = [*visit(0, 0), *visit(10, 1), *visit(20, 0), *visit(30, 1)]
    rows += [success(120, 1, 20), *visit(120), *visit(121)]
    assert branches(spec, rows) == [-1, -1, -1, -1, -1, 1]
    # The one who came after the third is no trial, however soon he succeeds.
    rows = [*visit(0, 0), *visit(10, 1), *visit(20, 0), *visit(30, 1)]
    rows += [success(40, 0, 0), success(41, 1, 30), *visit(121)]
    assert branches(spec, rows)[-1] == 0


def test_a_decision_at_the_count_knows_what_has_happened() -> None:
    spec = TrialSpec("t", 2, 1, -1, 3)
    rows = [
        *visit(0, 0),
        *visit(10, 2),
        success(10, 2, 10),
        success(11, 0, 0),
        *visit(10),
        *visit(11),
    ]
    assert branches(spec, rows) == [-1, -1, -1, 2]


def test_a_named_branch_follows_at_once() -> None:
    spec = TrialSpec("t", 1, 1, 1, 2)
    assert branches(spec, [*visit(5, 0), *visit(5, 0), *visit(6)]) == [-1, -1, 1]


def test_ties_go_to_the_first_branch_that_was_tried() -> None:
    spec = TrialSpec("t", 4, 1, -1, 4)
    rows = [*visit(0, 1), *visit(0, 1, 1), *visit(0, 2, 2), *visit(0, 2, 3)]
    assert branches(spec, [*rows, *visit(1)])[-1] == 1
    rows += [success(0, 1, 0), success(0, 2, 0)]
    assert branches(spec, [*rows, *visit(1)])[-1] == 1
    assert branches(TrialSpec("t", 1, 1, -1, 4), [*visit(0), *visit(1)])[-1] == 0


def test_decisions_are_told_once_time_has_passed() -> None:
    coordinator = Coordinator([PoolSpec("p", 1), TrialSpec("t", 1, 50, -1, 2)])
    rows: list[Row] = [(0, 1, Kind.ARRIVED, 1, 0, 0), (0, 1, Kind.OPENED, 1, 1, 0)]
    coordinator.take(claims_of(rows))
    coordinator.advance(49)
    assert coordinator.decisions().tolist() == []
    coordinator.advance(50)
    assert coordinator.decisions().tolist() == [(50, 1, 1)]
    coordinator.advance(NEVER_MS)
    assert coordinator.decisions().tolist() == [(50, 1, 1)]


def test_claims_out_of_order_are_refused() -> None:
    coordinator = Coordinator([GateSpec(1, None)])
    coordinator.take(entries(5))
    with pytest.raises(ValueError, match="order of their time"):
        coordinator.take(entries(4))
    with pytest.raises(ValueError, match="order of their time"):
        coordinator.take(entries(5, 6)[::-1])
    assert len(coordinator.take(np.zeros(0, CLAIM))) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 4000), max_size=60),
    st.integers(1, 7),
)
def test_a_line_is_the_formula(gaps: list[int], per_second: int) -> None:
    times = np.cumsum(np.array(gaps, np.int64) // 10)
    expected: list[int] = []
    for k, time in enumerate(times.tolist()):
        before = expected[k - per_second] + 1000 if k >= per_second else time
        expected.append(max(time, before))
    assert line_times(times, np.zeros(0, np.int64), per_second).tolist() == expected


SPECS: list[Spec] = [
    GateSpec(2, 5), PoolSpec("p", 4), TrialSpec("t", 4, 700, -1, 2), TrialSpec("u", 3, 1, -1, 2),
]  # fmt: skip
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3000), st.integers(0, 8), st.sampled_from(list(Kind)),
        st.integers(2, 3), st.integers(0, 1), st.integers(0, 3000),
    ),
    max_size=50,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.integers(0, 50), max_size=5))
def test_pieces_get_the_answers_of_the_whole(rows: list[Row], cuts: list[int]) -> None:
    given_rows: list[Row] = [
        (time, who, kind, {Kind.ENTRY: 0, Kind.COUPON: 1}.get(kind, test), branch, min(start, time))
        for time, who, kind, test, branch, start in rows
    ]
    claims = claims_of(given_rows)
    whole = Coordinator(SPECS)
    expected = whole.take(claims)
    whole.advance(NEVER_MS)
    pieces, found = Coordinator(SPECS), []
    for piece in np.split(claims, sorted(min(cut, len(claims)) for cut in cuts)):
        restored = Coordinator(SPECS)
        restored.restore(pieces.snapshot())
        pieces = restored
        found.append(pieces.take(piece))
    pieces.advance(NEVER_MS)
    for name in ("time_ms", "result"):
        assert np.concatenate(found)[name].tolist() == expected[name].tolist()
    assert pieces.decisions().tolist() == whole.decisions().tolist()


def flow(settings: dict[str, object], nodes: dict[str, object]) -> Flow:
    return Flow.model_validate(
        {"headrace": 1, "flow": "f", "settings": settings, "nodes": {**nodes, "x": {"type": "end"}}}
    )


def test_the_resources_of_a_flow() -> None:
    test = {"type": "ab_test", "branches": {"a": "50%", "b": "50%"}}
    target = {"event": "e", "within": "1 hour"}
    nodes: dict[str, object] = {
        "k": {"type": "take_coupon", "pool": "p"},
        "m": {**test, "target": target, "until": {"people": 5}},
        "n": {**test, "target": target, "until": {"people": 6, "decide": "at_count"}},
        "o": {**test, "target": target, "until": {"people": 7, "then": "b"}},
        "q": {**test, "target": target},
    }
    window = (0, 1, 1)
    coupled = flow({"entry_cap": 3, "coupons": {"unused": 1, "p": 2}}, nodes)
    tests = [
        TrialSpec("m", 5, 3_600_001, -1, 2),
        TrialSpec("n", 6, 1, -1, 2),
        TrialSpec("o", 7, 1, 1, 2),
    ]
    found = resources_of(coupled, RunOptions(*window))
    assert found == [GateSpec(None, 3), PoolSpec("p", 2), *tests]
    options = RunOptions(*window, entry_rate=9, coupons={"p": 0})
    assert resources_of(coupled, options)[:2] == [GateSpec(9, 3), PoolSpec("p", 0)]
    own = flow({"entry_rate": {"per_second": 4}}, {})
    assert resources_of(own, RunOptions(*window, entry_rate=9)) == [GateSpec(4, None)]
    assert resources_of(flow({}, {}), RunOptions(*window)) == []
    with pytest.raises(HeadraceError, match="no pool of coupons 'spring'"):
        resources_of(own, RunOptions(*window, coupons={"spring": 3}))
