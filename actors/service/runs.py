"""Carry out jobs: dry runs, comparisons and imports, each in a process that gives way to all else.

Jobs wait in one queue. A tenant has one at a time, all tenants together a few; whose turn it is
goes by when a job came, among those whose tenant has none. A job survives nothing: what was queued
or running when the service ended is told as interrupted, and its folder is removed.

Whoever changes jobs does it in a transaction of the tenant's rows; what has to happen to processes
happens once that is stored.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.live import backup
from actors.service import jobs
from actors.service.audiences import Audiences
from actors.service.errors import ConflictError, NotFoundError
from actors.service.jobs import LIVE, Job
from actors.service.plane import Plane
from actors.service.run_process import WORKER, Order, RunProcess, Step
from actors.service.tenants import Tenants
from actors.service.transactions import WriteTxn
from actors.store.folder import os_errors
from core.errors import HeadraceError

FOLDER = "runs"
AT_ONCE = 2
JOURNAL, MANY_S = "journal", 30.0
RESULTS = {
    "dry_run": ("report.json", "report.html", "stories.json"),
    "comparison": (
        "comparison.json",
        "comparison.html",
        "report.json",
        "report.html",
        "second.json",
        "second.html",
    ),
    "import": ("import.json",),
}
MAKES = {
    "dry_run": "a dry run makes one report, and stories",
    "comparison": "a comparison makes itself and two reports, first and second",
    "import": "an import makes an audience, and nothing else",
}
STOPPED = {
    "message": "the service ended while the run was under way",
    "advice": "Start it again",
}

Item = tuple[str, str]
"""A tenant and a job."""


@dataclass(slots=True)
class _Running:
    step: Step = field(default_factory=lambda: Step("starting"))
    process: RunProcess | None = None
    stopped: bool = False

    def stop(self) -> None:
        """End its process, now or as soon as there is one."""
        self.stopped = True
        if self.process is not None:
            self.process.kill()


class Runs:
    """The jobs of all tenants; make one with `open`. Any thread may use it."""

    def __init__(
        self,
        plane: Plane,
        tenants: Tenants,
        now_ms: Callable[[], int],
        *,
        at_once: int = AT_ONCE,
        program: Sequence[str] = WORKER,
    ) -> None:
        """Look after jobs; of all tenants, `at_once` run at one time, each as `program`."""
        self.audiences = Audiences(tenants.folder)
        self._plane = plane
        self._tenants = tenants
        self._now_ms = now_ms
        self._at_once = at_once
        self._program = program
        self._changed = threading.Condition()
        self._queue: list[Item] = []
        self._running: dict[Item, _Running] = {}
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._dispatcher = threading.Thread(target=self._dispatch, name="runs", daemon=True)

    def open(self) -> None:
        """Tell of the jobs that an ending of the service interrupted, and begin to carry out."""
        self._tidy()
        self._dispatcher.start()

    def close(self) -> None:
        """End what runs, and tell of it as interrupted. Again does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            for running in self._running.values():
                running.stop()
            self._changed.notify_all()
        if self._dispatcher.ident is not None:
            self._dispatcher.join()
        for thread in list(self._threads):
            thread.join(MANY_S)
        with suppress(HeadraceError):
            self._tidy()  # else the next start does

    # What routes ask for, within a write of the tenant's rows

    def submit(
        self,
        txn: WriteTxn,
        order: Order,
        asked: Mapping[str, Any],
        documents: Mapping[str, str],
        *,
        audience: str,
        by: str,
    ) -> Job:
        """Queue a job for the tenant whose rows `txn` changes. Raises LimitedError.

        `asked` is kept to be shown, `documents` become files of the job's folder.
        """
        tenant = _owner(txn)
        found = self._tenants.find(txn.within(self._plane.operator), tenant)
        job = jobs.add(
            txn, found, order, asked, documents, audience=audience, by=by, now_ms=self._now_ms()
        )
        txn.when_stored(lambda: self._enqueue((tenant, job.id)))
        return job

    def cancel(self, txn: WriteTxn, job_id: str) -> Job:
        """Cancel a job; of one that has ended, only tell what it is. Raises NotFoundError."""
        job = jobs.find(txn, job_id)
        if not job.open:
            return job
        item = (_owner(txn), job_id)
        txn.when_stored(lambda: self._stop(item))
        return jobs.ended(txn, job, "cancelled", self._now_ms())

    def delete(self, txn: WriteTxn, job_id: str) -> None:
        """Remove a job that has ended, and its results. Raises NotFoundError, InvalidError."""
        jobs.delete(txn, job_id)
        folder = self.folder(_owner(txn), job_id)
        txn.when_stored(lambda: shutil.rmtree(folder, ignore_errors=True))

    # What there is to see

    def step(self, tenant: str, job_id: str) -> Step | None:
        """What a job is doing; None unless it runs."""
        with self._changed:
            running = self._running.get((tenant, job_id))
            return None if running is None else running.step

    def place(self, tenant: str, job_id: str) -> int | None:
        """How many of the tenant's jobs come first; None unless it waits."""
        with self._changed:
            own = [job for owner, job in self._queue if owner == tenant]
            return own.index(job_id) if job_id in own else None

    def result(self, tenant: str, job: Job, name: str) -> Path:
        """A file that a job made. Raises ConflictError unless it is done, NotFoundError."""
        if job.status != "done":
            raise ConflictError(
                f"the run is {job.status}, so it has no results",
                advice="Wait for its end" if job.open else "Start another",
            )
        file = self.folder(tenant, job.id) / name
        if name not in RESULTS[job.kind]:
            raise NotFoundError(MAKES[job.kind], advice="Ask for what it makes")
        if not file.is_file():
            # Backups have the record, and not what can be computed again.
            raise NotFoundError("the results of the run are gone", advice="Start it again")
        return file

    def folder(self, tenant: str, job_id: str) -> Path:
        """Where the results of a job are."""
        return self._tenants.folder(tenant) / FOLDER / job_id

    # The queue

    def _enqueue(self, item: Item) -> None:
        with self._changed:
            self._queue.append(item)
            self._changed.notify_all()

    def _stop(self, item: Item) -> None:
        with self._changed:
            if item in self._queue:
                self._queue.remove(item)
            if item in self._running:
                self._running[item].stop()

    def _dispatch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None)
                item = self._next()
                if self._closed or item is None:
                    return
                self._queue.remove(item)
                running = self._running[item] = _Running()
            self._threads = [each for each in self._threads if each.is_alive()]
            thread = threading.Thread(
                target=self._carry, args=(item, running), name="run", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _next(self) -> Item | None:
        if len(self._running) >= self._at_once:
            return None
        busy = {tenant for tenant, _ in self._running}
        return next((item for item in self._queue if item[0] not in busy), None)

    # A job

    def _carry(self, item: Item, running: _Running) -> None:
        tenant, job_id = item
        folder = self.folder(tenant, job_id)
        try:
            # If not even the record can be written, it is told of as interrupted afterwards.
            with suppress(HeadraceError):
                self._carry_out(tenant, job_id, folder, running)
        finally:
            with self._changed:
                del self._running[item]
                self._changed.notify_all()

    def _carry_out(self, tenant: str, job_id: str, folder: Path, running: _Running) -> None:
        rows = self._plane.tenant(tenant)
        with rows.write() as txn:
            job = jobs.find(txn, job_id)
            if not job.open:
                return  # it was cancelled just now
            job, documents = jobs.begun(txn, job, self._now_ms())
        failure: dict[str, Any] | None
        try:
            failure = self._work(tenant, job, folder, documents, running)
        except HeadraceError as error:
            failure = {"message": error.message, "advice": error.advice}
        except OSError as error:
            failure = {"message": error.strerror or str(error), "advice": "Start it again"}
        if job.kind == "import":
            self.audiences.tidy(tenant, job.audience)
            if failure is None:
                self.audiences.drop_files(tenant, job.audience)
        shutil.rmtree(folder / JOURNAL, ignore_errors=True)
        with rows.write() as txn:
            record = txn.get("jobs", job_id)
            if record is not None and record["status"] == "running":
                if self._closed:
                    job = jobs.ended(txn, job, "interrupted", self._now_ms(), STOPPED)
                else:
                    status: jobs.Status = "done" if failure is None else "failed"
                    job = jobs.ended(txn, job, status, self._now_ms(), failure, _found(folder))
        if job.status != "done":
            shutil.rmtree(folder, ignore_errors=True)

    def _work(
        self,
        tenant: str,
        job: Job,
        folder: Path,
        documents: Mapping[str, str],
        running: _Running,
    ) -> dict[str, Any] | None:
        """Have the process do it; returns why it failed, None if it did not."""
        order = Order.of(job.order)
        with os_errors(folder):
            folder.mkdir(mode=0o700, parents=True)
            for name, text in documents.items():
                (folder / name).write_text(text, "utf-8")
            if job.kind != "import" and job.audience == LIVE:
                order.journal = str(folder / JOURNAL)
                engine = self._tenants.engine(tenant)
                running.step = Step("copying the journal")
                backup.back_up(engine, folder / JOURNAL, people=False)
            order.write(folder)
            process = RunProcess(folder, self._program)
        with self._changed:
            running.process = process
            if running.stopped:
                process.kill()

        def step(told: Step) -> None:
            running.step = told

        return process.follow(step)

    def _tidy(self) -> None:
        """Tell of all jobs that have not ended as interrupted, and remove what is left of them."""
        with self._plane.operator.read() as txn:
            tenants = [tenant.id for tenant in self._tenants.list(txn)]
        for tenant in tenants:
            rows = self._plane.tenant(tenant)
            with rows.read() as txn:
                known = list(jobs.every(txn))
            left = [job for job in known if job.open]
            if left:
                with rows.write() as writing:
                    for job in left:
                        jobs.ended(writing, job, "interrupted", self._now_ms(), STOPPED)
            for job in left:
                if job.kind == "import":
                    self.audiences.tidy(tenant, job.audience)
            kept = {job.id for job in known if job.status == "done"}
            home = self._tenants.folder(tenant) / FOLDER
            for folder in home.iterdir() if home.is_dir() else ():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)


def _owner(txn: WriteTxn) -> str:
    assert txn.tenant is not None, "jobs are a tenant's"
    return txn.tenant


def _found(folder: Path) -> dict[str, Any]:
    """What an import found, for its record."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / "import.json").read_text("utf-8"))
        return {name: found[name] for name in ("customers", "events", "changes", "rejected")}
    return {}
