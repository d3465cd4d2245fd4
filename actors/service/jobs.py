"""Keep jobs as records: dry runs, comparisons and imports, from the queue to their end.

A record says what was asked and what became of it. The documents of a job are a record of their
own, so that lists stay small, and only until it begins: then they are in its folder.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from actors.service.errors import InvalidError, LimitedError, NotFoundError
from actors.service.run_process import Kind, Order
from actors.service.tenants import Tenant
from actors.service.transactions import ReadTxn, WriteTxn

Status = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

LIVE = "live"
"""The name of the audience that is a tenant's own journal."""
OPEN: frozenset[Status] = frozenset({"queued", "running"})
DAY_MS = 86_400_000
KEPT_MAX = 2_000

LIMITS: Mapping[str, int] = {
    # What a tenant may have where its quotas do not say otherwise.
    "jobs_waiting": 20,  # queued at one time, beside the one that runs
    "jobs_per_day": 500,
    "dry_run_customers": 50_000_000,  # customers times replicates of one dry run
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job. Times are ms UTC, None for what has not come about.

    `asked` is what its start was asked for, without documents; `by` is who asked. `failure` says
    why it failed: `message`, `advice`, and perhaps `pointer` and `violations`.
    """

    id: str
    kind: Kind
    status: Status
    audience: str
    asked: dict[str, Any]
    order: dict[str, Any]
    by: str
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    failure: dict[str, Any] | None = None
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN


def limit_of(tenant: Tenant, name: str) -> int:
    """How much of a limit of LIMITS a tenant has."""
    return tenant.quotas.get(name, LIMITS[name])


def add(
    txn: WriteTxn,
    tenant: Tenant,
    order: Order,
    asked: Mapping[str, Any],
    documents: Mapping[str, str],
    *,
    audience: str,
    by: str,
    now_ms: int,
) -> Job:
    """Put a job into the tenant's queue. Raises LimitedError where a quota is used up.

    `documents` are files of its folder by name.
    """
    waiting = today = kept = 0
    oldest_ms = now_ms
    for job in every(txn):
        kept += 1
        waiting += job.status == "queued"
        if job.created_ms > now_ms - DAY_MS:
            today += 1
            oldest_ms = min(oldest_ms, job.created_ms)
    if waiting >= limit_of(tenant, "jobs_waiting"):
        raise LimitedError(
            f"{waiting:,} jobs wait already, which is as many as may",
            advice="Wait for one to end, or cancel one",
            retry_after_ms=10_000,
        )
    if today >= limit_of(tenant, "jobs_per_day"):
        raise LimitedError(
            f"{today:,} jobs were started within a day, which is as many as may be",
            advice="Wait, or have the quota jobs_per_day raised",
            retry_after_ms=max(1_000, oldest_ms + DAY_MS - now_ms),
        )
    if kept >= KEPT_MAX:
        raise LimitedError(
            f"{kept:,} jobs are kept, which is as many as may be",
            advice="Delete some that are not needed any more",
            retry_after_ms=60_000,
        )
    job = Job(
        id=f"{now_ms:012x}{secrets.token_hex(6)}",
        kind=order.kind,
        status="queued",
        audience=audience,
        asked=dict(asked),
        order=asdict(order),
        by=by,
        created_ms=now_ms,
    )
    put(txn, job)
    txn.put("job_documents", job.id, dict(documents))
    return job


def put(txn: WriteTxn, job: Job) -> None:
    """Write a job down."""
    txn.put("jobs", job.id, asdict(job))


def find(txn: ReadTxn, job_id: str) -> Job:
    """A job of the tenant. Raises NotFoundError."""
    record = txn.get("jobs", job_id)
    if record is None:
        raise NotFoundError("there is no such run", advice="List the runs that there are")
    return Job(**record)


def every(
    txn: ReadTxn, after: str = "", limit: int | None = None, kinds: tuple[Kind, ...] = ()
) -> Iterator[Job]:
    """The tenant's jobs, the newest first, of some kinds or of all."""
    left = limit
    for _, record in txn.scan("jobs", "", after, reverse=True):
        if left is not None and left <= 0:
            return
        job = Job(**record)
        if not kinds or job.kind in kinds:
            yield job
            if left is not None:
                left -= 1


def begun(txn: WriteTxn, job: Job, now_ms: int) -> tuple[Job, dict[str, str]]:
    """Write down that a job runs; returns it and its documents."""
    documents = txn.get("job_documents", job.id) or {}
    txn.delete("job_documents", job.id)
    job = replace(job, status="running", started_ms=now_ms)
    put(txn, job)
    return job, documents


def ended(
    txn: WriteTxn,
    job: Job,
    status: Status,
    now_ms: int,
    failure: dict[str, Any] | None = None,
    found: Mapping[str, Any] | None = None,
) -> Job:
    """Write down that a job ended."""
    txn.delete("job_documents", job.id)
    job = replace(job, status=status, ended_ms=now_ms, failure=failure, found=dict(found or {}))
    put(txn, job)
    return job


def delete(txn: WriteTxn, job_id: str) -> Job:
    """Forget a job that has ended. Raises NotFoundError, InvalidError."""
    job = find(txn, job_id)
    if job.open:
        raise InvalidError("the run has not ended", advice="Cancel it first")
    txn.delete("jobs", job_id)
    return job
