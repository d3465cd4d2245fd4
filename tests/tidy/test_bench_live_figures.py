"""Checks what is measured of the live engine: short forms of each group, and how bars are judged.

`bench` is no part of what is installed, so it is imported from the checkout. Nothing but the
dry run over HTTP needs Ray: shards are threads of this process.
"""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from actors import failpoints
from actors.live.starting import Hosting, start_engine
from house import CHECKOUT


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def _module(name: str) -> Any:
    return import_module(f"bench.live.{name}")


def _form(**sizes: Any) -> Any:
    figures = _module("figures")
    return replace(figures.Form("tiny", 300, 1, 1.0, 400, 3_000, 1, 2_000, 200, 2_000), **sizes)


def test_the_long_form_is_what_the_bars_were_set_for() -> None:
    long = _module("figures").FORMS["long"]
    assert long.full
    assert (long.surge_tokens, long.reopened_tokens) == (1_000_000, 1_000_000)
    assert (long.customers, long.waiting) == (10_000_000, 1_000_000)
    assert [form.full for form in _module("figures").FORMS.values()] == [False, False, True]


def test_the_bar_of_a_latency_is_on_its_99th_percentile() -> None:
    latency = _module("figures").Latency
    seconds = np.full(1_000, 0.010)
    seconds[:10] = 0.200
    assert latency("one event", "10 %", seconds, 5.0, 50.0).meets is True
    seconds[10] = 0.051
    told = latency("one event", "10 %", seconds, 5.0, 50.0)
    assert told.meets is False
    assert latency("one event", "10 %", seconds, 5.0).meets is None
    assert told.as_json() == {
        "what": "one event",
        "load": "10 %",
        "requests": 1_000,
        "offered_entries_per_second": 5.0,
        "percentiles_ms": pytest.approx(
            {"50": 10.0, "90": 10.0, "99": 51.0, "99.9": 200.0, "100": 200.0}
        ),
        "bar_p99_ms": 50.0,
        "met": False,
    }


@pytest.mark.parametrize(
    ("count", "said"), [(1_000_000, "1 M"), (50_000, "50 k"), (500, "500"), (2_500, "2.5 k")]
)
def test_numbers_are_told_roundly(count: int, said: str) -> None:
    assert _module("figures").counted(count) == said


def _standing(name: str, rate: float) -> Any:
    contest = _module("contest")
    entrant = contest.Entrant(name, "", "")
    outcomes = (SimpleNamespace(seconds=1_000 / rate, stages={}),) if rate else ()
    return contest.Standing(entrant, 1_000, 50, outcomes, None if rate else "not here")


def test_headrace_is_held_to_a_rate_and_to_the_named_rival() -> None:
    contest, figures = _module("contest"), _module("figures_contest").figures
    ran = [
        _standing(contest.OURS, 300_000),
        _standing(contest.NAMED, 160_000),
        _standing(contest.SQLITE, 0),
    ]
    alone, beside = figures(ran)
    assert (alone.name, alone.rival, alone.meets) == (contest.OURS, None, True)
    assert (beside.rival, beside.ratio, beside.meets) == (
        contest.NAMED,
        pytest.approx(1.875),
        False,
    )
    assert not [*figures([_standing(contest.OURS, 0)])]
    (slow,) = figures([_standing(contest.OURS, 279_000)])
    assert slow.meets is False


def test_every_missed_bar_is_told() -> None:
    figures, command = _module("figures"), _module("__main__")
    figure = import_module("bench.figures").Figure
    measured = figures.Measured(
        [
            figure("recovery", "warm", "s", 6.0, bar=figures.at_most(5)),
            figure("recovery", "cold", "s", 60.0),
            figure("memory", "all", "GiB", 11.0, bar=figures.at_most(12)),
        ],
        [figures.Latency("one event", "10 %", np.full(5, 0.06), 1.0, 50.0)],
    )
    assert command.verdict(measured) == [
        "bar missed: warm, 6 s",
        "bar missed: one event at 10 %, p99 60 ms",
    ]


