"""Read from DATA_DIR/providers.yaml how messages leave, and set the providers up.

Secrets never stand in the file: it names environment variables, or secrets of the vault. Without a
file every message is written to DATA_DIR/outgoing. docs/messages.md explains each field.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actors.live.data_dir import is_sandbox
from actors.relay.backoff import Backoff
from actors.relay.breaker import Breaker
from actors.relay.channels import base
from actors.relay.channels.file import FileChannel
from actors.relay.channels.guard import Guard, Network
from actors.relay.channels.http_provider import Class, Gateway, HttpProvider
from actors.relay.channels.render import Encoding
from actors.relay.channels.smtp import Server, SmtpChannel
from actors.relay.channels.webhook import WebhookChannel
from actors.relay.provider import Provider
from actors.relay.routes import UNROUTED
from actors.relay.vault import Vault
from actors.yaml_file import load_yaml
from core.errors import HeadraceError
from core.nodes import CHANNELS, Channel

PROVIDERS = "providers.yaml"
OUTGOING = "outgoing"
ADVICE = "docs/messages.md lists the fields."
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
DAY_MS = 86_400_000
STORED = "stored:"  # which no environment variable's name begins with


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(_Part):
    """A secret by the name of the environment variable that holds it, or by its name in the vault.

    One of `env` and `stored` is stated.
    """

    env: str = ""
    stored: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if bool(self.env) == bool(self.stored):
            raise ValueError("expected one name: of an environment variable, or a stored secret")
        if self.env and not _VARIABLE.match(self.env):
            raise ValueError("expected the name of an environment variable")
        return self

    def value(self, environ: Mapping[str, str]) -> str:
        """The secret itself, by what is in the environment and, with STORED before, in the vault.

        Raises HeadraceError, which tells the name, if it is not there.
        """
        found = environ.get(self.env or STORED + self.stored, "")
        if not found and self.stored:
            raise HeadraceError(
                f"the secret {self.stored!r} is not stored", advice="Give its value anew"
            )
        if not found:
            raise HeadraceError(
                f"environment variable {self.env} is not set, or empty",
                advice="Set it where Headrace is started",
            )
        return found


def _by_reference(value: object) -> object:
    if not isinstance(value, Mapping | Secret):
        raise ValueError(
            "a secret must not stand here: name the environment variable that has it, {env: NAME}"
        )
    return value


def _list_of_one(value: object) -> object:
    return value if isinstance(value, list) else [value]


SecretRef = Annotated[Secret, BeforeValidator(_by_reference)]
Ms = Annotated[int, Field(strict=True, ge=1, le=30 * DAY_MS)]
Count = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Port = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Text = Annotated[str, Field(min_length=1, max_length=2_048)]


class BackoffSettings(_Part):
    """How long to wait after a failure: doubling from `base_ms` up to `cap_ms`."""

    base_ms: Ms = 1_000
    cap_ms: Ms = 600_000


class BreakerSettings(_Part):
    """After how many failures in a row to leave a provider alone, and for how long."""

    failures_max: Count = 5
    open_ms: Ms = 10_000
    open_max_ms: Ms = 300_000


class _Common(_Part):
    """What every provider can be told; see `actors.relay.provider.Provider`."""

    channels: Annotated[list[Channel], BeforeValidator(_list_of_one), Field(min_length=1)]
    resend_ambiguous: bool = False
    concurrency: Count = 16
    waiting_max: Count = 1_000
    attempts_max: Count = 30
    backoff: BackoffSettings = BackoffSettings()
    breaker: BreakerSettings = BreakerSettings()


class _Guarded(_Common):
    """Where connections may go: to public addresses, and to the networks that are named."""

    allow_networks: list[str] = []

    @model_validator(mode="after")
    def _networks(self) -> Self:
        for text in self.allow_networks:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is no network; write it like 10.1.0.0/16") from None
        return self

    def _opened(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(text) for text in self.allow_networks)


class _OverHttp(_Guarded):
    """Where requests may go, and how long one may take."""

    timeout_ms: Ms = 20_000
    schemes: list[Literal["https", "http"]] = ["https"]
    ports: list[Port] = [443, 8443]

    def guard(self) -> Guard:
        """The guard of its requests."""
        return Guard(frozenset(self.schemes), frozenset(self.ports), self._opened())


class SmtpSettings(_Guarded):
    """E-mail by one server."""

    kind: Literal["smtp"]
    host: Text
    port: Port = 587
    sender: Text
    sender_name: str = ""
    tls: Literal["start", "direct", "none"] = "start"
    username: str = ""
    password: SecretRef | None = None
    timeout_ms: Ms = 30_000

    def guard(self) -> Guard:
        """The guard of its connections."""
        return Guard(ports=frozenset({self.port}), allowed=self._opened())

    def channel(self, environ: Mapping[str, str], outgoing: Path, label: str) -> base.Channel:
        """The channel. Raises ValueError."""
        password = "" if self.password is None else self.password.value(environ)
        server = Server(
            self.host,
            self.port,
            self.sender,
            self.sender_name,
            self.tls,
            self.username,
            password,
            self.timeout_ms,
        )
        return SmtpChannel(server, self.guard())


class WebhookSettings(_OverHttp):
    """Signed webhooks to the URL that is a message's address; all `secrets` sign."""

    kind: Literal["webhook"]
    secrets: Annotated[list[SecretRef], Field(min_length=1)]
    key_ttl_ms: Ms = DAY_MS

    def channel(self, environ: Mapping[str, str], outgoing: Path, label: str) -> base.Channel:
        """The channel. Raises ValueError."""
        return WebhookChannel(
            [secret.value(environ) for secret in self.secrets],
            self.guard(),
            key_ttl_ms=self.key_ttl_ms,
            timeout_ms=self.timeout_ms,
        )


