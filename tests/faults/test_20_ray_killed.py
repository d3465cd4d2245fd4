"""Scenario 20: actors of Ray are killed while frames are on their way, and a cluster is lost.

Every frame is sent again until it is acknowledged, as a gateway does. Then everything that was
acknowledged is there once, in order, also when the partitions are opened without any cluster.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hosting
from actors.live.errors import BehindError, BusyError, DownError
from actors.live.shard import ShardOptions
from actors.live.watermarks import Marks
from api.client import Client
from core.errors import HeadraceError
from hosting import StoredFactory, frame_of
from house import CHECKOUT
from serving import SCHEMA, WELCOME, serving, signups
from waiting import PATIENCE_S, until

ray = pytest.importorskip("ray", reason="Ray is not installed")

from actors.live.ray_shard import RayHandle, RayShards  # noqa: E402

OPTIONS = ShardOptions(marks=Marks(disk_full=1.1))
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray, once for all tests of the module."""
    from actors.live.ray_shard import _connect, _ray

    support = str(Path(hosting.__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        # Actors find modules where Python looks, and not where the tests do.
        patch.setenv("PYTHONPATH", os.pathsep.join((str(CHECKOUT), support)))
        assert _connect(_ray(local=True), None, 1)
    yield
    ray.shutdown()


def start(folder: Path, instance: str = "i") -> tuple[RayShards, RayHandle]:
    shards = RayShards.start(folder, instance, [(0, 1)], StoredFactory(folder), OPTIONS)
    handle = shards.handles[0]
    handle.call("follow", [], 0)
    return shards, handle


def send(handle: RayHandle, partition: int, source: bytes, sequence: int) -> Any:
    """Send a frame until it is acknowledged."""

    def sent() -> Any:
        frame = frame_of(f"{source.decode()}{sequence}", source=source, sequence=sequence)
        try:
            return handle.submit(partition, frame, 0).result(PATIENCE_S)
        except BehindError:
            handle.call("follow", [], 0)
        except (DownError, BusyError):
            pass
        return None

    return until(sent, "an acknowledgement")


def process_of(handle: RayHandle) -> int:
    """The actor's process, once it is there."""

    def found() -> int:
        try:
            return int(ray.get(handle.actor.process.remote(), timeout=PATIENCE_S))
        except ray.exceptions.RayError:
            return 0

    return until(found, "an actor that was started again")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_actors_lose_nothing_and_double_nothing(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, handle = start(tmp_path)
    stop = threading.Event()
    sent: dict[int, int] = {}

    def work(lane: int) -> None:
        while not stop.is_set():
            number = sent.get(lane, 0) + 1
            send(handle, lane % 2, b"%d-" % lane, number)
            sent[lane] = number

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    killed = set()
    for _ in range(kills):
        time.sleep(0.3)
        process = process_of(handle)
        for number in (0, 1):
            # A minute later it would say so itself: it lives on, and is no crash loop.
            handle.call("read", number, "tend")
        os.kill(process, signal.SIGKILL)
        killed.add(process)
        before = min(sent.values(), default=0)
        until(lambda b=before: min(sent.values(), default=0) > b, "an acknowledgement")
    stop.set()
    for thread in threads:
        thread.join()
    shards.close()
    assert len(killed) == kills
    _check_cold(tmp_path, sent)
    with capsys.disabled():
        total = sum(sent.values())
        print(f"\nscenario 20: {kills} actors killed, {total} acknowledged, lost or doubled: 0")


@pytest.mark.usefixtures("cluster")
def test_an_actor_left_behind_is_replaced(tmp_path: Path) -> None:
    _, abandoned = start(tmp_path)
    send(abandoned, 0, b"a", 1)
    process = ray.get(abandoned.actor.process.remote())
    shards, handle = start(tmp_path)
    send(handle, 0, b"a", 2)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(DownError):
        abandoned.submit(0, frame_of("late", source=b"a", sequence=3), 0).result(PATIENCE_S)
    assert handle.call("read", 0, "events") == ["a1", "a2"]
    shards.close()


@pytest.mark.usefixtures("cluster")
def test_errors_and_answers_pass_through(tmp_path: Path) -> None:
    shards, handle = start(tmp_path, "other")
    assert handle.call("status")["partitions"][0]["state"] == "open"
    with pytest.raises(BehindError):
        handle.submit(0, frame_of("a"), 5).result(PATIENCE_S)
    receipts = [handle.submit(n % 2, frame_of(f"e{n}"), 0) for n in range(20)]
    assert [receipt.result(PATIENCE_S).accepted for receipt in receipts] == [1] * 20
    assert handle.call("read", 1, "events") == [f"e{n}" for n in range(1, 20, 2)]
    handle.call("follow", [(1, {"kind": "pause"})], 1)
    assert handle.call("control_sequence") == 1
    shards.close()
    with pytest.raises(DownError, match="stopping"):
        handle.submit(0, frame_of("a"), 0).result(1)


def _check_cold(folder: Path, sent: dict[int, int]) -> None:
    """What the folders hold, without any cluster."""
    for number in (0, 1):
        partition = StoredFactory(folder)()(number)
        for lane in (lane for lane in sent if lane % 2 == number):
            mine = [e for e in partition.events() if e.startswith(f"{lane}-")]
            assert mine == [f"{lane}-{n}" for n in range(1, sent[lane] + 1)]
        partition.close()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["raylet", pytest.param("gcs_server", marks=pytest.mark.soak)])
def test_folders_outlive_their_cluster(
    tmp_path: Path, victim: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "d"
    acknowledged = 0
    with serving(folder, "--no-send", "--partitions", "2", "--shards", "1") as process:
        with Client(folder, timeout_s=PATIENCE_S) as client:
            client.set_schema(SCHEMA)
            client.publish(WELCOME)
            acknowledged += client.send_events(signups(200)).accepted
        for found in _descendants(process.pid, victim):
            os.kill(found, signal.SIGKILL)
        # The actor may live on for a moment. What then gets no answer may be stored or not.
        with Client(folder, timeout_s=2) as client, contextlib.suppress(HeadraceError):
            for first in range(200, 600, 100):
                acknowledged += client.send_events(signups(100, first)).accepted
                time.sleep(0.3)
        process.kill()
        process.wait()
    with serving(folder, "--inline", "--no-send"), Client(folder) as client:
        entered = client.counts("welcome").entered.tolist()[0]
        assert acknowledged <= entered <= acknowledged + 100
        again = client.send_events(signups(600))
        assert (again.accepted, again.duplicates) == (600 - entered, entered)
        assert client.counts("welcome").entered.tolist()[0] == 600
    with capsys.disabled():
        print(f"\nscenario 20: {victim} killed, {acknowledged} acknowledged, lost or doubled: 0")


def _descendants(process: int, name: str) -> list[int]:
    """The processes of that name which a process started, or its children did."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "stat").read_text()
            except OSError:
                continue
            command, rest = line[line.index("(") + 1 :].rsplit(")", 1)
            parents.setdefault(int(rest.split()[1]), []).append((int(entry.name), command))
    found, ancestors = [], [process]
    while ancestors:
        for child, command in parents.get(ancestors.pop(), []):
            ancestors.append(child)
            if command.startswith(name):
                found.append(child)
    assert found, f"there is no {name}"
    return found
