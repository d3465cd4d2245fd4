"""Change what links in a tenant's messages lead over, and by which callbacks providers report.

The settings are DATA_DIR/links.yaml, which every relay reads anew when it changed. Secrets of
callbacks lie encrypted beside those of providers; whoever reads the settings sees their names.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from actors.relay.callbacks import shared_secret
from actors.relay.link_settings import LINKS, LinkSettings, load_links
from actors.relay.settings import Secret
from actors.relay.vault import Vault, write_whole
from actors.service.errors import InvalidError
from core.violations import pointer

VALUE_CHARS_MAX = 16_384


def shown(settings: LinkSettings) -> dict[str, Any]:
    """The settings for people: of secrets only where they are."""
    return settings.model_dump(mode="json", exclude_defaults=True)


def stored_names(folder: Path) -> set[str]:
    """The names of stored secrets that callbacks need. Raises HeadraceError."""
    return {secret.stored for _, secret in _secrets_of(load_links(folder)) if secret.stored}


class LinkChange:
    """Settings that are to be put, and the values of the secrets that are new."""

    def __init__(self, stated: dict[str, Any], folder: Path, operator: bool) -> None:
        """Read what was stated. Raises InvalidError with the pointer."""
        self.folder = folder
        self.before = load_links(folder)
        self.values: dict[str, str] = {}
        self.settings = self._read(stated)
        had = {secret for _, secret in _secrets_of(self.before)}
        for place, secret in _secrets_of(self.settings):
            new = secret.stored in self.values or (operator and bool(secret.env))
            if not new and secret not in had:
                raise InvalidError(
                    "there is no such secret in these callbacks",
                    advice="Give its value",
                    pointer=place,
                )

    def apply(self) -> None:
        """Store it; when it returns, the disk has it. Raises HeadraceError, OSError."""
        vault = Vault(self.folder)
        if self.values:
            # A secret is there before it is named. One that nobody names goes with the next change
            # of providers.
            vault.change(self.values)
        document = {"headrace_links": 1, **shown(self.settings)}
        write_whole(self.folder / LINKS, yaml.safe_dump(document, allow_unicode=True).encode())

    def _read(self, stated: dict[str, Any]) -> LinkSettings:
        told = dict(stated)
        if isinstance(callbacks := told.get("callbacks"), dict):
            told["callbacks"] = {
                name: self._named(str(name), each) if isinstance(each, dict) else each
                for name, each in callbacks.items()
            }
        try:
            return LinkSettings.model_validate(told)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            message = first["msg"].removeprefix("Value error, ")
            raise InvalidError(
                message, advice="docs/messages.md lists the fields", pointer=pointer(first["loc"])
            ) from None

    def _named(self, name: str, callback: dict[str, Any]) -> dict[str, Any]:
        """A callback with every {value: ...} stored under a name, which stands there instead."""
        stated = callback.get("secrets")
        if not isinstance(stated, list):
            return callback
        found: list[Any] = []
        for number, each in enumerate(stated):
            if isinstance(each, dict) and set(each) == {"value"}:
                place = pointer(("callbacks", name, "secrets", number))
                plain = callback.get("scheme", "standard") == "hmac"
                found.append({"stored": self._stored(name, each["value"], place, plain=plain)})
            else:
                found.append(each)
        return {**callback, "secrets": found}

    def _stored(self, name: str, value: Any, place: str, *, plain: bool) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= VALUE_CHARS_MAX:
            raise InvalidError("expected a text of 1 to 16,384 letters", pointer=place)
        if not plain:
            try:
                shared_secret(value)
            except ValueError as error:
                raise InvalidError(str(error), pointer=place) from None
        made = f"callback.{name}.{secrets.token_hex(8)}"
        self.values[made] = value
        return made


def _secrets_of(settings: LinkSettings) -> Iterator[tuple[str, Secret]]:
    for name, callback in settings.callbacks.items():
        for number, secret in enumerate(callback.secrets):
            yield pointer(("callbacks", name, "secrets", number)), secret
