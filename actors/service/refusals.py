"""Keep the rows that intake refused for a while, so that they can be sent again once it is mended.

Whoever sent them was told, so this is a help and no promise: the newest rows are kept, in a file of
SQLite of their own, for two weeks at most. Rows may hold what is personal, so what is deleted is
overwritten, whoever is erased is deleted, and no backup has the file.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.live.engine import Engine
from actors.live.replies import Reply
from actors.service.errors import NotFoundError
from core.duration import DAY_MS

FOLDER, FILE = "refused", "rows.sqlite"
ROWS_MAX = 50_000
ROW_BYTES_MAX = 16_384  # of a longer one only the refusal is kept
BATCH_MAX = 1_000  # rows of one request
KEPT_MS = 14 * DAY_MS
AT_ONCE_MAX = 10_000
TURN = 500  # rows sent again together
_BUSY_S = 10.0
_FIELDS = (
    "id", "at_ms", "format", "code", "pointer", "message", "attempts", "customer", "row",
)  # fmt: skip
_TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    id TEXT PRIMARY KEY, at_ms INTEGER, format TEXT, code TEXT, pointer TEXT, message TEXT,
    attempts INTEGER, customer TEXT, row TEXT
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was refused at `at_ms` (UTC) by the reader of a format, and why.

    `pointer` is the place within the row, `attempts` how often it was sent again since. `row` is
    None where it could not be read as one, or was too long to be kept.
    """

    id: str
    at_ms: int
    format: str
    code: str
    pointer: str
    message: str
    attempts: int
    customer: str | None
    row: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which refusals: those that fit all that is stated, "" for any."""

    format: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of rows that were sent again; `more`: whether there may be others."""

    accepted: int
    duplicates: int
    refused: int
    more: bool = False