class HttpSettings(_OverHttp):
    """Any provider that takes HTTP; see `actors.relay.channels.http_provider.Gateway`."""

    kind: Literal["http_provider"]
    url: Text
    body: Any
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, SecretRef] = Field(default_factory=dict)
    parts: dict[str, Encoding] = {"body": "sms"}
    optional: list[str] = []
    statuses: dict[Annotated[int, Field(ge=100, le=599)], Class] = Field(default_factory=dict)
    id_path: str = ""
    error_path: str = ""
    errors: dict[str, Class] = Field(default_factory=dict)
    keyed: bool = False
    key_ttl_ms: Ms = DAY_MS

    def channel(self, environ: Mapping[str, str], outgoing: Path, label: str) -> base.Channel:
        """The channel. Raises ValueError."""
        gateway = Gateway(
            url=self.url,
            body=self.body,
            method=self.method,
            headers=self.headers,
            secrets={name: secret.value(environ) for name, secret in self.secrets.items()},
            parts=self.parts,
            optional=frozenset(self.optional),
            statuses=self.statuses,
            id_path=self.id_path,
            error_path=self.error_path,
            errors=self.errors,
            keyed=self.keyed,
            key_ttl_ms=self.key_ttl_ms,
        )
        return HttpProvider(gateway, self.guard(), timeout_ms=self.timeout_ms)


class FileSettings(_Common):
    """Lines in DATA_DIR/outgoing/<name>-<partition>.jsonl."""

    kind: Literal["file"]
    file: str = "messages"

    @model_validator(mode="after")
    def _in_the_folder(self) -> Self:
        if not _FILE.match(self.file):
            raise ValueError("expected a file's name of letters, digits and _ . -, without a path")
        return self

    def channel(self, environ: Mapping[str, str], outgoing: Path, label: str) -> base.Channel:
        """The channel. Raises OSError."""
        outgoing.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileChannel(outgoing / f"{self.file}-{label}.jsonl")


