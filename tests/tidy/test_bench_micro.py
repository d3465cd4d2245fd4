"""Checks that every micro-benchmark still runs, and that a comparison flags what became slower.

`bench` is no part of what is installed, so it is imported from the checkout.
"""

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from core.nodes import OPERATIONS
from house import CHECKOUT


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


@pytest.fixture(name="baseline")
def _baseline() -> Any:
    return import_module("bench.micro.baseline")


@pytest.fixture(name="command")
def _command(monkeypatch: pytest.MonkeyPatch, baseline: Any) -> Any:
    """The command, which finds `made()` instead of measuring."""
    command = import_module("bench.micro.__main__")
    monkeypatch.setattr(command, "measure", lambda console, **asked: made(baseline))
    return command


def made(baseline: Any, calibration_ns: float = 50.0, **ns: float) -> Any:
    """What a session found; `ns` are those that aren't 10."""
    found = dict.fromkeys(("send", "wait", "end"), 10.0) | ns
    return baseline.Baseline(
        taken_at="2026-01-01T00:00:00Z",
        short=False,
        machine={"processor": "a processor", "cores": 2, "compiled": "portable"},
        versions={"python": "3.11.0"},
        calibration_ns=calibration_ns,
        timings={
            f"nodes: node[{name}]": baseline.Timing(each, "token-step", each / calibration_ns)
            for name, each in found.items()
        },
    )


def test_all_run_and_the_stored_baseline_has_all(baseline: Any, tmp_path: Path) -> None:
    main = import_module("bench.micro.__main__").main
    assert main(["store", "--short", "--baseline", str(tmp_path / "short.json")]) == 0
    ran = baseline.read(tmp_path / "short.json")
    assert ran.short
    assert 5 < ran.calibration_ns < 5_000
    stored = baseline.read(baseline.FILE)
    assert not stored.short
    assert list(ran.timings) == list(stored.timings)
    for name, timing in (ran.timings | stored.timings).items():
        assert timing.ns > 0, name
        assert timing.ratio > 0, name
        assert timing.unit == stored.timings[name].unit, name
    nodes = re.findall(r"nodes: node\[(\w+)\]", "\n".join(ran.timings))
    assert nodes == list(OPERATIONS)
    assert {name.partition(":")[0] for name in ran.timings} == {
        "draws", "loading", "nodes", "predicates", "timers",
    }  # fmt: skip
    with pytest.raises(baseline.BaselineError, match="full form and this session of the short"):
        list(baseline.compare(stored, ran))


def test_a_selection_of_nothing_is_told(
    capsys: pytest.CaptureFixture[str], baseline: Any, tmp_path: Path
) -> None:
    path = tmp_path / "short.json"
    baseline.write(replace(made(baseline), short=True), path)
    asked = ["compare", "--short", "--baseline", str(path), "-k", "nowhere"]
    assert import_module("bench.micro.__main__").main(asked) == 2
    assert "-k 'nowhere' selects no benchmark" in capsys.readouterr().out


def test_steps_other_than_expected_are_refused() -> None:
    flows, crowd = import_module("bench.micro.flows"), import_module("bench.micro.crowd")
    stopwatch = import_module("bench.micro.stopwatch").Stopwatch(None, short=True)
    flow = flows.chain(lambda i: {"type": "wait", "for": "1 hour"}, links=3)
    with pytest.raises(AssertionError, match="50 steps instead of 60"):
        stopwatch.time_flow(flow, crowd.make_crowd(10), steps_each=6)


def test_a_lattice_takes_the_steps_of_a_chain_and_parts_its_tokens() -> None:
    flows, crowd = import_module("bench.micro.flows"), import_module("bench.micro.crowd")
    stopwatch = import_module("bench.micro.stopwatch")
    node = {"type": "condition", "if": {"tag": "vip"}}
    flow = flows.lattice(lambda i: node, links=2)
    bound = stopwatch.bind(stopwatch.compile_flow(flow), crowd.make_crowd(100), crowd.OPTIONS)
    runs = stopwatch.Runs(bound, applies=7)
    runs.run()
    counters = runs.machine.take_counters()
    vips = int(bound.audience.tags["vip"].sum())
    assert 0 < vips < 100
    assert list(flow.nodes) == ["start", "n0-0", "n1-0", "n1-1", "end"]
    assert counters.entered.tolist() == [100, 100, vips, 100 - vips, 100]


