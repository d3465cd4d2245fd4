"""Checks that large flows work from end to end in seconds and little memory, or are refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cases import ask, on, wait
from command import CLEAN, COMMAND, call, flow_of, simulate
from house import CHECKOUT

SECONDS_MAX = 60
"""Far above what an idle machine needs, far below what quadratic time would take."""
KILOBYTES = 1 / 1024 if sys.platform == "darwin" else 1
"""What `ru_maxrss` counts in."""
# Linux hands the most that a process ever had down to those that it starts, so a small one starts
# the command, and not the one that has run other tests.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def chain(length: int) -> dict[str, Any]:
    """A flow in which everybody takes so many steps, one after the other: some wait, some ask."""
    nodes: dict[str, Any] = {"t": on("signup", "n0")}
    for k in range(length - 2):
        target = f"n{k + 1}" if k < length - 3 else "x"
        if k % 3 == 0:
            nodes[f"n{k}"] = wait("10 minutes", target)
        elif k % 3 == 1:
            nodes[f"n{k}"] = {"type": "add_tag", "tag": f"t{k % 50}", "next": target}
        else:
            nodes[f"n{k}"] = ask({"attribute": "age", "at_least": 18 + k % 40}, target, target)
    return flow_of(nodes)


def straight(length: int) -> dict[str, Any]:
    """A flow without waits: a chain of as many steps in one go."""
    nodes: dict[str, Any] = {"t": on("signup", "n0")}
    for k in range(length - 2):
        target = f"n{k + 1}" if k < length - 3 else "x"
        nodes[f"n{k}"] = {"type": "add_tag", "tag": f"t{k % 50}", "next": target}
    return flow_of(nodes)


def test_ten_thousand_nodes_take_seconds_and_little_memory(tmp_path: Path, sample: Path) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(chain(10_000)))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *COMMAND,
         "simulate", tmp_path / "flow.json", "--audience", sample, "--quiet",
         "--from", "2026-04-01", "--until", "2026-05-01", "--horizon", "2026-06-15",
         "--json", tmp_path / "r.json", "--html", tmp_path / "r.html"],
        capture_output=True, text=True, cwd=CHECKOUT, env=CLEAN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < SECONDS_MAX
    assert int(done.stdout) * KILOBYTES < 700_000
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["nodes"]) == 10_000
    people = report["totals"]["people"]["value"]
    assert people > 50
    assert report["nodes"][-1]["entered"]["value"] == people
    assert (tmp_path / "r.html").stat().st_size < 5_000_000


def test_a_straight_chain_of_five_thousand_is_gone_through_at_once(
    tmp_path: Path, tiny: Path
) -> None:
    done, report = simulate(
        tmp_path, straight(5000), tiny, "--log", tmp_path / "log", "--workers", "2"
    )
    assert done.code == 0
    assert report["totals"]["ended"]["value"] == 2
    rows = pq.read_table(tmp_path / "log")
    assert rows.num_rows == 2 * 5000
    assert len(set(rows["time"].to_pylist())) == 2, "each went through in no time"
    assert rows["node"].to_pylist()[:3] == ["t", "n0", "n1"]
    assert "4,800 further nodes are in the JSON" in done.words


@pytest.mark.parametrize("command", ["check", "simulate"])
def test_a_hundred_thousand_nodes_are_refused(tmp_path: Path, tiny: Path, command: str) -> None:
    (tmp_path / "flow.json").write_text(json.dumps(straight(100_000)))
    args = [] if command == "check" else ["--audience", tiny]
    began = time.monotonic()
    done = call(command, tmp_path / "flow.json", *args)
    assert done.code == 1
    assert "too-many-nodes" in done.words
    assert "the flow has 100,000 nodes, and the limit is 20,000" in done.words
    assert time.monotonic() - began < SECONDS_MAX
