"""Find which flows use a template, a channel, a coupon's pool, a segment or a group.

A flow that runs uses what its newest version names; so does every version, stopped ones included,
that still has people inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from actors.live.engine import Engine
from core.document import read_values
from core.segments import named_in

KNOWN_MAX = 1_000
Uses = Callable[[str], bool]


def flows_that(engine: Engine, uses: Uses) -> list[str]:
    """The flows that run, or still have people inside, with a version of whose text `uses` is true.

    Raises DownError while a partition is down and must be asked.
    """
    newest = {state.flow: state for state in engine.flows()}
    found: set[str] = set()
    for _, command in engine.control.after(0):
        if command["kind"] != "publish" or command["flow"] in found:
            continue
        flow, version = command["flow"], command["version"]
        if not uses(command.get("authored") or command["document"]):
            continue
        state = newest[flow]
        runs = state.status != "stopped" and state.version == version
        if runs or _inside(engine, flow, version):
            found.add(flow)
    return sorted(found)


def sends(template: str) -> Uses:
    """Whether a flow sends this template."""
    return lambda text: template in _sent(text)[0]


def sends_by(channels: frozenset[str]) -> Uses:
    """Whether a flow sends by one of these channels."""
    return lambda text: bool(channels & _sent(text)[1])


def names(kind: str, name: str) -> Uses:
    """Whether a flow names this `segment` or `group`."""
    return lambda text: (kind, name) in _named(text)


def _inside(engine: Engine, flow: str, version: int) -> bool:
    counted = engine.counts(flow, version)
    return bool(counted.waiting.sum() + counted.idle.sum())


@lru_cache(maxsize=KNOWN_MAX)
def _sent(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The templates and the channels of a flow's sends."""
    found = [node for node in _parts(read_values(text, name="flow")) if node.get("type") == "send"]
    return (
        frozenset(str(node.get("template")) for node in found),
        frozenset(str(node.get("channel")) for node in found),
    )


@lru_cache(maxsize=KNOWN_MAX)
def _named(text: str) -> frozenset[tuple[str, str]]:
    values = read_values(text, name="flow")
    return frozenset(
        (kind, str(name)) for _, part in named_in(values) for kind, name in part.items()
    )


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
