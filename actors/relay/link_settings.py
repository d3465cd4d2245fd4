"""Read from DATA_DIR/links.yaml what links in messages lead over, and what providers report to us.

    public_url: https://links.example.com
    channels: [email, sms]
    callbacks:
      mailer:
        secrets: [{env: MAILER_CALLBACKS}]
        kind: type
        kinds: {email.bounced: bounce, email.complained: complaint}
        mark: data.tags.mark
        address: data.to.0

docs/messages.md explains each field. Without a public address links stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator

from actors.relay.settings import SecretRef
from actors.yaml_file import load_yaml
from core.errors import HeadraceError
from core.nodes import Channel

LINKS = "links.yaml"
ADVICE = "docs/messages.md lists the fields."
URL_CHARS_MAX = 200
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")

Meaning = Literal["bounce", "soft_bounce", "complaint", "opened", "clicked", "unsubscribed", "none"]
Path_ = Annotated[str, Field(max_length=256)]


def public_address(text: str) -> str:
    """A public address without the slash at its end; raises ValueError for what is none."""
    try:
        parts = urlsplit(text)
        right = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment or not text.isascii() or not text.isprintable():
        raise ValueError("expected an address such as https://links.example.com")
    if len(text) > URL_CHARS_MAX or any(c in text for c in " \"'<>\\"):
        raise ValueError(f"expected an address of at most {URL_CHARS_MAX} plain characters")
    return text.rstrip("/")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallbackSettings(_Part):
    """How one provider reports what became of messages.

    `scheme` "standard" is Standard Webhooks; "hmac" has in `header` the hexadecimal or base64
    HMAC-SHA256 of the body, maybe behind `prefix`. The others are paths of names joined by dots:
    to the kind of the report, which `kinds` translates, to the mark that went out with the
    message, to the address, and to the report's own id. `reports` leads to the list of them in a
    body that has several. Several secrets are for rotation.
    """

    secrets: Annotated[list[SecretRef], Field(min_length=1, max_length=8)]
    scheme: Literal["standard", "hmac"] = "standard"
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "x-signature"
    prefix: Annotated[str, Field(max_length=32)] = ""
    channel: Channel = "email"
    reports: Path_ = ""
    kind: Path_ = "type"
    kinds: Annotated[dict[str, Meaning], Field(min_length=1, max_length=256)]
    mark: Path_ = ""
    address: Path_ = ""
    id: Path_ = ""

    @model_validator(mode="after")
    def _finds_whom(self) -> Self:
        if not self.mark and not self.address:
            raise ValueError("expected a path to the mark or to the address, or both")
        return self


class LinkSettings(_Part):
    """What becomes of links on which channels, and the callbacks of providers by name.

    `opens` adds the pixel to HTML; `unsubscribe` adds the headers of RFC 8058 to what is not
    transactional. `preferences` are the channels on the page of preferences.
    """

    headrace_links: Literal[1] = 1
    public_url: Annotated[StrictStr, AfterValidator(public_address)] | None = None
    channels: Annotated[list[Channel], Field(max_length=16)] = ["email", "web_push"]
    opens: bool = True
    unsubscribe: bool = True
    preferences: Annotated[list[Channel], Field(max_length=16)] = ["email", "sms", "push"]
    callbacks: dict[str, CallbackSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named(self) -> Self:
        for name in self.callbacks:
            if not _NAME.match(name):
                raise ValueError(f"{name!r} is no name: expected letters, digits, - and _")
        return self


def load_links(data_dir: Path, public_url: str = "") -> LinkSettings:
    """The settings in DATA_DIR/links.yaml, with `public_url` where they name no address.

    Raises HeadraceError with the place of what is wrong.
    """
    path = data_dir / LINKS
    found = load_yaml(path, LinkSettings, "the links", ADVICE) if path.exists() else LinkSettings()
    if found.public_url is None and public_url:
        try:
            return found.model_copy(update={"public_url": public_address(public_url)})
        except ValueError as error:
            raise HeadraceError(f"the public address: {error}") from None
    return found


class FolderLinks:
    """The settings of a data directory; a file that changed is read again."""

    def __init__(self, data_dir: Path, public_url: str = "") -> None:
        """Bind a data directory."""
        self._dir = data_dir
        self._public_url = public_url
        self._state: tuple[int, int, int] | None = None
        self._known: LinkSettings | None = None

    def current(self) -> LinkSettings:
        """The settings as they are now. Raises HeadraceError."""
        try:
            stat = (self._dir / LINKS).stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            state = None
        if self._known is None or state != self._state:
            self._known, self._state = load_links(self._dir, self._public_url), state
        return self._known
