"""Keep the audit log: who did what to what, chained by hashes so that no entry changes alone.

Each tenant has a chain, and so has the operator. An entry is appended within the transaction that
makes the change it tells of, so neither is there without the other. It holds the hash of the one
before it; the last number and hash stand apart as well, so a log that was cut is noticed too. Who
rewrites a whole chain is found only by an anchor: a number and a hash that were kept elsewhere.

No value is kept. What something was before and after, and which person it concerns, are keyed
hashes with a secret of the chain: they can be compared with each other, but not guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from actors.service.access import Caller
from actors.service.plane import Rows
from actors.service.transactions import ReadTxn, Record, WriteTxn, number_key

FORMAT = 1
START = bytes(32)  # what the first entry names as the hash before it
HEAD = "head"
OBJECT_LENGTH_MAX = 300
PAGE = 500
SCANNED_MAX = 5_000
PROBLEMS_MAX = 100

_ACTION = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
_FIELDS = (
    "number", "time_ms", "actor", "key_id", "ip", "request_id", "action", "object", "before",
    "after", "previous",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """Who makes a change; if it comes by the API, with which key, from where, in which request."""

    actor: str
    key_id: str | None = None
    ip: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, caller: Caller, ip: str | None, request_id: str | None) -> Origin:
        """The origin of what a caller does."""
        return cls(caller.actor, caller.key_id, ip, request_id)


OPERATOR = Origin("operator")
SERVICE = Origin("service")  # what time brings about by itself


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a chain. Hashes are 32 bytes; `before` or `after` is None for what was not."""

    number: int
    time_ms: int
    actor: str
    key_id: str | None
    ip: str | None
    request_id: str | None
    action: str
    object: str
    before: bytes | None
    after: bytes | None
    previous: bytes
    hash: bytes

    def to_json(self) -> dict[str, Any]:
        """The entry with its hashes in hexadecimal."""
        return {
            name: value.hex() if isinstance(value := getattr(self, name), bytes) else value
            for name in (*_FIELDS, "hash")
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an entry, by its number."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"entry {self.number:,} {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying a chain found; its anchor can be kept elsewhere and asked for later."""

    entries: int
    hash: bytes
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are looked for: those that fit all that is not None; times are ms UTC.

    An action that ends with a dot is met by all that begin with it; `until_ms` is the first moment
    that is not wanted.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def fits(self, record: Record) -> bool:
        """Whether an entry is wanted."""
        return (
            self.actor in (None, record["actor"])
            and self.object in (None, record["object"])
            and (self.action is None or _is_action(record["action"], self.action))
            and (self.since_ms is None or record["time_ms"] >= self.since_ms)
            and (self.until_ms is None or record["time_ms"] < self.until_ms)
        )


def append(
    txn: WriteTxn,
    origin: Origin,
    action: str,
    object: str,
    *,
    now_ms: int,
    before: object = None,
    after: object = None,
    person: str | None = None,
) -> int:
    """Tell of a change in the transaction that makes it; returns the number of the entry.

    `action` is such as `flow.publish`, `object` such as `flow:welcome`. `before` and `after` are
    what it was and is, in values that msgpack can carry, of which only a keyed hash is kept; so of
    `person`, the id of a customer, which is put behind the object. Raises ValueError for an action
    or object of another form: it comes from code, and must hold no value of a customer.
    """
    if not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is no action: expected words with dots, as flow.publish")
    if not 1 <= len(object) <= OBJECT_LENGTH_MAX or not object.isprintable():
        raise ValueError(
            f"{object[:80]!r} is no object: expected up to {OBJECT_LENGTH_MAX} letters"
        )
    head = txn.get("audit_heads", HEAD)
    if head is None:
        head = {"number": 0, "hash": START, "salt": secrets.token_bytes(32)}
    salt = head["salt"]
    if person is not None:
        object = f"{object}:{_keyed(salt, person).hex()[:32]}"
    record: Record = {
        "number": head["number"] + 1,
        "time_ms": now_ms,
        "actor": origin.actor,
        "key_id": origin.key_id,
        "ip": origin.ip,
        "request_id": origin.request_id,
        "action": action,
        "object": object,
        "before": None if before is None else _keyed(salt, before),
        "after": None if after is None else _keyed(salt, after),
        "previous": head["hash"],
    }
    number: int = record["number"]
    record["hash"] = _hash(txn.tenant, record)
    txn.put("audit", number_key(number), record)
    txn.put("audit_heads", HEAD, {"number": number, "hash": record["hash"], "salt": salt})
    return number


def page(
    txn: ReadTxn,
    after: int = 0,
    limit: int = PAGE,
    *,
    newest_first: bool = False,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,
) -> list[Entry]:
    """Entries behind number `after` (0 for the begin, or the end if newest first), at most `limit`.

    With `actor`, `action` or `object` only those of which it is so; an action that ends with a dot
    is met by all that begin with it.
    """
    return search(
        txn,
        after,
        limit,
        newest_first=newest_first,
        wanted=Wanted(actor, action, object),
        scanned_max=None,
    )[0]


def search(
    txn: ReadTxn,
    after: int,
    limit: int,
    *,
    newest_first: bool,
    wanted: Wanted,
    scanned_max: int | None = SCANNED_MAX,
) -> tuple[list[Entry], int | None]:
    """Entries behind number `after` that are wanted, and the number to go on behind, None at the
    end.

    At most `limit` are found and `scanned_max` looked at, so that no request takes long; a page may
    be empty and yet not the last.
    """
    start = number_key(after) if after > 0 else ""
    found: list[Entry] = []
    scan = txn.scan("audit", "", start, reverse=newest_first)
    for scanned, (_, record) in enumerate(scan, 1):
        if wanted.fits(record):
            found.append(Entry(**record))
        if len(found) >= limit or scanned == scanned_max:
            return found, record["number"]
    return found, None


def export(rows: Rows, after: int = 0) -> Iterator[bytes]:
    """The chain behind number `after` up to its end as NDJSON, a line an item.

    It reads a few hundred entries at a time, so it holds nothing up however slowly it is taken.
    """
    while True:
        with rows.read() as txn:
            entries = page(txn, after)
        for entry in entries:
            yield json.dumps(entry.to_json(), separators=(",", ":")).encode() + b"\n"
        if len(entries) < PAGE:
            return
        after = entries[-1].number


def verify(txn: ReadTxn, anchor: tuple[int, bytes] | None = None) -> Verdict:
    """Check a whole chain, and name each entry that was changed, removed, added or moved.

    `anchor` is the number and hash of an entry as they were once. At most 100 problems are told.
    """
    problems: list[Problem] = []
    expected, previous = 1, START
    for key, record in txn.scan("audit"):
        if not key.isdecimal():
            problems.append(Problem(0, f"is none: its key is {key!r}"))
            continue
        number = int(key)
        missing = range(expected, min(number, expected + PROBLEMS_MAX))
        problems += (Problem(each, "is missing") for each in missing)
        problems += _wrong(txn.tenant, number, record, previous, bool(missing))
        if anchor is not None and number == anchor[0] and record.get("hash") != anchor[1]:
            problems.append(Problem(number, "is not the one that was anchored"))
        stored = record.get("hash")
        expected, previous = number + 1, stored if isinstance(stored, bytes) else b""
        if len(problems) >= PROBLEMS_MAX:
            return Verdict(number, previous, tuple(problems[:PROBLEMS_MAX]))
    last = expected - 1
    head = txn.get("audit_heads", HEAD) or {"number": 0, "hash": START}
    gone = range(expected, min(head["number"], last + PROBLEMS_MAX) + 1)
    problems += (Problem(each, "is missing at the end") for each in gone)
    if last > head["number"]:
        problems.append(Problem(last, f"is behind the last, {head['number']:,}"))
    elif last == head["number"] and head["hash"] != previous:
        problems.append(Problem(last, "is not the last one that was appended"))
    if anchor is not None and anchor[0] > last:
        problems.append(Problem(anchor[0], "was anchored and is missing"))
    return Verdict(last, previous, tuple(problems[:PROBLEMS_MAX]))


def canonical(value: object) -> bytes:
    """A value as msgpack in the one form that equal values share: maps by the order of their keys.

    Raises TypeError for what msgpack has no form for.
    """
    return bytes(msgpack.packb(_ordered(value)))


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return value


def _wrong(
    tenant: str | None, number: int, record: Record, previous: bytes, behind_gap: bool
) -> Iterator[Problem]:
    if record.get("number") != number:
        yield Problem(number, f"has been replaced by entry {record.get('number')}")
    elif _hash(tenant, record) != record.get("hash"):
        yield Problem(number, "was changed")
    elif record["previous"] != previous and not behind_gap:
        yield Problem(number, f"does not follow entry {number - 1:,}: one of them was replaced")


def _hash(tenant: str | None, record: Record) -> bytes:
    # The owner is a part of it: an entry of another chain is no entry of this one.
    fields = [FORMAT, tenant, *(record.get(name) for name in _FIELDS)]
    return hashlib.sha256(canonical(fields)).digest()


def _keyed(salt: bytes, value: object) -> bytes:
    return hmac.digest(salt, canonical(value), "sha256")


def _is_action(action: str, asked: str) -> bool:
    return action.startswith(asked) if asked.endswith(".") else action == asked
