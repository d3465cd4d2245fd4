"""Checks what becomes of a dry run that is interrupted, or that finds no room for its files."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import actors.dry_run
from api.simulate import Request, present, run
from cases import on, wait
from command import (
    EXAMPLES,
    Done,
    ended,
    flow_of,
    names,
    needs_full_disk,
    read_until,
    simulate,
    spawn,
    start,
)
from core.errors import HeadraceError

WINDOW = ("--from", "2026-05-01", "--until", "2026-06-01")


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A flow that everybody who signs up leaves after a day."""
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(flow_of({"t": on("signup", "w"), "w": wait("1 day", "x")})))
    return path


@pytest.fixture
def circle(tmp_path: Path) -> Path:
    """A flow that carries people round in a circle for minutes, every 100 ms of their months."""
    path = tmp_path / "flow.json"
    nodes = {
        "t": on("signup", "w"),
        "w": wait("100 ms", "again"),
        "again": wait("100 ms", "w"),
    }
    path.write_text(json.dumps(flow_of(nodes)))
    return path


def carried_out(request: Request, when: Callable[[str, int], bool]) -> dict[str, Any]:
    """Carry out a request; Ctrl-C comes when `when` says so of the progress (label, done)."""

    def progress(label: str, done: int, total: int) -> None:
        if when(label, done):
            signal.raise_signal(signal.SIGINT)

    report = run(request, progress)
    assert present(request, report) == (130 if report.partial else 0)
    found: dict[str, Any] = report.model_dump()
    return found


