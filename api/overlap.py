"""Carry out `headrace overlap`: dry-run flows on one audience and count whom they share."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from actors.audience import load_audience, read_schema
from actors.coupled_dry_run import coupled_dry_run
from actors.entrants import Entrants, Flags
from api.console import console
from api.documents import open_flow, segments_for, violations_told
from api.window import read_window
from core.binding import bind
from core.compiler import compile_flow, needs_of
from core.errors import HeadraceError
from core.options import DEFAULT_SALT, RunOptions
from core.quantity import percent, plural


@dataclass(frozen=True, slots=True)
class Reached:
    """How many different people one flow lets in, and how many of them it sends a message."""

    flow: str
    entered: int
    sent_to: int


@dataclass(frozen=True, slots=True)
class Shared:
    """How many different people enter both of two flows, and are sent messages by both."""

    flow: str
    other: str
    entered: int
    sent_to: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """What several flows do with one audience: each alone, and each two of them."""

    alone: list[Reached]
    pairs: list[Shared]


def overlap(
    flows: Sequence[Path],
    audience: Path,
    begin: str | None = None,
    until: str | None = None,
    salt: str | None = None,
    segments: Path | None = None,
) -> Overlap:
    """Dry-run each flow, without responses, and count the people whom two of them share.

    The segments that a flow may name are those of `segments_for`.

    HeadraceError for fewer than two flows, two of one id, or what `simulate` would refuse.
    """
    if len(flows) < 2:
        raise HeadraceError(
            "an overlap is one of two flows or more", advice="Name another flow as well"
        )
    schema = read_schema(audience)
    found: dict[str, Entrants] = {}
    for path in flows:
        with violations_told():
            flow = open_flow(path, schema, segments_for(path, segments)).flow
        if flow.flow in found:
            raise HeadraceError(
                f"two of the flows have the id {flow.flow!r}",
                advice="Name different flows, or give one another id",
                file=str(path),
            )
        window = read_window(begin, until, None, zone=flow.settings.zone, schema=schema)
        options = RunOptions(
            *window, salt=DEFAULT_SALT if salt is None else salt, audience_zone=schema.zone
        )
        program = compile_flow(flow)
        bound = bind(program, load_audience(audience, needs_of(program)), options)
        found[flow.flow] = Entrants(bound)
        coupled_dry_run(bound, workers=os.cpu_count() or 1, log=found[flow.flow])
    alone = [Reached(name, _count(e.entered), _count(e.sent_to)) for name, e in found.items()]
    pairs = [
        Shared(a, b, _count(one.entered & other.entered), _count(one.sent_to & other.sent_to))
        for (a, one), (b, other) in combinations(found.items(), 2)
    ]
    return Overlap(alone, pairs)


def told(found: Overlap) -> list[str]:
    """A sentence for each flow, then one for each two of them."""
    entered = {each.flow: each.entered for each in found.alone}
    lines = [
        f"{each.flow}: {plural(each.entered, 'person enters', 'people enter')}, "
        f"{plural(each.sent_to, 'is', 'are')} sent messages."
        for each in found.alone
    ]
    for pair in found.pairs:
        shares = ", ".join(
            f"{percent(pair.entered / entered[name])} of {name}"
            for name in (pair.flow, pair.other)
            if entered[name]
        )
        lines.append(
            f"{pair.flow} and {pair.other}: "
            f"{plural(pair.entered, 'person enters', 'people enter')} both"
            + (f" ({shares})" if pair.entered else "")
            + f", {plural(pair.sent_to, 'is', 'are')} sent messages by both."
        )
    return lines


def present(found: Overlap, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    out = console()
    for line in told(found):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _count(flags: Flags) -> int:
    return int(np.count_nonzero(flags))