AnyProvider = Annotated[
    SmtpSettings | WebhookSettings | HttpSettings | FileSettings, Field(discriminator="kind")
]


class ProviderSettings(_Part):
    """All providers by name. Its repr shows no secret: it knows none."""

    headrace_providers: Literal[1] = 1
    providers: Annotated[dict[str, AnyProvider], Field(min_length=1)]

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        owner: dict[str, str] = {}
        files: dict[str, str] = {}
        for name, provider in self.providers.items():
            if not _NAME.match(name) or name == UNROUTED:
                raise ValueError(
                    f"{name!r} is no name for a provider: expected letters, digits, - and _, "
                    f"and not {UNROUTED!r}"
                )
            for channel in provider.channels:
                if owner.setdefault(channel, name) != name:
                    raise ValueError(f"{owner[channel]!r} and {name!r} both take {channel}")
            if isinstance(provider, FileSettings):
                if provider.file in files:
                    other = files[provider.file]
                    raise ValueError(f"{other!r} and {name!r} write one file; state 'file'")
                files[provider.file] = name
        return self

    def build(
        self, data_dir: Path, label: str, environ: Mapping[str, str] = os.environ
    ) -> dict[str, Provider]:
        """Make the provider of each channel, for the relay of the partition `label`.

        Each relay thread needs its own. Those of a sandbox are SANDBOX. Raises HeadraceError with
        the file and the pointer.
        """
        found: dict[str, Provider] = {}
        sandbox = is_sandbox(data_dir)
        known = {} if sandbox else known_secrets(data_dir, environ)
        providers = SANDBOX.providers if sandbox else self.providers
        for name, settings in providers.items():
            try:
                channel = settings.channel(known, data_dir / OUTGOING, label)
            except HeadraceError as error:
                raise _placed(error.message, error.advice, data_dir, name) from None
            except (ValueError, OSError) as error:
                raise _placed(str(error), ADVICE, data_dir, name) from None
            provider = Provider(
                name,
                channel,
                settings.resend_ambiguous,
                settings.concurrency,
                settings.waiting_max,
                settings.attempts_max,
                Backoff(settings.backoff.base_ms, settings.backoff.cap_ms),
                Breaker(
                    settings.breaker.failures_max,
                    settings.breaker.open_ms,
                    settings.breaker.open_max_ms,
                ),
            )
            found.update(dict.fromkeys(settings.channels, provider))
        return found


SANDBOX = ProviderSettings(
    providers={
        f"sandbox-{channel}": FileSettings(
            kind="file", channels=[channel], file=f"sandbox-{channel}"
        )
        for channel in CHANNELS
    }
)
"""How messages of a sandbox leave, whatever its providers are: by a file for each channel."""
DEFAULT = ProviderSettings(providers={"file": FileSettings(kind="file", channels=list(CHANNELS))})


def load_providers(data_dir: Path) -> ProviderSettings:
    """The settings in DATA_DIR/providers.yaml, or DEFAULT where there is no such file.

    Raises HeadraceError with the place of what is wrong in it.
    """
    path = data_dir / PROVIDERS
    if not path.exists():
        return DEFAULT
    return load_yaml(path, ProviderSettings, "the providers", ADVICE)


def active_providers(data_dir: Path) -> ProviderSettings:
    """The providers by which messages leave: those that are set up, or SANDBOX in a sandbox.

    Raises as `load_providers`.
    """
    return SANDBOX if is_sandbox(data_dir) else load_providers(data_dir)


def known_secrets(data_dir: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `Secret.value` looks up: the environment, and the vault's secrets behind STORED.

    Raises HeadraceError where the vault can't be read.
    """
    stored = Vault(data_dir, environ).values()
    return {**environ, **{STORED + name: value for name, value in stored.items()}}


def _placed(message: str, advice: str, data_dir: Path, name: str) -> HeadraceError:
    return HeadraceError(
        message, advice=advice, file=str(data_dir / PROVIDERS), pointer=f"/providers/{name}"
    )
