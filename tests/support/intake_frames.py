"""Make rows, schemas and frames for the tests of the intake."""

from typing import Any

from hypothesis import strategies as st

from actors.intake.frame import Frame, Sparse
from actors.intake.rows import decode_rows
from core.tenant_schema import TenantSchema

NOW_MS = 1_760_000_000_000
SCHEMA = TenantSchema.of(
    {
        "attributes": {
            "plan": {"type": "string"},
            "age": {"type": "int64"},
            "score": {"type": "float64"},
            "vip": {"type": "bool"},
            "birthday": {"type": "date", "constant": True},
            "seen": {"type": "datetime"},
            "email": {"type": "string", "personal": True},
        },
        "events": {
            "order": {"properties": {"total": "float64", "sku": "string", "items": "int64"}},
            "visit": {"properties": {"sku": "string", "mobile": "bool"}},
        },
    }
)
WORDS = st.sampled_from(["", "a", "b", "Ärger", "日本", "x" * 40])
IDS = st.sampled_from([f"c{n}" for n in range(8)] + ["ümlaut", "日本", "x" * 511])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": WORDS,
    "int64": st.integers(-(2**63) + 1, 2**63 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "date": st.integers(-719_162, 2_932_896),
    "datetime": st.integers(-62_135_596_800_000, 253_402_300_799_999),
}
TIMES = st.integers(NOW_MS - 10**9, NOW_MS)


def _values(kinds: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: st.none() | VALUES[kind] for name, kind in kinds.items()}
    )


def _marks() -> st.SearchStrategy[dict[str, list[str]]]:
    return st.lists(st.sampled_from("pqrs"), unique=True, max_size=3).map(
        lambda names: {"add": names[:1], "remove": names[1:]}
    )


EVENTS = st.sampled_from(sorted(SCHEMA.events)).flatmap(
    lambda event: st.fixed_dictionaries(
        {
            "customer": IDS,
            "event": st.just(event),
            "message_id": st.integers(0, 10**6).map(str),
            "properties": _values(dict(SCHEMA.events[event].properties)),
        },
        optional={"occurred": TIMES},
    )
)
CHANGES = st.fixed_dictionaries(
    {"customer": IDS},
    optional={
        "set": _values({name: a.type for name, a in SCHEMA.attributes.items()}),
        "tags": _marks(),
        "groups": _marks(),
        "zone": st.sampled_from([None, "Europe/Berlin", "Asia/Tokyo"]),
        "created": st.none() | TIMES,
        "occurred": TIMES,
        "message_id": st.integers(0, 10**6).map(str),
    },
)
ROWS = st.lists(EVENTS | CHANGES, max_size=30)


def frame_of(rows: list[dict[str, Any]], **place: Any) -> Frame:
    """The frame of rows that are all valid."""
    decoded = decode_rows(rows, SCHEMA, **place)
    assert decoded.rejects == []
    return decoded.frame


FRAMES = ROWS.map(frame_of)


def told(frame: Frame) -> list[dict[str, Any]]:
    """What each row of a frame says, without the numbers by which the frame says it."""
    rows: list[dict[str, Any]] = []
    for row in range(frame.rows):
        kind = int(frame.type[row])
        rows.append(
            {
                "customer": frame.id_of(int(frame.customer[row])),
                "id_hash": int(frame.id_hash[frame.customer[row]]),
                "event": None if kind < 0 else frame.event_names[kind],
                "occurred": int(frame.occurred_ms[row]),
                "received": int(frame.received_ms[row]),
                "message": frame.message[row].tolist(),
                "hash": int(frame.hash[row]),
            }
        )
    for family, name, part in frame.parts():
        for place, row in enumerate(part.rows.tolist()):
            rows[row][family, name] = value_at(part, place)
    return rows


def value_at(part: Sparse, place: int) -> Any:
    """A value of a sparse column, a text as itself, NaN as text so that it is equal to itself."""
    value = part.values[place].item()
    if part.dictionary is not None:
        return None if value < 0 else part.dictionary[value]
    return "nan" if value != value else value
