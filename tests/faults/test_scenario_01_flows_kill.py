"""Scenario 1 for flows: killed between the control plane and the engine, at any commit of either.

Afterwards both say the same, and the same request again, or the next look at what is due, brings
about what was asked for once: one version, one entry in the audit log, by who asked for it.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from actors import failpoints
from actors.service import flow_rows, scheduling, versions
from actors.service.scheduling import Times
from flow_shop import DAY_MS, NOW_MS, Shop, document, shop
from live_work import fork
from store_work import in_memory

HOUR_MS = 3_600_000
COMMITS = ("plane_before_commit", "in_transaction", "plane_after_commit")


def prepared(folder: Path) -> None:
    """A shop with a draft, a flow that runs, and one that will start in an hour."""
    with shop(folder) as here:
        for name in ("welcome", "runs", "starts"):
            here.create(document(name))
        here.publish("runs", request="before")
        desk, times = here.desk(), Times(NOW_MS + HOUR_MS, NOW_MS + DAY_MS)
        scheduling.look(desk, "starts", times, None, None)
        with desk.rows.write() as txn:
            scheduling.put(txn, desk, "starts", times, None)


def publish(here: Shop) -> None:
    here.publish("welcome", request="mine")


def stop(here: Shop) -> None:
    here.change("stop", "runs", request="mine")


def start(here: Shop) -> None:
    here.now_ms = NOW_MS + HOUR_MS
    here.engine.advance(here.now_ms)
    here.flows.step(here.now_ms)


def freeze(here: Shop) -> None:
    here.tenant(expires_ms=NOW_MS)
    here.flows.step(here.now_ms)


CASES: dict[str, tuple[Callable[[Shop], None], str, str, tuple[str, str]]] = {
    # What is done, to which flow, what status it has then, and what the audit log tells last.
    "publish": (publish, "welcome", "running", ("flow.publish", "user:ada")),
    "stop": (stop, "runs", "stopped", ("flow.stop", "user:ada")),
    "start": (start, "starts", "running", ("flow.publish", "service")),
    "freeze": (freeze, "runs", "frozen", ("flow.pause", "service")),
}


# What time brings about is named by what is due, so it is not written down before.
CUTS = [(case, point) for case in CASES for point in COMMITS]
CUTS += [(case, point) for case in ("publish", "stop") for point in ("flow_asked", "flow_decided")]


@pytest.mark.parametrize(("case", "point"), CUTS)
def test_what_was_asked_for_happens_once_wherever_it_was_cut(
    tmp_path: Path, case: str, point: str
) -> None:
    act, flow, status, told = CASES[case]
    fired = 0
    with in_memory(tmp_path) as folder:
        for hit in itertools.count(1):
            path = folder / f"{hit}"
            prepared(path)

            def cut(tell: Callable[[object], None], path: Path = path, hit: int = hit) -> None:
                failpoints.disarm()
                with shop(path) as here:
                    failpoints.arm(point, "kill", hit)
                    act(here)
                    failpoints.disarm()

            heard, code = fork(cut).wait()
            with shop(path) as here:
                act(here)  # the client, or the clock, asks again
                check(here, flow, status, told)
            if code == 0:
                break
            assert code == -signal.SIGKILL, heard
            fired += 1
    print(f"scenario 1: {case} cut {fired} times at {point}, done twice or half 0")
    assert fired >= 1


def check(here: Shop, flow: str, status: str, told: tuple[str, str]) -> None:
    """Asserts that plane and engine agree, and that all happened once."""
    shown, state = here.shown(flow), here.engine.control.standing.flows[flow]
    assert shown.status == status
    assert (shown.row.running, shown.row.version) == (state.status, state.version)
    assert shown.row.asked is None
    assert here.told(flow).count(told) == 1
    assert here.told(flow)[-1] == told
    with here.plane.tenant("main").read() as txn:
        kept = versions.page(txn, flow, None, 10)
        assert [version.version for version in kept] == [1]
        assert kept[0].document == flow_rows.draft_of(txn, flow).document
        assert kept[0].edition == shown.row.published_edition == 1
    assert here.plane.verify().first_problem == ""
