"""Make the keys of the API, tell who holds one, and end them.

Of a key only a hash is kept; the key itself is told once, when it is made. Each belongs to one
tenant and stands among that tenant's rows; the operator's rows tell which tenant that is, because
whoever brings a key has not said, and must not say, whose he is.

Keys that were verified are kept in memory under the hash of the whole key. So a wrong one goes the
long way whether its id is known or not, and an unknown id is compared with a decoy: how long the
answer takes tells nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from actors.service.access import Caller, granted
from actors.service.errors import (
    ConflictError,
    InvalidError,
    LimitedError,
    NotFoundError,
    UnauthenticatedError,
)
from actors.service.key_text import digest, id_of, new_key
from actors.service.plane import Plane
from actors.service.transactions import ReadTxn, WriteTxn, packed, payload_of, record_of
from actors.store.frames import Kind, pack

VERIFIED_MAX = 10_000
LIVE_MAX = 1_000  # keys of one tenant
NETWORKS_MAX = 100
NAME_LENGTH_MAX = 100
OVERLAP_MS = 24 * 3_600_000
USED_EVERY_MS = 60_000  # how exactly it is stored when a key was last used

NOBODY, DECOY = "\0", "decoy"  # whose key an unknown one is compared with

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be shown of a key. Times are ms UTC."""

    key_id: str
    tenant: str
    name: str
    role: str | None
    scopes: tuple[str, ...]
    user: str | None
    networks: tuple[str, ...]  # where it may be used from; anywhere if empty
    created_ms: int
    created_by: str
    expires_ms: int | None
    revoked_ms: int | None
    last_used_ms: int | None  # about a minute behind
    rotated_from: str | None
    rotated_to: str | None

    def status(self, now_ms: int) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        expired = self.expires_ms is not None and self.expires_ms <= now_ms
        return "expired" if expired else "live"


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: the one moment at which its secret is known."""

    info: KeyInfo
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    expires_ms: int | None
    networks: tuple[Network, ...]


class Keys:
    """The keys of all tenants of one control plane. Any thread may use it."""

    def __init__(self, plane: Plane) -> None:
        """Take them from a plane."""
        self._plane = plane
        self._lock = threading.Lock()
        self._verified: dict[bytes, _Verified] = {}  # by the hash of the key
        self._hash_of: dict[str, bytes] = {}  # by id, of those verified
        self._changes = 0
        self._used: dict[str, tuple[str, int]] = {}  # tenant and time by id
        self._nobody = pack(Kind.ROW, b"o", 0, packed({"tenant": NOBODY}))
        decoy = plane.tenant(NOBODY)
        with decoy.read() as txn:
            missing = txn.get("keys", DECOY) is None
        if missing:
            with decoy.write() as write:
                write.put("keys", DECOY, {**_record_of(_decoy()), "digest": digest(new_key())})

    # Telling who it is

    def authenticate(self, secret: str, ip: str | None, now_ms: int) -> Caller:
        """Who holds a key that is valid at this time from this address.

        Raises UnauthenticatedError: what is wrong is told to nobody but who knows the secret.
        """
        hashed = digest(secret)
        known = None if self._plane.halted else self._verified.get(hashed)
        if known is None:
            known = self._look_up(secret, hashed, now_ms)
        caller = known.caller
        if known.expires_ms is not None and known.expires_ms <= now_ms:
            raise UnauthenticatedError("the key has expired", advice="Use its successor")
        if known.networks and not _within(ip, known.networks):
            raise UnauthenticatedError(
                "the key may not be used from this address",
                advice="Use it from an address on its list, or change the list",
            )
        self._used[caller.key_id] = (caller.tenant, now_ms)
        return caller

    def _look_up(self, secret: str, hashed: bytes, now_ms: int) -> _Verified:
        key_id = id_of(secret)
        if key_id is None:
            raise UnauthenticatedError(
                "this is no key: it was cut or mistyped",
                advice="Copy it whole, from hr_live_ to its last letter",
            )
        changes = self._changes
        with self._plane.operator.read() as txn:
            owner = txn.get("key_owners", key_id)
            known = owner is not None
            if owner is None:
                # Unframed and decoded as if it had been found.
                owner = record_of(b"o", payload_of(b"o", self._nobody, ""), "")
            tenant = owner["tenant"]
            record = txn.within(self._plane.tenant(tenant)).get("keys", key_id if known else DECOY)
        if record is None or not compare_digest(record["digest"], hashed) or not known:
            raise UnauthenticatedError(
                "the key is not valid", advice="Use a key that was made here and not revoked"
            )
        info = _info(tenant, key_id, record)
        if info.revoked_ms is not None:
            raise UnauthenticatedError("the key was revoked", advice="Use another")
        caller = Caller(info.tenant, key_id, info.user, info.role, frozenset(info.scopes))
        networks = tuple(ip_network(text) for text in info.networks)
        found = _Verified(caller, info.expires_ms, networks)
        with self._lock:
            # What was read may be out of date already: then it must not be kept.
            if changes == self._changes:
                while len(self._verified) >= VERIFIED_MAX:
                    self._forget(next(iter(self._verified.values())).caller.key_id)
                self._verified[hashed] = found
                self._hash_of[key_id] = hashed
        return found

    def _forget(self, key_id: str) -> None:
        hashed = self._hash_of.pop(key_id, None)
        if hashed is not None:
            self._verified.pop(hashed, None)

    def _changed(self, key_id: str) -> None:
        with self._lock:
            self._changes += 1
            self._forget(key_id)

    def flush(self) -> int:
        """Store when keys were last used; call it every minute or so. Returns for how many.

        Raises as a write does.
        """
        used, self._used = self._used, {}
        if not used:
            return 0
        stored = 0
        with self._plane.operator.write() as txn:
            for key_id, (tenant, used_ms) in list(used.items()):
                own = txn.within(self._plane.tenant(tenant))
                record = own.get("keys", key_id)
                if record is not None and used_ms >= (record["last_used_ms"] or 0) + USED_EVERY_MS:
                    own.put("keys", key_id, {**record, "last_used_ms": used_ms})
                    stored += 1
        return stored

    # Making and ending them

    def mint(
        self,
        txn: WriteTxn,
        by: Caller | None,
        *,
        name: str,
        now_ms: int,
        role: str | None = None,
        scopes: Collection[str] | None = None,
        user: str | None = None,
        expires_ms: int | None = None,
        networks: Collection[str] = (),
    ) -> Minted:
        """Make a key for the tenant whose rows `txn` is bound to; it is valid once that is stored.

        `by` is who makes it, None the operator at the machine. `networks` are addresses in CIDR.
        Raises InvalidError for arguments, ForbiddenError if the key could do more than `by`,
        LimitedError beyond 1,000 live keys.
        """
        tenant = _tenant(txn)
        allowed = granted(role, scopes)
        if by is not None:
            _check_right(by, tenant)
            by.check_gives(role, allowed)
        _check_arguments(name, expires_ms, now_ms)
        live = sum(info.status(now_ms) == "live" for info in self.list(txn))
        if live >= LIVE_MAX:
            raise LimitedError(
                f"the tenant has {live:,} live keys, the most there can be",
                advice="Revoke those that are not used",
                retry_after_ms=60_000,
            )
        secret = self._unused(txn)
        info = KeyInfo(
            key_id=id_of(secret) or "",
            tenant=tenant,
            name=name,
            role=role,
            scopes=tuple(sorted(allowed)),
            user=user,
            networks=_networks(networks),
            created_ms=now_ms,
            created_by="operator" if by is None else by.actor,
            expires_ms=expires_ms,
            revoked_ms=None,
            last_used_ms=None,
            rotated_from=None,
            rotated_to=None,
        )
        self._put_new(txn, info, secret)
        return Minted(info, secret)

    def rotate(
        self,
        txn: WriteTxn,
        by: Caller | None,
        key_id: str,
        *,
        now_ms: int,
        overlap_ms: int = OVERLAP_MS,
    ) -> Minted:
        """Make a successor with the same rights; both keys are valid for `overlap_ms` from now.

        A predecessor of the key that is still valid ends at once, so that there are two at most.
        Raises NotFoundError; ConflictError if the key is not live or has a successor;
        ForbiddenError as `mint` does.
        """
        info = self.get(txn, key_id)
        self._check_may_change(by, info)
        if info.status(now_ms) != "live" or info.rotated_to is not None:
            state = "has a successor" if info.rotated_to else f"is {info.status(now_ms)}"
            raise ConflictError(
                f"the key {key_id} {state}, so it can not be rotated",
                advice=f"Rotate {info.rotated_to}" if info.rotated_to else "Make a new key",
            )
        if info.rotated_from is not None:
            before = txn.get("keys", info.rotated_from)
            if before is not None and before["revoked_ms"] is None:
                self._update(txn, info.rotated_from, {**before, "revoked_ms": now_ms})
        secret = self._unused(txn)
        successor_id = id_of(secret) or ""
        ends_ms = now_ms + max(overlap_ms, 0)
        record = txn.get("keys", key_id) or {}
        record["rotated_to"] = successor_id
        record["expires_ms"] = min(ends_ms, info.expires_ms or ends_ms)
        self._update(txn, key_id, record)
        made = {
            **_record_of(info),
            "created_ms": now_ms,
            "created_by": "operator" if by is None else by.actor,
            "last_used_ms": None,
            "rotated_from": key_id,
            "rotated_to": None,
        }
        successor = _info(info.tenant, successor_id, made)
        self._put_new(txn, successor, secret)
        return Minted(successor, secret)

    def revoke(self, txn: WriteTxn, by: Caller | None, key_id: str, *, now_ms: int) -> KeyInfo:
        """End a key: once this is stored nobody gets in with it. Revoking it again does nothing.

        Raises NotFoundError; ForbiddenError for a key that could do more than `by`; ConflictError
        for the last live key that can make keys, unless the operator does it.
        """
        info = self.get(txn, key_id)
        self._check_may_change(by, info)
        if info.revoked_ms is not None:
            return info
        if by is not None and "keys:admin" in info.scopes:
            others = (
                each
                for each in self.list(txn)
                if each.key_id != key_id and each.status(now_ms) == "live"
            )
            if not any("keys:admin" in each.scopes for each in others):
                raise ConflictError(
                    f"the key {key_id} is the last one that can make keys",
                    advice="Rotate it, and revoke it with its successor",
                )
        record = {**(txn.get("keys", key_id) or {}), "revoked_ms": now_ms}
        self._update(txn, key_id, record)
        return _info(info.tenant, key_id, record)

    def get(self, txn: ReadTxn, key_id: str) -> KeyInfo:
        """What may be shown of a key of the tenant that `txn` is bound to. Raises NotFoundError."""
        record = txn.get("keys", key_id)
        if record is None:
            raise NotFoundError("there is no such key", advice="List the keys that there are")
        return _info(_tenant(txn), key_id, record)

    def list(self, txn: ReadTxn, after: str = "", limit: int | None = None) -> list[KeyInfo]:
        """The keys of the tenant that `txn` is bound to, by id; never a secret or its hash."""
        tenant = _tenant(txn)
        return [_info(tenant, key, record) for key, record in txn.scan("keys", "", after, limit)]

    def _check_may_change(self, by: Caller | None, info: KeyInfo) -> None:
        if by is not None:
            _check_right(by, info.tenant)
            by.check_gives(info.role, info.scopes)

    def _unused(self, txn: WriteTxn) -> str:
        owners = txn.within(self._plane.operator)
        while True:
            secret = new_key()
            if owners.get("key_owners", id_of(secret) or "") is None:
                return secret

    def _put_new(self, txn: WriteTxn, info: KeyInfo, secret: str) -> None:
        txn.put("keys", info.key_id, {**_record_of(info), "digest": digest(secret)})
        owners = txn.within(self._plane.operator)
        owners.put("key_owners", info.key_id, {"tenant": info.tenant})

    def _update(self, txn: WriteTxn, key_id: str, record: dict[str, Any]) -> None:
        txn.put("keys", key_id, record)
        txn.when_stored(lambda: self._changed(key_id))


def _tenant(txn: ReadTxn) -> str:
    if txn.tenant is None:
        raise InvalidError("a key belongs to a tenant", advice="Begin with the tenant's rows")
    return txn.tenant


def _check_right(by: Caller, tenant: str) -> None:
    """Who changes keys needs the scope for it, and for those of another tenant the operator's."""
    by.need("keys:admin" if by.tenant == tenant else "tenants:admin")


