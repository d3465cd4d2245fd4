"""Be the gateway of one tenant: take rows in, split them by partition, and publish flows to all.

Rows are read against the tenant's schema. Personal values are stored first, then each partition
gets its part, and the answer comes when all parts are committed. What is asked for a second time,
because an answer was lost, counts once: rows are known by their messages' ids or by the number that
their source gave the batch, commands by the name of their request.

A command is prepared by all partitions, written to the control log, and then applied by all: it
reaches every one or none.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.intake.routing import partition_of, split
from actors.intake.rows import Decoded, decode_rows
from actors.intake.tagging import REQUEST_ID
from actors.live.clock import DrivenClock, WallClock
from actors.live.control import SOURCE, Command, ControlLog, FlowState, TenantSettings
from actors.live.coordinating import Coordinating
from actors.live.data_dir import DataDir, Manifest
from actors.live.delivering import Delivered, deliver, replies, reply_to
from actors.live.errors import DownError, RefusedError
from actors.live.handles import ShardHandle
from actors.live.hosted import Receipt
from actors.live.identities import Gateway, Identities, Merged
from actors.live.jobs import Jobs
from actors.live.publishing import judge, judge_segments
from actors.live.rejects import RejectLog
from actors.live.replies import Done, Entrants, InFlight, Reply
from actors.live.store_look import StoreLook, look_at
from actors.store.head import Head
from core.counters import Counters
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema, schema_changes
from core.violations import close_to

DEADLINE_S = 30.0
WATCH_S = 1.0
TEND_S = 60.0
JOB_LOOK_S = 0.02
BATCH_BYTES = 16


class Engine:
    """The open gateway; `actors.live.starting` makes one."""

    def __init__(
        self,
        data: DataDir,
        control: ControlLog,
        handles: Sequence[ShardHandle],
        *,
        closing: Callable[[], None],
        driven: bool = False,
    ) -> None:
        """Take over an open data directory, its control log and its shards, and bring these up.

        `closing` ends the shards; `driven` says that their clock is set by `advance`. Raises
        DownError if a shard does not answer.
        """
        self.data = data
        self.control = control
        self.partitions = data.manifest.partitions
        self.rejects = RejectLog(data.path / "rejects")
        self.jobs = Jobs()  # of clients who ask again how it is going
        self._handles = list(handles)
        self._of = {number: handle for handle in handles for number in handle.numbers}
        self._bringing = {id(handle): threading.Lock() for handle in handles}
        self._closing = closing
        self._commanding = threading.Lock()
        self._schema = self._read_schema()
        self._pool = ThreadPoolExecutor(max(1, len(handles)), thread_name_prefix="engine")
        self._stopped = threading.Event()
        self._coordinating = Coordinating(
            data.coordinator,
            TenantSettings.of(data.manifest),
            control,
            lambda number, method, given: self._of[number].call("read", number, method, *given),
            self.now_ms,
        )
        self.identities = Identities(
            Gateway(
                control,
                self.partitions,
                ask=lambda number, name, *more: self._of[number].call("read", number, name, *more),
                job=self.job,
                decide=lambda command, request: self._decide("", command, request),
                put_people=self._put_people,
                deliver=lambda decoded: self._take(decoded, b"", DEADLINE_S),
            )
        )
        self._statuses: dict[tuple[int, ...], dict[str, Any]] = {}
        for done in [self._pool.submit(self._bring, handle) for handle in handles]:
            done.result()
        start_ms = max(int(handle.call("status")["now_ms"]) for handle in handles)
        self._clock: DrivenClock | WallClock = (DrivenClock if driven else WallClock)(start_ms)
        self._looking = threading.Lock()
        self._watchers = [
            threading.Thread(target=self._watch, args=(handle,), name="watch", daemon=True)
            for handle in handles
        ]
        for watcher in self._watchers:
            watcher.start()
        if not driven:
            self._coordinating.start()

    # Rows

    def send(
        self,
        rows: Sequence[Any],
        *,
        source: bytes = b"",
        sequence: int = 0,
        batch: bytes = b"",
        deadline_s: float = DEADLINE_S,
    ) -> Reply:
        """Take in events and changes of customers; see `actors.intake.rows` for how they look.

        The reply comes when the disk has them. A batch that is sent again counts once: it has the
        same `batch`, 16 random bytes, or a `source` that numbers its batches by `sequence` from 1
        without a gap, or its rows have message ids of their own.

        Raises BusyError, FullError, NoSpaceError, DownError and UnknownError when some or all rows
        were not taken in, or when that is not known: the same may be sent again. Raises GapError.
        """
        if source == SOURCE:
            raise RefusedError(f"no client can be the source {source.decode()!r}")
        number = not sequence and not batch
        decoded = decode_rows(
            rows,
            self._schema,
            source=source,
            sequence=sequence,
            batch=os.urandom(BATCH_BYTES) if number else batch,
        )
        return self._take(decoded, source or batch, deadline_s)

    def send_decoded(self, decoded: Decoded, *, deadline_s: float = DEADLINE_S) -> Reply:
        """Take in what was read into columns already. Waits and raises as `send` does."""
        return self._take(decoded, decoded.frame.source, deadline_s)

    def _take(self, decoded: Decoded, source: bytes, deadline_s: float) -> Reply:
        end = time.monotonic() + deadline_s
        decoded.frame.tag = REQUEST_ID.get()
        with self.identities.sending():
            decoded = self.identities.meant(decoded)
            self._put_people(decoded.personal)
            found = self._deliver(split(decoded.frame, self.partitions), end)
        receipts = found.checked()
        reply = reply_to(decoded, receipts, self.partitions)
        told = [(row, place, code) for row, place, code, _ in reply.rejects]
        self.rejects.write(self.now_ms(), source.hex(), told)
        return reply

    def send_together(
        self, frame: Frame, firsts: NDArray[np.int64], *, deadline_s: float = DEADLINE_S
    ) -> list[Reply | Exception]:
        """Take in several batches at once, whose rows follow one another in a frame.

        `firsts` int64[m] are their first rows, from 0; none is empty. All rows have message ids.
        What `send` would raise for a batch stands in its place; DownError comes without waiting
        for a shard to come back, so that other batches need not.
        """
        end = time.monotonic() + deadline_s
        with self.identities.sending():
            frame = self.identities.meant_frame(frame)
            found = self._deliver(split(frame, self.partitions), end, patient=False)
        told = replies(frame, firsts, self.partitions, found)
        for reply in told:
            if isinstance(reply, Reply) and reply.rejects:
                lines = [(row, place, code) for row, place, code, _ in reply.rejects]
                self.rejects.write(self.now_ms(), frame.source.hex(), lines)
        return told

    def submit(self, frame: Frame, partition: int | None = None) -> list[Future[Receipt]]:
        """Send a frame on its way without waiting: a receipt for each partition that it concerns.

        For bulk, where many are under way at once. `partition` says where all its customers
        belong, if the caller knows. A receipt may raise what `send` does, and then the same frame
        must be sent again.
        """
        meant = self.identities.meant_frame(frame)
        if partition is not None and meant is frame:
            return [self._submit(partition, frame)]
        return [self._submit(number, part) for number, part in split(meant, self.partitions)]

    def _put_people(self, personal: Mapping[str, Mapping[str, Any]]) -> None:
        by_partition: dict[int, dict[str, Mapping[str, Any]]] = {}
        for customer, values in personal.items():
            by_partition.setdefault(self.partition_of(customer), {})[customer] = values
        for number, people in by_partition.items():
            self._of[number].call("put_people", number, people)

    def _deliver(
        self, parts: Sequence[tuple[int, Frame]], end: float, *, patient: bool = True
    ) -> Delivered:
        return deliver(
            parts, self._submit, lambda n: self._bring(self._of[n]), end, patient=patient
        )

    def _submit(self, number: int, frame: Frame) -> Future[Receipt]:
        return self._of[number].submit(number, frame, self.control.last)

    def sequence_of(self, source: bytes) -> int:
        """The last batch of a numbered source that every partition has; it goes on after that."""
        cursors = [self._of[n].call("read", n, "cursors") for n in range(self.partitions)]
        return min(int(cursor.get(source, 0)) for cursor in cursors)

    # Commands

    @property
    def schema(self) -> TenantSchema:
        """The tenant's schema."""
        return self._schema

    def set_schema(self, schema: Mapping[str, Any], *, request: str = "") -> Done:
        """Let rows have other attributes and events from now on. Raises HeadraceError.

        Attributes and events may come and go; what had a type keeps it.
        """
        with self._commanding:
            new = TenantSchema.of(schema)
            changes = schema_changes(self._schema, new)
            if changes:
                first = changes[0]
                raise RefusedError(first.message, advice=first.advice, pointer=first.pointer)
            command = {"kind": "schema", "schema": new.to_json()}
            return self._decide("", command, request)

    def set_segments(self, document: str, *, name: str = "segments", request: str = "") -> Done:
        """Let flows name other segments, from their next version on; see `core.segments`.

        `document` is YAML or JSON, `name` its file, for errors. Versions that were published keep
        what theirs meant: the warnings tell which. Raises FlowError with all that is wrong.
        """
        with self._commanding:
            if request in self.control.standing.requests:
                return self._again(request)
            segments, doubts = judge_segments(document, name, self.control.standing)
            command = {"kind": "segments", "segments": segments.model_dump(mode="json")}
            done = self._decide("", command, request)
            return replace(done, warnings=[v.to_json() for v in doubts])

    def publish(
        self,
        document: str,
        *,
        name: str = "flow",
        in_flight: InFlight = "pin",
        request: str = "",
    ) -> Done:
        """Publish a flow, or a new version of one, to all partitions or none.

        `in_flight` says what becomes of those inside an older version: they go on in it (pin),
        leave (drop), or enter the new one anew (reset). `name` is the document's file, for errors.
        Segments mean in this version for ever what they mean now. Raises FlowError with all that is
        wrong, content that isn't ready included, RefusedError for what is published already,
        DownError while a partition is down, and what a partition says against it.
        """
        standing = self.control.standing
        if request in standing.requests:
            return self._again(request)
        found = judge(document, name, self.data.path, self._schema, standing, self.now_ms())
        _check_in_flight(in_flight, ("pin", "drop", "reset"))
        with self._commanding:
            if request in standing.requests:
                return self._again(request)
            command = found.command(standing, in_flight, self._schema.entry_rate)
            doubts = [v.to_json() for v in found.doubts if v.severity == "warning"]
            return replace(self._decide(found.flow.flow, command, request), warnings=doubts)

    def stop(
        self, flow: str, *, in_flight: Literal["pin", "drop"] = "pin", request: str = ""
    ) -> Done:
        """Let nobody enter a flow any more; those inside go on to its end (pin) or leave (drop).

        Raises RefusedError, DownError.
        """
        _check_in_flight(in_flight, ("pin", "drop"))
        return self._change(flow, "stop", ("active", "paused"), request, in_flight=in_flight)

    def pause(self, flow: str, *, request: str = "") -> Done:
        """Let a flow stand still. Raises RefusedError, DownError."""
        return self._change(flow, "pause", ("active",), request)

    def resume(self, flow: str, *, request: str = "") -> Done:
        """Let a paused flow go on. Raises RefusedError, DownError."""
        return self._change(flow, "resume", ("paused",), request)

    def erase(self, customers: Sequence[str], *, request: str = "") -> Done:
        """Forget customers: their tokens leave, and no byte of their personal values stays.

        An id means the customer with all their aliases. When it returns, that holds for all
        partitions, their people and their channels; of backups it holds once they are restored.
        Should it be cut short, it is finished by asking again.

        Raises DownError, and what the people's store raises.
        """
        with self._commanding:
            customers = self.identities.all_of(customers)
            hashes = [hash_customer(customer) for customer in customers]
            if request in self.control.standing.requests:
                done = self._again(request)
            else:
                done = self._decide("", {"kind": "erase", "hashes": hashes}, request)
        by_partition: dict[int, list[int]] = {}
        for customer, hashed in zip(customers, hashes, strict=True):
            by_partition.setdefault(self.partition_of(customer), []).append(hashed)
        for number, mine in by_partition.items():
            self._of[number].call("forget_messages", number, mine)
        return done

    def merge(self, pairs: Sequence[tuple[str, str]], *, request: str = "") -> Merged:
        """Merge the first customer of each pair into the second; see `actors.live.identities`.

        Raises BusyError and DownError with nothing merged.
        """
        with self._commanding:
            return self.identities.merge(pairs, request)

    def _change(
        self, flow: str, kind: str, statuses: tuple[str, ...], request: str, **more: str
    ) -> Done:
        with self._commanding:
            if request in self.control.standing.requests:
                return self._again(request)
            known = self._known(flow)
            if known.status not in statuses:
                raise RefusedError(
                    f"flow {flow} is {known.status}, so there is nothing to {kind}",
                    advice=f"Only what is {' or '.join(statuses)} can be told to {kind}",
                )
            return self._decide(flow, {"kind": kind, "flow": flow, **more}, request)

    def _known(self, flow: str) -> FlowState:
        flows = self.control.standing.flows
        if flow not in flows:
            advice = close_to(flow, flows, "Publish it first").rstrip(".")
            raise RefusedError(f"no flow {flow!r} was published", advice=advice)
        return flows[flow]

    def _decide(self, flow: str, command: dict[str, Any], request: str) -> Done:
        """Prepare, write down, apply. What is written down is decided, whatever comes then."""
        if request in self.control.standing.requests:
            return self._again(request)
        command = {**command, "at_ms": self.now_ms(), "request": request}
        for done in [self._pool.submit(h.call, "prepare", command) for h in self._handles]:
            done.result()
        number = self.control.append(command)
        if command["kind"] == "schema":
            self._schema = self._read_schema()
        version = int(command.get("version", 0)) or self._version(flow)
        return Done(flow, version, number, self._apply())

    def _again(self, request: str) -> Done:
        number = self.control.standing.requests[request]
        command = self.control.after(number - 1)[0][1]
        flow = command.get("flow", "")
        return Done(flow, command.get("version", self._version(flow)), number, self._apply())

    def _version(self, flow: str) -> int:
        return self.control.standing.flows[flow].version if flow else 0

    def _apply(self) -> list[int]:
        """Have all shards apply what is decided; the partitions that will do so later."""
        pending: list[int] = []
        for handle, done in [(h, self._pool.submit(self._bring, h)) for h in self._handles]:
            try:
                done.result()
                states = handle.call("status")["partitions"]
                pending += [number for number, s in states.items() if s["state"] != "open"]
            except DownError:
                pending += handle.numbers
        return sorted(pending)

    def _bring(self, handle: ShardHandle) -> None:
        """Bring a shard the commands that it lacks."""
        with self._bringing[id(handle)]:
            applied = handle.call("control_sequence")
            commands: list[tuple[int, Command]] = [*self.control.after(applied)]
            handle.call("follow", commands, self.control.last)

    def coordinate(self) -> int:
        """Answer what customers of coupled flows claimed since the last time; returns how many.

        A thread does so by itself, unless the clock is driven.
        """
        return self._coordinating.step()

    # Reading

    def now_ms(self) -> int:
        """The time, guarded as that of the shards, milliseconds UTC."""
        with self._looking:
            return self._clock.now_ms()

    def partition_of(self, customer: str) -> int:
        """The partition of a customer."""
        hashed = np.array([hash_customer(customer)], np.uint64)
        return int(partition_of(hashed, self.partitions)[0])

    def state_of(self, customer: str) -> Mapping[str, Any] | None:
        """What is known of a customer and where in which flows they are, None if unknown.

        Raises DownError while their partition is down.
        """
        customer = self.identities.aliases.customer(customer)
        number = self.partition_of(customer)
        found: Mapping[str, Any] | None = self._of[number].call(
            "read", number, "state_of", customer
        )
        return found

    def counts(self, flow: str, version: int | None = None) -> Counters:
        """What a version counted, the newest unless stated. Raises RefusedError, DownError."""
        self._known(flow)
        return Counters.total(self.ask_all("counts", flow, version, self.now_ms()))

    def entrants(self, flow: str) -> Entrants:
        """Who entered each version of a flow, for good. Raises RefusedError, DownError."""
        self._known(flow)
        return Entrants.of(self.ask_all("entrants", flow))

    def ask_all(self, question: str, *more: Any) -> list[Any]:
        """What each partition answers to a question, by their numbers. Raises DownError."""
        asked = [
            self._pool.submit(self._of[n].call, "read", n, question, *more)
            for n in range(self.partitions)
        ]
        return [done.result() for done in asked]

    def flows(self) -> list[FlowState]:
        """Every flow that was published, with its newest version and whether it takes people in."""
        return list(self.control.standing.flows.values())

    # Copies: `actors.live.backup` copies an engine's data directory by these

    @property
    def path(self) -> Path:
        """The data directory's folder."""
        return self.data.path

    @property
    def manifest(self) -> Manifest:
        """What the data directory says of itself."""
        return self.data.manifest

    def copy_partition(self, number: int, to: Path, people: Path | None) -> dict[str, int]:
        """Copy a partition and its people into new folders, while it goes on.

        Raises DownError while it is halted or if its process ends meanwhile, StoreError.
        """
        found: dict[str, int] = self.job(number, "copy", to, people)
        return found

    def copy_coordinator(self, to: Path) -> dict[str, int]:
        """Copy what was granted; {} where nobody claims anything."""
        head = self._coordinating.backup(to)
        return {} if head is None else _facts(head)

    def copy_control(self, to: Path) -> dict[str, int]:
        """Copy the control log."""
        return _facts(self.control.backup(to))

    def looks(self) -> dict[str, StoreLook | str]:
        """A look at the control log and at each partition, but those that are down."""
        found: dict[str, StoreLook | str] = {"control": look_at(self.control.store)}
        for number in range(self.partitions):
            try:
                look: StoreLook | str = self.job(number, "look")
            except DownError:
                continue  # the status tells of it
            except HeadraceError as error:
                look = error.message
            found[f"partitions/{number:03}"] = look
        return found

    def job(self, number: int, name: str, *arguments: Any) -> Any:
        """Have a partition do what takes long beside its work, and wait for the end."""
        job, handle = uuid.uuid4().hex, self._of[number]
        handle.call("begin", job, number, name, *arguments)
        while True:
            ended, found = handle.call("ended", job)
            if ended:
                return found
            if self._stopped.wait(JOB_LOOK_S):
                raise DownError("the engine is stopping")

    def export_journal(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write each partition's journal as an audience folder below the new folder `path`.

        Raises RefusedError if it is there, DownError, OSError.
        """
        folder = Path(path).absolute()
        if folder.exists():
            raise RefusedError(
                "there is something already", advice="Name a new folder", file=str(folder)
            )
        folder.mkdir(parents=True)
        made = [folder / f"{number:03}" for number in range(self.partitions)]
        for number, target in enumerate(made):
            self.job(number, "export", target)
        return made

    def status(self) -> dict[str, Any]:
        """What the engine, its shards and its flows do, for people."""
        return {
            "tenant": self.data.manifest.tenant,
            "sandbox": self.data.manifest.sandbox,
            "folder": str(self.data.path),
            "partitions": self.partitions,
            "commands": self.control.last,
            "flows": [
                {"flow": f.flow, "version": f.version, "status": f.status} for f in self.flows()
            ],
            "rejects": dict(self.rejects.counts),
            "coordinator": self._coordinating.problem,
            "shards": [
                self._statuses.get(handle.numbers, {"numbers": handle.numbers, "alive": False})
                for handle in self._handles
            ],
        }

    def advance(self, to_ms: int) -> None:
        """Set the driven clock of all shards. Raises RefusedError where it is the machine's."""
        for done in [self._pool.submit(h.call, "advance", to_ms) for h in self._handles]:
            done.result()
        if isinstance(self._clock, DrivenClock):
            self._clock.advance(to_ms)

    def close(self) -> None:
        """Commit what is queued, end the shards, give the folder back. Again does nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._coordinating.stop()
        self._closing()
        for watcher in self._watchers:
            watcher.join()
        self._coordinating.close()
        self._pool.shutdown()
        self.control.close()
        self.data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _watch(self, handle: ShardHandle) -> None:
        """Look after a shard every second: bring an actor that was started anew what it lacks."""
        next_tend_s = time.monotonic() + TEND_S
        first = handle is self._handles[0]
        while not self._stopped.wait(WATCH_S if handle.numbers in self._statuses else 0):
            try:
                status = handle.call("status")
                if not status["ready"] or status["control"] < self.control.last:
                    self._bring(handle)
                self._statuses[handle.numbers] = status
                self.identities.retry(self._commanding)
            except DownError as error:
                gone = {"numbers": handle.numbers, "alive": False, "error": str(error)}
                self._statuses[handle.numbers] = gone
            if first and time.monotonic() >= next_tend_s:
                next_tend_s = time.monotonic() + TEND_S
                self.control.tend()

    def _read_schema(self) -> TenantSchema:
        return TenantSchema.of(self.control.standing.schema)


def _facts(head: Head) -> dict[str, int]:
    return {"commits": head.journal_last, "transactions": head.transactions}


def _check_in_flight(in_flight: str, allowed: Sequence[str]) -> None:
    if in_flight not in allowed:
        raise RefusedError(f"in_flight is {in_flight!r}, expected one of {', '.join(allowed)}")
