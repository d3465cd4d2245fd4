"""Look after keys and audit logs from the machine, while no service runs in the data directory.

Who can read and write the folder is the operator; that is how a lost admin key is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from actors.service import audit
from actors.service.access import OPERATOR, ROLES
from actors.service.errors import NotFoundError
from actors.service.keys import KeyInfo, Keys
from actors.service.plane import Plane, Rows
from actors.service.service import FOLDER, wall_ms
from actors.service.tenants import FIRST
from actors.store.errors import FormatError, InUseError
from api.console import console

SOUND, UNSOUND = 0, 1


@contextmanager
def opened(folder: Path) -> Iterator[Plane]:
    """The control plane of a data directory that no service has open.

    Raises FormatError if there is none, InUseError while a service runs, StoreError.
    """
    try:
        plane = Plane.open(folder / FOLDER, create=False)
    except InUseError as error:
        raise InUseError(
            error.message,
            advice="Stop the service first; or ask it: GET /v1/keys, GET /v1/audit/verify",
            file=error.file,
        ) from None
    except FormatError as error:
        raise FormatError(
            error.message,
            advice="`headrace serve` makes it when it first listens for HTTP",
            file=error.file,
        ) from None
    with plane:
        yield plane


def rows_of(plane: Plane, tenant: str) -> Rows:
    """The rows of a tenant that is there. Raises NotFoundError."""
    with plane.operator.read() as txn:
        if txn.get("tenants", tenant) is None:
            known = ", ".join(key for key, _ in txn.scan("tenants", limit=20))
            raise NotFoundError(
                f"there is no tenant {tenant!r}", advice=f"There are: {known or 'none'}"
            )
    return plane.tenant(tenant)


def list_keys(folder: Path, tenant: str, *, as_json: bool) -> None:
    """Show the keys of a tenant; never a secret. Raises HeadraceError."""
    with opened(folder) as plane:
        keys = Keys(plane)
        with rows_of(plane, tenant).read() as txn:
            found = keys.list(txn)
    now_ms = wall_ms()
    if as_json:
        print(json.dumps([_told(info, now_ms) for info in found], indent=2))
        return
    table = Table(title=Text(f"keys of {tenant}"), title_justify="left")
    table.add_column("key", no_wrap=True)
    for name in ("name", "status", "role or scopes", "made", "last used", "expires"):
        table.add_column(name)
    for info in found:
        table.add_row(
            info.key_id,
            Text(info.name),
            info.status(now_ms),
            info.role or ", ".join(info.scopes),
            _time(info.created_ms),
            _time(info.last_used_ms),
            _time(info.expires_ms),
        )
    console().print(table)


def new_key(folder: Path, tenant: str, name: str, role: str, *, as_json: bool) -> None:
    """Make a key and print its secret, once. Raises HeadraceError.

    An admin key of the first tenant may make tenants as well.
    """
    now_ms = wall_ms()
    first_admin = tenant == FIRST and role == "admin"
    with opened(folder) as plane:
        keys = Keys(plane)
        with rows_of(plane, tenant).write() as txn:
            minted = keys.mint(
                txn,
                None,
                name=name,
                now_ms=now_ms,
                role=role,
                scopes=ROLES[role] | {OPERATOR} if first_admin else None,
            )
            target = f"key:{minted.info.key_id}"
            audit.append(txn, audit.OPERATOR, "key.create", target, now_ms=now_ms)
    if as_json:
        print(json.dumps({"secret": minted.secret, "key": _told(minted.info, now_ms)}, indent=2))
    else:
        print(f"{role} key of {tenant}, shown this once: {minted.secret}")


def revoke_key(folder: Path, tenant: str, key_id: str) -> None:
    """End a key. Raises HeadraceError."""
    now_ms = wall_ms()
    with opened(folder) as plane:
        keys = Keys(plane)
        with rows_of(plane, tenant).write() as txn:
            before = keys.get(txn, key_id)
            keys.revoke(txn, None, key_id, now_ms=now_ms)
            if before.revoked_ms is None:
                audit.append(txn, audit.OPERATOR, "key.revoke", f"key:{key_id}", now_ms=now_ms)
    told = "was revoked before" if before.revoked_ms is not None else "is revoked"
    console().print(f"{key_id} {told}", markup=False)


def verify_audit(folder: Path, anchors: dict[str, tuple[int, bytes]], *, as_json: bool) -> int:
    """Verify every chain; return 1 where anything is wrong, else 0. Raises HeadraceError.

    `anchors`: a number and a hash that were told earlier, by tenant, "" for the operator's chain.
    """
    with opened(folder) as plane, plane.operator.read() as txn:
        tenants = ["", *(key for key, _ in txn.scan("tenants"))]
        _check_known(anchors, tenants)
        found = {}
        for tenant in tenants:
            own = txn.within(plane.tenant(tenant)) if tenant else txn
            found[tenant] = audit.verify(own, anchors.get(tenant))
    sound = all(verdict.sound for verdict in found.values())
    if as_json:
        told = {
            tenant or "(operator)": {
                "sound": verdict.sound,
                "entries": verdict.entries,
                "hash": verdict.hash.hex(),
                "problems": [str(problem) for problem in verdict.problems],
            }
            for tenant, verdict in found.items()
        }
        print(json.dumps(told, indent=2))
        return SOUND if sound else UNSOUND
    out = console()
    for tenant, verdict in found.items():
        name = tenant or "the operator"
        state = "sound" if verdict.sound else "damaged"
        anchor = f"; anchor {verdict.entries}:{verdict.hash.hex()}" if verdict.entries else ""
        line = f"{name}: {state}, {verdict.entries:,} entries{anchor}"
        out.print(line, markup=False, soft_wrap=True)
        for problem in verdict.problems:
            out.print(Text(f"    {problem}", "bold red"), soft_wrap=True)
    return SOUND if sound else UNSOUND


def export_audit(folder: Path, tenant: str | None) -> None:
    """Print a chain as NDJSON: a tenant's, or the operator's if None. Raises HeadraceError."""
    with opened(folder) as plane:
        rows = plane.operator if tenant is None else rows_of(plane, tenant)
        for line in audit.export(rows):
            print(line.decode(), end="")


def anchor_of(text: str) -> tuple[str, tuple[int, bytes]]:
    """The tenant, number and hash that `TENANT=NUMBER:HASH` names. Raises ValueError."""
    tenant, equals, rest = text.rpartition("=")
    number, colon, digits = rest.partition(":")
    digest = bytes.fromhex(digits)
    if not colon or not equals or len(digest) != 32 or int(number) < 1:
        raise ValueError(text)
    return tenant, (int(number), digest)


def _check_known(anchors: dict[str, Any], tenants: list[str]) -> None:
    unknown = sorted(set(anchors) - set(tenants))
    if unknown:
        raise NotFoundError(
            f"there is no tenant {unknown[0]!r} to compare an anchor with",
            advice="Write TENANT=NUMBER:HASH, and =NUMBER:HASH for the operator's chain",
        )


def _told(info: KeyInfo, now_ms: int) -> dict[str, Any]:
    return {
        "key_id": info.key_id,
        "name": info.name,
        "status": info.status(now_ms),
        "role": info.role,
        "scopes": list(info.scopes),
        "user": info.user,
        "networks": list(info.networks),
        "created_ms": info.created_ms,
        "created_by": info.created_by,
        "expires_ms": info.expires_ms,
        "revoked_ms": info.revoked_ms,
        "last_used_ms": info.last_used_ms,
    }


def _time(ms: int | None) -> str:
    if ms is None:
        return ""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec="minutes")
