"""Let two ids be one customer, from the gateway: who is who, and that all that was is handed over.

A merge is written to the control log, and all partitions apply it; from then on rows of the alias
go to the customer. What the alias had is then read from its partition and handed over by commands
too. Whatever is cut short, by a crash or because a partition is down, goes on later from what the
partitions keep ready and what the control log says was handed over.

Rows under way are waited for before a merge, and rows that come meanwhile wait, so that a batch
goes to the partitions under one meaning of its ids.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.intake.frame import Frame
from actors.intake.renaming import renamed, renamed_rows
from actors.intake.routing import partition_of
from actors.intake.rows import Decoded, decode_rows
from actors.live.aliases import Aliases, judge
from actors.live.control import ControlLog
from actors.live.errors import BusyError, DownError, RefusedError
from actors.live.moving import NOTHING
from actors.live.replies import Done
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema

WAIT_S = 10.0
RETRY_MS = 200


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of merges: `done` tells of those made now, `known` which were made before.

    `refused` are their numbers with the reason; `waiting` how many customers' pasts are still to be
    handed over, because a partition is down.
    """

    done: Done | None
    known: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a gateway offers: its log, its partitions, and how they are asked.

    `ask` calls a partition between two batches, `job` beside its work, by its number and the
    method's name; `decide` writes a command down and has all partitions apply it; `put_people`
    stores personal values by customer's id; `deliver` takes rows in. Each raises DownError.
    """

    control: ControlLog
    partitions: int
    ask: Callable[..., Any]
    job: Callable[..., Any]
    decide: Callable[[dict[str, Any], str], Done]
    put_people: Callable[[Mapping[str, Mapping[str, Any]]], None]
    deliver: Callable[[Decoded], object]


class Identities:
    """Who is who, for one gateway. Any thread may use it, but for what says otherwise."""

    def __init__(self, gateway: Gateway) -> None:
        """Go on from what the control log says."""
        self._gateway = gateway
        self._changed = threading.Condition()
        self._sending = 0
        self._merging = False
        self._unsettled = bool(self.aliases.known)

    @property
    def aliases(self) -> Aliases:
        """The aliases as they are now."""
        return self._gateway.control.standing.aliases

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Within the block ids keep their meaning: a merge waits for its end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._merging)
            self._sending += 1
        try:
            yield
        finally:
            with self._changed:
                self._sending -= 1
                self._changed.notify_all()

    def meant(self, decoded: Decoded) -> Decoded:
        """What was read of a batch, with aliases replaced by the customers."""
        known = self.aliases.known
        return renamed_rows(decoded, known) if known else decoded

    def meant_frame(self, frame: Frame) -> Frame:
        """A frame, with aliases replaced by the customers."""
        known = self.aliases.known
        return renamed(frame, known) if known else frame

    def all_of(self, customers: Sequence[str]) -> list[str]:
        """The customers whom these ids mean, each with all that are aliases of them."""
        roots = dict.fromkeys(self.aliases.customer(each) for each in customers)
        return [each for root in roots for each in (root, *self.aliases.of_customer(root))]

    def personal_of(self, customer: str) -> list[str]:
        """The personal texts of a customer and of all aliases. Raises DownError."""
        found: dict[str, None] = {}
        for each in self.all_of([customer]):
            state = self._gateway.ask(self._home(each), "state_of", each) or {}
            personal = (state.get("personal") or {}).values()
            found |= dict.fromkeys(value for value in personal if isinstance(value, str))
        return list(found)

    def merge(self, pairs: Sequence[tuple[str, str]], request: str = "") -> Merged:
        """Merge the first customer of each pair into the second, in their order.

        Call it where no other command is decided meanwhile. Raises DownError while a partition is
        down, BusyError where rows are under way for too long; nothing was merged then.
        """
        with self._alone():
            fresh, known, refused = self._judged(pairs)
            if not fresh:
                return Merged(None, known, refused)
            command = {"kind": "merge", "pairs": [list(pair) for pair in fresh]}
            done = self._gateway.decide(command, request)
        self._unsettled = True
        return Merged(done, known, refused, self.settle())

    def settle(self) -> int:
        """Hand over what waits for it; how many customers' pasts still wait.

        Call it where no command is decided meanwhile.
        """
        if not self._unsettled:
            return 0
        waiting = unseen = 0
        for number in range(self._gateway.partitions):
            try:
                moving = self._gateway.ask(number, "moving")
            except RefusedError:
                continue  # a partition of another kind, where nobody is merged
            except DownError:
                unseen += 1
                continue
            waiting += len(moving)
            for hashed, kept in moving.items():
                try:
                    self._hand_over(number, hashed, kept)
                    waiting -= 1
                except HeadraceError:
                    break  # it is tried again
        self._unsettled = bool(waiting or unseen)
        return waiting + unseen

    def retry(self, commanding: threading.Lock) -> None:
        """Go on with what could not be handed over; a watcher calls it now and then."""
        if self._unsettled and commanding.acquire(blocking=False):
            try:
                self.settle()
            except HeadraceError:
                pass  # it is tried again
            finally:
                commanding.release()

    def _judged(
        self, pairs: Sequence[tuple[str, str]]
    ) -> tuple[list[tuple[str, str]], list[int], list[tuple[int, str]]]:
        ahead: dict[str, str] = {}

        def meant(id_: str) -> str:
            found = self.aliases.customer(id_)
            while found in ahead:
                found = ahead[found]
            return found

        fresh: list[tuple[str, str]] = []
        known: list[int] = []
        refused: list[tuple[int, str]] = []
        for number, (previous, customer) in enumerate(pairs):
            try:
                pair = judge(previous, customer, meant)
            except RefusedError as error:
                refused.append((number, error.message))
                continue
            if pair is None:
                known.append(number)
                continue
            fresh.append(pair)
            ahead[pair[0]] = pair[1]
        return fresh, known, refused

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within the block no rows are under way."""
        with self._changed:
            end = time.monotonic() + WAIT_S
            self._changed.wait_for(lambda: not self._merging)
            self._merging = True
            if not self._changed.wait_for(lambda: not self._sending, end - time.monotonic()):
                self._merging = False
                self._changed.notify_all()
                raise BusyError(
                    "rows have been under way for too long",
                    retry_after_ms=RETRY_MS,
                    advice="Ask again a little later",
                )
        try:
            yield
        finally:
            with self._changed:
                self._merging = False
                self._changed.notify_all()

    def _hand_over(self, number: int, hashed: int, kept: Mapping[str, Any]) -> None:
        gateway, merge = self._gateway, kept["merge"]
        previous, into = self._pair(merge, hashed)
        gateway.deliver(_arrival(into, merge))
        here = gateway.ask(number, "state_of", previous) or {}
        there = gateway.ask(self._home(into), "state_of", into) or {}
        own = there.get("personal") or {}
        personal = {k: v for k, v in (here.get("personal") or {}).items() if k not in own}
        if personal:
            gateway.put_people({into: personal})
        parts = gateway.job(number, "parcel", hashed, merge, into)
        for part in range(self.aliases.handed.get((merge, hashed), 0), len(parts)):
            last = part == len(parts) - 1
            command: dict[str, Any] = {
                "kind": "inherit",
                "merge": merge,
                "from": hashed,
                "into": into,
                "part": part,
                "last": last,
                "frame": parts[part],
                "record": kept["record"] if last else NOTHING,
                "states": kept["states"] if last else {},
            }
            gateway.decide(command, "")

    def _pair(self, merge: int, hashed: int) -> tuple[str, str]:
        """The ids of a merge: of who was merged, and of whom that is by now."""
        [(_, command)] = self._gateway.control.after(merge - 1)[:1]
        [previous] = [old for old, _ in command["pairs"] if hash_customer(old) == hashed]
        return previous, self.aliases.customer(previous)

    def _home(self, customer: str) -> int:
        hashed = np.array([hash_customer(customer)], np.uint64)
        return int(partition_of(hashed, self._gateway.partitions)[0])


def _arrival(customer: str, merge: int) -> Decoded:
    """A row that makes a customer known and changes nothing; sent again it counts once."""
    batch = b"merge" + merge.to_bytes(8, "little") + hash_customer(customer).to_bytes(8, "little")
    return decode_rows([{"customer": customer, "set": {}}], TenantSchema(), batch=batch)
