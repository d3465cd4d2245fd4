"""Bound what a request may cost before anybody looks into it: bytes, time, compression, charset."""

from __future__ import annotations

import asyncio
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
from starlette.requests import ClientDisconnect, Request

from api.http.problems import ProblemError, refuse

JSON_BYTES_MAX = 2 << 20  # the body of a route of our own API, unless it says otherwise
READ_S = 30.0  # so long may a body take to arrive
CHUNK_BYTES = 256 << 10
# What text and columns of events are packed to is seldom a fiftieth; a bomb is a thousandth.
RATIO_MAX = 100
RATIO_FREE_BYTES = 1 << 20  # that any body may have when it is unpacked
ARRIVING_BYTES_MAX = 512 << 20  # of bodies that are not whole yet
SHARE_BYTES_MAX = 128 << 20  # of those, one tenant's; and of all whose tenant is not known yet
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a route takes: bytes as they arrive, decompressed, of one event; and events."""

    body_bytes_max: int
    decoded_bytes_max: int
    event_bytes_max: int
    events_max: int


@dataclass(slots=True)
class Arriving:
    """How many bytes there are of bodies that are not whole yet, by tenant; "" is not known."""

    most: int = ARRIVING_BYTES_MAX
    share: int = SHARE_BYTES_MAX
    total: int = 0
    by_tenant: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def body(self, tenant: str) -> Iterator[_Body]:
        """Within the block a tenant's body is arriving."""
        body = _Body(self, tenant)
        try:
            yield body
        finally:
            self._add(tenant, -body.size)

    def _add(self, tenant: str, size: int) -> bool:
        """Whether there is room for more bytes, which count from now on."""
        with self._lock:
            own = self.by_tenant.get(tenant, 0) + size
            if size > 0 and (own > self.share or self.total + size > self.most):
                return False
            self.total += size
            if own:
                self.by_tenant[tenant] = own
            else:
                self.by_tenant.pop(tenant, None)
            return True


class _Body:
    """A body that is arriving, and its bytes so far."""

    __slots__ = ("_of", "_tenant", "size")

    def __init__(self, of: Arriving, tenant: str) -> None:
        self._of, self._tenant, self.size = of, tenant, 0

    def add(self, size: int) -> None:
        """Count more bytes. Raises ProblemError if there is no room for them."""
        if not self._of._add(self._tenant, size):
            raise refuse(
                503,
                "busy",
                "too much is arriving at once",
                "Send it again a little later, or less at a time",
                retry_after_ms=1_000,
            )
        self.size += size


_ARRIVING = Arriving()


async def read_body(
    request: Request, bytes_max: int, read_s: float = READ_S, tenant: str = ""
) -> bytes:
    """The body as it arrives. Raises ProblemError if it is too large or too slow.

    `tenant` is who sends it, where that is known: all bodies that are arriving have room together,
    and each tenant's a part of that.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > bytes_max:
        raise too_large(int(stated), bytes_max)
    parts: list[bytes] = []
    size = 0
    try:
        with _ARRIVING.body(tenant) as body:
            async with asyncio.timeout(read_s):
                async for part in request.stream():
                    size += len(part)
                    if size > bytes_max:
                        raise too_large(size, bytes_max)
                    body.add(len(part))
                    parts.append(part)
    except TimeoutError:
        raise refuse(
            408,
            "too-slow",
            f"the body did not arrive within {read_s:g} s",
            "Send smaller batches",
            retry_after_ms=1_000,
        ) from None
    except ClientDisconnect:
        raise refuse(400, "cut-short", "the body was cut short", "Send it again") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(size: int, bytes_max: int, what: str = "the body") -> ProblemError:
    """The problem of what has too many bytes."""
    detail = f"{what} has {size:,} bytes or more; at most {bytes_max:,} are taken"
    return refuse(413, "too-large", detail, "Send less at a time")


def check_charset(content_type: str) -> None:
    """Raise ProblemError unless the text is UTF-8, which is what JSON is."""
    found = _CHARSET.search(content_type)
    if found is not None and found[1].lower() not in CHARSETS:
        detail = f"the charset {found[1][:40]!r} is not taken, expected utf-8"
        raise refuse(415, "unsupported-charset", detail, "Send the body as UTF-8")


def decompressed(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The body as it was before `Content-Encoding`, of at most `bytes_max` bytes.

    Raises ProblemError for an encoding that is not known, damaged bytes, and bodies that would
    grow beyond what is taken or to over RATIO_MAX times what came, of which no more is unpacked.
    """
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if len(names) > 1:
        raise _unknown_encoding(encoding)
    if not names:
        return body
    bytes_max = min(bytes_max, RATIO_FREE_BYTES + RATIO_MAX * len(body))
    if names[0] in ("gzip", "x-gzip"):
        return _inflated(body, 16 + zlib.MAX_WBITS, bytes_max)
    if names[0] == "deflate":
        # RFC 9110 means zlib; some senders leave its two bytes of head out.
        wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflated(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, bytes_max)
    if names[0] == "zstd":
        return _unzstd(body, bytes_max)
    raise _unknown_encoding(encoding)


def _inflated(body: bytes, window: int, bytes_max: int) -> bytes:
    machine = zlib.decompressobj(window)
    try:
        found = machine.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from None
    if len(found) > bytes_max:
        raise too_large(len(found), bytes_max, "the decompressed body")
    if not machine.eof or machine.unused_data:
        raise _damaged("it is cut short, or something follows it")
    return found


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            while part := stream.read(min(CHUNK_BYTES, bytes_max + 1 - size)):
                size += len(part)
                if size > bytes_max:
                    raise too_large(size, bytes_max, "the decompressed body")
                parts.append(part)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(str(error)) from None
    return b"".join(parts)


def _damaged(why: str) -> ProblemError:
    detail = f"the compressed body cannot be unpacked: {why}"
    return refuse(400, "invalid-compression", detail, "Send it again, or without compression")


def _unknown_encoding(encoding: str) -> ProblemError:
    return refuse(
        415,
        "unsupported-encoding",
        f"Content-Encoding {encoding[:40]!r} is not taken",
        "Use gzip, deflate or zstd, or none",
        headers={"Accept-Encoding": "gzip, deflate, zstd"},
    )