def test_a_session_becomes_a_baseline(baseline: Any) -> None:
    benchmarks = [
        {
            "fullname": f"bench/micro/test_nodes.py::test_node[{name}]",
            "extra_info": {"ns_per_step": ns, "unit": "token-step", "calibration_ns": calibration},
        }
        for name, ns, calibration in (("send", 12.34567, 50.0), ("a/b.py", 3.0, 60.0))
    ]
    session = {
        "datetime": "2026-01-01T00:00:00.123456+00:00",
        "machine_info": {"cores": 2},
        "benchmarks": benchmarks,
    }
    found = baseline.from_session(session, short=True, versions={"python": "3.11.0"})
    assert found == baseline.Baseline(
        taken_at="2026-01-01T00:00:00Z",
        short=True,
        machine={"cores": 2},
        versions={"python": "3.11.0"},
        calibration_ns=55.0,
        timings={
            "nodes: node[send]": baseline.Timing(12.35, "token-step", 0.2469),
            "nodes: node[a/b.py]": baseline.Timing(3.0, "token-step", 0.05),
        },
    )


def test_a_baseline_is_read_as_it_was_written(baseline: Any, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    baseline.write(made(baseline), path)
    assert baseline.read(path) == made(baseline)
    for text in ("", "[]", json.dumps({"headrace_micro": 0})):
        path.write_text(text)
        with pytest.raises(baseline.BaselineError, match=r"no baseline.*bench\.micro store"):
            baseline.read(path)


def test_times_are_compared_by_their_calibrations(baseline: Any) -> None:
    then = made(baseline, send=10, wait=20, end=30)
    now = made(baseline, calibration_ns=100, send=20, wait=52, end=79)
    rows = {row.name: row for row in baseline.compare(then, now)}
    assert [row.change for row in rows.values()] == pytest.approx([1.0, 1.3, 79 / 60])
    assert [row.slower for row in rows.values()] == [False, False, True]


@pytest.mark.parametrize(
    ("then", "strict", "status", "said"),
    [
        ({}, True, 0, ""),
        ({"send": 7}, False, 0, "1 slower than 1.3 x the baseline: nodes: node[send]"),
        ({"send": 7}, True, 1, "1 slower than 1.3 x the baseline: nodes: node[send]"),
        ({"split": 7}, False, 0, "GONE"),
        ({"split": 7}, True, 1, "GONE"),
    ],
)
def test_only_a_strict_comparison_fails(
    then: dict[str, float], strict: bool, status: int, said: str, command: Any, baseline: Any,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "baseline.json"
    baseline.write(made(baseline, **then), path)
    strictly = ["--strict"] if strict else []
    assert command.main(["compare", "--baseline", str(path), *strictly]) == status
    printed = capsys.readouterr().out
    assert said in printed
    assert ("SLOWER" in printed) == ("send" in then)
    assert "node[wait]" in printed


def test_what_a_selection_left_out_is_not_gone(
    command: Any, baseline: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    baseline.write(made(baseline, split=7), path)
    asked = ["compare", "--baseline", str(path), "--strict", "-k", "send"]
    assert command.main(asked) == 0
    assert "node[split]" not in capsys.readouterr().out


def test_a_new_benchmark_is_no_failure(
    command: Any, baseline: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, found = tmp_path / "baseline.json", made(baseline)
    fewer = {name: found.timings[name] for name in list(found.timings)[1:]}
    baseline.write(replace(found, timings=fewer), path)
    assert command.main(["compare", "--baseline", str(path), "--strict"]) == 0
    assert "new" in capsys.readouterr().out


def test_the_short_form_is_not_stored_as_the_baseline(
    command: Any, baseline: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = baseline.FILE.read_bytes()
    assert command.main(["store", "--short"]) == 2
    assert "store it elsewhere" in capsys.readouterr().out
    assert baseline.FILE.read_bytes() == before
