"""Compose a message at the last moment: fetch what is personal, render, and forget it again."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from actors.relay.channels.base import Channel, Message
from actors.relay.channels.render import MissingError, RenderError, Source, render, variables_of
from actors.relay.effects import Effect
from actors.relay.outcomes import Dead, Retry, Skipped
from actors.relay.tracking import Tracker

_LOG = logging.getLogger(__name__)
ADDRESS_MAX = 2_048
ENTRY = "entry."


class People(Protocol):
    """Where personal values are kept."""

    async def values(
        self, tenant: str, customer: int, names: Collection[str], committed_ms: int
    ) -> Mapping[str, object] | None:
        """The customer's values under those names, absent ones left out; None if erased.

        A message committed at `committed_ms`, UTC, means who had the number then: nobody, if that
        customer was erased since and somebody came anew.
        """
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A template's parts, the flow's constants for it, and what stands in for missing values.

    `address` names the attribute with the address where the effect names none. Whoever has
    unsubscribed still gets what is `transactional`.
    """

    parts: Mapping[str, Source]
    address: str
    constants: Mapping[str, object] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    transactional: bool = False


class Contents(Protocol):
    """Where templates are kept."""

    async def content(self, effect: Effect) -> Content | None:
        """The content that the effect asks for, None if there is no such template."""
        ...


async def compose(
    effect: Effect,
    channel: Channel,
    people: People,
    contents: Contents,
    at_ms: int,
    tracker: Tracker | None = None,
) -> Message | Dead | Retry | Skipped:
    """Return the message, or why there is none; reasons and logs hold no personal value.

    A `tracker` leads its links over the tenant's address, and knows to whom nothing may be sent.
    """
    try:
        content = await contents.content(effect)
        if content is None:
            return Dead("no_template")
        to = effect.to or content.address
        names = {to, *effect.variables, *_shown(channel, content)}
        values = await people.values(effect.tenant, effect.customer, names, effect.committed_ms)
    except Exception as error:
        # The exception's text may hold a value, so only its kind is told.
        _LOG.warning("%s: cannot be composed now: %s", effect.key, type(error).__name__)
        return Retry("not_available", fault=False)
    if values is None:
        return Dead("erased")
    address = values.get(to)
    if not isinstance(address, str) or not 0 < len(address) <= ADDRESS_MAX:
        return Dead("no_address")
    try:
        tracked = None if tracker is None else tracker.message(effect, address, at_ms)
    except Exception as error:
        _LOG.warning("%s: cannot be tracked now: %s", effect.key, type(error).__name__)
        return Retry("not_available", fault=False)
    if tracked is not None and (why := tracked.refused(transactional=content.transactional)):
        return Skipped(why)
    stated = {name: json.loads(said) for name, said in effect.stated}
    ours = {} if tracked is None else tracked.values()
    known = {**content.constants, **values, **_nested(stated), **ours}
    parts: dict[str, str] = {}
    for name, encoding in channel.parts.items():
        source = content.parts.get(name)
        if source is None:
            if name in channel.optional:
                continue
            return Dead(f"template_without_{name}")
        try:
            parts[name] = render(source, encoding, known, content.defaults)
        except MissingError as error:
            return Skipped(str(error)) if source.missing == "skip" else Dead(str(error))
        except RenderError as error:
            return Dead(str(error))
    message = Message(effect.key, address, parts, at_ms, effect.customer)
    if tracked is None:
        return message
    sources = {name: source.text for name, source in content.parts.items()}
    return tracked.finished(message, channel.parts, sources, transactional=content.transactional)


def _nested(stated: Mapping[str, object]) -> dict[str, object]:
    """What is stated, where `entry.amount` is the `amount` of `entry`."""
    found = {name: said for name, said in stated.items() if not name.startswith(ENTRY)}
    entry = {n.removeprefix(ENTRY): said for n, said in stated.items() if n.startswith(ENTRY)}
    return {**found, "entry": entry} if entry else found


def _shown(channel: Channel, content: Content) -> set[str]:
    """The names in those parts of a template that the channel takes; none of a wrong one."""
    found: set[str] = set()
    for name, encoding in channel.parts.items():
        if (source := content.parts.get(name)) is not None:
            found |= variables_of(source, encoding)
    return found
