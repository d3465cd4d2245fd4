"""Rows of our own, as a list and as lines, and what is told of those refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from actors.intake.rows import Unreadable
from actors.live.replies import Reply
from api.http.ingest import bulk
from api.http.ingest.translation import Places, Translation
from api.http.problems import ProblemError
from core.tenant_schema import TenantSchema
from http_service import Served

PLACES = Places.of(TenantSchema())
LINES = {"Content-Type": "application/x-ndjson"}


def test_a_line_that_is_no_row_costs_only_itself() -> None:
    found = bulk.read_lines(b'{"customer": "a"}\r\n\n{"x"\n[1]\n', PLACES, 0)
    assert [type(row) for row in found.rows] == [dict, Unreadable, list]
    large = b'{"a": "' + b"x" * bulk.SIZES.event_bytes_max + b'"}'
    (row,) = bulk.read_lines(large, PLACES, 0).rows
    assert isinstance(row, Unreadable)
    assert row.code == "too-large"


def test_too_many_rows_are_refused_whole() -> None:
    with pytest.raises(ProblemError) as found:
        bulk.read_lines(b"1\n" * (bulk.SIZES.events_max + 1), PLACES, 0)
    assert found.value.problem.code == "too-many-events"


def test_an_answer_describes_the_first_refusals() -> None:
    rejects = [(i, f"/{i}", "unknown-event", "no such") for i in range(bulk.TOLD_MAX + 5)]
    told = bulk.outcome(Translation(), Reply(3, 2, rejects, {"set/x": 1}))
    assert (told["accepted"], told["duplicates"], told["refused"]) == (3, 2, len(rejects))
    assert told["rows"][-1]["row"] == bulk.TOLD_MAX - 1
    assert told["dropped"] == {"set/x": 1}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'[{"customer": "li", "event": "signup", "message_id": "%s"}]', {}),
        (b'{"customer": "li", "event": "signup", "message_id": "%s"}\n', LINES),
    ],
)
def test_both_forms_arrive(service: Served, body: bytes, headers: dict[str, str]) -> None:
    content = body % (b"l" if headers else b"j")
    answers = [
        service.ask("POST", "/v1/events", content=content, headers=headers).json() for _ in range(2)
    ]
    assert [answer["accepted"] for answer in answers] == [1, 0]
    assert [answer["duplicates"] for answer in answers] == [0, 1]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"", 400, "invalid-rows"), (b"{}", 400, "invalid-rows"), (b"[" * 9_999, 400, "invalid-rows")],
)
def test_what_is_no_list_is_told(service: Served, body: bytes, status: int, code: str) -> None:
    answer = service.ask("POST", "/v1/events", content=body)
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)


def test_columns_arrive_and_tell_what_was_refused(service: Served) -> None:
    table = pa.table(
        {
            "customer": ["li", "mo", None],
            "event": ["signup", "unheard of", "signup"],
            "message_id": pa.array([1, 2, 3], pa.uint64()),
            "plan": ["gold", None, None],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    answers = [
        service.ask(
            "POST", "/v1/events", content=body, headers=headers, params={"source": source}
        ).json()
        for source in ("a", "a", "b")
    ]
    assert [(a["accepted"], a["duplicates"], a["refused"]) for a in answers] == [
        (1, 0, 2),
        (0, 1, 2),
        (1, 0, 2),
    ]
    assert [row["code"] for row in answers[0]["rows"]] == ["unknown-event", "missing-field"]
    wrong = service.ask("POST", "/v1/events", content=b"x", headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid-columns")
