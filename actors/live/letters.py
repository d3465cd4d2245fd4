"""Decide on the messages of a partition that wait for a person: dead letters, and doubtful ones.

What is listed stands in the partition's store, so it can be seen while no relay runs. Sending again
is the relay's; a customer is told by the id, to whoever may see customers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from actors.live.errors import DownError
from actors.relay.effects import UnreadableError
from actors.relay.relay_thread import RelayThread
from actors.relay.rows import Row, decode_row
from actors.store.partition import Partition

PARKED = "parked/"
SCANNED_MAX = 20_000
"""So many rows are looked at for one answer, so that a filter that fits few is no long wait."""
TOGETHER = 500
"""So many are sent again in one transaction."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: those that fit all that is stated, "" for any.

    `state` is dead or ambiguous.
    """

    provider: str = ""
    channel: str = ""
    state: str = ""
    reason: str = ""
    flow: str = ""

    def fits(self, provider: str, row: Row) -> bool:
        """Whether it is one of them."""
        effect = row.effect
        found = Wanted(
            provider,
            "" if effect is None else effect.channel,
            row.state,
            row.reason,
            "" if effect is None else effect.flow,
        )
        return all(
            not wanted or wanted == getattr(found, name) for name, wanted in asdict(self).items()
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that waits for a person. `customer` is the hash of the id; times are ms UTC.

    Of one that cannot be read nothing but its state is known.
    """

    provider: str
    key: str
    state: str
    reason: str
    attempts: int
    first_ms: int
    channel: str = ""
    template: str = ""
    flow: str = ""
    version: int = 0
    node: str = ""
    visit: int = 0
    customer: int | None = None
    committed_ms: int = 0
    expires_ms: int = 0


class Desk(Protocol):
    """What a partition offers here."""

    @property
    def relay(self) -> RelayThread | None:
        """Its relay, if it has one."""
        ...

    def recipients(self, messages: Sequence[tuple[int, int]]) -> list[str | None]:
        """Who got messages, by the hash of the id and when they were composed, ms UTC."""
        ...


class Letters:
    """The parked messages of one partition. Any thread but the partition's may use it."""

    def __init__(self, store: Partition, desk: Desk) -> None:
        """Look into `store`; `desk` is asked for the relay as it is then, and for ids."""
        self._store = store
        self._desk = desk

    def page(
        self, wanted: dict[str, str], after: str, limit: int, named: bool
    ) -> tuple[list[dict[str, Any]], str]:
        """Up to `limit` messages behind the name `after`, and the name to go on behind, or "".

        With `named` each has the customer's id, None for one who is unknown or erased.
        """
        found: list[tuple[str, Letter]] = []
        last = ""
        for looked, (name, provider, key, row) in enumerate(self._rows(after), 1):
            if Wanted(**wanted).fits(provider, row):
                found.append((name, _letter(provider, key, row)))
            if len(found) == limit or looked == SCANNED_MAX:
                last = name
                break
        return self._told([letter for _, letter in found], named), last

    def one(self, provider: str, key: str, named: bool) -> dict[str, Any] | None:
        """One message, None if it is not (or no longer) there."""
        name = f"{PARKED}{provider}/{key}".encode()
        data = self._store.relay_rows_of([name]).get(name)
        if data is None:
            return None
        return self._told([_letter(provider, key, _row(data))], named)[0]

    def redrive(self, chosen: Sequence[tuple[str, str]], expires_ms: int | None) -> int:
        """Send messages, each a provider's name and a key, again; returns how many were there.

        Raises DownError where no relay runs.
        """
        return self._decide(
            chosen, lambda part, relay: relay.ask(lambda r: r.redrive_all(part, expires_ms))
        )

    def discard(self, chosen: Sequence[tuple[str, str]]) -> int:
        """Forget messages; returns how many were there. Raises DownError where no relay runs."""
        return self._decide(chosen, lambda part, relay: relay.ask(lambda r: r.discard_all(part)))

    def matching(self, wanted: dict[str, str], limit: int, readable: bool) -> list[tuple[str, str]]:
        """Provider and key of the first `limit` messages that are wanted.

        With `readable` only of those that can be read, and so be sent.
        """
        found = []
        for _, provider, key, row in self._rows(""):
            if readable and row.effect is None:
                continue
            if Wanted(**wanted).fits(provider, row):
                found.append((provider, key))
                if len(found) == limit:
                    break
        return found

    def _decide(
        self,
        chosen: Sequence[tuple[str, str]],
        act: Callable[[Sequence[tuple[str, str]], RelayThread], int],
    ) -> int:
        relay = self._desk.relay
        if relay is None or not relay.running:
            raise DownError(
                "no relay runs here, so nothing can be sent or discarded",
                advice="See the service's status; messages stay where they are",
            )
        parts = [chosen[i : i + TOGETHER] for i in range(0, len(chosen), TOGETHER)]
        return sum(act(part, relay) for part in parts)

    def _rows(self, after: str) -> Iterator[tuple[str, str, str, Row]]:
        """Name, provider, key and row of each parked message behind a name."""
        start = f"{PARKED}{after}".encode() if after else b""
        for name, data in self._store.relay_rows(PARKED.encode(), start):
            short = name.decode().removeprefix(PARKED)
            provider, _, key = short.partition("/")
            yield short, provider, key, _row(data)

    def _told(self, letters: Sequence[Letter], named: bool) -> list[dict[str, Any]]:
        told = [asdict(letter) for letter in letters]
        for each in told:
            each["customer_id"] = None
        if named:
            known = [(each, each["customer"]) for each in told if each["customer"] is not None]
            ids = self._desk.recipients([(hashed, each["committed_ms"]) for each, hashed in known])
            for (each, _), customer in zip(known, ids, strict=True):
                each["customer_id"] = customer
        for each in told:
            del each["customer"]
        return told


def _row(data: bytes) -> Row:
    try:
        return decode_row(data)
    except UnreadableError:
        return Row(None, "dead", reason="unreadable")


def _letter(provider: str, key: str, row: Row) -> Letter:
    known = (provider, key, row.state, row.reason, row.attempts, row.first_ms)
    effect = row.effect
    if effect is None:
        return Letter(*known)
    return Letter(
        *known,
        effect.channel,
        effect.template,
        effect.flow,
        effect.version,
        effect.node,
        effect.visit,
        effect.customer % 2**64,
        effect.committed_ms,
        effect.expires_ms,
    )
