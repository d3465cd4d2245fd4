"""Decide which rows of a frame a partition takes in, and say of every other one why not.

A frame of a source that numbers them is taken whole and once, by the source's cursor; rows of other
frames are recognised by the fingerprints of their message ids. Judging changes nothing: what was
judged counts once it is accepted, so frames are judged and accepted one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from actors.intake.directory import Directory
from actors.intake.frame import NOT_STATED_MS, UPSERT, Frame
from actors.intake.frozen import FrozenPrints
from core.duration import DAY_MS
from core.errors import HeadraceError
from core.tenant_schema import IntakeSettings
from ext.idmap import FingerprintSet

HORIZON_MS = DAY_MS  # how long a message id is recognised
FINGERPRINTS_MAX = 1 << 24  # and how many of them, the oldest leaving first

TOO_FAR_IN_THE_FUTURE: Final = "too_far_in_the_future"
UNKNOWN_CUSTOMER: Final = "unknown_customer"
TOO_MANY_MARKS: Final = "too_many_tags_or_groups"
DUPLICATE: Final = "duplicate"
HISTORICAL: Final = "historical"
ACCEPTED: Final = "accepted"


class GapError(HeadraceError):
    """A numbered source left out a frame, and must send again from there on."""

    code = "gap"


@dataclass(slots=True)
class Judged:
    """What becomes of a frame.

    `frame`: the rows taken in, with times stated; `rows` int64[m]: where they were in the frame as
    it came; `historical` bool[m]: which occurred too long ago to move anybody. `rejects`: row and
    reason, by row; `known` int64[]: the rows that were known already, all where the `whole` frame
    was. `now_ms`: when it was judged.
    """

    frame: Frame
    rows: NDArray[np.int64]
    historical: NDArray[np.bool_]
    now_ms: int
    rejects: list[tuple[int, str]] = field(default_factory=list)
    known: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    whole: bool = False

    @property
    def duplicates(self) -> int:
        """How many rows were known already."""
        return len(self.known)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what became of them; `historical` ones are among the accepted."""
        found = {
            ACCEPTED: len(self.rows),
            HISTORICAL: int(np.count_nonzero(self.historical)),
            DUPLICATE: self.duplicates,
        }
        for _, reason in self.rejects:
            found[reason] = found.get(reason, 0) + 1
        return found


