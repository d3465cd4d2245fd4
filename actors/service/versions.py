"""Keep every version of every flow as it was written, for ever, even if the flow is deleted."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from actors.service.errors import NotFoundError
from actors.service.transactions import ReadTxn, WriteTxn

NUMBER_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was published: its text, when and by whom, and as which command.

    `in_flight` says what became of people in older versions, `edition` which of the draft it was, 0
    if it was none.
    """

    flow: str
    version: int
    document: str
    published_ms: int
    in_flight: str
    command: int
    edition: int
    by: str


def put(txn: WriteTxn, version: Version) -> None:
    """Keep a version."""
    txn.put("versions", _key(version.flow, version.version), asdict(version))


def find(txn: ReadTxn, flow: str, version: int) -> Version:
    """A version of a flow. Raises NotFoundError."""
    record = txn.get("versions", _key(flow, version))
    if record is None:
        raise NotFoundError("there is no such version", advice="List the versions of the flow")
    return Version(**record)


def page(txn: ReadTxn, flow: str, before: int | None, limit: int) -> list[Version]:
    """Versions of a flow, the newest first, those below `before`."""
    after = "" if before is None else _key(flow, before)
    found = txn.scan("versions", f"{flow}/", after, limit, reverse=True)
    return [Version(**record) for _, record in found]


def _key(flow: str, version: int) -> str:
    return f"{flow}/{version:0{NUMBER_DIGITS}d}"
