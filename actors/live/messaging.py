"""Do beside a partition what concerns its messages: preview one, send a test, erase test messages.

What composes a preview or a test is what composes the messages that flows send. A job of an engine
calls these in a thread of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors.relay.channels.base import Channel, Message
from actors.relay.channels.file import forget_lines
from actors.relay.compose import People, compose
from actors.relay.contents import ContentFile, MappedContents
from actors.relay.effects import Effect
from actors.relay.outcomes import Dead, Retry, Skipped
from actors.relay.services import wall_ms
from actors.relay.settings import OUTGOING, active_providers, known_secrets
from actors.relay.tracking import PREFERENCES_URL, UNSUBSCRIBE_URL
from core.errors import HeadraceError
from core.hashing import hash_customer

TEST = "[Test] "
# A message that no flow sent has no pages to end a subscription, and its links lead straight on.
PAGES = {
    UNSUBSCRIBE_URL: "https://links.invalid/u/test",
    PREFERENCES_URL: "https://links.invalid/u/test",
}
TEST_LABEL = "test"
ADDRESS = "the address of a test"  # stands for an attribute's name, which no template can show
_HEADINGS = ("subject", "title")
_HASHES = 2**64


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that somebody wants to see: as which customer, on which channel, saying what.

    `content` is the template, `stated` what the flow would state for it.
    """

    customer: str
    channel: str
    template: str
    content: ContentFile
    stated: Mapping[str, str]


class _Addressed:
    """People who all have one address besides their own."""

    def __init__(self, people: People, address: str) -> None:
        self._people = people
        self._address = address

    async def values(
        self, tenant: str, customer: int, names: Collection[str], committed_ms: int
    ) -> Mapping[str, object] | None:
        """The customer's values, and the address under its name."""
        found = await self._people.values(tenant, customer, names, committed_ms)
        return None if found is None else {**found, ADDRESS: self._address}


def preview(folder: Path, number: int, tenant: str, people: People, asked: Asked) -> dict[str, Any]:
    """How a message looks: `parts`, and `reason` where there is none to be sent.

    Calls with one `number`, the partition's, take turns. Raises HeadraceError where the channel has
    no provider, or it can't be set up.
    """
    with _channel(folder, asked.channel, _label(number)) as channel:
        made = asyncio.run(_composed(channel, tenant, people, asked, ""))
    if not isinstance(made, Message):
        return {"parts": {}, "reason": made.reason}
    return {"parts": dict(made.parts), "reason": ""}


def send_test(
    folder: Path, number: int, tenant: str, people: People, asked: Asked, address: str
) -> dict[str, str]:
    """Send a message, marked as a test, to an address; what came of the only attempt.

    Calls with one `number`, the partition's, take turns. Raises as `preview`.
    """

    async def send(channel: Channel) -> Any:
        made = await _composed(channel, tenant, people, asked, address)
        return await channel.send(_marked(made, asked)) if isinstance(made, Message) else made

    with _channel(folder, asked.channel, _label(number)) as channel:
        outcome = asyncio.run(send(channel))
    return {"outcome": type(outcome).__name__.lower(), "reason": getattr(outcome, "reason", "")}


def forget_tests(folder: Path, number: int, customers: Sequence[int]) -> int:
    """Remove test messages to customers, as effects name them, from a partition's files.

    Returns how many. Takes turns with the others. Raises OSError.
    """
    files = sorted((folder / OUTGOING).glob(f"*-{_label(number)}.jsonl"))
    return sum(forget_lines(path, customers) for path in files)


def _label(number: int) -> str:
    """What test messages of a partition's customers are filed under."""
    return f"{TEST_LABEL}-{number:03}"


def signed(id_hash: int) -> int:
    """The hash of a customer's id as effects name it."""
    return (id_hash + _HASHES // 2) % _HASHES - _HASHES // 2


@contextmanager
def _channel(folder: Path, name: str, label: str) -> Iterator[Channel]:
    """A way out on a channel for one message, closed afterwards."""
    settings = active_providers(folder)
    made = [each for each in settings.providers.values() if name in each.channels]
    if not made:
        raise HeadraceError(f"no provider sends by {name}", advice="Set one up", pointer="/channel")
    try:
        channel = made[0].channel(known_secrets(folder), folder / OUTGOING, label)
    except (ValueError, OSError) as error:
        raise HeadraceError(str(error), advice="Check the provider", pointer="/channel") from None
    try:
        yield channel
    finally:
        asyncio.run(channel.close())
        for path in (folder / OUTGOING).glob(f"*-{label}.jsonl"):
            if not path.stat().st_size:
                path.unlink()


async def _composed(
    channel: Channel, tenant: str, people: People, asked: Asked, address: str
) -> Message | Dead | Retry | Skipped:
    now_ms = wall_ms()
    effect = Effect(
        tenant=tenant,
        flow=TEST_LABEL,
        version=0,
        customer=signed(hash_customer(asked.customer)),
        entry=0,
        node=TEST_LABEL,
        visit=0,
        channel=asked.channel,
        template=asked.template,
        to=ADDRESS,
        variables=(),
        committed_ms=now_ms,
        expires_ms=now_ms,
        fresh_until_ms=now_ms,
        stated=tuple(asked.stated.items()),
    )
    constants = {**PAGES, **asked.content.constants}
    content = asked.content.model_copy(update={"constants": constants})
    contents = MappedContents({asked.template: content})
    made = await compose(effect, channel, _Addressed(people, address or "-"), contents, now_ms)
    if isinstance(made, Message):
        return replace(made, key=f"test-{uuid.uuid4().hex}")
    return made


def _marked(message: Message, asked: Asked) -> Message:
    """The message with a mark that people see; the key of a webhook is what programs see."""
    parts = dict(message.parts)
    headings: Iterator[str] = (name for name in _HEADINGS if name in parts)
    heading = next(headings, "" if asked.channel == "webhook" else "body")
    if heading in parts:
        parts[heading] = TEST + parts[heading]
    return replace(message, parts=parts)