class Admission:
    """What a partition remembers in order to take every row in once."""

    def __init__(
        self,
        settings: IntakeSettings,
        cursors: Mapping[bytes, int],
        fingerprints: FingerprintSet | None = None,
    ) -> None:
        """Go on from the last sequence of every source, and from the fingerprints of a snapshot."""
        self.settings = settings
        self._cursors = dict(cursors)
        self._fingerprints = fingerprints or FingerprintSet(HORIZON_MS, FINGERPRINTS_MAX)

    @property
    def cursors(self) -> dict[bytes, int]:
        """A copy of the last sequence of every source."""
        return dict(self._cursors)

    def judge(self, frame: Frame, now_ms: int, directory: Directory) -> Judged:
        """What to take in of `frame` at `now_ms` (UTC), given whom `directory` knows.

        The order of reasons: too far in the future, unknown customer, too many tags or groups,
        duplicate. Raises GapError where a frame of its source is missing before it.
        """
        if frame.sequence:
            cursor = self._cursors.get(frame.source, 0)
            if frame.sequence <= cursor:
                return _nothing(frame, now_ms)
            _check_gap(frame, cursor)
        received = np.where(frame.received_ms == 0, np.int64(now_ms), frame.received_ms)
        occurred = np.where(frame.occurred_ms == NOT_STATED_MS, received, frame.occurred_ms)
        future = occurred > received + self.settings.future_ms
        kept = ~future
        unknown = self._unknown(frame, kept, directory) & kept
        kept &= ~unknown
        overfull = directory.overfull(frame) & kept
        kept &= ~overfull
        duplicates = self._duplicates(frame, kept, now_ms)
        kept &= ~duplicates
        rows = np.flatnonzero(kept)
        taken = replace(frame, occurred_ms=occurred, received_ms=received)
        if len(rows) < frame.rows:
            taken = taken.take(rows)
        late = taken.occurred_ms < taken.received_ms - self.settings.late_ms
        reasons = (
            (TOO_FAR_IN_THE_FUTURE, future),
            (UNKNOWN_CUSTOMER, unknown),
            (TOO_MANY_MARKS, overfull),
        )
        return Judged(
            frame=taken,
            rows=rows,
            historical=late & (taken.type != UPSERT),
            now_ms=now_ms,
            rejects=sorted(
                (row, why) for why, at in reasons for row in np.flatnonzero(at).tolist()
            ),
            known=np.flatnonzero(duplicates),
        )

    def check_order(self, frames: Iterable[Frame]) -> None:
        """Raise GapError if taking frames in one after the other would; nothing is changed.

        Whoever takes several at once asks before the first, for then there is nothing to undo.
        """
        cursors: dict[bytes, int] = {}
        for frame in frames:
            if frame.sequence:
                cursor = cursors.get(frame.source, self._cursors.get(frame.source, 0))
                _check_gap(frame, cursor)
                cursors[frame.source] = max(cursor, frame.sequence)

    def accept(self, judged: Judged) -> None:
        """Count what was judged as taken in. Between, no other frame may have been accepted."""
        frame = judged.frame
        if judged.whole:
            return
        if frame.sequence:
            self._cursors[frame.source] = frame.sequence
        else:
            prints = frame.message[_with_message(frame)]
            self._fingerprints.add(np.ascontiguousarray(prints), judged.now_ms)

    def remember(self, frame: Frame, now_ms: int) -> None:
        """Count rows as taken in that another partition took in, or this one for another id."""
        prints = frame.message[_with_message(frame)]
        fresh = self._fingerprints.unseen(np.ascontiguousarray(prints), now_ms)
        self._fingerprints.add(np.ascontiguousarray(prints[fresh]), now_ms)

    def freeze(self) -> FrozenPrints:
        """The fingerprints as they are now, whatever comes."""
        return FrozenPrints(self._fingerprints)

    def blocks(self) -> dict[str, NDArray[Any]]:
        """The fingerprints as arrays by name, for a snapshot; cursors stand in the store."""
        prints, run_ms, run_rows = self._fingerprints.arrays()
        return {"fingerprints": prints, "run_ms": run_ms, "run_rows": run_rows}

    @classmethod
    def restore(
        cls,
        blocks: Mapping[str, NDArray[Any]],
        settings: IntakeSettings,
        cursors: Mapping[bytes, int],
    ) -> Admission:
        """The admission that gave these `blocks`; ValueError if they contradict each other.

        `cursors` are those of the store: without them every numbered source would show a gap.
        """
        prints, run_ms, run_rows = (blocks[n] for n in ("fingerprints", "run_ms", "run_rows"))
        found = FingerprintSet.of_arrays(prints, run_ms, run_rows, HORIZON_MS, FINGERPRINTS_MAX)
        return cls(settings, cursors, found)

    def _unknown(
        self, frame: Frame, kept: NDArray[np.bool_], directory: Directory
    ) -> NDArray[np.bool_]:
        """Events of customers whom neither the directory nor an earlier row of the frame knows."""
        if self.settings.unknown_customers == "create":
            return np.zeros(frame.rows, np.bool_)
        changes = np.flatnonzero((frame.type == UPSERT) & kept)
        since = np.where(directory.find(frame.id_hash) >= 0, -1, frame.rows)
        np.minimum.at(since, frame.customer[changes], changes)
        found: NDArray[np.bool_] = since[frame.customer] > np.arange(frame.rows)
        return found

    def _duplicates(self, frame: Frame, kept: NDArray[np.bool_], now_ms: int) -> NDArray[np.bool_]:
        """The rows still kept whose message was taken in before, or stands earlier in the frame."""
        found = np.zeros(frame.rows, np.bool_)
        if not frame.sequence:
            rows = np.flatnonzero(kept & _with_message(frame))
            prints = frame.message if len(rows) == frame.rows else frame.message[rows]
            found[rows] = ~self._fingerprints.unseen(np.ascontiguousarray(prints), now_ms)
        return found


def _check_gap(frame: Frame, cursor: int) -> None:
    if frame.sequence > cursor + 1:
        raise GapError(
            f"source {frame.source!r} sent frame {frame.sequence} after {cursor}",
            advice=f"Send it again from frame {cursor + 1} on",
        )


def _with_message(frame: Frame) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (frame.message[:, 0] | frame.message[:, 1]) != 0
    return found


def _nothing(frame: Frame, now_ms: int) -> Judged:
    """All of a frame that was taken in before, as duplicates."""
    none = np.zeros(0, np.int64)
    nothing = frame.take(none)
    known = np.arange(frame.rows)
    return Judged(nothing, none, np.zeros(0, np.bool_), now_ms, [], known, whole=True)
