"""Keep what the control plane knows of each flow: a row that lists can show, and its draft.

What runs is the engine's to say; `actors.service.following` brings a row up to date with that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from actors.service.errors import NotFoundError
from actors.service.transactions import ReadTxn, WriteTxn

Running = Literal["none", "active", "paused", "stopped"]


@dataclass(slots=True)
class FlowRow:
    """A flow. Times are ms UTC, None for what has not happened.

    `edition` numbers what was saved of its draft; `published_edition` is the one that the newest
    `version` was made of, 0 if it came another way. `owner` is the user who made it. `reentry` is
    what the first save said about entering again. `running` is what the engine does with it,
    `command` the last command about it, `window` from when to when its document lets people in.
    `frozen` says that the service paused it because the tenant's time was over. `tolerance` is by
    which part an acknowledged audience may differ, None where none is asked for. `asked` is what
    the engine is about to be asked, `problem` why the last scheduled start came to nothing.
    """

    id: str
    name: str
    created_ms: int
    edited_ms: int
    edited_by: str
    owner: str | None = None
    group: str | None = None
    edition: int = 1
    reentry: dict[str, Any] | None = None
    version: int = 0
    published_edition: int = 0
    published_ms: int | None = None
    running: Running = "none"
    stopped_ms: int | None = None
    window: list[int | None] | None = None
    command: int = 0
    frozen: bool = False
    invalidated: bool = False
    tolerance: float | None = None
    deleted: bool = False
    asked: dict[str, Any] | None = None
    problem: str = ""

    @property
    def started(self) -> bool:
        """Whether the engine has it and did not stop it."""
        return self.running in ("active", "paused")

    @property
    def window_stop_ms(self) -> int | None:
        """When its document lets nobody in any more."""
        return self.window[1] if self.window else None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is being written: a flow document as text, and who saved this edition of it when."""

    flow: str
    edition: int
    document: str
    edited_ms: int
    edited_by: str


def unknown() -> NotFoundError:
    """The error for a flow that is not there, or that this caller may not know of."""
    return NotFoundError("there is no such flow", advice="List the flows that there are")


def find(txn: ReadTxn, flow: str) -> FlowRow | None:
    """A flow's row, None if there is none; also that of one which was deleted."""
    record = txn.get("flows", flow)
    return None if record is None else FlowRow(**record)


def every(txn: ReadTxn) -> Iterator[FlowRow]:
    """The rows of all flows by id, but those that were deleted."""
    for _, record in txn.scan("flows"):
        row = FlowRow(**record)
        if not row.deleted:
            yield row


def put(txn: WriteTxn, row: FlowRow) -> None:
    """Store a flow's row."""
    txn.put("flows", row.id, asdict(row))


def draft_of(txn: ReadTxn, flow: str) -> Draft:
    """The draft of a flow. Raises NotFoundError."""
    record = txn.get("drafts", flow)
    if record is None:
        raise unknown()
    return Draft(**record)


def put_draft(txn: WriteTxn, draft: Draft) -> None:
    """Store a draft in the place of its former edition."""
    txn.put("drafts", draft.flow, asdict(draft))
