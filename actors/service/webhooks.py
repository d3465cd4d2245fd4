"""Know who wants to hear what happens in flows: subscriptions, how far each got, what waits.

All stands in one table of the control plane, and nothing personal in it: customers are numbers of a
partition, whose ids are asked for when something is sent.

    hook:<id>                     a subscription, how far it got, and how it went
    wait:<id>:<place>             what could not be delivered yet, and what waits behind it
    dead:<id>:<place>             what was given up, until somebody decides

A place is the partition, the journal's record and a number within it. Secrets are in a vault of
their own, since those of providers are swept by what these name.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from actors.live.happenings import KINDS
from actors.relay.channels.guard import Guard, RefusedError
from actors.relay.vault import Vault
from actors.service.errors import ConflictError, InvalidError, NotFoundError
from actors.service.transactions import ReadTxn, WriteTxn

TABLE = "webhooks"
FOLDER = "webhooks"
HOOKS_MAX = 20
SECRET_BYTES = 32
SECRETS_MAX = 2
PORTS = frozenset({443, 8443})
HOOK, WAIT, DEAD = "hook", "wait", "dead"
Status = Literal["active", "paused", "disabled"]


@dataclass(frozen=True, slots=True)
class Hook:
    """A subscription of a tenant's.

    It gets what is of its `kinds` and `flows`, of all flows where none is named, and is posted to
    `url`. `places` is how far it got: for each partition a record, and how many happenings of the
    next one. `secrets` are names in the vault, the newest first: all of them sign. A receiver who
    answered 410 is `disabled`. Only the operator names `networks` that are not public.
    """

    id: str
    url: str
    kinds: list[str]
    flows: list[str]
    created_ms: int
    places: list[list[int]]
    secrets: list[str]
    status: Status = "active"
    networks: list[str] = field(default_factory=list)
    instance: str = ""
    """Of the data directory that the places are of."""
    delivered: int = 0
    failures: int = 0
    """Attempts that failed since the last that did not."""
    problem: str = ""

    def guard(self) -> Guard:
        """Where its requests may go."""
        if not self.networks:
            return Guard(ports=PORTS)
        allowed = tuple(ipaddress.ip_network(each) for each in self.networks)
        return Guard(frozenset({"https", "http"}), frozenset(range(1, 65_536)), allowed)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something that happened, on its way to one receiver.

    `said` is what it says but for whose it is: a customer is `number` of the partition. `first_ms`
    is when it was tried first, 0 before; `due_ms` when it may be tried again.
    """

    partition: int
    record: int
    index: int
    number: int
    said: dict[str, Any]
    attempts: int = 0
    first_ms: int = 0
    due_ms: int = 0
    reason: str = ""

    @property
    def place(self) -> str:
        """Where it stands among all that happened, ascending in a partition."""
        return f"{self.partition:05d}-{self.record:016d}-{self.index:08d}"

    @property
    def whose(self) -> tuple[int, int]:
        """Within this what comes first goes first."""
        return self.partition, self.number


def check(url: str, kinds: Collection[str], networks: Sequence[str], *, operator: bool) -> None:
    """Raise InvalidError for a subscription that cannot be."""
    strange = sorted(set(kinds) - set(KINDS))
    if strange:
        raise InvalidError(
            f"nothing of the kind {strange[0]!r} happens",
            advice=f"Use some of {', '.join(KINDS)}",
            pointer="/kinds",
        )
    if networks and not operator:
        raise InvalidError(
            "only the operator opens networks that are not public",
            advice="Leave it out, or ask whoever runs the service",
            pointer="/networks",
        )
    try:
        guard = Hook("", url, [], [], 0, [], [], networks=list(networks)).guard()
    except ValueError:
        raise InvalidError(
            "this is no network", advice="Write it like 10.1.0.0/16", pointer="/networks"
        ) from None
    try:
        guard.parsed(url)
    except RefusedError as error:
        raise InvalidError(
            f"requests may not go there: {str(error).replace('_', ' ')}",
            advice="Name a public host by https, at port 443 or 8443",
            pointer="/url",
        ) from None


