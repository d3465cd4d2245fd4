"""Jobs as records: their ids, the order of lists, documents until they begin, deletion."""

from __future__ import annotations

from typing import Any

import pytest

from actors.service import jobs
from actors.service.errors import InvalidError, LimitedError, NotFoundError
from actors.service.plane import Plane
from actors.service.run_process import Order
from actors.service.tenants import Tenant

TENANT = Tenant("t", "T", 0)


def add(txn: Any, now_ms: int, kind: Any = "dry_run", tenant: Tenant = TENANT) -> jobs.Job:
    return jobs.add(
        txn, tenant, Order(kind, "shop"), {"seed": 1}, {"flow": "{}"}, audience="shop", by="key:k",
        now_ms=now_ms,
    )  # fmt: skip


def test_jobs_are_listed_newest_first_by_kind_and_in_parts(plane: Plane) -> None:
    rows = plane.tenant("t")
    with rows.write() as txn:
        made = [add(txn, 1_000 + i, "import" if i % 2 else "dry_run") for i in range(6)]
        assert [job.id for job in jobs.every(txn)] == [job.id for job in reversed(made)]
        imports = list(jobs.every(txn, limit=2, kinds=("import",)))
        assert [job.id for job in imports] == [made[5].id, made[3].id]
        rest = list(jobs.every(txn, imports[-1].id, kinds=("import",)))
        assert [job.id for job in rest] == [made[1].id]
    with plane.tenant("other").read() as txn:
        assert list(jobs.every(txn)) == []
        with pytest.raises(NotFoundError):
            jobs.find(txn, made[0].id)


def test_documents_are_kept_until_a_job_begins(plane: Plane) -> None:
    with plane.tenant("t").write() as txn:
        job = add(txn, 5)
        running, documents = jobs.begun(txn, job, 7)
        assert documents == {"flow": "{}"}
        assert (running.status, running.started_ms, jobs.find(txn, job.id)) == (
            "running",
            7,
            running,
        )
        assert list(txn.scan("job_documents")) == []
        with pytest.raises(InvalidError, match="has not ended"):
            jobs.delete(txn, job.id)
        ended = jobs.ended(txn, running, "failed", 9, {"message": "no"}, {"customers": 3})
        assert jobs.find(txn, job.id) == ended
        assert (ended.open, ended.ended_ms, ended.found) == (False, 9, {"customers": 3})
        jobs.delete(txn, job.id)
        assert list(jobs.every(txn)) == []


def test_a_day_counts_from_each_start_and_tells_when_it_is_over(plane: Plane) -> None:
    tenant = Tenant("t", "T", 0, quotas={"jobs_per_day": 2})
    with plane.tenant("t").write() as txn:
        first = jobs.DAY_MS
        add(txn, first, tenant=tenant)
        add(txn, first + 60_000, tenant=tenant)
        with pytest.raises(LimitedError) as refused:
            add(txn, first + 100_000, tenant=tenant)
        assert refused.value.retry_after_ms == jobs.DAY_MS - 100_000
        add(txn, first + jobs.DAY_MS, tenant=tenant)


def test_no_more_wait_or_are_kept_than_may(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT_MAX", 4)
    tenant = Tenant("t", "T", 0, quotas={"jobs_waiting": 2})
    with plane.tenant("t").write() as txn:
        made = [add(txn, i, tenant=tenant) for i in range(2)]
        with pytest.raises(LimitedError, match="2 jobs wait already"):
            add(txn, 3, tenant=tenant)
        for job in made:
            jobs.ended(txn, job, "done", 4)
        made = [add(txn, i, tenant=tenant) for i in (5, 6)]
        jobs.ended(txn, made[0], "cancelled", 7)
        with pytest.raises(LimitedError, match="4 jobs are kept"):
            add(txn, 8, tenant=tenant)
