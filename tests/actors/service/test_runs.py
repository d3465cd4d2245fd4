"""What becomes of dry runs when the service ends, and that no tenant sees another's."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from actors.live.starting import Hosting, Making, start_engine
from actors.service import jobs
from actors.service.runs import STOPPED
from actors.service.service import Service
from actors.service.tenants import FIRST, Tenant
from command import call, read_until, start
from http_service import Served, served
from run_work import PATH, RESPONSES, RUN, ask, ended, make_audience
from run_work import start as start_run
from waiting import PATIENCE_S, until

SLOW = {**RUN, "responses": RESPONSES, "replicates": 1000}
INLINE = Hosting(inline=True, shards=1, relays=False)


def job_of(folder: Path, run: str) -> jobs.Job:
    """A job as the control plane has it, once the service was opened again."""
    engine = start_engine(folder, Making(), INLINE)
    with (
        engine,
        Service.open(folder, engine, hosting=INLINE) as service,
        service.plane.tenant(FIRST).read() as txn,
    ):
        return jobs.find(txn, run)


def gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_job_is_interrupted_by_the_end_of_the_service(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with served(folder) as service:
        imported = make_audience(service)["id"]
        kept = ended(service, start_run(service, RUN)["id"])["id"]
        running, queued = (start_run(service, SLOW)["id"] for _ in range(2))
        worker = worker_below(folder / "runs" / running)
    assert gone(worker)
    for run in (running, queued):
        job = job_of(folder, run)
        assert (job.status, job.failure) == ("interrupted", STOPPED)
    assert job_of(folder, kept).status == "done"
    assert {path.name for path in (folder / "runs").iterdir()} == {imported, kept}


def test_scenario_13_a_killed_service_leaves_no_worker_and_tells_of_its_jobs(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    with served(folder) as made:
        imported = make_audience(made)["id"]
        admin = made.admin
    process = start("serve", folder, "--inline", "--http", "127.0.0.1:0")
    try:
        url = read_until(process, "ready:").rsplit(" ", 1)[-1].strip()
        with httpx.Client(
            base_url=url, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {admin}"}
        ) as client:
            run = client.post("/v1/runs", json=SLOW).json()["id"]
        worker = worker_below(folder / "runs" / run)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        process.kill()
        process.communicate()
    until(lambda: gone(worker))
    assert (folder / "runs" / run).is_dir()
    job = job_of(folder, run)
    assert (job.status, job.failure) == ("interrupted", STOPPED)
    assert [path.name for path in (folder / "runs").iterdir()] == [imported]


def worker_below(folder: Path) -> int:
    """The number of the process that works in a folder, once there is one."""

    def found() -> int:
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(folder).encode() in words:
                return int(place.name)
        return 0

    return until(found, f"a process that works in {folder}")


def test_scenario_38_a_tenant_sees_neither_runs_nor_audiences_of_another(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        assert make_audience(service)["status"] == "done"
        run = ended(service, start_run(service, RUN)["id"])["id"]
        with service.service.plane.operator.write() as txn:
            service.service.tenants.create(txn, Tenant("rival", "Rival", 0))
            own = txn.within(service.service.plane.tenant("rival"))
            rival = service.service.keys.mint(
                own, None, name="r", now_ms=service.service.now_ms(), role="admin"
            ).secret
        for method, path, more in foreign(run):
            answer = ask(service, method, path, key=rival, **more)
            other = ask(
                service, method, path.replace(run, "f" * 24).replace("shop", "none"), key=rival,
                **json.loads(json.dumps(more).replace("shop", "none")),
            )  # fmt: skip
            assert answer.status_code == other.status_code, (path, answer.text)
            assert answer.status_code == 404 or "items" in answer.json()
            told, untold = (
                {k: v for k, v in each.json().items() if k != "request_id"}
                for each in (answer, other)
            )
            assert told == untold
        listed = ask(service, "GET", "/v1/audiences", key=rival).json()["items"]
        assert [each["name"] for each in listed] == ["live"]
        # The same names are his own, below his own folder.
        made = make_for(service, rival)
        assert made["status"] == "done"
        folder = service.service.folder / "tenants" / "rival"
        assert (folder / "audiences" / "shop" / "schema.json").is_file()
        assert ask(service, "GET", PATH).json()["customers"] == 300
        assert ask(service, "GET", PATH, key=rival).json()["customers"] == 1


def foreign(run: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests about what is the first tenant's."""
    of_run = ("", "/events", "/report", "/stories", "/comparison")
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/runs/{run}{what}", {}) for what in of_run
    ]
    asked += [("POST", f"/v1/runs/{run}/cancel", {}), ("DELETE", f"/v1/runs/{run}", {})]
    asked += [("GET", PATH, {}), ("GET", f"{PATH}/rejects", {}), ("DELETE", PATH, {})]
    asked += [("POST", "/v1/runs", {"json": RUN}), ("GET", "/v1/runs", {})]
    return asked


def make_for(service: Served, key: str) -> dict[str, Any]:
    """The audience `shop` of another tenant, with one customer."""
    ask(service, "PUT", f"{PATH}/files/a.csv", key=key, content=b"id\nx\n")
    mapping = {"customers": [{"file": "a.csv", "id": "id"}]}
    queued = ask(service, "POST", f"{PATH}/import", key=key, json={"mapping": mapping}).json()
    while True:
        found: dict[str, Any] = ask(service, "GET", f"/v1/runs/{queued['id']}", key=key).json()
        if found["status"] not in jobs.OPEN:
            return found
        time.sleep(0.05)


def test_what_tenants_import_is_not_in_the_way_of_their_engine(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with served(folder) as service:
        make_audience(service)
        ended(service, start_run(service, RUN)["id"])
    done = call("verify", "--quick", folder)
    assert done.code == 0, done
    with served(folder) as again:
        assert ask(again, "GET", "/healthz").status_code == 200


def test_a_job_that_never_began_leaves_no_documents(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        make_audience(service)
        runs = [start_run(service, SLOW)["id"] for _ in range(2)]
        for run in reversed(runs):
            ask(service, "POST", f"/v1/runs/{run}/cancel")
        with service.service.plane.tenant(FIRST).read() as txn:
            assert list(txn.scan("job_documents")) == []
