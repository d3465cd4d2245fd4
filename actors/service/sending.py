"""Change how a tenant's messages leave: providers with their secrets, and channels switched off.

The files are those that relays read; see `actors.relay.settings`. A secret comes in by value, is
stored in the vault and never comes out again. Who may change settings is not always who runs the
machine: so only the operator opens inner networks to requests, names variables of the environment,
or sends a secret elsewhere than where it was given for.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from actors.relay.channels.guard import RefusedError
from actors.relay.settings import (
    DEFAULT,
    OUTGOING,
    PROVIDERS,
    STORED,
    AnyProvider,
    FileSettings,
    HttpSettings,
    ProviderSettings,
    Secret,
    SmtpSettings,
    load_providers,
)
from actors.relay.vault import Vault, write_whole
from actors.service.errors import ConflictError, InvalidError
from actors.service.link_change import stored_names
from core.violations import pointer

_PROVIDER: TypeAdapter[Any] = TypeAdapter(AnyProvider)
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_PARTS = ("password", "secrets")
# Where mail is handed in and where webhooks are heard; others could speak to something else.
_TENANTS_PORTS = {
    "port": frozenset({25, 465, 587, 2525}),
    "ports": frozenset({80, 443, 8000, 8080, 8443}),
}
_DESTINATION = ("kind", "url", "host", "port", "tls", "username", "schemes", "allow_networks")


def shown(settings: Any) -> dict[str, Any]:
    """A provider's settings for people: of secrets only where they are."""
    found: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True)
    return found


class Change:
    """A provider that is to be put: its settings, and the values of the secrets that are new."""

    def __init__(self, name: str, stated: dict[str, Any], folder: Path, operator: bool) -> None:
        """Read what was stated for the provider `name`. Raises InvalidError with the pointer."""
        self.name = name
        self.folder = folder
        self.values: dict[str, str] = {}
        self._before = _stated(folder).get(name)
        plain = {key: self._named(value, (key,)) if key in _PARTS else value
                 for key, value in stated.items()}  # fmt: skip
        self.settings = _read(plain)
        self._check_kept(operator)
        if not operator:
            self._check_target()
        self._check_works()

    def _named(self, value: Any, steps: tuple[str | int, ...]) -> Any:
        """The part with every {value: ...} stored under a name, which stands there instead."""
        if isinstance(value, dict) and set(value) == {"value"}:
            text = value["value"]
            if not isinstance(text, str) or not 1 <= len(text) <= 16_384:
                raise InvalidError("expected a text of 1 to 16,384 letters", pointer=pointer(steps))
            name = f"{self.name}.{secrets.token_hex(8)}"
            self.values[name] = text
            return {"stored": name}
        if isinstance(value, str):
            raise InvalidError(
                "a secret is told as an object",
                advice='Write {"value": "..."}',
                pointer=pointer(steps),
            )
        if isinstance(value, dict) and not {"env", "stored"} & set(value):
            return {name: self._named(each, (*steps, name)) for name, each in value.items()}
        if isinstance(value, list):
            return [self._named(each, (*steps, at)) for at, each in enumerate(value)]
        return value

    def _check_kept(self, operator: bool) -> None:
        """Secrets that stay must have been this provider's, and go where they went."""
        before = self._before
        had = set(secrets_of(before)) if before is not None else set()
        for secret in secrets_of(self.settings):
            if secret.stored in self.values or (operator and secret.env):
                continue
            if secret not in had:
                raise InvalidError(
                    "there is no such secret in this provider",
                    advice="Give its value",
                    pointer="/secrets",
                )
            if any(getattr(before, each, None) != getattr(self.settings, each, None)
                   for each in _DESTINATION):  # fmt: skip
                raise InvalidError(
                    "a secret does not go along to another destination",
                    advice="Give its value",
                    pointer="/secrets",
                )

    def _check_target(self) -> None:
        """Where requests go must not be inside, as far as that can be told now."""
        settings = self.settings
        if getattr(settings, "allow_networks", None):
            raise InvalidError(
                "only the operator opens networks that are not public",
                advice="Leave it out, or ask whoever runs the service",
                pointer="/allow_networks",
            )
        ports = {"port": [getattr(settings, "port", 587)], "ports": getattr(settings, "ports", [])}
        for field, stated in ports.items():
            strange = set(stated) - _TENANTS_PORTS[field]
            if strange:
                raise InvalidError(
                    f"port {min(strange)} is not one of {sorted(_TENANTS_PORTS[field])}",
                    advice="Take one of these, or ask whoever runs the service",
                    pointer=f"/{field}",
                )
        try:
            if isinstance(settings, HttpSettings):
                settings.guard().parsed(_PLACEHOLDER.sub("x", settings.url))
            elif isinstance(settings, SmtpSettings):
                asyncio.run(settings.guard().address(settings.host, settings.port))
        except RefusedError as error:
            raise InvalidError(
                f"requests may not go there: {str(error).replace('_', ' ')}",
                advice="Name a public host",
                pointer="/url" if isinstance(settings, HttpSettings) else "/host",
            ) from None
        except OSError:
            return  # not known now: it may be by and by, and no message leaves before

    def _check_works(self) -> None:
        if isinstance(self.settings, FileSettings):
            return
        known = {STORED + n: v for n, v in Vault(self.folder).values().items()}
        known.update((STORED + n, v) for n, v in self.values.items())
        known.update((s.env, "x") for s in secrets_of(self.settings) if s.env)
        try:
            channel = self.settings.channel(known, self.folder / OUTGOING, "check")
        except ValueError as error:
            raise InvalidError(str(error), advice="docs/messages.md lists the fields") from None
        asyncio.run(channel.close())

    def apply(self) -> None:
        """Store it; when it returns, the disk has it. Raises ConflictError, InvalidError, OSError.

        A channel that another provider has is a conflict, but that the default gives way.
        """
        before = _stated(self.folder) or _without(self.settings.channels)
        for other, each in before.items():
            both = sorted(set(each.channels) & set(self.settings.channels))
            if other != self.name and both:
                raise ConflictError(
                    f"{other} sends by {', '.join(both)} already",
                    advice="Take the channel from that provider first",
                    pointer="/channels",
                )
        _store(self.folder, {**before, self.name: self.settings}, self.values)