def test_ctrl_c_gives_a_partial_report_that_says_so(
    tmp_path: Path,
    flow: Path,
    sample: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(actors.dry_run, "block_customers", lambda *of: 100)
    monkeypatch.setattr(actors.dry_run, "stretch_customers", lambda *of: 100)
    asked = Request(
        flow=flow,
        audience=sample,
        workers=1,
        json=tmp_path / "r.json",
        html=tmp_path / "r.html",
        log=tmp_path / "log",
    )
    report = carried_out(asked, lambda label, done: (label, done) == ("dry run", 500))
    printed = capsys.readouterr()
    customers = report["totals"]["customers"]
    assert report["partial"]
    assert 500 <= customers < 2000
    assert f"the report is partial: {customers:,} of 2,000 customers" in printed.err
    assert "ERROR: The run was cut short" in printed.out
    assert json.loads((tmp_path / "r.json").read_text())["partial"]
    assert "The run was cut short" in (tmp_path / "r.html").read_text()
    assert pq.read_metadata(tmp_path / "log").metadata[b"headrace"] == b"partial"
    logged = set(pq.read_table(tmp_path / "log")["customer"].to_pylist())
    assert len(logged) == report["totals"]["people"]["value"] > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_between_replicates_keeps_the_complete_ones(
    flow: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Request(flow=flow, audience=sample, workers=1, replicates=50)
    report = carried_out(asked, lambda label, done: (label, done) == ("dry run", 6500))
    assert report["partial"]
    assert report["totals"]["customers"] == 2000
    assert 3 <= report["draws"]["replicates"] < 50
    text = " ".join(capsys.readouterr().out.split())
    assert f"Only {report['draws']['replicates']} replicates came to the end" in text


def test_ctrl_c_after_the_last_block_is_no_interruption(flow: Path, sample: Path) -> None:
    asked = Request(flow=flow, audience=sample, quiet=True)
    assert not carried_out(asked, lambda label, done: (label, done) == ("dry run", 2000))["partial"]


@pytest.mark.parametrize("label", ["reading customers", "building the report"])
def test_ctrl_c_elsewhere_ends_the_command(flow: Path, sample: Path, label: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        carried_out(Request(flow=flow, audience=sample), lambda found, done: found == label)


def test_a_second_ctrl_c_aborts_and_leaves_nothing(
    tmp_path: Path, circle: Path, sample: Path
) -> None:
    args = ("--json", tmp_path / "r.json", "--workers", "2", *WINDOW)
    process = start("simulate", circle, "--audience", sample, *args)
    read_until(process, "dry run")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said = read_until(process, "Ctrl-C again aborts")
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done == Done(130, "", "headrace: aborted; nothing was written\n")
    assert "stopping" in said
    assert names(tmp_path) == ["flow.json"]


def test_a_terminated_run_leaves_nothing(tmp_path: Path, circle: Path, sample: Path) -> None:
    process = start(
        "simulate", circle, "--audience", sample, *WINDOW, "--html", tmp_path / "r.html"
    )
    read_until(process, "dry run")
    process.terminate()
    assert ended(process) == Done(143, "", "")
    assert names(tmp_path) == ["flow.json"]


# -- no room


def small_files() -> None:
    """Let no file grow beyond 4 KB, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.parametrize("option", ["--log", "--json", "--html"])
def test_no_room_for_a_file_is_an_error(tmp_path: Path, sample: Path, option: str) -> None:
    args = (option, tmp_path / "file", "--quiet", *WINDOW)
    done = spawn(
        "simulate", EXAMPLES / "welcome.yaml", "--audience", sample, *args, preexec_fn=small_files
    )
    assert done.code == 2
    assert done.err.startswith(f"headrace: {tmp_path / 'file'}: ")
    assert "File too large" in done.err
    assert names(tmp_path) == []


@needs_full_disk
def test_a_report_that_cannot_be_written_is_printed_all_the_same(
    flow: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Request(flow=flow, audience=sample, json=Path("/dev/full"))
    report = run(asked, lambda label, done, total: None)
    with pytest.raises(HeadraceError, match="No space left"):
        present(asked, report)
    assert "people entered, of 2,000 customers" in capsys.readouterr().out


def test_a_device_may_take_a_file(flow: Path, sample: Path) -> None:
    done = spawn("simulate", flow, "--audience", sample, "--quiet", "--json", "/dev/stdout")
    assert done.code == 0
    assert json.loads(done.out)["flow"]["id"] == "f"


@pytest.mark.parametrize("option", ["--log", "--json", "--html"])
def test_what_the_run_reads_is_not_overwritten(
    tmp_path: Path, flow: Path, tiny: Path, option: str
) -> None:
    before = flow.read_bytes()
    for place in (flow, tmp_path / "sub" / ".." / "flow.json", tiny / "events.parquet"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        done, _ = simulate(tmp_path / "sub", flow, tiny, option, place)
        assert done.code == 2
        assert "this run reads it" in done.err
    assert flow.read_bytes() == before


def test_two_files_need_two_places(tmp_path: Path, flow: Path, tiny: Path) -> None:
    done, _ = simulate(tmp_path, flow, tiny, "--html", tmp_path / "report.json")
    assert done.code == 2
    assert "--html can't write there: --json names it too" in done.err


# -- who listens


def test_a_reader_who_goes_away_is_no_error(flow: Path, sample: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = spawn("simulate", flow, "--audience", sample, stdout=writing)
    os.close(writing)
    assert done.code == 141
    assert done.err.splitlines()[-1] == "building the report ..."


@pytest.mark.skipif(sys.platform != "linux", reason="where /proc tells what time it took")
def test_the_first_line_comes_long_before_the_end(flow: Path, sample: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start("simulate", flow, "--audience", sample, "--workers", "1")
    read_until(process, "checking the flow")
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    first = sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")
    assert ended(process).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert first < total / 2, "what takes long is imported after it"


@pytest.mark.skipif(sys.platform != "linux", reason="where /proc tells of file descriptors")
def test_nothing_stays_open(flow: Path, tiny: Path, tmp_path: Path) -> None:
    simulate(tmp_path, flow, tiny)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        simulate(tmp_path, flow, tiny, "--log", tmp_path / "log", "--html", tmp_path / "page")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
