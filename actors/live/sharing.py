"""Let flows know what other flows did: changes of customers' records, and messages that they sent.

The versions of flows work by their priority, and then in the order in which they were published.
Before each works, it remembers what the earlier ones sent meanwhile, so that a look-back, such as a
cap on messages, counts that. What others sent is heard, and what they changed is seen, when all
have worked, in the millisecond before the partition's clock; what that makes them do is shared in
turn (D53).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.live.effects import frame_of_sends
from actors.live.state import LiveState
from actors.live.version import LiveVersion

SHARE_ROUNDS = 8
"""So often flows may answer each other's changes and messages before the next input."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a version changed, or sent, as rows by the partition's numbers of customers."""

    maker: LiveVersion
    frame: Frame


def in_turn(state: LiveState, work: Callable[[LiveVersion], None] | None = None) -> list[Made]:
    """Let each version work; returns what was sent, where any version asks for that.

    All versions that look back at messages remember those of the others then.
    """
    versions, sent = state.in_order(), list[Made]()
    work = work or (lambda version: None)
    if len(versions) < 2 or not any(v.hears_sends and not v.dropped for v in versions):
        for version in versions:
            work(version)
        return sent
    everybody = np.arange(len(state.directory), dtype=np.int32)
    for version in versions:
        for earlier in sent:
            version.remember_sends(earlier.frame, everybody)
        work(version)
        made = version.new_effects()
        if len(made):
            sent.append(Made(version, frame_of_sends(version, made)))
    for later in sent:
        for version in versions[: versions.index(later.maker)]:
            version.remember_sends(later.frame, everybody)
    return sent


def share(state: LiveState, sent: Sequence[Made]) -> None:
    """Let the record and the other flows know what flows did to customers' records, and sent.

    After so many rounds what is left is remembered, and moves nobody.
    """
    for number in range(SHARE_ROUNDS + 1):
        told = [(version, version.take_changes()) for version in state.in_order()]
        changed = [Made(version, frame) for version, frame in told if frame is not None]
        if not changed and not sent:
            return
        at_ms = state.clock_ms - 1
        everybody = np.arange(len(state.directory), dtype=np.int32)
        for each in changed:
            state.directory.apply(each.frame, everybody)
            each.frame.occurred_ms = np.full(each.frame.rows, at_ms, np.int64)
        for each in (*changed, *sent):
            each.frame.received_ms = np.full(each.frame.rows, at_ms, np.int64)
        resting = number == SHARE_ROUNDS
        tell = partial(_tell, changed, () if resting else sent, everybody, at_ms + 1, resting)
        sent = in_turn(state, tell)


def _tell(
    changed: Sequence[Made],
    sent: Sequence[Made],
    everybody: NDArray[np.int32],
    until_ms: int,
    resting: bool,
    version: LiveVersion,
) -> None:
    """Let a version know what the others made."""
    for each in changed:
        if version is not each.maker:
            none = np.zeros(each.frame.rows, np.bool_)
            version.take(each.frame, everybody, none, until_ms, resting=resting)
    for each in sent:
        if version is not each.maker:
            version.hear(each.frame, everybody, until_ms)