def delete(folder: Path, name: str) -> None:
    """Delete a provider and its secrets; without the last one messages go to a file again."""
    _store(folder, {n: p for n, p in load_providers(folder).providers.items() if n != name}, {})


def secrets_of(settings: Any) -> Iterator[Secret]:
    """The secrets that a provider's settings name."""
    stated = getattr(settings, "password", None)
    if stated is not None:
        yield stated
    more = getattr(settings, "secrets", ())
    yield from more.values() if isinstance(more, dict) else more


def _stated(folder: Path) -> dict[str, Any]:
    """The providers that were set up, none where the default counts."""
    return dict(load_providers(folder).providers) if (folder / PROVIDERS).exists() else {}


def _without(channels: list[Any]) -> dict[str, Any]:
    """The default providers without some channels."""
    found = {}
    for name, each in DEFAULT.providers.items():
        left = [channel for channel in each.channels if channel not in channels]
        if left:
            found[name] = each.model_copy(update={"channels": left})
    return found


def _store(folder: Path, providers: dict[str, Any], values: dict[str, str]) -> None:
    """Let these be the providers. A secret is there before it is named, and goes after that."""
    vault = Vault(folder)
    if values:
        vault.change(values)
    if providers:
        try:
            settings = ProviderSettings(providers=providers)
        except ValidationError as error:
            raise _invalid(error) from None
        document = settings.model_dump(mode="json", exclude_defaults=True)
        write_whole(folder / PROVIDERS, yaml.safe_dump(document, allow_unicode=True).encode())
    else:
        (folder / PROVIDERS).unlink(missing_ok=True)
    named = {s.stored for each in providers.values() for s in secrets_of(each) if s.stored}
    named |= stored_names(folder)
    if set(vault.names()) - named:
        vault.change({}, keep=named)


def _read(stated: dict[str, Any]) -> Any:
    try:
        return _PROVIDER.validate_python(stated)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidError:
    first = error.errors(include_input=False, include_url=False)[0]
    kinds = ("smtp", "webhook", "http_provider", "file")
    steps = [step for step in first["loc"] if step not in kinds]
    message = first["msg"].removeprefix("Value error, ")
    return InvalidError(message, advice="docs/messages.md lists the fields", pointer=pointer(steps))
