"""Keep the secrets of providers encrypted: each under a key of its own, and that under the vault's.

DATA_DIR/secrets.json holds what is encrypted, AES-256-GCM throughout, bound to the secret's name.
The vault's key stands in DATA_DIR/secrets.key, or in the file that HEADRACE_SECRETS_KEY names, and
only its owner may read it. No backup has the key: who restores one brings it along. Envelope
encryption as in NIST SP 800-57 part 1, 6.2.3: to change the vault's key, keys alone are encrypted
anew.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.store.side_file import sync_folder
from actors.whole_file import whole_file
from core.errors import HeadraceError

SECRETS = "secrets.json"
KEY = "secrets.key"
KEY_VARIABLE = "HEADRACE_SECRETS_KEY"
FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12  # as AES-GCM wants it


class Vault:
    """The secrets of one data directory, by name. Whoever writes takes turns with others himself.

    It keeps nothing in memory, so what another process stored is found.
    """

    def __init__(self, data_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        """Bind a data directory; nothing is made or read yet."""
        self._file = data_dir / SECRETS
        stated = environ.get(KEY_VARIABLE, "")
        self._key_file = Path(stated) if stated else data_dir / KEY

    def names(self) -> list[str]:
        """The names of all secrets. Raises HeadraceError for a file that can't be read."""
        return sorted(self._entries())

    def values(self) -> dict[str, str]:
        """All secrets in the clear, by name. Raises HeadraceError: key or file don't fit."""
        entries = self._entries()
        if not entries:
            return {}
        key = self._key()
        return {name: self._opened(key, name, entry) for name, entry in entries.items()}

    def change(self, put: Mapping[str, str], keep: Collection[str] | None = None) -> None:
        """Store secrets, and drop those that are neither put nor among `keep`, None for all.

        When it returns the disk has them. Raises HeadraceError, OSError.
        """
        entries = self._entries()
        if keep is not None:
            entries = {name: entry for name, entry in entries.items() if name in keep}
        if put:
            key = self._key(make=not entries)
            entries.update((name, _sealed(key, name, value)) for name, value in put.items())
        document = {"headrace_secrets": FORMAT, "secrets": entries}
        write_whole(self._file, json.dumps(document, indent=1, sort_keys=True).encode())

    def _entries(self) -> dict[str, dict[str, str]]:
        try:
            document = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            document = None
        if not isinstance(document, dict) or document.get("headrace_secrets") != FORMAT:
            raise HeadraceError(
                "the secrets can't be read",
                advice="Restore the file, or remove it and give the secrets anew",
                file=str(self._file),
            )
        entries: dict[str, dict[str, str]] = document["secrets"]
        return entries

    def _key(self, make: bool = False) -> bytes:
        path = self._key_file
        try:
            if make and not path.exists():
                write_whole(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            if path.stat().st_mode & 0o077:
                raise HeadraceError(
                    "others than its owner may read the key of the secrets",
                    advice="Say chmod 600, and change the secrets if anybody may have read it",
                    file=str(path),
                )
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except OSError as error:
            raise HeadraceError(
                f"the key of the secrets can't be read ({error.strerror})",
                advice=f"Bring it back, or name its file in {KEY_VARIABLE}",
                file=str(path),
            ) from None
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise HeadraceError(
                f"this is no key of {KEY_BYTES} bytes in base64",
                advice="Bring back the right one",
                file=str(path),
            )
        return key

    def _opened(self, key: bytes, name: str, entry: Mapping[str, Any]) -> str:
        try:
            own = _open(key, f"key:{name}", entry["key"])
            return _open(own, f"secret:{name}", entry["secret"]).decode()
        except (InvalidTag, ValueError, KeyError, TypeError):
            raise HeadraceError(
                f"the secret {name!r} can't be decrypted: it was changed, or the key is another",
                advice="Bring back the right key, or give the secret anew",
                file=str(self._file),
            ) from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all, and on the disk."""
    with whole_file(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(path.parent)


def _sealed(key: bytes, name: str, value: str) -> dict[str, str]:
    own = secrets.token_bytes(KEY_BYTES)
    return {
        "key": _seal(key, f"key:{name}", own),
        "secret": _seal(own, f"secret:{name}", value.encode()),
    }


def _seal(key: bytes, bound_to: str, data: bytes) -> str:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, data, bound_to.encode())).decode()


def _open(key: bytes, bound_to: str, text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound_to.encode())
