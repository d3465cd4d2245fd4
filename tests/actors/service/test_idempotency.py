"""Checks that a request is carried out once however often and from wherever it is sent."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from actors import failpoints
from actors.service.errors import InvalidError, UnderWayError
from actors.service.idempotency import Claim, Idempotency, Response
from actors.service.plane import Plane, Rows
from live_work import fork

NOW = 1_790_000_000_000
DAY = 24 * 3_600_000
CREATED = Response(201, b'{"id": 7}', {"Location": "/v1/flows/7"})
ROUTE = "POST /v1/flows"


@pytest.fixture
def home(plane: Plane) -> Idempotency:
    return Idempotency(plane)


def claimed(home: Idempotency, rows: Rows, key: str = "k", body: bytes = b"b") -> Claim:
    found = home.claim(rows, ROUTE, key, body, NOW)
    assert isinstance(found, Claim)
    return found


def carry_out(home: Idempotency, rows: Rows, key: str = "k", body: bytes = b"b") -> Response:
    """Count how often it was done, and store that with the response."""
    found = home.claim(rows, ROUTE, key, body, NOW)
    if isinstance(found, Response):
        return found
    with found, rows.write() as txn:
        txn.append("jobs", {})
        found.store(txn, CREATED)
    return CREATED


def done(rows: Rows) -> int:
    with rows.read() as txn:
        return len(list(txn.scan("jobs")))


def test_a_repetition_gets_the_response_and_does_nothing(
    plane: Plane, home: Idempotency, folder: Path
) -> None:
    rows = plane.tenant("acme")
    for _ in range(3):
        assert carry_out(home, rows) == CREATED
    assert done(rows) == 1
    plane.close()
    with Plane.open(plane.folder) as again:
        rows = again.tenant("acme")
        assert carry_out(Idempotency(again), rows) == CREATED
        assert done(rows) == 1


def test_a_key_is_of_one_request_of_one_tenant_on_one_route(
    plane: Plane, home: Idempotency
) -> None:
    rows = plane.tenant("acme")
    carry_out(home, rows)
    for body in (b"", b"B", b"b "):
        with pytest.raises(InvalidError, match="was used for another request") as caught:
            home.claim(rows, ROUTE, "k", body, NOW)
        assert caught.value.pointer == "Idempotency-Key"
    with claimed(home, plane.tenant("other")), claimed(home, plane.operator):
        pass
    with claimed(home, rows, "K"):
        pass
    other = home.claim(rows, "POST /v1/flows/7", "k", b"b", NOW)
    assert isinstance(other, Claim)
    # Where route and key join is no place to cheat.
    for route, key in (("POST /v1/flow", "sk"), ("POST /v1/flows k", "k")):
        assert isinstance(home.claim(rows, route, key, b"b", NOW), Claim)


def test_of_fifty_at_once_one_is_carried_out(plane: Plane, home: Idempotency) -> None:
    rows = plane.tenant("acme")
    begin = threading.Barrier(50)
    came: list[object] = []

    def send() -> None:
        begin.wait()
        try:
            came.append(carry_out(home, rows))
        except UnderWayError:
            came.append("under way")

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done(rows) == 1
    assert len(came) == 50
    assert came.count(CREATED) + came.count("under way") == 50
    assert came.count(CREATED) >= 1
    assert carry_out(home, rows) == CREATED


def test_while_it_is_carried_out_others_are_told_to_wait(plane: Plane, home: Idempotency) -> None:
    rows = plane.tenant("acme")
    with claimed(home, rows) as claim:
        for body in (b"b", b"other"):
            with pytest.raises(UnderWayError, match="is being carried out") as caught:
                home.claim(rows, ROUTE, "k", body, NOW)
            assert caught.value.retry_after_ms == 1_000
        with rows.write() as txn:
            claim.store(txn, CREATED)
        with pytest.raises(UnderWayError):
            home.claim(rows, ROUTE, "k", b"b", NOW)
    assert home.claim(rows, ROUTE, "k", b"b", NOW) == CREATED


def test_what_failed_may_be_sent_again(plane: Plane, home: Idempotency) -> None:
    rows = plane.tenant("acme")
    with pytest.raises(RuntimeError), claimed(home, rows) as claim, rows.write() as txn:  # noqa: PT012
        txn.append("jobs", {})
        claim.store(txn, CREATED)
        raise RuntimeError
    assert done(rows) == 0
    # Without a stored response another body is no contradiction.
    assert carry_out(home, rows, body=b"corrected") == CREATED
    assert done(rows) == 1


@pytest.mark.parametrize(
    ("point", "stored"),
    [
        ("plane_before_commit", 0), ("in_transaction", 0), ("after_transaction", 1),
        ("before_acknowledgement", 1), ("plane_after_commit", 1),
    ],
)  # fmt: skip
def test_a_crash_does_nothing_twice(folder: Path, point: str, stored: int) -> None:
    def once(tell: Callable[[object], None]) -> None:
        with Plane.open(folder / "p") as plane:
            failpoints.arm(point, "kill")
            carry_out(Idempotency(plane), plane.tenant("acme"))

    _, code = fork(once).wait()
    assert code == -signal.SIGKILL
    with Plane.open(folder / "p") as plane:
        rows = plane.tenant("acme")
        assert done(rows) == stored
        for _ in range(2):
            assert carry_out(Idempotency(plane), rows) == CREATED
            assert done(rows) == 1


def test_what_a_response_shows_is_in_no_file(plane: Plane, home: Idempotency) -> None:
    rows = plane.tenant("acme")
    shown = Response(201, b'{"secret": "a canary"}', {"Set-Cookie": "a canary"})
    key = "4f7a0c52-a canary"
    for _ in range(2):
        found = home.claim(rows, ROUTE, key, b"a canary", NOW)
        if isinstance(found, Claim):
            with found, rows.write() as txn:
                found.store(txn, shown)
                assert "a canary" not in str(found._request)
    assert found == shown
    with rows.read() as txn:
        ((_, record),) = txn.scan("idempotency")
    assert set(record) == {"request", "response", "expires_ms"}
    for path in plane.folder.iterdir():
        assert b"a canary" not in path.read_bytes()
    # Equal responses do not look equal.
    with claimed(home, rows, "other") as claim, rows.write() as txn:
        claim.store(txn, shown)
    with rows.read() as txn:
        one, two = (record["response"] for _, record in txn.scan("idempotency"))
    assert one[:12] != two[:12]
    assert one[12:] != two[12:]


def test_a_response_is_kept_for_a_day(plane: Plane, home: Idempotency) -> None:
    rows = plane.tenant("acme")
    carry_out(home, rows)
    assert home.claim(rows, ROUTE, "k", b"b", NOW + DAY - 1) == CREATED
    later = home.claim(rows, ROUTE, "k", b"another", NOW + DAY)
    assert isinstance(later, Claim)
    with later, rows.write() as txn:
        later.store(txn, Response(200, b"later"))
    # The first has expired, and what took its place has not.
    assert home.sweep(NOW + DAY) == 1
    assert home.claim(rows, ROUTE, "k", b"another", NOW + DAY) == Response(200, b"later")


def test_what_has_expired_is_swept(
    plane: Plane, home: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.service.idempotency.SWEPT_MAX", 4)
    owners = [plane.tenant("acme"), plane.tenant("other"), plane.operator]
    for rows in owners:
        for number in range(3):
            carry_out(home, rows, f"{number}")
    assert home.sweep(NOW + DAY - 1) == 0
    assert [home.sweep(NOW + DAY) for _ in range(4)] == [4, 4, 1, 0]
    for rows in owners:
        with rows.read() as txn:
            assert list(txn.scan("idempotency")) == []
            assert list(txn.scan("idempotency_due")) == []


def test_a_response_goes_to_the_tenant_that_asked(plane: Plane, home: Idempotency) -> None:
    with (
        claimed(home, plane.tenant("acme")) as claim,
        plane.tenant("other").write() as txn,
        pytest.raises(ValueError, match="belongs among his rows"),
    ):
        claim.store(txn, CREATED)


@pytest.mark.parametrize("key", ["", "a" * 256, "a\n", "a\0", "\ud800"])
def test_a_key_of_another_form_is_refused(plane: Plane, home: Idempotency, key: str) -> None:
    with pytest.raises(InvalidError, match="1 to 255 printable characters"):
        home.claim(plane.operator, ROUTE, key, b"", NOW)
