"""Runs the command for long: large samples cut in any way, interrupts at any moment."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.audience import load_audience, read_schema
from actors.dry_run import dry_run
from actors.log_writer import log_writer
from actors.sample import make_sample
from api.documents import open_flow, open_responses
from cases import Case, on, wait
from command import EXAMPLES, call, ended, names, read_until, simulate, start
from core.binding import bind
from core.compiler import compile_flow, needs_of
from core.options import RunOptions

pytestmark = pytest.mark.soak

RESPONSES = EXAMPLES / "responses.yaml"
FLOWS = ["welcome", "abandoned-cart", "win-back"]


@pytest.mark.parametrize("name", FLOWS)
def test_a_large_sample_is_the_same_for_any_cut(tmp_path: Path, name: str) -> None:
    make_sample(tmp_path / "shop", customers=100_000)
    flow, responses = open_flow(EXAMPLES / f"{name}.yaml").flow, open_responses(RESPONSES)
    program = compile_flow(flow, responses)
    audience = load_audience(tmp_path / "shop", needs_of(program))
    span = read_schema(tmp_path / "shop").time
    assert span.first_ms is not None
    assert span.last_ms is not None
    bound = bind(program, audience, RunOptions(span.first_ms, span.last_ms, span.last_ms))
    found: list[tuple[bytes, Any]] = []
    for block, workers in [(4096, 1), (64, 2), (1000, 4), (100_000, 2), (77, 1)]:
        with log_writer(tmp_path / "log", bound) as log:
            result = dry_run(bound, workers=workers, block=block, log=log)
        found.append(((tmp_path / "log").read_bytes(), result.counters[0]))
    for data, counters in found[1:]:
        assert data == found[0][0]
        assert np.array_equal(counters.delays, found[0][1].delays)
        assert np.array_equal(counters.port, found[0][1].port)


def test_ctrl_c_at_any_moment_ends_cleanly(tmp_path: Path, sample: Path) -> None:
    args = ("--audience", sample, "--responses", RESPONSES, "--replicates", "200")
    files = ("--json", tmp_path / "r.json", "--log", tmp_path / "log")
    codes = set()
    for tenths in range(40):
        process = start("simulate", EXAMPLES / "welcome.yaml", *args, *files)
        read_until(process, "checking the flow")
        time.sleep(tenths / 10)
        process.send_signal(signal.SIGINT)
        done = ended(process)
        codes.add(done.code)
        left = names(tmp_path)
        # Where it comes in the midst of an import, Python may end by the signal itself.
        assert done.code in (0, 130, -signal.SIGINT)
        assert set(left) <= {"log", "r.json"}, left
        if "r.json" in left:
            partial = json.loads((tmp_path / "r.json").read_text())["partial"]
            assert done.code != 0 or not partial
        for name in left:
            (tmp_path / name).unlink()
    assert 130 in codes


def test_a_log_without_end_is_an_error_and_takes_a_bounded_memory(tmp_path: Path) -> None:
    circle = {"t": on("go", "w"), "w": wait("1 ms", "again"), "again": wait("1 ms", "w")}
    case = Case(circle, [("05-01", "go")])
    bound = bind(compile_flow(case.flow(), None), case.people(), case.run_options())
    with pytest.raises(MemoryError, match="can't grow"), log_writer(tmp_path / "log", bound) as log:
        dry_run(bound, log=log)
    assert names(tmp_path) == []


def test_a_sample_of_the_usual_size_is_run_in_seconds(tmp_path: Path) -> None:
    assert call("sample", tmp_path / "shop").code == 0
    began = time.monotonic()
    done, report = simulate(
        tmp_path, EXAMPLES / "win-back.yaml", tmp_path / "shop", "--replicates", "20",
        "--responses", RESPONSES,
    )  # fmt: skip
    assert done.code == 0
    assert report["totals"]["customers"] == 200_000
    assert time.monotonic() - began < 60
