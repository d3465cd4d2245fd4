"""Give customers of a frame other ids: rows of an alias become those of whom it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from actors.intake.bulk import strings_of
from actors.intake.frame import Frame
from actors.intake.rows import Decoded
from actors.intake.values import Value
from core.hashing import hash_customer
from ext.hashing import hash_strings


def renamed(frame: Frame, ids: Mapping[int, str]) -> Frame:
    """The frame, with those of its customers renamed whose hash is in `ids`; rows stay in order.

    A customer whom the frame has by both ids is one then.
    """
    there = [place for place, each in enumerate(frame.id_hash.tolist()) if each in ids]
    if not there:
        return frame
    texts = [frame.id_of(place) for place in range(frame.customers)]
    for place in there:
        texts[place] = ids[int(frame.id_hash[place])]
    numbers: dict[str, int] = {}
    moved = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)
    offsets, data = strings_of(list(numbers))
    return replace(
        frame,
        id_offsets=offsets,
        id_data=data,
        id_hash=hash_strings(data.data, offsets),
        customer=moved[frame.customer],
    )


def renamed_rows(decoded: Decoded, ids: Mapping[int, str]) -> Decoded:
    """What was read of a batch, with its customers renamed as `renamed` does."""
    frame = renamed(decoded.frame, ids)
    if frame is decoded.frame:
        return decoded
    personal: dict[str, dict[str, Value | None]] = {}
    for customer, values in decoded.personal.items():
        personal.setdefault(ids.get(hash_customer(customer), customer), {}).update(values)
    return replace(decoded, frame=frame, personal=personal)
