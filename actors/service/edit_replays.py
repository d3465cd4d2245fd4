"""Rehearse publishing an edit: who of those in flight would move where, by each choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.live.publishing import judge
from actors.live.replies import InFlight
from actors.service.live_reports import LiveReports, Truth


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands: a node of a version, and when he is due there, ms UTC."""

    version: int
    node: str
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How many would go from one place to another; `target` None is out of the flow.

    `reason` is why they leave the first place, or what ended their new entry at once in the node
    `target`; None for who stays.
    """

    source: Standing
    target: Standing | None
    reason: str | None
    people: int


@dataclass(frozen=True, slots=True)
class Mover:
    """One customer: where he stands, where he would, and what would end at once."""

    key: str
    customer: str
    before: Sequence[Standing]
    after: Sequence[Standing]
    ends: Sequence[tuple[Standing, str]]


@dataclass(frozen=True, slots=True)
class Replay:
    """What publishing an edit as `version` would do to the `people` who are inside."""

    version: int
    people: int
    choices: Mapping[str, Sequence[Way]]
    movers: Sequence[Mover]
    truth: Truth


def replay_edit(
    reports: LiveReports, flow: str, document: str, choice: InFlight, after: str, limit: int
) -> Replay:
    """Replay an edit; a page of at most `limit` movers by `choice`, behind the key `after`.

    Raises FlowError and RefusedError as publishing does, NotFoundError for a key that is none,
    DownError.
    """
    engine = reports.engine
    standing, now_ms = engine.control.standing, engine.now_ms()
    found = judge(document, flow, engine.path, engine.schema, standing, now_ms)
    command = found.command(standing, choice, engine.schema.entry_rate)
    answer, truth = reports.replay({**command, "at_ms": now_ms}, choice, after, limit)
    choices = {
        name: [_way(*way) for way in told["moves"]] for name, told in answer["choices"].items()
    }
    movers = [
        Mover(
            item["key"],
            item["customer"],
            [Standing(*at) for at in item["before"]],
            [Standing(*at) for at in item["after"]],
            [(Standing(version, node), outcome) for version, node, outcome in item["ends"]],
        )
        for item in answer["items"]
    ]
    people = answer["choices"][choice]["people"]
    return Replay(command["version"], people, choices, movers, truth)


def _way(version: int, node: str, to_version: int, to_node: str, reason: str, people: int) -> Way:
    target = Standing(to_version, to_node) if to_version else None
    return Way(Standing(version, node), target, reason or None, people)
