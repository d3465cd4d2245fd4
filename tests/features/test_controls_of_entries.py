"""Who is let in, how long somebody waits who is active still, and where the dry run tells live."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from both_ways import ALWAYS, GO, ran, told
from cases import Case, on
from coupled_tenant import CoupledTenant
from differential import Loaded
from live_cases import Tenant, Way, run_live, sorted_records


def live(case: Case, folder: Path, way: Way, kind: type[Tenant] = Tenant) -> list[Any]:
    """What partitions decide that take the case in live."""
    loaded = Loaded(case.flow(), case.people(), case.run_options(), None)
    tenant = run_live(folder, loaded, way, kind=kind)
    if isinstance(tenant, CoupledTenant):
        tenant.settle(loaded.options.horizon_ms - 1)
    tenant.close()
    return sorted_records(tenant.records, loaded.audience)


def crowd(nodes: dict[str, Any], settings: dict[str, Any], n: int = 40) -> Case:
    """Customers who do `go` twice, a day apart."""
    ids = [f"c{i}" for i in range(n)]
    events = [(f"05-0{day} 10:{i:02}", "go", {}, name)
              for day in (4, 5) for i, name in enumerate(ids)]  # fmt: skip
    return Case(nodes, events, {**ALWAYS, **settings}, [{"id": name} for name in ids])


def test_N09_the_dry_run_names_the_branch_that_live_gives_at_every_entry(tmp_path: Path) -> None:
    split = {"type": "split", "branches": {"a": "50%", "b": "50%"}, "next": {"a": "x", "b": "x"}}
    case = crowd({"go": on("go", "s"), "s": split}, {})
    expected = ran(case).records
    assert live(case, tmp_path, Way(3, 16, restart_every=3, snapshots=True)) == expected
    ports: dict[str, set[str]] = {}
    for record in expected:
        if record.node == "s":
            ports.setdefault(record.customer, set()).add(record.port)
    assert {len(each) for each in ports.values()} == {1}
    assert {port for each in ports.values() for port in each} == {"a", "b"}


def test_N10_live_keeps_out_whom_the_dry_run_keeps_out(tmp_path: Path) -> None:
    case = crowd({"go": on("go", "x")}, {"holdout": {"share": "25%", "group": "global"}})
    expected = ran(case).records
    assert live(case, tmp_path, Way(2, 8)) == expected
    kept = [r for r in expected if r.port == "refused_holdout"]
    assert len(kept) == 2 * len({r.customer for r in kept}) > 0


@pytest.mark.parametrize("rule", [{"event": "go"}, {"if": {"did": "go", "at_least": 2}}])
def test_N11_live_takes_out_by_exit_criteria_at_once(tmp_path: Path, rule: dict[str, Any]) -> None:
    nodes = {"go": on("go", "w"), "w": {"type": "wait", "for": "3 days", "next": "x"}}
    case = crowd(nodes, {"reentry": {"policy": "once"}, "exit": [rule]})
    expected = ran(case).records
    assert live(case, tmp_path, Way(3, 8, restart_every=4)) == expected
    assert sum(record.port == "exit" for record in expected) == 40


def test_N11_no_more_people_enter_than_the_cap_also_live(tmp_path: Path) -> None:
    case = crowd({"go": on("go", "x")}, {"entry_cap": 15})
    ports = [record.port for record in ran(case).records if record.node == "go"]
    assert (ports.count("next"), ports.count("refused_cap")) == (30, 50)
    found = live(case, tmp_path, Way(2, 8), CoupledTenant)
    assert len({r.customer for r in found if r.port == "next"}) == 15


def test_N15_a_repeated_event_begins_the_wait_anew() -> None:
    waits = {"type": "wait_event", "event": "visit", "timeout": "24 hours",
             "next": {"event": "w", "timeout": "x"}}  # fmt: skip
    visits = [("05-05 09:00", "visit"), ("05-06 08:59", "visit"), ("05-07 09:00", "visit")]
    assert told(Case({"go": on("go", "w"), "w": waits}, [GO, *visits])) == [
        "05-04 10:00 go next",
        "05-05 09:00 w event",
        "05-06 08:59 w event",
        "05-07 08:59 w timeout",
        "05-07 08:59 x end",
    ]


@pytest.mark.parametrize("vip", [True, False])
def test_N15_a_wait_for_a_segment_ends_when_the_customer_joins_it(
    tmp_path: Path, vip: bool
) -> None:
    segment = {"all": [{"tag": "vip"}, {"did": "buy", "at_least": 2, "within": "7 days"}]}
    nodes = {
        "go": on("go", "w"),
        "w": {"type": "wait_condition", "if": segment, "timeout": "5 days",
              "next": {"met": "x", "timeout": "x"}},
    }  # fmt: skip
    events = [GO, ("05-04 12:00", "buy"), ("05-06 15:00", "buy")]
    people = [{"id": "c", "tags": ["vip"] if vip else []}]
    case = Case(nodes, events, customers=people)
    left = "05-06 15:00 w met" if vip else "05-09 10:00 w timeout"
    assert told(case)[1] == left
    assert live(case, tmp_path, Way(1, 1, restart_every=1)) == ran(case).records
