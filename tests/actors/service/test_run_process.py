"""The process of a job: what it tells, why it ended, and that it never outlives its starter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors.service.run_process import ROOT, WORKER, Order, RunProcess, Step
from waiting import until


def follow(folder: Path, script: str) -> tuple[dict[str, object] | None, list[Step]]:
    """What a program of a shell tells, and why it failed."""
    steps: list[Step] = []
    failure = RunProcess(folder, ("/bin/sh", "-c", script)).follow(steps.append)
    return failure, steps


def test_steps_are_heard_and_what_is_no_step_is_not(tmp_path: Path) -> None:
    told = [{"step": "a", "done": 1, "total": 2}, {"step": "b", "done": 0, "total": 0}]
    lines = "; ".join(f"echo '{json.dumps(each)}'" for each in told)
    failure, steps = follow(tmp_path, f"echo nonsense; {lines}; echo '{{}}'; echo '[1]'")
    assert failure is None
    assert steps == [Step("a", 1, 2), Step("b", 0, 0)]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("""echo '{"failed": {"message": "no such customer", "advice": "x"}}'; exit 1""",
         "no such customer"),
        ("echo one >&2; echo 'ValueError: two' >&2; exit 3", "failed: ValueError: two"),
        ("exit 5", "ended with code 5"),
        ("kill -KILL $$", "by the signal SIGKILL"),
        ("kill -SEGV $$", "by the signal SIGSEGV"),
    ],
)  # fmt: skip
def test_an_end_is_told_with_its_reason(tmp_path: Path, script: str, message: str) -> None:
    failure, _ = follow(tmp_path, script)
    assert failure is not None
    assert message in str(failure["message"])
    assert failure["advice"]


def test_a_reason_tells_nobody_where_the_service_is(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    failure, _ = follow(folder, f"echo 'no {tmp_path}/audiences/x or {ROOT}/core/y' >&2; exit 3")
    assert failure is not None
    assert failure["message"] == "the process of the run failed: no .../audiences/x or .../core/y"


def test_a_process_is_killed_and_killing_it_again_does_nothing(tmp_path: Path) -> None:
    process = RunProcess(tmp_path, ("/bin/sh", "-c", "exec sleep 100"))
    process.kill()
    failure = process.follow(lambda step: None)
    process.kill()
    assert failure is not None
    assert "SIGKILL" in failure["message"]


def test_a_worker_ends_with_its_starter(tmp_path: Path) -> None:
    order = Order("dry_run", "x", audience=str(tmp_path / "pipe"))
    # An audience that keeps the worker waiting: nobody ever writes into this pipe.
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "schema.json")
    order.write(tmp_path)
    program = (
        "import sys, time; from actors.service.run_process import RunProcess;"
        "from pathlib import Path; p = RunProcess(Path(sys.argv[1])); print(p.pid, flush=True);"
        "time.sleep(100)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert starter.stdout is not None
    worker = int(starter.stdout.readline())
    until(lambda: os.getpriority(os.PRIO_PROCESS, worker) >= 10)  # so it works
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    until(lambda: state(worker) == "Z")


def state(process: int) -> str:
    """What /proc says of a process; one that is gone has ended too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_an_order_reads_what_it_writes(tmp_path: Path) -> None:
    order = Order("comparison", "shop", "a", "j", "f", 7, {"seed": 3})
    order.write(tmp_path)
    assert Order.of(json.loads((tmp_path / "order.json").read_text())) == order
    assert WORKER[1:] == ("-m", "api.run_worker")