def _check_arguments(name: str, expires_ms: int | None, now_ms: int) -> None:
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidError(
            f"the name of a key has 1 to {NAME_LENGTH_MAX} printable characters",
            advice="Say what it is for, such as `shop backend`",
            pointer="/name",
        )
    if expires_ms is not None and expires_ms <= now_ms:
        raise InvalidError(
            "the key would have expired already",
            advice="Name a later time, or none",
            pointer="/expires_ms",
        )


def _networks(texts: Collection[str]) -> tuple[str, ...]:
    if len(texts) > NETWORKS_MAX:
        raise InvalidError(
            f"there are {len(texts):,} networks, at most {NETWORKS_MAX} are allowed",
            advice="Name larger networks",
            pointer="/networks",
        )
    found = []
    for number, text in enumerate(texts):
        try:
            found.append(str(ip_network(text)))
        except ValueError as error:
            raise InvalidError(
                f"not a network: {error}",
                advice="Write it as 203.0.113.0/24 or 2001:db8::/32, or a single address",
                pointer=f"/networks/{number}",
            ) from None
    return tuple(found)


def _within(ip: str | None, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(ip or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def _record_of(info: KeyInfo) -> dict[str, Any]:
    """The stored form, but for the hash; id and tenant stand in the key of the row."""
    return {
        "name": info.name,
        "role": info.role,
        "scopes": list(info.scopes),
        "user": info.user,
        "networks": list(info.networks),
        "created_ms": info.created_ms,
        "created_by": info.created_by,
        "expires_ms": info.expires_ms,
        "revoked_ms": info.revoked_ms,
        "last_used_ms": info.last_used_ms,
        "rotated_from": info.rotated_from,
        "rotated_to": info.rotated_to,
    }


def _info(tenant: str, key_id: str, record: dict[str, Any]) -> KeyInfo:
    fields = {name: value for name, value in record.items() if name != "digest"}
    fields["scopes"] = tuple(record["scopes"])
    fields["networks"] = tuple(record["networks"])
    return KeyInfo(key_id=key_id, tenant=tenant, **fields)


def _decoy() -> KeyInfo:
    """The key of nobody: its secret was forgotten when it was made."""
    scopes = ("flows:read", "reports:read")
    return KeyInfo(
        DECOY, NOBODY, "decoy", "viewer", scopes, None, (), 0, "", None, None, None, None, None
    )  # fmt: skip
