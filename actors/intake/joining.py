"""Join small frames into one, so that many of them cost little more than one that is as large.

What a row means does not hang on the frame that it came in, but for frames that their source
numbers: those stay apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import COLUMNS_MAX, UPSERT, Family, Frame, Sparse
from actors.intake.tagging import joined_tags
from core.audience import Kind
from ext.idmap import IdMap

Columns = dict[tuple[Family, str], Kind]


def runs_of(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """The frames in their order, parted into runs each of which `joined` takes."""
    run: list[Frame] = []
    kinds: Columns = {}
    for frame in frames:
        more = _kinds(frame)
        if run and not _fit(run[0], frame, kinds, more):
            yield run
            run, kinds = [], {}
        run.append(frame)
        kinds |= more
    if run:
        yield run


def _kinds(frame: Frame) -> Columns:
    return {(family, name): part.kind for family, name, part in frame.parts()}


def _fit(first: Frame, frame: Frame, kinds: Columns, more: Columns) -> bool:
    """Whether a frame may stand in one with those before it."""
    return (
        first.sequence == frame.sequence == 0
        and first.source == frame.source
        and all(kinds.get(key, kind) == kind for key, kind in more.items())
        and len(kinds.keys() | more.keys()) <= COLUMNS_MAX
    )


def joined(frames: Sequence[Frame]) -> Frame:
    """One frame with the rows of all, in their order; they are a run of `runs_of`."""
    if len(frames) == 1:
        return frames[0]
    customers = IdMap()
    numbers = [customers.add(frame.id_hash) for frame in frames]
    offsets, data = _ids(frames, numbers, len(customers))
    names: dict[str, int] = {}
    types = [_renamed(frame, names) for frame in frames]
    whole = Frame(
        id_offsets=offsets,
        id_data=data,
        id_hash=customers.keys().copy(),
        customer=np.concatenate(
            [mine[frame.customer] for mine, frame in zip(numbers, frames, strict=True)]
        ).astype(np.int32),
        type=np.concatenate(types),
        event_names=list(names),
        occurred_ms=np.concatenate([frame.occurred_ms for frame in frames]),
        received_ms=np.concatenate([frame.received_ms for frame in frames]),
        message=np.concatenate([frame.message for frame in frames]),
        hash=np.concatenate([frame.hash for frame in frames]),
        source=frames[0].source,
        tag=joined_tags(frame.tag for frame in frames),
    )
    parts: dict[tuple[Family, str], list[tuple[int, Sparse]]] = {}
    first = 0
    for frame in frames:
        for family, name, part in frame.parts():
            parts.setdefault((family, name), []).append((first, part))
        first += frame.rows
    for (family, name), each in parts.items():
        whole.put(family, name, _appended(each))
    return whole


def _ids(
    frames: Sequence[Frame], numbers: Sequence[NDArray[np.int32]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Offsets and bytes of the customers' ids, in the order in which they were first met."""
    sizes, pieces, seen = [], [], 0
    for frame, mine in zip(frames, numbers, strict=True):
        new = np.flatnonzero(mine >= seen)
        seen += len(new)
        offsets, data = frame.take_ids(new)
        sizes.append(np.diff(offsets))
        pieces.append(data[offsets[0] : offsets[-1]])
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.concatenate(sizes), out=offsets[1:])
    return offsets, np.concatenate(pieces)


def _renamed(frame: Frame, names: dict[str, int]) -> NDArray[np.int32]:
    """The types of a frame's rows by numbers of `names`, to which its events are added."""
    of_frame = [names.setdefault(name, len(names)) for name in frame.event_names]
    return np.array([*of_frame, UPSERT], np.int32)[frame.type]


def _appended(parts: Sequence[tuple[int, Sparse]]) -> Sparse:
    """A column of several frames, each with the number of its first row."""
    rows = np.concatenate([part.rows + first for first, part in parts]).astype(np.int32)
    kind = parts[0][1].kind
    if kind != "string":
        return Sparse(kind, rows, np.concatenate([part.values for _, part in parts]))
    texts: dict[str, int] = {}
    values = []
    for _, part in parts:
        codes = [texts.setdefault(text, len(texts)) for text in part.dictionary or ()]
        values.append(np.array([*codes, -1], np.int32)[part.values])
    return Sparse(kind, rows, np.concatenate(values), list(texts))
