"""Say why a customer took the way that he took in a live flow, or which rule kept him out.

The steps are the decisions themselves. Their reasons come from the story (`core.story`) that the
interpreter of dry runs tells of this one customer: all that the journal holds of him is made an
audience of one. A step that the story does not have, because somebody paused the flow or another
flow's message was heard, is told without a reason of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from actors.audience import load_audience
from actors.live.control import TenantSettings
from actors.live.export import export_journals
from actors.live.follower import Source
from actors.live.records import CommandRecord, RowsRecord, decode_record
from actors.live.version import LiveVersion, options_of
from actors.store.head import Head
from actors.store.partition import Partition
from core.audience import Audience
from core.compiler import needs_of
from core.describe import describe
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.options import RunOptions
from core.outcomes import CoupledOutcome, Outcome
from core.story import Story, tell

TOLD = ("schema", "erase")  # commands that say what is known of a customer
_OUTCOMES = {
    CoupledOutcome.REFUSED_CAP.text: "as many people as may had entered",
    CoupledOutcome.REFUSED_LATE.text: "the time of entries was over",
    Outcome.REFUSED_NO_KEY.text: "there is nothing to tell entries apart by",
    Outcome.REFUSED_ONCE.text: "entered already, and may once only",
    Outcome.REFUSED_INSIDE.text: "was still inside",
    Outcome.REFUSED_GAP.text: "the last entry was too short a while ago",
    Outcome.REFUSED_HOLDOUT.text: "belongs to those kept out for comparison",
    Outcome.WHOLE_FLOW.text: "another token ended the whole entry",
    Outcome.EXIT.text: "what takes everybody out of the flow happened",
    Outcome.MERGED.text: "turned out to be another customer",
}
NOT_TAKEN = (
    "by its rules he would have entered at {at}, but the flow took nobody in then: it was paused, "
    "or not published to his partition yet"
)


def why(
    version: LiveVersion,
    source: Source,
    settings: TenantSettings,
    customer: str,
    way: Mapping[str, Any],
    said: Mapping[str, Any],
) -> dict[str, Any]:
    """A customer's `way` in a version, every step with its reason; or why there is none.

    `way` has `steps` and `places`. `said` is `until_ms`, the end of entries, None for open, and
    `now_ms`. Where the journal was trimmed, reasons from before may be missing.
    """
    story = _story(version, source, settings, customer, said)
    reasons: dict[tuple[int, str, str], list[str]] = {}
    for step in story.steps if story else ():
        reasons.setdefault((step.at.ms, step.node, step.port), []).append(step.reason)
    steps = []
    for step in way["steps"]:
        told = reasons.get((step["at_ms"], step["node"], step["port"]), [])
        node = version.flow.nodes[step["node"]]
        plain = _OUTCOMES.get(step["port"], describe(node))
        steps.append({**step, "reason": told.pop(0) if told else plain})
    found: dict[str, Any] = {"steps": steps, "places": list(way["places"]), "kept_out": []}
    if all(step["entry"] < 0 for step in steps):
        found["kept_out"] = _kept_out(story)
    return found


def _kept_out(story: Story | None) -> list[str]:
    """Why somebody who is not in the flow never entered."""
    if story is None:
        return ["nothing of him is in the journal"]
    if story.never_entered:
        return story.never_entered
    first = next(step for step in story.steps if step.entry is not None)
    return [NOT_TAKEN.format(at=first.at.utc)]


def _story(
    version: LiveVersion,
    source: Source,
    settings: TenantSettings,
    customer: str,
    said: Mapping[str, Any],
) -> Story | None:
    """What the rules say of the customer alone, None where nothing can be said."""
    try:
        audience = _audience(version, source, settings, customer)
        options = _options(version, settings, said)
        return tell(version.flow, audience, 0, options)
    except HeadraceError:
        return None  # such as an audience of nobody: he was erased, or never came


def _options(version: LiveVersion, settings: TenantSettings, said: Mapping[str, Any]) -> RunOptions:
    whole = options_of({"at_ms": version.at_ms, "entry_rate": version.entry_rate}, settings.salt)
    now_ms = max(int(said["now_ms"]), version.at_ms) + 1
    until_ms = said["until_ms"]
    return replace(
        whole,
        until_ms=now_ms if until_ms is None else max(min(until_ms, now_ms), version.at_ms + 1),
        horizon_ms=now_ms,
        audience_zone=settings.zone,
    )


def _audience(
    version: LiveVersion, source: Source, settings: TenantSettings, customer: str
) -> Audience:
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "one"
        export_journals([cast(Partition, _Alone(source, customer))], settings, to)
        return load_audience(to, needs_of(version.program))


class _Alone:
    """A journal with the rows of one customer only, and without any flow."""

    def __init__(self, source: Source, customer: str) -> None:
        self._source = source
        self._hash = np.uint64(hash_customer(customer))
        self.folder = source.folder

    @property
    def head(self) -> Head:
        """As if nothing had been trimmed: what is gone only lacks."""
        return replace(self._source.head, journal_first=1)

    def journal(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Numbers and records that are about the customer."""
        first = max(after, self._source.head.journal_first - 1)
        for number, data in self._source.journal(first):
            record = decode_record(number, data, str(self.folder))
            if isinstance(record, CommandRecord):
                command = record.command
                inherits = command["kind"] == "inherit" and (
                    hash_customer(command["into"]) == self._hash
                )
                if inherits or command["kind"] in TOLD:
                    yield number, data
            elif isinstance(record, RowsRecord):
                mine = np.flatnonzero(record.frame.id_hash == self._hash)
                rows = np.flatnonzero(np.isin(record.frame.customer, mine))
                if len(rows):
                    frame, late = record.frame.take(rows), record.historical[rows]
                    yield number, RowsRecord(frame, late, record.until_ms).encode()
