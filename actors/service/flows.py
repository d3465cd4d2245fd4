"""Look after the flows of a tenant for one caller: drafts, publishing, stopping, and what is shown.

The engine decides what runs. A command is asked for in three steps: what is about to be asked is
written down, the engine is asked under a name that a repetition has too, and what it decided is
followed (`actors.service.following`). A crash between any two of them is made good by following
the engine's log, and by sending the same request again, which the engine answers as before.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, cast

from actors import failpoints
from actors.live.engine import Engine
from actors.live.replies import Done, InFlight
from actors.live.start_audience import start_audience
from actors.service import flow_rows, following, schedules, sharing
from actors.service.access import Caller
from actors.service.audit import Origin
from actors.service.drafts import check_reentry, read_draft
from actors.service.errors import ConflictError, InvalidError
from actors.service.flow_errors import AudienceError, EditedError
from actors.service.flow_rows import Draft, FlowRow, unknown
from actors.service.launches import QUOTA, Launches
from actors.service.plane import Rows
from actors.service.schedules import Schedule
from actors.service.sharing import Permission, Sharing
from actors.service.statuses import LAUNCHED, Status, status_of, stopped_at
from actors.service.tenants import Tenant
from actors.service.transactions import ReadTxn, WriteTxn
from core.violations import quoted

FLOWS_MAX = 10_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
Standing = Literal["stop", "pause", "resume"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A flow as a caller sees it. `stopped_ms` is when it was stopped, or its window was over."""

    row: FlowRow
    status: Status
    schedule: Schedule | None
    permissions: tuple[Permission, ...]
    stopped_ms: int | None


