"""Dry runs over HTTP: reports, comparisons, streams, cancelling, quotas, what is refused."""
# ruff: noqa: N802 - the ids of features are in capitals

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from actors.service import jobs
from actors.service.runs import Runs
from actors.service.tenants import FIRST
from api.simulate import Request, carry_out
from api.simulate import run as simulate
from http_service import Served, served
from run_work import (
    CUSTOMERS,
    FLOW,
    RESPONSES,
    RUN,
    WINDOW,
    ask,
    ended,
    make_audience,
    start,
    stream_of,
)
from waiting import until

SLOW = {**RUN, "responses": RESPONSES, "replicates": 1000}
"""A dry run that takes seconds."""


@pytest.fixture(scope="module", autouse=True)
def _audience(_module_service: Served) -> None:
    assert make_audience(_module_service)["status"] == "done"


def report_of(service: Served, run: str, **params: str) -> dict[str, Any]:
    answer = ask(service, "GET", f"/v1/runs/{run}/report", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def on_the_command_line(service: Served, folder: Path, flow: dict[str, Any], **more: Any) -> Any:
    (folder / "flow").write_text(json.dumps(flow))
    (folder / "responses").write_text(json.dumps(RESPONSES))
    return Request(
        flow=folder / "flow",
        audience=service.service.folder / "audiences" / "shop",
        begin=WINDOW["from"],
        until=WINDOW["until"],
        horizon=WINDOW["horizon"],
        **more,
    )


def nothing(label: str, done: int, total: int) -> None:
    """No progress."""


def test_N01_a_dry_run_reports_what_the_command_line_does(service: Served, tmp_path: Path) -> None:
    queued = start(service, {**RUN, "responses": RESPONSES, "seed": 7, "replicates": 5})
    assert (queued["status"], queued["kind"], queued["audience"]) == ("queued", "dry_run", "shop")
    done = ended(service, queued["id"])
    assert (done["status"], "step" in done, "failure" in done) == ("done", False, False)
    shown = {"audience": "shop", **WINDOW, "seed": 7, "replicates": 5, "flows": ["welcome"]}
    assert done["asked"] == shown
    found = report_of(service, queued["id"])
    request = on_the_command_line(
        service, tmp_path, FLOW, seed=7, replicates=5, responses=tmp_path / "responses"
    )
    expected = simulate(request, nothing).model_dump(mode="json")
    for each in (found, expected):
        del each["run"]
    assert found == expected
    assert found["totals"]["entries"]["value"] == CUSTOMERS


def test_N07_a_report_comes_as_a_page_until_it_is_deleted(service: Served) -> None:
    run = start(service, RUN)["id"]
    ended(service, run)
    answer = ask(service, "GET", f"/v1/runs/{run}/report", params={"format": "html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "script" not in answer.headers["content-security-policy"]
    assert "<h1" in answer.text
    assert str(service.service.folder) not in answer.text
    folder = service.service.runs.folder(FIRST, run)
    (folder / "report.json").unlink()
    for what, detail in (("report", "are gone"), ("comparison", "makes one report")):
        answer = ask(service, "GET", f"/v1/runs/{run}/{what}")
        assert (answer.status_code, detail in answer.json()["detail"]) == (404, True)
    assert ask(service, "DELETE", f"/v1/runs/{run}").status_code == 204
    assert not folder.exists()
    assert ask(service, "GET", f"/v1/runs/{run}").status_code == 404


def test_a_draft_may_be_text_or_a_kept_flow_or_a_version_of_it(service: Served) -> None:
    text = "headrace: 1\nflow: small\nnodes:\n  in: {type: on_event, event: signup, next: out}\n"
    text += "  out: {type: end}\n"
    service.engine.publish(text)
    edited = text.replace("event: signup", "event: order")
    tag = ask(service, "GET", "/v1/flows/small/draft").headers["etag"]
    saved = ask(
        service,
        "PUT",
        "/v1/flows/small/draft",
        json={"document": edited},
        headers={"If-Match": tag},
    )
    assert saved.status_code == 200, saved.text
    drafts = [{"document": text}, {"flow": "small"}, {"flow": "small", "version": 0}]
    runs = [start(service, {**RUN, "draft": draft})["id"] for draft in drafts]
    counted = []
    for run in runs:
        assert ended(service, run)["status"] == "done"
        counted.append(report_of(service, run)["totals"]["entries"]["value"])
    assert counted == [CUSTOMERS, CUSTOMERS // 2, CUSTOMERS]


def test_the_live_journal_is_an_audience(service: Served) -> None:
    now_ms = service.engine.now_ms()
    rows = [
        {"customer": f"l{i}", "event": "signup", "message_id": f"live-{i}", "occurred": now_ms - 9}
        for i in range(40)
    ]
    assert service.ask("POST", "/v1/events", json=rows).json()["accepted"] == 40
    text = {**FLOW, "flow": "from-journal"}
    run = start(service, {"audience": "live", "draft": {"document": text}})["id"]
    done = ended(service, run)
    assert done["status"] == "done", done
    report = report_of(service, run)
    assert report["totals"]["entries"]["value"] == 40
    assert report["audience"]["name"] == service.engine.manifest.tenant
    folder = service.service.runs.folder(FIRST, run)
    assert "journal" not in {path.name for path in folder.iterdir()}


def test_stories_of_chosen_customers_need_a_scope_of_their_own(service: Served) -> None:
    run = start(service, {**RUN, "trace": ["c1", "c17"]})["id"]
    ended(service, run)
    told = ask(service, "GET", f"/v1/runs/{run}/stories").json()["stories"]
    assert [story["customer"] for story in told] == ["c1", "c17"]
    assert report_of(service, run)["stories"] == []
    with service.service.plane.tenant(FIRST).write() as txn:
        viewer = service.service.keys.mint(
            txn, None, name="v", now_ms=service.service.now_ms(), role="viewer"
        ).secret
    assert ask(service, "GET", f"/v1/runs/{run}", key=viewer).status_code == 200
    assert ask(service, "GET", f"/v1/runs/{run}/stories", key=viewer).status_code == 403
    assert ask(service, "POST", f"/v1/runs/{run}/cancel", key=viewer).status_code == 403
    unknown = ended(service, start(service, {**RUN, "trace": ["nobody"]})["id"])
    assert unknown["status"] == "failed"
    assert unknown["failure"]["message"].startswith("trace: the audience has no customer 'nobody'")


# -- comparisons


def compare(service: Served, second: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {**WINDOW, "audience": "shop", "first": {"document": FLOW}, "responses": RESPONSES}
    run = start(service, {**body, "second": {"document": second}, **more}, "/v1/comparisons")["id"]
    done = ended(service, run)
    assert done["status"] == "done", done
    found: dict[str, Any] = ask(service, "GET", f"/v1/runs/{run}/comparison").json()
    assert report_of(service, run)["flow"]["id"] == FLOW["flow"]
    assert report_of(service, run, of="second")["flow"]["id"] == second["flow"]
    for of, flow in (("first", FLOW["flow"]), ("second", second["flow"])):
        params = {"format": "html", "of": of}
        page = ask(service, "GET", f"/v1/runs/{run}/report", params=params)
        assert page.headers["content-type"].startswith("text/html")
        assert flow in page.text
    page = ask(service, "GET", f"/v1/runs/{run}/comparison", params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert ("Nothing changes." in page.text) is found["same"]
    assert (
        ask(service, "GET", f"/v1/runs/{run}/stories").json()["detail"].startswith("a comparison")
    )
    return found


def test_N02_a_null_edit_differs_by_exactly_0(service: Served) -> None:
    edited = deepcopy(FLOW)
    edited["name"] = "A new name"
    edited["nodes"] = dict(reversed(edited["nodes"].items()))
    edited["nodes"]["unreached"] = {"type": "end"}
    found = compare(service, edited, replicates=6)
    shared = [d for d in found["differences"] if d["name"] != "unreached"]
    assert len(shared) > 25
    assert any(not d["exact"] for d in shared)
    for each in shared:
        assert (each["difference"], each["lo"], each["hi"]) == (0.0, 0.0, 0.0)
        assert each["first"] == each["second"]


def test_N02_a_copy_under_another_name_has_the_same_luck(service: Served) -> None:
    found = compare(service, {**FLOW, "flow": "copy"}, replicates=3)
    assert found["same"] is True
    assert {d["difference"] for d in found["differences"]} == {0.0}


def test_N02_differences_are_paired(service: Served, tmp_path: Path) -> None:
    edited = deepcopy(FLOW)
    edited["nodes"]["wait"]["timeout"] = "1 day"
    found = compare(service, edited, replicates=12)
    assert found["same"] is False
    told = {(d["part"], d["name"], d["figure"]): d for d in found["differences"]}
    # A computation by other means: both runs, and statsmodels on their differences.
    sends = []
    for flow in (FLOW, edited):
        request = on_the_command_line(
            service, tmp_path, flow, replicates=12, responses=tmp_path / "responses"
        )
        reports = carry_out(request, nothing).reports()
        sends.append(np.array([r.totals.sends.value for r in reports], float))
    each = sends[1] - sends[0]
    assert (each > 0).all()
    row = told["totals", "", "sends"]
    assert row["difference"] == pytest.approx(each.mean(), rel=1e-12)
    assert (row["lo"], row["hi"]) == pytest.approx(
        sm.stats.DescrStatsW(each).tconfint_mean(), rel=1e-9
    )
    assert told["nodes", "signup", "entered"]["difference"] == 0.0
    assert told["nodes", "signup", "entered"]["exact"] is True
    assert told["sends", "email", "sends"]["difference"] == 0.0
    assert row["difference"] == told["sends", "sms", "sends"]["difference"]
    clicked = told["goal", "", "rate"]
    assert clicked["variance_ratio"] is None or clicked["variance_ratio"] < 0.5


# -- following, cancelling


def test_a_stream_tells_of_a_job_and_ends_with_it(service: Served) -> None:
    run = start(service, {**RUN, "responses": RESPONSES, "replicates": 300})["id"]
    events = stream_of(service, run)
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    assert (events[-1][0], events[-1][1]["status"]) == ("end", "done")
    labels = {told["step"]["label"] for _, told in events[:-1] if "step" in told}
    assert labels
    assert stream_of(service, run)[-1][1]["status"] == "done"
    assert len(stream_of(service, run)) == 1


def test_a_running_job_is_cancelled_and_so_is_one_that_waits(service: Served) -> None:
    first, second = start(service, SLOW)["id"], start(service, RUN)["id"]
    until(lambda: "step" in ask(service, "GET", f"/v1/runs/{first}").json())
    process = worker_of(service, first)
    waiting = ask(service, "GET", f"/v1/runs/{second}").json()
    assert (waiting["status"], waiting["waiting_for"]) == ("queued", 0)
    for run in (second, first):
        for _ in range(2):  # twice is fine
            answer = ask(service, "POST", f"/v1/runs/{run}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    until(lambda: not Path(f"/proc/{process}").exists())
    until(lambda: not service.service.runs._running)
    assert not service.service.runs.folder(FIRST, first).exists()
    answer = ask(service, "GET", f"/v1/runs/{first}/report")
    assert (answer.status_code, "cancelled" in answer.json()["detail"]) == (409, True)
    assert stream_of(service, second)[-1][1]["status"] == "cancelled"


def worker_of(service: Served, run: str) -> int:
    """The number of a job's process."""
    running = service.service.runs._running
    until(lambda: getattr(running.get((FIRST, run)), "process", None) is not None)
    process = running[FIRST, run].process
    assert process is not None
    return process.pid


def test_a_worker_gives_way_and_its_death_is_told(service: Served) -> None:
    run = start(service, SLOW)["id"]
    process = worker_of(service, run)
    until(lambda: os.getpriority(os.PRIO_PROCESS, process) == os.nice(0) + 10)
    os.kill(process, signal.SIGKILL)
    done = ended(service, run)
    assert done["status"] == "failed"
    assert "SIGKILL" in done["failure"]["message"]
    assert not service.service.runs.folder(FIRST, run).exists()
    # The next one is not held up.
    assert ended(service, start(service, RUN)["id"])["status"] == "done"


def test_a_worker_that_fails_is_told_with_the_reason(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = ("/bin/sh", "-c", "echo 'no such thing' >&2; exit 9")
    monkeypatch.setattr(service.service.runs, "_program", program)
    done = ended(service, start(service, RUN)["id"])
    assert (done["status"], "no such thing" in done["failure"]["message"]) == ("failed", True)
    monkeypatch.setattr(service.service.runs, "_program", ("/no/such/program",))
    assert ended(service, start(service, RUN)["id"])["status"] == "failed"


def test_an_audience_in_use_stays(service: Served) -> None:
    run = start(service, SLOW)["id"]
    answer = ask(service, "DELETE", "/v1/audiences/shop")
    assert (answer.status_code, run in answer.json()["detail"]) == (409, True)
    ask(service, "POST", f"/v1/runs/{run}/cancel")
    assert ask(service, "GET", "/v1/audiences/shop").status_code == 200


def test_lists_have_the_newest_first_in_pages(service: Served) -> None:
    made = [start(service, RUN)["id"] for _ in range(3)]
    page = ask(service, "GET", "/v1/runs", params={"limit": 2, "kind": "dry_run"}).json()
    assert [run["id"] for run in page["items"]] == [made[2], made[1]]
    page = ask(service, "GET", "/v1/runs", params={"limit": 1, "after": page["next"]}).json()
    assert [run["id"] for run in page["items"]] == [made[0]]
    kinds = {
        run["kind"]
        for run in ask(service, "GET", "/v1/runs", params={"kind": "import"}).json()["items"]
    }
    assert kinds == {"import"}
    for run in made:
        ask(service, "POST", f"/v1/runs/{run}/cancel")


# -- what is refused


def broken() -> dict[str, Any]:
    flow = deepcopy(FLOW)
    flow["nodes"]["mail"]["next"] = "nowhere"
    flow["nodes"]["text"]["channel"] = "pigeon"
    return flow


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"audience": "unknown"}, 404, "/audience"),
        ({"audience": "../../control"}, 404, "/audience"),
        ({"draft": {"flow": "unknown"}}, 404, "/draft/flow"),
        ({"draft": {"flow": "small", "version": 77}}, 404, "/draft/version"),
        ({"draft": {"document": FLOW, "version": 1}}, 422, ""),
        ({"draft": {}}, 422, ""),
        ({"draft": {"flow": "a", "document": FLOW}}, 422, ""),
        ({"replicates": 0}, 422, ""),
        ({"replicates": 1001}, 422, ""),
        ({"replicates": "3"}, 422, ""),
        ({"seed": -1}, 422, ""),
        ({"tenant": "other"}, 422, ""),
        ({"until": "2026-02-01"}, 422, ""),
        ({"from": "yesterday"}, 422, ""),
        ({"horizon": "2026-03-02"}, 422, ""),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    service: Served, change: dict[str, Any], status: int, pointer: str
) -> None:
    answer = ask(service, "POST", "/v1/runs", json={**RUN, **change})
    assert answer.status_code == status, answer.text
    told = answer.json()
    if pointer:
        assert told["pointer"] == pointer
    assert told["advice"]
    assert "--" not in told["detail"] + told["advice"]


def test_a_draft_with_violations_is_refused_with_all_of_them(service: Served) -> None:
    answer = ask(service, "POST", "/v1/runs", json={**RUN, "draft": {"document": broken()}})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "invalid-flow")
    pointers = {fault["pointer"] for fault in told["errors"]}
    assert any(pointer.startswith("/nodes/text") for pointer in pointers), pointers
    answer = ask(service, "POST", "/v1/runs", json={**RUN, "responses": {"rules": 3}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-flow")


def test_an_empty_audience_is_told(service: Served, tmp_path: Path) -> None:
    # The journal of a tenant whom nobody sent anything.
    with served(tmp_path / "empty") as fresh:
        run = start(fresh, {**RUN, "audience": "live"})["id"]
        done = ended(fresh, run)
    assert done["status"] == "failed"
    assert "the audience is empty" in done["failure"]["message"]
    # And one whose folder says so.
    folder = service.service.folder / "audiences" / "none"
    folder.mkdir()
    schema = json.loads((folder.parent / "shop" / "schema.json").read_text())
    schema["counts"].update(customers=0, events=0)
    for event in schema["events"].values():
        event["count"] = 0
    (folder / "schema.json").write_text(json.dumps(schema))
    answer = ask(service, "POST", "/v1/runs", json={**RUN, "audience": "none"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "the audience is empty")


@pytest.mark.parametrize("what", ["", "/events", "/report", "/stories", "/comparison"])
def test_what_is_not_there_is_told_like_what_is_anothers(service: Served, what: str) -> None:
    with service.service.plane.tenant("rival").write() as txn:
        txn.put("jobs", "theirs", {})
    theirs, none = (ask(service, "GET", f"/v1/runs/{run}{what}") for run in ("theirs", "none"))
    assert (theirs.status_code, none.status_code) == (404, 404)
    for each in (theirs, none):
        assert each.json()["detail"] == "there is no such run"


# -- quotas


@pytest.fixture
def quotas(service: Served) -> Iterator[Any]:
    operator, tenants = service.service.plane.operator, service.service.tenants

    def put(**asked: int) -> None:
        with operator.write() as txn:
            tenants.put(txn, replace(tenants.find(txn, FIRST), quotas=asked))

    yield put
    put()


def test_quotas_bound_what_waits_what_a_day_sees_and_how_large_it_is(
    service: Served, quotas: Any
) -> None:
    quotas(jobs_waiting=1)
    first = start(service, SLOW)["id"]
    until(lambda: ask(service, "GET", f"/v1/runs/{first}").json()["status"] == "running")
    second = start(service, RUN)["id"]
    answer = ask(service, "POST", "/v1/runs", json=RUN)
    assert (answer.status_code, answer.json()["code"]) == (429, "limited")
    assert int(answer.headers["retry-after"]) >= 1
    for run in (first, second):
        ask(service, "POST", f"/v1/runs/{run}/cancel")
    quotas(jobs_per_day=1)
    answer = ask(service, "POST", "/v1/runs", json=RUN)
    assert (answer.status_code, "within a day" in answer.json()["detail"]) == (429, True)
    assert int(answer.headers["retry-after"]) > 80_000
    quotas(dry_run_customers=CUSTOMERS * 3)
    assert ended(service, start(service, {**RUN, "replicates": 3})["id"])["status"] == "done"
    answer = ask(service, "POST", "/v1/runs", json={**RUN, "replicates": 4})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/replicates")
    drafts = {"first": {"document": FLOW}, "second": {"document": FLOW}, "replicates": 2}
    body = {k: v for k, v in RUN.items() if k != "draft"} | drafts
    assert ask(service, "POST", "/v1/comparisons", json=body).status_code == 422
    quotas(dry_run_customers=1)
    rows = [{"customer": f"q{i}", "event": "signup"} for i in range(2)]
    assert service.ask("POST", "/v1/events", json=rows).json()["accepted"] == 2
    live = ended(service, start(service, {**RUN, "audience": "live"})["id"])
    assert live["status"] == "failed"
    assert "at most 1 may be carried out" in live["failure"]["message"]


def test_one_job_of_a_tenant_runs_at_a_time_and_few_of_all(service: Served) -> None:
    runs = Runs(service.service.plane, service.service.tenants, service.service.now_ms, at_once=2)
    runs._queue = [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")]
    taken = []
    while (item := runs._next()) is not None:
        runs._queue.remove(item)
        runs._running[item] = None  # type: ignore[assignment]
        taken.append(item)
    assert taken == [("a", "1"), ("b", "3")]
    del runs._running["a", "1"]
    assert runs._next() == ("a", "2")


def test_starting_again_with_the_same_key_starts_once(service: Served) -> None:
    once = {"Idempotency-Key": "one-run"}
    first, second = (
        ask(service, "POST", "/v1/runs", json=RUN, headers=once).json() for _ in range(2)
    )
    assert first == second
    with service.service.plane.tenant(FIRST).read() as txn:
        assert [job.id for job in jobs.every(txn, limit=1)] == [first["id"]]
        told = [entry["action"] for _, entry in txn.scan("audit")]
    assert told[-1] == "run.start"
    ask(service, "POST", f"/v1/runs/{first['id']}/cancel")


def test_the_budget_for_dry_runs_is_its_own(service: Served) -> None:
    service.service.rates._buckets["simulations"].clear()
    codes = [
        service.ask("POST", "/v1/runs", key=service.admin, json={}).status_code for _ in range(22)
    ]
    assert codes[0] == 422
    assert codes[-1] == 429
    assert ask(service, "GET", "/v1/runs").status_code == 200
