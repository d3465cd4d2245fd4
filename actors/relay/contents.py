"""Read message templates from files: NAME.yaml says, by channel, what a message consists of.

    channels:
      email:
        address: email                    the attribute with the address
        parts:
          subject: Hello {{ name }}
          text: {text: "...", missing: default}
    constants: {shop: Acme}
    defaults: {name: friend}

docs/messages.md explains each field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from actors.relay.channels.render import Missing, RenderError, Source, check
from actors.relay.compose import Content
from actors.relay.effects import Effect
from actors.yaml_file import load_yaml
from core.content import Expiry, Purpose, Recipient, State
from core.errors import HeadraceError
from core.nodes import Channel

SUFFIXES = (".yaml", ".yml", ".json")
KNOWN_MAX = 1_024
ADVICE = "docs/messages.md lists the fields."
# A template's name becomes a file's: none may lead out of the folder.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,127}\Z")

Scalar = str | int | float | bool
Name = Annotated[str, Field(min_length=1, max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PartText(_Part):
    """A part: Liquid, and what to do where a variable has no value."""

    text: str
    missing: Missing | None = None

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            check(Source(self.text), "text")
        except RenderError as error:
            raise ValueError(_REASONS.get(str(error), str(error))) from None
        return self


_REASONS = {
    "template_invalid": "it is no template: check its tags and filters",
    "template_too_long": "it is longer than 64 KiB",
}


def _short(value: object) -> object:
    """Bare text is short for {text: ...}."""
    return {"text": value} if isinstance(value, str) else value


class ChannelContent(_Part):
    """What goes out on one channel, and which attribute holds the address."""

    address: Name
    parts: Annotated[dict[Name, Annotated[PartText, BeforeValidator(_short)]], Field(min_length=1)]


class ContentFile(_Part):
    """A template in all its channels; `missing` is for parts that say nothing themselves.

    From `state` on it says what lint reads before a flow is published, as `core.content` has it.
    """

    headrace_content: Literal[1] = 1
    channels: Annotated[dict[Channel, ChannelContent], Field(min_length=1)]
    constants: dict[Name, Scalar | list[Scalar]] = Field(default_factory=dict)
    defaults: dict[Name, Scalar | list[Scalar]] = Field(default_factory=dict)
    missing: Missing = "fail"
    state: State = "ready"
    recipient: Recipient | None = None
    kind: Purpose | None = None
    released: bool = True
    coupon: Name | None = None
    expires: Expiry | None = None

    def content(self, channel: str) -> Content | None:
        """The content for a channel, None if the template has none."""
        for name, found in self.channels.items():
            if name == channel:
                parts = {
                    part: Source(each.text, each.missing or self.missing)
                    for part, each in found.parts.items()
                }
                return Content(
                    parts,
                    found.address,
                    self.constants,
                    self.defaults,
                    transactional=self.kind == "transactional",
                )
        return None


class MappedContents:
    """Templates that are in memory, by name."""

    def __init__(self, templates: Mapping[str, ContentFile]) -> None:
        self._templates = dict(templates)

    async def content(self, effect: Effect) -> Content | None:
        """The content that the effect asks for, None if there is no such template or channel."""
        found = self._templates.get(effect.template)
        return None if found is None else found.content(effect.channel)


class FolderContents:
    """Templates in a folder; a file that changed is read again when it is next asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[tuple[int, int, int], ContentFile]] = {}

    async def content(self, effect: Effect) -> Content | None:
        """The content that the effect asks for, None if there is no such template or channel.

        Raises HeadraceError for a file that is wrong: messages wait until it is put right.
        """
        found = self.template(effect.template)
        return None if found is None else found.content(effect.channel)

    def template(self, name: str) -> ContentFile | None:
        """The template of a name, None if there is none. Raises HeadraceError for a wrong file."""
        if not _NAME.match(name):
            return None
        for suffix in SUFFIXES:
            path = self.folder / f"{name}{suffix}"
            try:
                stat = path.stat()
            except OSError:
                continue
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            known = self._known.get(path)
            if known is None or known[0] != state:
                known = (state, load_yaml(path, ContentFile, "the templates", ADVICE))
                if len(self._known) >= KNOWN_MAX:
                    self._known.clear()
                self._known[path] = known
            return known[1]
        return None

    def problems(self) -> Iterator[HeadraceError]:
        """What is wrong with the files in the folder, one problem for each file."""
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        stems: dict[str, Path] = {}
        for path in paths:
            if path.name.startswith("."):
                continue
            if path.suffix not in SUFFIXES or not _NAME.match(path.stem):
                yield HeadraceError(
                    "no template has such a name",
                    advice="Name it NAME.yaml, of letters, digits, blanks and _ . -",
                    file=str(path),
                )
            elif (other := stems.setdefault(path.stem, path)) != path:
                yield HeadraceError(
                    f"{other.name} is the same template", advice="Keep one", file=str(path)
                )
            else:
                try:
                    load_yaml(path, ContentFile, "the templates", ADVICE)
                except HeadraceError as error:
                    yield error
