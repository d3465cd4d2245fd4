"""Follow the engine: whatever its control log says about flows becomes rows, versions, audit.

The log is what is true. A command is followed once, in order, in the transaction that remembers how
far it got, so it does not matter who gave the command, whether the service stopped between the
engine's decision and this, or whether an older log was restored.
"""

from __future__ import annotations

from typing import Any

from actors.live.control import Command, ControlLog
from actors.service import audit, flow_rows, schedules, versions
from actors.service.audit import Origin
from actors.service.drafts import Reading, read_draft
from actors.service.flow_rows import Draft, FlowRow
from actors.service.transactions import ReadTxn, WriteTxn
from core.binding_zones import literal_ms
from core.document import read_flow
from core.errors import HeadraceError
from core.zones import transitions

CURSOR = "~"  # no flow is called so
ENGINE = Origin("engine")  # a command that came by another way than the service
BY_ITSELF = ("schedule/", "freeze/", "thaw/", "window/")
"""How the names of requests begin that the service makes when their time has come."""
_ACTIONS = {
    "publish": "flow.publish",
    "stop": "flow.stop",
    "pause": "flow.pause",
    "resume": "flow.resume",
}


def followed(txn: ReadTxn) -> int:
    """The number of the last command that was followed."""
    record = txn.get("versions", CURSOR)
    return 0 if record is None else int(record["command"])


def follow(txn: WriteTxn, control: ControlLog, zone: str) -> int:
    """Follow all commands that were not followed yet; returns how many. `zone` is the tenant's."""
    number = followed(txn)
    if number > control.last:
        # The engine was restored from an older backup than the control plane.
        _begin_anew(txn)
        number = 0
    commands = control.after(number)
    for number, command in commands:
        if command["kind"] in _ACTIONS:
            _follow(txn, number, command, zone)
    if commands:
        txn.put("versions", CURSOR, {"command": number})
    return len(commands)


def _begin_anew(txn: WriteTxn) -> None:
    for row in list(flow_rows.every(txn)):
        row.running, row.version, row.published_edition, row.command = "none", 0, 0, 0
        row.stopped_ms = row.published_ms = row.window = None
        row.frozen = row.invalidated = False
        flow_rows.put(txn, row)


def _follow(txn: WriteTxn, number: int, command: Command, zone: str) -> None:
    flow, at_ms = command["flow"], command["at_ms"]
    request = command.get("request", "")
    row = flow_rows.find(txn, flow)
    asked = row.asked if row and row.asked and row.asked["request"] == request else None
    origin = _origin(request, asked)
    if row is None:
        row = FlowRow(flow, flow, at_ms, at_ms, origin.actor, edition=0)
    if command["kind"] == "publish":
        _published(txn, row, command, origin, zone, asked)
        _keep_version(txn, number, command, origin, row)
        schedule = schedules.find(txn, flow)
        if schedule is not None and request == schedule.request("start"):
            schedules.put(txn, schedule.begun())
    else:
        _changed(txn, row, command["kind"], request, at_ms)
    row.command = number
    if asked:
        row.asked = None
    flow_rows.put(txn, row)
    audit.append(
        txn,
        origin,
        _ACTIONS[command["kind"]],
        f"flow:{flow}",
        now_ms=at_ms,
        after=[row.version, command.get("in_flight", "")],
    )


def _published(
    txn: WriteTxn,
    row: FlowRow,
    command: Command,
    origin: Origin,
    zone: str,
    asked: dict[str, Any] | None,
) -> None:
    text, at_ms = _text(command), command["at_ms"]
    reading = _reading(row, text)
    if row.edition == 0 or row.deleted:
        # Somebody published it past the service.
        row.edition, row.deleted, row.name = row.edition + 1, False, reading.name
        flow_rows.put_draft(txn, Draft(row.id, row.edition, text, at_ms, origin.actor))
    edition = asked["edition"] if asked else 0
    if not edition and flow_rows.draft_of(txn, row.id).document == text:
        edition = row.edition
    row.version, row.published_edition, row.published_ms = command["version"], edition, at_ms
    row.running, row.stopped_ms, row.frozen, row.problem = "active", None, False, ""
    row.invalidated = False
    row.window = _window(command["document"], zone)
    row.reentry = row.reentry or reading.reentry


def _reading(row: FlowRow, text: str) -> Reading:
    """What a text says of itself. Whatever the engine took must not stop what follows it."""
    try:
        return read_draft(text)
    except HeadraceError:
        return Reading(row.id, row.name, None)


def _changed(txn: WriteTxn, row: FlowRow, kind: str, request: str, at_ms: int) -> None:
    if kind == "stop":
        row.running, row.stopped_ms, row.frozen = "stopped", at_ms, False
        schedule = schedules.find(txn, row.id)
        if schedule is not None and not schedule.waiting:
            schedules.drop(txn, row.id)
    else:
        row.running = "paused" if kind == "pause" else "active"
        row.frozen = kind == "pause" and request.startswith("freeze/")


def _keep_version(
    txn: WriteTxn, number: int, command: Command, origin: Origin, row: FlowRow
) -> None:
    versions.put(
        txn,
        versions.Version(
            flow=row.id,
            version=command["version"],
            document=_text(command),
            published_ms=command["at_ms"],
            in_flight=command.get("in_flight", "pin"),
            command=number,
            edition=row.published_edition,
            by=origin.actor,
        ),
    )


def _origin(request: str, asked: dict[str, Any] | None) -> Origin:
    if asked:
        return Origin(asked["actor"], asked["key_id"], asked["ip"], asked["request_id"])
    return audit.SERVICE if request.startswith(BY_ITSELF) else ENGINE


def _text(command: Command) -> str:
    """The flow as somebody wrote it."""
    return str(command.get("authored") or command["document"])


def _window(document: str, zone: str) -> list[int | None] | None:
    """From when to when a document lets people in, ms UTC; None where it states neither."""
    flow, _ = read_flow(document, name="flow")
    settings = None if flow is None else flow.settings
    if settings is None or (settings.start is None and settings.stop is None):
        return None
    table = transitions(settings.zone or zone)
    found: list[int | None] = []
    for text in (settings.start, settings.stop):
        try:
            found.append(None if text is None else literal_ms(text, table))
        except HeadraceError:
            found.append(None)
    return found
