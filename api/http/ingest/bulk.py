"""Read rows of our own, as JSON or as columns, and say of each that was refused why it was."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from actors.intake.columns import decode_table, read_stream, row_of_table
from actors.intake.frame import SOURCE_BYTES_MAX
from actors.intake.rows import Unreadable, decode_json
from actors.live.replies import Reply
from api.http.ingest.translation import Places, Translation
from api.http.limits import Sizes
from api.http.problems import refuse

SIZES = Sizes(16 << 20, 64 << 20, 1 << 20, 200_000)
ROWS_MAX = 1_000_000  # of columns
RANDOM_BYTES = 16
TOLD_MAX = 1_000  # refused rows that an answer describes
_ANY = msgspec.json.Decoder(Any)


class Refused(BaseModel):
    """A row that was refused, with the place in it and what is wrong."""

    row: int = Field(description="From 0")
    pointer: str = Field(description="A JSON pointer into the list of rows")
    code: str
    message: str


class Outcome(BaseModel):
    """What became of rows. Those accepted are stored; duplicates had been before."""

    accepted: int
    duplicates: int
    refused: int
    rows: list[Refused] = Field(
        default_factory=list, description=f"The first {TOLD_MAX:,} refused rows"
    )
    dropped: dict[str, int] = Field(
        default_factory=dict, description="Fields left out since the schema has none such"
    )


def read_list(body: bytes, places: Places, received_ms: int) -> Translation:
    """A body that is a JSON list of rows. Raises ProblemError, RowsError."""
    return _checked(decode_json(body))


def read_lines(body: bytes, places: Places, received_ms: int) -> Translation:
    """A body of a row in each line; a line that is no JSON costs only itself."""
    rows: list[Any] = []
    for line in body.splitlines():
        if not line.strip():
            continue
        if len(line) > SIZES.event_bytes_max:
            message = f"it has {len(line):,} bytes; at most {SIZES.event_bytes_max:,} are taken"
            rows.append(Unreadable(message, "too-large"))
            continue
        try:
            rows.append(_ANY.decode(line))
        except (ValueError, RecursionError) as error:
            rows.append(Unreadable(f"the row cannot be read: {error}"))
    return _checked(rows)


def read_columns(body: bytes, places: Places, received_ms: int, *, source: str) -> Translation:
    """A body that is an Arrow IPC stream; `source` gives its messages their numbers, if any.

    Raises ProblemError, FrameError.
    """
    if len(source.encode()) > SOURCE_BYTES_MAX:
        detail = f"the source has more than {SOURCE_BYTES_MAX} bytes"
        raise refuse(422, "out-of-range", detail, "Name it shortly", pointer="source")
    table = read_stream(body, SIZES.decoded_bytes_max, ROWS_MAX)
    random = b"" if "message_id" in table.column_names else os.urandom(RANDOM_BYTES)
    return Translation(
        count=table.num_rows,
        decode=lambda schema: decode_table(table, schema, source=source.encode(), random=random),
        row_of=lambda number: row_of_table(table, number),
    )


def _checked(rows: list[Any]) -> Translation:
    if len(rows) > SIZES.events_max:
        detail = f"the body has {len(rows):,} rows; at most {SIZES.events_max:,} are taken"
        raise refuse(413, "too-many-events", detail, "Send smaller batches")
    return Translation(rows, len(rows))


def outcome(found: Translation, reply: Reply) -> dict[str, Any]:
    """What became of the rows, as `Outcome` has it."""
    told: dict[str, Any] = {
        "accepted": reply.accepted,
        "duplicates": reply.duplicates,
        "refused": len(reply.rejects),
    }
    if reply.rejects:
        named = ("row", "pointer", "code", "message")
        told["rows"] = [dict(zip(named, each, strict=True)) for each in reply.rejects[:TOLD_MAX]]
    if reply.dropped:
        told["dropped"] = reply.dropped
    return told