class Webhooks:
    """The subscriptions of one tenant; `folder` is his data directory's."""

    def __init__(self, folder: Path) -> None:
        """Bind a data directory."""
        self._folder = folder / FOLDER

    def create(self, txn: WriteTxn, hook: Hook) -> tuple[Hook, str]:
        """Write a subscription down with a new id and secret; the secret is told this once.

        Raises ConflictError where there are too many.
        """
        if len(list(txn.scan(TABLE, f"{HOOK}:", limit=HOOKS_MAX))) == HOOKS_MAX:
            raise ConflictError(
                f"there are {HOOKS_MAX} webhooks already", advice="Delete one that nobody needs"
            )
        hook = replace(hook, id=secrets.token_hex(8))
        name, secret = self._minted(hook.id)
        hook = replace(hook, secrets=[name])
        self.put(txn, hook)
        return hook, secret

    def rotate(self, txn: WriteTxn, hook: Hook) -> tuple[Hook, str]:
        """Give a subscription a new secret; the one before goes on signing until the next time."""
        name, secret = self._minted(hook.id)
        hook = replace(hook, secrets=[name, *hook.secrets][:SECRETS_MAX])
        self.put(txn, hook)
        txn.when_stored(lambda: self.sweep({hook.id: hook.secrets}))
        return hook, secret

    def _minted(self, hook_id: str) -> tuple[str, str]:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        name = f"{hook_id}.{secrets.token_hex(4)}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # It is there before anything names it.
        Vault(self._folder).change({name: secret})
        return name, secret

    def sweep(self, used: dict[str, list[str]]) -> None:
        """Forget the secrets of some subscriptions but those that are used."""
        vault = Vault(self._folder)
        names = vault.names()
        keep = [
            n for n in names if n.partition(".")[0] not in used or n in used[n.partition(".")[0]]
        ]
        if len(keep) < len(names):
            vault.change({}, keep=keep)

    def secrets_of(self, hook: Hook) -> list[str]:
        """Its secrets in the clear, the newest first; [] where they are gone.

        Raises HeadraceError where the vault can't be read.
        """
        known = Vault(self._folder).values()
        return [known[name] for name in hook.secrets if name in known]

    def put(self, txn: WriteTxn, hook: Hook) -> None:
        """Write a subscription down."""
        txn.put(TABLE, f"{HOOK}:{hook.id}", asdict(hook))

    def find(self, txn: ReadTxn, hook_id: str) -> Hook:
        """A subscription. Raises NotFoundError."""
        record = txn.get(TABLE, f"{HOOK}:{hook_id}")
        if record is None:
            raise NotFoundError("there is no such webhook", advice="List those that there are")
        return Hook(**record)

    def every(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[Hook]:
        """Subscriptions by id."""
        start = f"{HOOK}:{after}" if after else ""
        return [Hook(**record) for _, record in txn.scan(TABLE, f"{HOOK}:", start, limit)]

    def delete(self, txn: WriteTxn, hook: Hook) -> None:
        """Forget a subscription, with all that waits for it."""
        txn.delete(TABLE, f"{HOOK}:{hook.id}")
        self.forget_parcels(txn, hook.id)
        txn.when_stored(lambda: self.sweep({hook.id: []}))

    # -- parcels

    @staticmethod
    def forget_parcels(txn: WriteTxn, hook_id: str) -> None:
        """Forget all that waits for a subscription, or was given up."""
        for kind in (WAIT, DEAD):
            for key, _ in list(txn.scan(TABLE, f"{kind}:{hook_id}:")):
                txn.delete(TABLE, key)

    @staticmethod
    def parcels(
        txn: ReadTxn, kind: str, hook_id: str, after: str = "", limit: int | None = None
    ) -> list[Parcel]:
        """What waits (WAIT) or was given up (DEAD), by place, behind the place `after`."""
        prefix = f"{kind}:{hook_id}:"
        start = prefix + after if after else ""
        return [Parcel(**record) for _, record in txn.scan(TABLE, prefix, start, limit)]

    @staticmethod
    def count(txn: ReadTxn, kind: str, hook_id: str) -> int:
        """How many wait, or were given up."""
        return sum(1 for _ in txn.scan(TABLE, f"{kind}:{hook_id}:"))

    @staticmethod
    def keep(txn: WriteTxn, kind: str, hook_id: str, parcel: Parcel) -> None:
        """Let a parcel wait, or give it up."""
        txn.put(TABLE, f"{kind}:{hook_id}:{parcel.place}", asdict(parcel))

    @staticmethod
    def drop(txn: WriteTxn, kind: str, hook_id: str, parcel: Parcel) -> None:
        """Forget a parcel of a kind."""
        txn.delete(TABLE, f"{kind}:{hook_id}:{parcel.place}")

    def redrive(self, txn: WriteTxn, hook_id: str, parcels: Sequence[Parcel], now_ms: int) -> None:
        """Let what was given up wait again, to be tried at once and as often as at first."""
        for parcel in parcels:
            self.drop(txn, DEAD, hook_id, parcel)
            again = replace(parcel, attempts=0, first_ms=0, due_ms=now_ms)
            self.keep(txn, WAIT, hook_id, again)
