"""List the messages of a tenant that wait for a person, send them again, or discard them.

They stand in the partitions' outboxes. One is named `<partition>.<provider>.<key>`; its key is that
under which it was sent before, so a provider that keeps keys takes it once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from actors.live.engine import Engine
from actors.live.letters import Wanted
from actors.service.errors import NotFoundError

AT_ONCE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Decided:
    """How many messages were sent again or discarded; `more`: whether there may be others."""

    count: int
    more: bool


def page(
    engine: Engine, wanted: Wanted, after: str, limit: int, *, named: bool
) -> tuple[list[dict[str, Any]], str | None]:
    """Up to `limit` messages behind the place `after`, and the place to go on from, or None.

    Each is a `Letter` of `actors.live.letters` with its `id`; with `named` also `customer_id`.
    Raises DownError, NotFoundError for a place that is none.
    """
    number, name = _place(after, engine.partitions) if after else (0, "")
    found: list[dict[str, Any]] = []
    while number < engine.partitions:
        items, name = engine.job(number, "letters", asdict(wanted), name, limit - len(found), named)
        found += [_with_id(number, item) for item in items]
        if name:
            return found, f"{number:03}.{name.replace('/', '.', 1)}"
        number += 1
        if len(found) == limit and number < engine.partitions:
            return found, f"{number:03}."
    return found, None


def find(engine: Engine, letter_id: str, *, named: bool) -> dict[str, Any]:
    """One message. Raises NotFoundError, DownError."""
    number, provider, key = _parts(letter_id, engine.partitions)
    item = engine.job(number, "letter", provider, key, named)
    if item is None:
        raise _unknown()
    return _with_id(number, item)


def redrive(engine: Engine, letter_ids: Sequence[str], expires_ms: int | None) -> int:
    """Send these messages again; returns how many were still there. Raises NotFoundError."""
    return sum(
        engine.job(number, "redrive_letters", chosen, expires_ms)
        for number, chosen in _by_partition(letter_ids, engine.partitions).items()
    )


def redrive_all(engine: Engine, wanted: Wanted, limit: int, expires_ms: int | None) -> Decided:
    """Send up to `limit` messages again, those that can be read and are wanted."""
    return _all(engine, wanted, limit, True, "redrive_letters", expires_ms)


def discard(engine: Engine, letter_ids: Sequence[str]) -> int:
    """Forget these messages; returns how many were still there. Raises NotFoundError."""
    return sum(
        engine.job(number, "discard_letters", chosen)
        for number, chosen in _by_partition(letter_ids, engine.partitions).items()
    )


def discard_all(engine: Engine, wanted: Wanted, limit: int) -> Decided:
    """Forget up to `limit` messages that are wanted."""
    return _all(engine, wanted, limit, False, "discard_letters")


def _all(
    engine: Engine, wanted: Wanted, limit: int, readable: bool, job: str, *more: Any
) -> Decided:
    left, count = limit, 0
    for number in range(engine.partitions):
        chosen = engine.job(number, "letters_matching", asdict(wanted), left + 1, readable)
        count += engine.job(number, job, chosen[:left], *more) if chosen else 0
        if len(chosen) > left:
            return Decided(count, True)
        left -= len(chosen)
    return Decided(count, False)


def _by_partition(letter_ids: Sequence[str], partitions: int) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for each in letter_ids:
        number, provider, key = _parts(each, partitions)
        found[number].append((provider, key))
    return found


def _with_id(number: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{number:03}.{item['provider']}.{item['key']}", **item}


def _parts(letter_id: str, partitions: int) -> tuple[int, str, str]:
    number, name = _place(letter_id, partitions)
    provider, _, key = name.partition("/")
    if not provider or not key:
        raise _unknown()
    return number, provider, key


def _place(text: str, partitions: int) -> tuple[int, str]:
    """A partition's number and a row's name, of an id or the place of a page."""
    number, _, name = text.partition(".")
    if not number.isascii() or not number.isdigit() or len(number) > 6:
        raise _unknown()
    if int(number) >= partitions or not name.isprintable() or len(name) > 300:
        raise _unknown()
    return int(number), name.replace(".", "/", 1)


def _unknown() -> NotFoundError:
    return NotFoundError(
        "there is no such message", advice="It may have been sent or discarded: list those left"
    )
