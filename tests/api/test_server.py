"""Tests of `api.server`: every method, wrong requests, and an end in good order."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors.live.errors import LiveError, RefusedError
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from api import server as server_module
from api.client import Client
from api.server import Server, answer
from api.unix_socket import connect
from api.wire import FORMAT, WireError, read_message, send_message
from serving import SCHEMA, WELCOME, customers, signups
from waiting import PATIENCE_S, until

OPTIONS = ShardOptions(marks=Marks(disk_full=1.1))
HOSTING = Hosting(inline=True, shards=1, relays=False, options=OPTIONS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start_engine(tmp_path / "d", Making(partitions=2), HOSTING) as engine:
        server = Server(engine, engine.data.socket)
        server.start()
        yield server
        server.close()


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Path:
    return tmp_path / "d"


def test_a_client_can_ask_everything(folder: Path) -> None:
    with Client(folder, timeout_s=10) as client:
        assert client.set_schema(SCHEMA).command == 1
        assert client.publish(WELCOME).version == 1
        assert client.upsert_customers(customers(3)).accepted == 3
        reply = client.send_events([*signups(3), {"customer": "c9", "event": "nothing"}])
        assert (reply.accepted, reply.rejects[0][:3]) == (3, (3, "/3/event", "unknown-event"))
        assert [(each.event, n) for each, n in reply.strange.items()] == [("nothing", 1)]
        numbered = client.send_events(signups(2, 50), source="crm", sequence=1)
        assert (numbered.accepted, client.sequence_of("crm")) == (2, 1)
        assert client.counts("welcome").entered.tolist()[0] == 5
        state = client.state_of("c1")
        assert state is not None
        assert state["places"][0]["node"] == "clicked"
        assert client.state_of("nobody") is None
        client.pause("welcome")
        client.resume("welcome")
        client.stop("welcome")
        assert client.flows() == [{"flow": "welcome", "version": 1, "status": "stopped"}]
        with pytest.raises(RefusedError, match="no flow 'x' was published"):
            client.pause("x")


def test_wrong_requests_are_answered(folder: Path) -> None:
    for request, message in (
        ({"method": "dance", "arguments": {}}, "there is no method 'dance'"),
        ({"method": "pause", "arguments": {"who": 1}}, "pause was asked with wrong arguments"),
        ({"method": "pause", "arguments": 5}, "there is no method"),
        ({"method": ["pause"]}, "unhashable"),
    ):
        with connect(folder / "headrace.sock", PATIENCE_S) as connection:
            send_message(connection, {"format": FORMAT, **request})
            found = read_message(connection)
            assert found is not None
            assert message in found["error"]["message"]


def test_bytes_that_are_no_request_end_their_connection_alone(folder: Path) -> None:
    with connect(folder / "headrace.sock", PATIENCE_S) as bad, Client(folder) as good:
        good.status()
        bad.sendall(struct.pack("<I", 1) + b"\xc1")
        found = read_message(bad)
        assert found is not None
        assert "cannot be read" in found["error"]["message"]
        assert read_message(bad) is None
        good.status()


def test_an_error_of_ours_is_told_without_a_traceback() -> None:
    class Broken:
        def status(self) -> None:
            raise RuntimeError("a mistake")

    found = answer(Broken(), {"method": "status"})  # type: ignore[arg-type]
    assert found["error"]["message"] == "RuntimeError: a mistake"
    assert found["error"]["kind"] == LiveError.__name__


def test_what_is_under_way_is_answered_before_the_end(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "d" / "headrace.sock"
    engine = server._engine
    release, entered = threading.Event(), threading.Event()

    def slow() -> dict[str, int]:
        entered.set()
        assert release.wait(PATIENCE_S)
        return {"slow": 1}

    engine.status = slow  # type: ignore[method-assign]
    with connect(path, 10) as idle, connect(path, 10) as busy:
        send_message(busy, {"format": FORMAT, "method": "status"})
        assert entered.wait(PATIENCE_S)
        closing = threading.Thread(target=server.close)
        closing.start()
        assert read_message(idle) is None
        release.set()
        found = read_message(busy)
        closing.join(PATIENCE_S)
    assert found == {"format": FORMAT, "result": {"slow": 1}}
    assert not path.exists()


def test_more_connections_than_can_be_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 1)
    path = folder / "headrace.sock"
    with connect(path, PATIENCE_S) as first:
        send_message(first, {"format": FORMAT, "method": "status"})
        assert read_message(first) is not None
        with connect(path, PATIENCE_S) as second:
            found = read_message(second)
            assert found is not None
            assert "too many connections" in found["error"]["message"]

    def answered() -> bool:
        with connect(path, PATIENCE_S) as third, suppress(WireError, OSError):
            send_message(third, {"format": FORMAT, "method": "status"})
            return "result" in (read_message(third) or {})
        return False

    until(answered)


def test_a_client_that_goes_away_harms_nobody(folder: Path) -> None:
    for data in (b"", b"\x05\x00", struct.pack("<I", 100) + b"x"):
        with connect(folder / "headrace.sock", PATIENCE_S) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
    with Client(folder) as client:
        assert client.flows() == []
