"""A flow's entrants are the sum over its versions, whatever became of those (A088)."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.live.engine import Engine
from actors.live.errors import RefusedError
from actors.live.replies import Entrants
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import Marks
from api.client import Client
from api.server import Server

OPTIONS = ShardOptions(marks=Marks(disk_full=1.1))
HOSTING = Hosting(inline=True, shards=1, relays=False, options=OPTIONS)
PARTITIONS = 2
NODES = {
    "t": {"type": "on_event", "event": "go", "next": "w"},
    "w": {"type": "wait", "for": "30 days", "next": "x"},
    "x": {"type": "end"},
}


@contextmanager
def running(folder: Path) -> Iterator[tuple[Engine, Client]]:
    """An engine and a client that talks to it."""
    with start_engine(folder, Making(partitions=PARTITIONS), HOSTING) as engine:
        server = Server(engine, engine.data.socket)
        server.start()
        try:
            with Client(folder, timeout_s=10) as client:
                yield engine, client
        finally:
            server.close()


def publish(client: Client, text: str, **more: str) -> int:
    document = {"headrace": 1, "flow": "f", "description": text, "nodes": NODES,
                "settings": {"reentry": {"policy": "always"}}}  # fmt: skip
    return client.publish(json.dumps(document), **more).version  # type: ignore[arg-type]


def enter(client: Client, *numbers: int) -> None:
    client.send_events([{"customer": f"c{n}", "event": "go"} for n in numbers])


def test_A088_the_total_is_the_sum_over_versions(tmp_path: Path) -> None:
    with running(tmp_path / "d") as (engine, client):
        client.set_schema({"events": {"go": {}}})
        assert publish(client, "first") == 1
        assert client.entrants("f") == Entrants([1], [0], [0])
        enter(client, *range(10))
        enter(client, 0)
        # Those inside stay on their version; whoever enters the new one counts there too.
        assert publish(client, "second", in_flight="pin") == 2
        enter(client, 0, 1, 2, 10, 11)
        told = client.entrants("f")
        assert told == Entrants([1, 2], [11, 5], [10, 5])
        assert (told.total_entries, told.total_people) == (16, 15)
        # Those who are taken out have entered all the same.
        assert publish(client, "third", in_flight="drop") == 3
        enter(client, 20, 21, 22)
        # Those who are reset enter the new version.
        assert publish(client, "fourth", in_flight="reset") == 4
        told = client.entrants("f")
        assert told == Entrants([1, 2, 3, 4], [11, 5, 3, 3], [10, 5, 3, 3])

    with running(tmp_path / "d") as (engine, client):
        assert client.entrants("f") == told
        client.stop("f", in_flight="drop")
        enter(client, 30, 31)
        assert client.entrants("f") == told
        assert publish(client, "first") == 5
        enter(client, 0, 30, 31, 32)
        told = client.entrants("f")
        assert told == Entrants([1, 2, 3, 4, 5], [11, 5, 3, 3, 4], [10, 5, 3, 3, 4])
        assert told.total_entries == 26
        for number in range(PARTITIONS):
            while engine._of[number].call("read", number, "snapshot", True):
                pass

    with running(tmp_path / "d") as (engine, client):
        assert client.entrants("f") == told
        by_version = [client.counts("f", version) for version in told.versions]
        assert [int(c.entered[0]) for c in by_version] == told.entries
        assert [c.people for c in by_version] == told.people
        assert [int(c.waiting[1]) for c in by_version] == [0, 0, 0, 0, 4]
        assert client.counts("f").entered.tolist() == by_version[-1].entered.tolist()
        with pytest.raises(RefusedError, match="f, version 6, was never published"):
            client.counts("f", 6)
        with pytest.raises(RefusedError, match="no flow 'g' was published"):
            client.entrants("g")
