"""Tests of `api.client`: calls that are made again, batches, and what an engine refuses."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.live.data_dir import DataDir, Manifest, socket_path
from actors.live.errors import BusyError, DownError, LiveError, RefusedError, UnknownError
from actors.store.errors import FormatError
from api.client import Client
from api.unix_socket import listen
from api.wire import FORMAT, error_map, read_message, send_message
from waiting import PATIENCE_S


class Script:
    """An engine that answers as it is told: a result, an error, or it hangs up after reading."""

    HANG_UP = object()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self._listener = listen(path)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                while (message := read_message(connection)) is not None:
                    self.asked.append(message)
                    answer = self.answers.pop(0)
                    if answer is self.HANG_UP:
                        break
                    key = "error" if isinstance(answer, LiveError) else "result"
                    told = error_map(answer) if isinstance(answer, LiveError) else answer
                    send_message(connection, {"format": FORMAT, key: told})

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


REPLY = {"accepted": 1, "duplicates": 0, "rejects": [], "dropped": {}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    DataDir.create(tmp_path / "d", Manifest("t", 1)).close()
    return tmp_path / "d"


@pytest.fixture
def script(folder: Path) -> Iterator[Script]:
    script = Script(socket_path(folder))
    yield script
    script.close()


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    with Client(folder, timeout_s=PATIENCE_S) as client:
        yield client


def test_a_lost_answer_is_asked_for_again_under_the_same_name(
    script: Script, client: Client
) -> None:
    script.answers = [Script.HANG_UP, REPLY]
    assert client.send_events([{"customer": "c", "event": "e"}]).accepted == 1
    first, second = script.asked
    assert first == second
    assert len(first["arguments"]["batch"]) == 16
    done = {"flow": "f", "version": 1, "command": 1, "pending": []}
    script.answers = [Script.HANG_UP, done]
    assert client.pause("f").command == 1
    assert script.asked[2] == script.asked[3]
    assert len(script.asked[2]["arguments"]["request"]) == 32


def test_two_calls_have_two_names(script: Script, client: Client) -> None:
    script.answers = [REPLY, REPLY]
    for _ in range(2):
        client.send_events([{"customer": "c", "event": "e"}])
    one, other = (asked["arguments"]["batch"] for asked in script.asked)
    assert one != other


def test_a_busy_engine_is_asked_again_when_it_says(script: Script, client: Client) -> None:
    script.answers = [BusyError("full", retry_after_ms=80), REPLY]
    begun = time.monotonic()
    assert client.send_events([{"customer": "c", "event": "e"}]).accepted == 1
    assert time.monotonic() - begun >= 0.08


def test_a_refusal_is_raised_and_not_asked_again(script: Script, client: Client) -> None:
    script.answers = [RefusedError("no flow 'f' was published", advice="Publish it first")]
    with pytest.raises(RefusedError, match="Publish it first"):
        client.counts("f")
    assert len(script.asked) == 1


def test_many_rows_go_in_batches_and_add_up(script: Script, client: Client) -> None:
    reject = [3, "/3/event", "unknown-event", "the schema has no event 'x'"]
    some = {"accepted": 4999, "duplicates": 0, "rejects": [reject], "dropped": {"set/a": 2}}
    script.answers = [some, some, REPLY]
    reply = client.send_events({"customer": f"c{i}", "event": "e"} for i in range(10_001))
    assert [len(asked["arguments"]["rows"]) for asked in script.asked] == [5000, 5000, 1]
    assert (reply.accepted, reply.dropped) == (9999, {"set/a": 4})
    assert [row for row, *_ in reply.rejects] == [3, 5003]


def test_a_numbered_batch_is_sent_whole(script: Script, client: Client) -> None:
    script.answers = [REPLY]
    rows = [{"customer": f"c{i}"} for i in range(7000)]
    client.upsert_customers(iter(rows), source="crm", sequence=9)
    arguments = script.asked[0]["arguments"]
    assert (arguments["source"], arguments["sequence"]) == (b"crm", 9)
    assert len(arguments["rows"]) == 7000
    assert "batch" not in arguments


def test_an_engine_that_never_answers_is_told(folder: Path, script: Script) -> None:
    script.answers = [Script.HANG_UP] * 100
    with Client(folder, timeout_s=1.0) as client, pytest.raises(UnknownError, match="not known"):
        client.flows()
    assert len(script.asked) > 1


def test_one_that_is_full_all_the_time_is_told(folder: Path, script: Script) -> None:
    script.answers = [BusyError("full", retry_after_ms=50)] * 100
    with Client(folder, timeout_s=1.0) as client, pytest.raises(BusyError, match="full"):
        client.flows()


def test_one_that_is_not_there_is_told(folder: Path) -> None:
    with (
        Client(folder, timeout_s=0.2) as client,
        pytest.raises(DownError, match="no engine answers"),
    ):
        client.flows()


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no data directory here"):
        Client(tmp_path)
