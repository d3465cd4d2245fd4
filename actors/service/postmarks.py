"""Find the tenant of a mark or a callback, with what is needed to believe it.

Nobody who follows a link has a key. Whose a mark is says the number of the key that it was sealed
with, and that counts only if the tenant's key did seal it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from actors.relay.link_settings import FolderLinks
from actors.relay.marks import Mark, MarkKey, key_id_of, load_key
from actors.relay.suppression import Suppressions
from actors.service.service import Service
from actors.service.tenants import FIRST
from core.errors import HeadraceError

LOOK_S = 1.0  # between two looks at the tenants for a key that is not known


@dataclass(frozen=True, slots=True)
class Post:
    """What a tenant has for messages that come back: key, settings, and whom nothing is sent."""

    tenant: str
    folder: Path
    key: MarkKey
    links: FolderLinks
    suppressions: Suppressions

    @property
    def number(self) -> str:
        """The public number of the tenant's key, 12 hexadecimal digits."""
        return self.key.id.hex()


class Postmarks:
    """The keys of all tenants. Any thread may use it."""

    def __init__(self, service: Service, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Look for keys among the tenants of `service`."""
        self._service = service
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._posts: dict[str, Post] = {}
        self._by_key: dict[bytes, Post] = {}
        self._next_s = 0.0

    def open(self, text: str) -> tuple[Post, Mark] | None:
        """Whose a mark is and what it says; None for one that no tenant's key sealed."""
        key_id = key_id_of(text)
        post = None if key_id is None else self._of_key(key_id)
        mark = None if post is None else post.key.open(text)
        return None if post is None or mark is None else (post, mark)

    def of(self, tenant_id: str) -> Post:
        """What a tenant has, its key made if there is none. Raises HeadraceError, OSError."""
        if tenant_id not in self._posts and not self._service.tenants.folder(tenant_id).is_dir():
            # Only an empty folder becomes that of an engine, so the engine comes first.
            self._service.engine(tenant_id)
        with self._lock:
            found = self._posts.get(tenant_id)
            if found is None:
                found = self._read(tenant_id, make=True)
                assert found is not None
            return found

    def named(self, name: str) -> tuple[Post, str] | None:
        """Whose callback a public name means, and its own name; None for nobody's.

        The name is `mailer` of the first tenant, and `mailer.<number of the key>` of any.
        """
        own, dot, number = name.partition(".")
        if not dot:
            return self.of(FIRST), own
        try:
            post = self._of_key(bytes.fromhex(number))
        except ValueError:
            return None
        return None if post is None else (post, own)

    def _of_key(self, key_id: bytes) -> Post | None:
        found = self._by_key.get(key_id)
        if found is not None:
            return found
        with self._lock:
            now_s = self._monotonic_s()
            if key_id not in self._by_key and now_s >= self._next_s:
                # Whoever makes numbers up must not have us read folders without end.
                self._next_s = now_s + LOOK_S
                with self._service.plane.operator.read() as txn:
                    tenants = [tenant.id for tenant in self._service.tenants.list(txn)]
                for tenant_id in tenants:
                    if tenant_id not in self._posts:
                        # One whose key is damaged must not keep the others' links from leading on.
                        with contextlib.suppress(HeadraceError, OSError):
                            self._read(tenant_id, make=False)
            return self._by_key.get(key_id)

    def _read(self, tenant_id: str, *, make: bool) -> Post | None:
        folder = self._service.tenants.folder(tenant_id)
        key = load_key(folder, make=make) if folder.is_dir() or make else None
        if key is None:
            return None
        links = FolderLinks(folder, self._service.public_url)
        found = Post(tenant_id, folder, key, links, Suppressions(folder, key))
        self._posts[tenant_id] = self._by_key[key.id] = found
        return found