def test_latency_is_taken_of_batches_and_of_single_events(
    capsys: pytest.CaptureFixture[str],
) -> None:
    latency = _module("figures_latency")
    pace = latency.Pace(entries_per_second=1_000, seconds=1.0, batch=100)
    for snapshots in (False, True):
        timed = latency.under_load(pace, snapshots=snapshots, inline=True)
        # About 1,200 events a second in batches of a hundred, and 8 single ones to each batch.
        batches = -(-len(timed.singles) // 8)
        assert len(timed.batches) == batches
        assert 11 <= batches <= 13
        assert timed.batches.min() > 0
        assert timed.singles.min() > 0
        with capsys.disabled():
            p99 = latency.Latency("", "", timed.singles, 0.0).percentile_ms(99)
            print(f"\none event, p99 {p99:.1f} ms{', snapshots' * snapshots}", end="")


def test_an_acknowledged_event_without_its_effect_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latency = _module("figures_latency")
    monkeypatch.setattr(latency, "blocks_of", lambda store: iter(()))
    with pytest.raises(RuntimeError, match=r"was acknowledged, but has no effect for p0000000\d"):
        latency.under_load(latency.Pace(200, 0.5, 50), inline=True)


def test_a_surge_fires_every_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    latency = _module("figures_latency")
    monkeypatch.setattr(latency, "SURGE_IN_S", 2.5)
    timed, over_s = latency.in_surge(latency.Pace(400, 2.0, 50), 500, inline=True)
    assert len(timed.batches) > 10
    assert 0 < over_s < 60


def test_latencies_are_told_by_load(monkeypatch: pytest.MonkeyPatch) -> None:
    latency = _module("figures_latency")
    timed = latency.Timed(np.full(3, 0.02), np.full(30, 0.01))
    asked: list[tuple[float, bool]] = []

    def under_load(pace: Any, *, snapshots: bool) -> Any:
        asked.append((pace.entries_per_second, snapshots))
        return timed

    monkeypatch.setattr(latency, "under_load", under_load)
    monkeypatch.setattr(latency, "in_surge", lambda pace, tokens: (timed, 1.5))
    measured = latency.measure(_form(), 300_000.0, 5_000)
    assert asked == [(30_000, False), (240_000, False), (30_000, True)]
    assert [(each.what, each.load, each.bar_ms) for each in measured.latencies[:4]] == [
        ("a batch of 5,000 events", "10 %", None),
        ("one event", "10 %", 50.0),
        ("a batch of 5,000 events", "80 %", None),
        ("one event", "80 %", None),
    ]
    assert len(measured.latencies) == 8
    assert measured.latencies[-1].load == "10 %, 400 timers due at one instant"
    assert [(f.group, f.ours) for f in measured.figures] == [("surge", 1.5)]


def test_what_is_recovered_is_all_that_was_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery = _module("figures_recovery")
    folder = tmp_path / "data"
    left = recovery.leave(folder, 15_000)
    assert 0 < left.tail_mib < left.data_mib
    recovery.forget(folder)
    found = recovery.reopen(str(folder))
    assert found["seconds"] > 0
    with start_engine(folder, None, Hosting(inline=True, relays=False)) as engine:
        counts = engine.counts("reference")
        assert counts.entered[0] == 15_001  # and the event that was acknowledged
        assert counts.entered[-1] == 0
    with capsys.disabled():
        print(f"\n15 k waiting tokens: {found['seconds']:.3f} s", end="")


def test_memory_is_of_customers_and_tokens() -> None:
    memory = _module("figures_memory")
    found = memory.hold(30_000, 1_000)
    assert found["resident"] >= found["own"] > 0
    records = [request[0] for request in memory.records(memory.CHUNK + 5)]
    assert [frame.rows for frame in records] == [memory.CHUNK, 5]
    assert {len(frame.attributes) for frame in records} == {10}
    assert records[1].id_of(4) == f"c{memory.CHUNK + 4:08}"


def test_fewer_customers_are_extended_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, gib = _module("figures_memory"), 2**30
    held = {"resident_before": 1 * gib, "own_before": 1 * gib, "resident": 3 * gib, "own": 2 * gib}
    monkeypatch.setattr(
        memory, "alone", lambda *_, **__: SimpleNamespace(result=held, peak_gib=1.5)
    )
    small = memory.measure(_form(customers=1_000_000, waiting=100_000)).figures
    assert [figure.meets for figure in small] == [None] * 4
    assert small[2].ours == gib / 1_000_000
    assert small[3].ours == pytest.approx(1 + 0.5 * 10)
    assert "not measured but in proportion" in small[3].name
    full = memory.measure(_form(customers=10_000_000, waiting=1_000_000, full=True)).figures
    assert [figure.meets for figure in full] == [True, None, None]


def test_failpoints_cost_next_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    module = _module("figures_failpoints")
    figures = {figure.name: figure for figure in module.measure().figures}
    looks = figures["looks of a commit of one event"].ours
    assert looks >= 3
    assert looks == int(looks)
    share = figures["share of looks in a commit of one event"]
    assert share.meets is True
    assert failpoints.armed == {}
    assert type(failpoints.armed) is dict
    with capsys.disabled():
        print(f"\n{figures['a look at a failpoint, none armed'].ours:.1f} ns a look", end="")


def test_looks_are_not_counted_while_a_failpoint_is_armed() -> None:
    failpoints.arm("nowhere", "eio")
    try:
        with (
            pytest.raises(RuntimeError, match="a failpoint is armed"),
            _module("figures_failpoints").counted_looks(),
        ):
            pass
    finally:
        failpoints.disarm()


def test_a_dry_run_over_http_is_held_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    (figure,) = _module("figures_runs").measure(_form()).figures
    assert figure.rival == "headrace simulate"
    assert (figure.bar.relation, figure.bar.value) == ("at most", 1.5)
    assert min(figure.ours, figure.theirs) > 0
    with capsys.disabled():
        print(f"\n{figure.name}: {figure.ratio:.2f} of the command's time", end="")


def test_stages_of_partitions_add_up(tmp_path: Path) -> None:
    measured = _module("measured")
    for number, seconds in enumerate((1.5, 2.0)):
        told = {"apply_s": seconds, "commit_s": 0.5, "commits": 3}
        told |= {"snapshot_s": 0.0, "snapshots": 1}
        measured.stages_file(tmp_path / "data", number).write_text(json.dumps(told))
    assert measured.stages_of(tmp_path / "data", 2) == measured.Stages(3.5, 1.0, 6, 0.0, 2)
