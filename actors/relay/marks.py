"""Seal into a mark whose message a link is in and where it leads, so that nobody can forge either.

A mark is the last part of a public link: URL-safe, and all that is needed to lead on stands in it,
so a link works as long as the tenant's key is there. As bytes, before base64 without padding:

    1 byte    format
    6 bytes   which key, to find the tenant by
    n bytes   the fields as msgpack
    16 bytes  HMAC-SHA256 of all before under the tenant's key, cut to 128 bits
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Literal, get_args

import msgpack

from actors.store.side_file import sync_folder
from core.errors import HeadraceError

Kind = Literal["click", "open", "leave", "choose", "report"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KEY_FILE = "marks.key"
MARK_CHARS_MAX = 4_096
_FORMAT = b"\x01"
_ID_BYTES = 6
_SECRET_BYTES = 32
_TAG_BYTES = 16
_MAGIC = b"HRmarks1"
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says. Nothing in it is personal but what the target's own text may hold.

    `click` leads to `target` by way of the link `link`; `open` is the pixel; `leave` ends the
    subscription of the channel, `choose` shows all of them; `report` goes to a provider, which
    tells by it what became of the message. `customer`, `entry` and `visit` are those of the effect,
    `message` the first 16 digits of its key, `at_ms` when it was composed, UTC. `subject` is the
    keyed hash of the address that the channel's suppression goes by, 16 bytes or none.
    """

    kind: Kind
    customer: int
    entry: int
    visit: int
    version: int
    at_ms: int
    flow: str
    node: str
    channel: str
    template: str
    message: str
    subject: bytes = b""
    link: str = ""
    target: str = ""


_VALUES = attrgetter(*(each.name for each in fields(Mark)))
_TYPES = tuple({"int": int, "bytes": bytes}.get(str(each.type), str) for each in fields(Mark))


@dataclass(frozen=True, slots=True)
class MarkKey:
    """A tenant's key: its public number, and the secret, which its repr does not show."""

    id: bytes
    _secret: bytes

    def __repr__(self) -> str:
        return f"MarkKey({self.id.hex()})"

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, which tells nothing of the others."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def seal(self, mark: Mark) -> str:
        """The mark as text, of letters, digits, - and _."""
        _, *told, link, target = _VALUES(mark)
        # Most links are called by where they lead, which need not stand there twice.
        short = len(link) if link and target.startswith(link) else link
        packed = msgpack.packb((KINDS.index(mark.kind), *told, short, target))
        body = _FORMAT + self.id + bytes(packed)
        return base64.urlsafe_b64encode(body + self._tag(body)).decode().rstrip("=")

    def open(self, text: str) -> Mark | None:
        """What a mark says, None for one that this key did not seal. Compares in constant time."""
        data = _decoded(text)
        if data is None or data[len(_FORMAT) : _HEAD_BYTES] != self.id:
            return None
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if not hmac.compare_digest(self._tag(body), tag):
            return None
        kind, *values = msgpack.unpackb(body[_HEAD_BYTES:])
        known = [KINDS[kind], *values]
        if len(known) == len(_TYPES) and [*map(type, known[-2:])] == [int, str]:
            known[-2] = known[-1][: known[-2]]
        if [type(value) for value in known] != list(_TYPES):
            return None
        return Mark(*known)

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self.derived("marks"), body, hashlib.sha256)[:_TAG_BYTES]


def key_id_of(text: str) -> bytes | None:
    """Which key a mark says that it was sealed with; None for what is no mark."""
    data = _decoded(text)
    return None if data is None else data[len(_FORMAT) : _HEAD_BYTES]


def load_key(folder: Path, *, make: bool = True) -> MarkKey | None:
    """The key of the data directory `folder`; with `make` it is made if there is none, else None.

    Several processes may make it at once, and all get the same. Raises HeadraceError for a file
    that is something else, OSError.
    """
    path = folder / KEY_FILE
    try:
        return _read(path)
    except FileNotFoundError:
        if not make:
            return None
    part = path.with_name(f".{KEY_FILE}.{os.getpid()}.{os.urandom(4).hex()}.part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(file, _MAGIC + os.urandom(_ID_BYTES + _SECRET_BYTES))
            os.fsync(file)
        finally:
            os.close(file)
        # A link fails where the file is there already, so nobody's key is ever replaced.
        os.link(part, path)
    except FileExistsError:
        return _read(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(folder)
    return _read(path)


def _read(path: Path) -> MarkKey:
    data = path.read_bytes()
    if len(data) != len(_MAGIC) + _ID_BYTES + _SECRET_BYTES or not data.startswith(_MAGIC):
        raise HeadraceError(
            "this is no key of marks",
            advice="Put it back from a backup: links in messages that were sent need it",
            file=str(path),
        )
    start = len(_MAGIC) + _ID_BYTES
    return MarkKey(data[len(_MAGIC) : start], data[start:])


def _decoded(text: str) -> bytes | None:
    if len(text) > MARK_CHARS_MAX or not text.isascii():
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Bits that no byte takes would be a second spelling of the same mark.
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        return None
    return data if len(data) > _HEAD_BYTES + _TAG_BYTES and data[:1] == _FORMAT else None