@dataclass(frozen=True, slots=True)
class Desk:
    """The flows of a tenant before one caller, None for the service itself, at one time.

    `turn` is held while a command is carried out: one at a time for each tenant.
    """

    rows: Rows
    engine: Engine
    tenant: Tenant
    caller: Caller | None
    origin: Origin
    now_ms: int
    turn: AbstractContextManager[object]

    # What there is

    def catch_up(self) -> None:
        """Follow what the engine decided meanwhile, whoever asked it to."""
        with self.rows.read() as read:
            behind = following.followed(read) != self.engine.control.last
        if behind:
            with self.rows.write() as txn:
                self.follow(txn)

    def follow(self, txn: WriteTxn) -> None:
        """Follow the engine within a transaction."""
        following.follow(txn, self.engine.control, self.engine.manifest.zone)

    def every(self, txn: ReadTxn) -> list[Shown]:
        """All flows that the caller may know of, by id."""
        scheduled, shared = schedules.every(txn), sharing.every(txn)
        everybody = Sharing()
        found = (
            self._shown(row, scheduled.get(row.id), shared.get(row.id, everybody))
            for row in flow_rows.every(txn)
        )
        return [shown for shown in found if shown.permissions]

    def find(self, txn: ReadTxn, flow: str, permission: Permission = "view") -> Shown:
        """A flow, with which the caller wants to do something.

        Raises NotFoundError where there is none that the caller may know of, ForbiddenError.
        """
        row = flow_rows.find(txn, flow)
        if row is None or row.deleted:
            raise unknown()
        shared = sharing.find(txn, flow)
        if self.caller is not None:
            sharing.check(row, shared, self.caller, permission)
        return self._shown(row, schedules.find(txn, flow), shared)

    def _shown(self, row: FlowRow, schedule: Schedule | None, shared: Sharing) -> Shown:
        caller = self.caller
        allowed = (
            sharing.PERMISSIONS if caller is None else sharing.permissions(row, shared, caller)
        )
        status = status_of(row, schedule, self.now_ms, expired=self.expired)
        return Shown(row, status, schedule, allowed, stopped_at(row, self.now_ms))

    @property
    def expired(self) -> bool:
        """Whether the tenant's time is over."""
        return self.tenant.expired(self.now_ms)

    def launches(self, txn: ReadTxn) -> Launches:
        """How many flows of the tenant are started, whoever may see them."""
        scheduled = schedules.every(txn)
        statuses = (
            status_of(row, scheduled.get(row.id), self.now_ms, expired=self.expired)
            for row in flow_rows.every(txn)
        )
        started = sum(status in LAUNCHED for status in statuses)
        return Launches(started, self.tenant.quotas.get(QUOTA))

    # Drafts

    def create(
        self, txn: WriteTxn, document: str, *, group: str | None, first_save: bool
    ) -> FlowRow:
        """Make a flow of a document, which says its id. With `first_save` that is its first save.

        Raises FlowError for no document of a flow, ConflictError for an id that is or was taken.
        """
        reading = read_draft(document)
        self._check_new(txn, reading.flow)
        row = FlowRow(
            reading.flow,
            reading.name,
            self.now_ms,
            self.now_ms,
            self.origin.actor,
            owner=None if self.caller is None else self.caller.user,
            group=group,
            reentry=reading.reentry if first_save else None,
        )
        flow_rows.put(txn, row)
        flow_rows.put_draft(txn, Draft(row.id, 1, document, self.now_ms, self.origin.actor))
        return row

    def _check_new(self, txn: WriteTxn, flow: str) -> None:
        if _ID.fullmatch(flow) is None:
            raise InvalidError(
                f"{quoted(flow)} is no id of a flow",
                advice="Use up to 64 of A-Z, a-z, 0-9, '_', '.', '-', and begin with no mark",
                pointer="/flow",
            )
        if flow_rows.find(txn, flow) is not None:
            raise ConflictError(
                f"the id {flow} is taken, or was that of a flow with versions",
                advice="Choose another id",
                pointer="/flow",
            )
        if sum(1 for _ in txn.scan("flows", limit=FLOWS_MAX)) >= FLOWS_MAX:
            raise ConflictError(
                f"the tenant has {FLOWS_MAX:,} flows, the most there can be",
                advice="Delete drafts that are not needed",
            )

    def save(self, txn: WriteTxn, flow: str, document: str, edition: str) -> Draft:
        """Save the next edition of a draft, by somebody who began with `edition`.

        Raises EditedError if that is not the current one, ConflictError while the flow may not
        change, InvalidError for another flow's document or another re-entry, FlowError for none.
        """
        shown = self.find(txn, flow, "edit")
        row = shown.row
        check_edition(row, edition)
        if shown.status in ("frozen", "invalidated"):
            raise _standing_against(shown, "changed")
        if shown.schedule is not None and shown.schedule.waiting:
            raise ConflictError(
                "the flow is about to start as it is", advice="Delete its schedule first"
            )
        reading = read_draft(document)
        if reading.flow != flow:
            raise InvalidError(
                f"the document is of flow {quoted(reading.flow)}, not of this one",
                advice="The id of a flow never changes: copy the flow to have another",
                pointer="/flow",
            )
        check_reentry(row.reentry, reading)
        row.reentry = row.reentry or reading.reentry
        row.edition, row.name = row.edition + 1, reading.name
        row.edited_ms, row.edited_by = self.now_ms, self.origin.actor
        flow_rows.put(txn, row)
        draft = Draft(flow, row.edition, document, self.now_ms, self.origin.actor)
        flow_rows.put_draft(txn, draft)
        return draft

    def delete(self, txn: WriteTxn, flow: str) -> FlowRow:
        """Delete a flow that does not run. Its versions are kept, and its id is not given again.

        Raises ConflictError for one that runs or is about to start.
        """
        shown = self.find(txn, flow, "edit")
        row = shown.row
        if row.started or (shown.schedule is not None and shown.schedule.waiting):
            raise ConflictError(
                f"the flow is {shown.status.replace('_', ' ')}",
                advice="Stop it, or delete its schedule, and then delete it",
            )
        schedules.drop(txn, flow)
        txn.delete("drafts", flow)
        txn.delete("shares", flow)
        if row.version:
            row.deleted = True
            flow_rows.put(txn, row)
        else:
            txn.delete("flows", flow)
        return row

    # Commands

    def publish(
        self,
        flow: str,
        *,
        request: str,
        edition: str | None = None,
        in_flight: InFlight = "pin",
        audience: int | None = None,
    ) -> Done:
        """Publish the draft of a flow now; `follow` it afterwards. Call it in one's turn.

        `edition` is the one that was looked at, `audience` the count that was acknowledged. Raises
        FlowError with all that is wrong, EditedError, AudienceError, QuotaError, ConflictError, and
        what the engine raises.
        """
        self.catch_up()
        if request not in self.engine.control.standing.requests:
            with self.rows.read() as txn:
                shown = self.find(txn, flow, "publish")
                draft = flow_rows.draft_of(txn, flow)
                if shown.schedule is not None and shown.schedule.waiting:
                    raise ConflictError("the flow has a schedule", advice="Delete it first")
                self.check_start(txn, shown, edition)
            self.check_audience(shown.row, draft.document, audience)
            self._write_down(flow, request, draft.edition)
            document = draft.document
        else:
            document = ""
        return self._decided(
            self.engine.publish(document, name=flow, in_flight=in_flight, request=request)
        )

    def check_start(self, txn: ReadTxn, shown: Shown, edition: str | None) -> None:
        """Raise what keeps a flow from being started, now or later."""
        if edition is not None:
            check_edition(shown.row, edition)
        if self.expired or shown.status in ("frozen", "invalidated"):
            raise _standing_against(shown, "started")
        if shown.status not in LAUNCHED:
            self.launches(txn).check()

    def check_audience(self, row: FlowRow, document: str, audience: int | None) -> int | None:
        """How many a flow would let in at once, where it asks for that to be acknowledged.

        Raises AudienceError if it was not, or if it differs by more than the flow's tolerance.
        """
        if row.tolerance is None:
            return None
        now = start_audience(self.engine, document)
        if now is None:
            return None
        if audience is None or abs(now - audience) > row.tolerance * audience:
            raise AudienceError(audience, now, row.tolerance)
        return now

    def change(
        self, flow: str, kind: Standing, *, request: str, in_flight: Literal["pin", "drop"] = "pin"
    ) -> Done:
        """Stop, pause or resume a flow; `follow` it afterwards. Call it in one's turn.

        Raises NotFoundError, ForbiddenError, ConflictError, and what the engine raises.
        """
        self.catch_up()
        if request not in self.engine.control.standing.requests:
            with self.rows.read() as txn:
                shown = self.find(txn, flow, "publish")
            if not shown.row.version:
                raise ConflictError(
                    "the flow was never published",
                    advice="Delete its schedule" if shown.schedule else "Publish it first",
                )
            if kind == "resume" and shown.status == "frozen":
                raise _standing_against(shown, "resumed")
            self._write_down(flow, request, shown.row.published_edition)
        engine = self.engine
        if kind == "stop":
            return self._decided(engine.stop(flow, in_flight=in_flight, request=request))
        ask = engine.pause if kind == "pause" else engine.resume
        return self._decided(ask(flow, request=request))

    def _write_down(self, flow: str, request: str, edition: int) -> None:
        """Remember who is about to ask the engine for what, should nobody be there to tell."""
        origin = self.origin
        with self.rows.write() as txn:
            row = cast(FlowRow, flow_rows.find(txn, flow))
            row.asked = {
                "request": request,
                "edition": edition,
                "actor": origin.actor,
                "key_id": origin.key_id,
                "ip": origin.ip,
                "request_id": origin.request_id,
            }
            flow_rows.put(txn, row)
        if failpoints.armed:
            failpoints.hit("flow_asked")

    def _decided(self, done: Done) -> Done:
        if failpoints.armed:
            failpoints.hit("flow_decided")
        return done


def check_edition(row: FlowRow, edition: str) -> None:
    """Raise EditedError unless a draft is still at the edition that somebody began with."""
    if edition != str(row.edition):
        raise EditedError(edition, row.edition)


def _standing_against(shown: Shown, done: str) -> ConflictError:
    if shown.status == "invalidated":
        return ConflictError(
            f"the flow was stopped more than 30 days ago, so it can not be {done}",
            advice="Copy it, and publish the copy",
        )
    return ConflictError(
        f"the tenant's time is over, so no flow can be {done}",
        advice="Ask whoever runs the service to renew it",
    )