class Refusals:
    """The refused rows of one tenant's data directory. Any thread, and any process, may use it."""

    def __init__(self, folder: Path) -> None:
        """Bind a data directory; nothing is made before there is a row."""
        self._path = folder / FOLDER / FILE

    def keep(self, at_ms: int, format_: str, rows: Callable[[int], Any], reply: Reply) -> int:
        """Keep what a reply says was refused; returns how many. A failing disk costs only these.

        `rows` has the row of each number.
        """
        stem = f"{at_ms:013d}-{secrets.token_hex(4)}"
        found = []
        for place, (number, pointer, code, message) in enumerate(reply.rejects[:BATCH_MAX]):
            row = rows(number)
            text = json.dumps(row, default=str) if type(row) is dict else ""
            customer = row.get("customer") if text else None
            kept = text if 0 < len(text) <= ROW_BYTES_MAX else None
            within = "/" + pointer.lstrip("/").partition("/")[2]
            found.append(
                (
                    f"{stem}-{place:04d}", at_ms, format_, code, within, message, 0,
                    customer if type(customer) is str else None, kept,
                )
            )  # fmt: skip
        try:
            with self._open() as store:
                store.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?)", found)
                self._trim(store, at_ms)
        except (sqlite3.Error, OSError):
            return 0
        return len(found)

    def page(self, wanted: Wanted, after: str = "", limit: int = 100) -> list[Refusal]:
        """Up to `limit` refusals behind the id `after`, the oldest first."""
        if not self._path.exists():
            return []
        with self._open() as store:
            found = store.execute(
                "SELECT * FROM rows WHERE id > ? AND (?2 = '' OR format = ?2)"
                " AND (?3 = '' OR code = ?3) ORDER BY id LIMIT ?4",
                (after, wanted.format, wanted.code, limit),
            ).fetchall()
        return [_refusal(each) for each in found]

    def find(self, refusal_id: str) -> Refusal:
        """One refusal. Raises NotFoundError."""
        found = None
        if self._path.exists():
            with self._open() as store:
                found = store.execute("SELECT * FROM rows WHERE id = ?", (refusal_id,)).fetchone()
        if found is None:
            raise NotFoundError(
                "there is no such row", advice="It may have been sent or discarded: list the rest"
            )
        return _refusal(found)

    def discard(self, refusal_ids: Sequence[str]) -> int:
        """Forget these; returns how many there were."""
        if not refusal_ids or not self._path.exists():
            return 0
        with self._open() as store:
            return _delete(store, refusal_ids)

    def discard_all(self, wanted: Wanted, limit: int) -> tuple[int, bool]:
        """Forget up to `limit` that are wanted; how many, and whether there may be others."""
        found = self.page(wanted, limit=limit + 1)
        return self.discard([each.id for each in found[:limit]]), len(found) > limit

    def redrive(
        self, engine: Engine, refusals: Sequence[Refusal], mended: dict[str, Any] | None = None
    ) -> Redriven:
        """Send rows again, in the place of the only one what `mended` says; a row counts once.

        Those that are refused again stay, with what is wrong now. Raises what sending does, with
        none of the turn forgotten: doing it again does nothing twice.
        """
        accepted = duplicates = refused = 0
        for first in range(0, len(refusals), TURN):
            turn = refusals[first : first + TURN]
            rows = [_again(each, mended) for each in turn]
            reply = engine.send(rows)
            wrong = {}
            for number, pointer, code, message in reply.rejects:
                wrong[number] = ("/" + pointer.lstrip("/").partition("/")[2], code, message)
            with self._open() as store:
                _delete(store, [each.id for i, each in enumerate(turn) if i not in wrong])
                store.executemany(
                    "UPDATE rows SET pointer = ?, code = ?, message = ?, attempts = attempts + 1"
                    " WHERE id = ?",
                    [(*why, turn[number].id) for number, why in wrong.items()],
                )
            accepted += reply.accepted
            duplicates += reply.duplicates
            refused += len(wrong)
        return Redriven(accepted, duplicates, refused)

    def redrive_all(self, engine: Engine, wanted: Wanted, limit: int) -> Redriven:
        """Send up to `limit` rows again that are wanted and could be read. Raises as `redrive`."""
        found: list[Refusal] = []
        after = ""
        while len(found) <= limit and (part := self.page(wanted, after, limit + 1)):
            found += [each for each in part if each.row is not None]
            after = part[-1].id
        done = self.redrive(engine, found[:limit])
        return Redriven(done.accepted, done.duplicates, done.refused, len(found) > limit)

    def forget(self, customer: str) -> int:
        """Delete every row that names a customer anywhere; returns how many.

        Raises OSError where that can't be done.
        """
        if not self._path.exists():
            return 0
        written = json.dumps(customer)[1:-1]
        try:
            with self._open() as store:
                return store.execute(
                    "DELETE FROM rows WHERE customer = ?1 OR instr(row, ?2)"
                    " OR instr(message, ?1) OR instr(pointer, ?1)",
                    (customer, written),
                ).rowcount
        except sqlite3.Error as error:
            raise OSError(f"refused rows can't be deleted: {error}") from None

    def _trim(self, store: sqlite3.Connection, now_ms: int) -> None:
        store.execute("DELETE FROM rows WHERE id < ?", (f"{max(0, now_ms - KEPT_MS):013d}",))
        count = store.execute("SELECT count(*) FROM rows").fetchone()[0]
        if count > ROWS_MAX:
            store.execute(
                "DELETE FROM rows WHERE id IN (SELECT id FROM rows ORDER BY id LIMIT ?)",
                (count - ROWS_MAX,),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction. A file that is damaged is begun anew: nobody was promised its rows."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            store = self._connected()
        except sqlite3.OperationalError:
            raise  # it is busy, or the disk is full
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            store = self._connected()
        with contextlib.closing(store), store:
            yield store

    def _connected(self) -> sqlite3.Connection:
        store = sqlite3.connect(self._path, timeout=_BUSY_S)
        try:
            store.execute("PRAGMA secure_delete = ON")
            store.execute(_TABLE)
        except BaseException:
            store.close()
            raise
        self._path.chmod(0o600)
        return store


def _delete(store: sqlite3.Connection, refusal_ids: Sequence[str]) -> int:
    return store.executemany(
        "DELETE FROM rows WHERE id = ?", [(each,) for each in refusal_ids]
    ).rowcount


def _again(refusal: Refusal, mended: dict[str, Any] | None) -> dict[str, Any]:
    """A row under an id of its own, at the time at which it came unless it states another."""
    row = dict(refusal.row or {}) if mended is None else dict(mended)
    row.setdefault("message_id", f"refused:{refusal.id}")
    row.setdefault("occurred", refusal.at_ms)
    return row


def _refusal(found: tuple[Any, ...]) -> Refusal:
    row = None if found[-1] is None else json.loads(found[-1])
    return Refusal(**dict(zip(_FIELDS, (*found[:-1], row), strict=True)))
