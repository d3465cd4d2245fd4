"""A channel hands one rendered message to one provider and says what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from actors.relay.channels.render import Encoding
from actors.relay.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to leave. Its repr shows nothing personal.

    `customer` is the partition's number, for channels that keep what they sent. `mark` is what a
    provider may tell again of it, "" for none. With `one_click` a POST to its part `unsubscribe`
    is all it takes (RFC 8058).
    """

    key: str
    address: str = field(repr=False)
    parts: Mapping[str, str] = field(repr=False)
    at_ms: int
    customer: int = -1
    mark: str = field(default="", repr=False)
    one_click: bool = False


class Channel(Protocol):
    """One way out.

    `keyed` says whether the provider takes a second attempt with the same key for the first;
    `key_ttl_ms` for how long it remembers, from the first attempt. `parts` are the template's parts
    that it needs, and how values are encoded in each; `optional` those that may be absent.
    """

    @property
    def keyed(self) -> bool:
        """Whether the provider honours the idempotency key."""
        ...

    @property
    def key_ttl_ms(self) -> int:
        """How long the provider remembers a key."""
        ...

    @property
    def parts(self) -> Mapping[str, Encoding]:
        """The encoding of each part."""
        ...

    @property
    def optional(self) -> frozenset[str]:
        """Parts that a template may lack."""
        ...

    async def send(self, message: Message) -> Outcome:
        """Make one attempt, within the channel's own time limit."""
        ...

    async def close(self) -> None:
        """Give back connections and files."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A channel that keeps what it sent, and so has to be told who was erased."""

    async def forget(self, customers: Collection[int]) -> int:
        """Remove what was sent to these customers, for good; returns how many messages."""
        ...
