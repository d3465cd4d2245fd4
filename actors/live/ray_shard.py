"""Run shards as actors of Ray, which starts them again when they die.

Ray is imported here only, and only when an engine with actors starts. What is true lies in the
partitions' folders: an actor that dies loses nothing, and a cluster that is gone is started anew
from the folders. A call whose answer was lost is made again; the partition knows the frame by its
number, or its rows by their messages' ids, and takes nothing twice.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors.intake.frame import Frame, encode
from actors.intake.tagging import log_to
from actors.live.errors import BusyError, DownError, GoneError, LiveError
from actors.live.handles import close_all
from actors.live.hosted import Receipt
from actors.live.inbox import RETRY_AFTER_MS
from actors.live.line import ANSWER_S, Line, Parcel, listen, plain
from actors.live.opening import OpenerFactory
from actors.live.shard import Shard, ShardOptions
from core.errors import HeadraceError

NAMESPACE = "headrace"
OBJECT_STORE_BYTES = 256 << 20
CLOSE_S = 100.0  # for saving the state of all partitions of an actor
AGAIN_S = 0.1
WAITING_BYTES_MAX = 256 << 20  # of frames that wait to be sent


class ShardHost:
    """What an actor runs: a shard, and calls on it one after the other."""

    def __init__(
        self,
        folder: str,
        numbers: tuple[int, ...],
        factory: OpenerFactory,
        options: ShardOptions,
    ) -> None:
        """Open the partitions; those that cannot be opened are told by `status`."""
        with suppress(OSError):  # where there is no room the shard goes on without
            log_to(Path(folder) / "log" / f"shard-{numbers[0]:03}.jsonl")
        self._shard = Shard(Path(folder), numbers, factory(), options)
        # What there is by now, modules above all, stays: a full collection would look through all
        # of it, for 50 to 100 ms in which nothing is acknowledged.
        gc.collect()
        gc.freeze()

    def listen(self) -> str:
        """Where the gateway may connect to send frames; see `actors.live.line`."""
        return listen(self._shard.submit, self._check_alive)

    def call(self, method: str, *arguments: Any) -> Any:
        """(True, the answer of the shard's method) or (False, the error it raised)."""
        try:
            return True, getattr(self._shard, method)(*arguments)
        except Exception as error:
            self._check_alive()
            return False, error if isinstance(error, HeadraceError) else plain(error)

    def process(self) -> int:
        """The id of the actor's process."""
        return os.getpid()

    def close(self) -> None:
        """Commit what is queued and close the partitions."""
        self._shard.close()

    def _check_alive(self) -> None:
        if not self._shard.alive:
            # Only a new process gets a new thread: Ray starts one.
            os._exit(1)


class RayHandle:
    """A shard behind an actor: calls go by Ray, frames by a line of their own."""

    def __init__(self, actor: Any, numbers: tuple[int, ...]) -> None:
        """Reach `actor`, which hosts the partitions `numbers`."""
        self.numbers = numbers
        self.actor = actor
        self._parcels: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._line: Line | None = None
        self._waiting_bytes = 0
        self._counting = threading.Lock()
        self._closed = False
        self._sender = threading.Thread(
            target=self._send, name=f"sender-{numbers[0]:03}", daemon=True
        )
        self._sender.start()

    def submit(self, partition: int, frame: Frame, control: int) -> Future[Receipt]:
        """Send a frame on its way; see `ShardHandle`."""
        future: Future[Receipt] = Future()
        data = encode(frame, tagged=True)
        with self._counting:
            full = self._waiting_bytes + len(data) > WAITING_BYTES_MAX and self._waiting_bytes > 0
            if not full and not self._closed:
                self._waiting_bytes += len(data)
                self._parcels.put(Parcel(partition, data, control, future))
                return future
        if full:
            what = f"{self._waiting_bytes >> 10:,} KiB wait for the shard already"
            future.set_exception(BusyError(what, retry_after_ms=RETRY_AFTER_MS))
        else:
            future.set_exception(DownError("the engine is stopping"))
        return future

    def call(self, method: str, *arguments: Any) -> Any:
        """What the shard's method answers; asked again while the actor is being started again."""
        end = time.monotonic() + ANSWER_S
        while True:
            try:
                well, answer = _get(self.actor.call.remote(method, *arguments), end)
            except GoneError:
                raise
            except DownError:
                if time.monotonic() >= end:
                    raise
                time.sleep(AGAIN_S)
                continue
            if well:
                return answer
            raise answer

    def close(self) -> None:
        """Commit what is queued, close the partitions and end the actor."""
        import ray

        if self._closed:
            return
        with self._counting:
            self._closed = True
            self._parcels.put(None)
        self._sender.join()
        try:
            _get(self.actor.close.remote(), time.monotonic() + CLOSE_S)
        except DownError:
            pass  # It died on the way; its folders are as a crash leaves them, which is fine.
        finally:
            ray.kill(self.actor, no_restart=True)

    def _send(self) -> None:
        while (parcel := self._parcels.get()) is not None:
            with self._counting:
                self._waiting_bytes -= len(parcel.frame)
            try:
                line = self._connected()
            except DownError as error:
                parcel.future.set_exception(error)
            else:
                line.send(parcel)
        if self._line is not None:
            self._line.close()

    def _connected(self) -> Line:
        """The line to the actor's present process. Raises DownError."""
        if self._line is not None and not self._line.open:
            self._line.close()
            self._line = None
        if self._line is None:
            path = _get(self.actor.listen.remote(), time.monotonic() + ANSWER_S)
            try:
                self._line = Line(path)
            except OSError as error:
                raise DownError(
                    f"the shard cannot be reached at {path}: {error.strerror}",
                    advice="Run the engine where Ray's processes see the same temporary folder",
                ) from None
        return self._line


class RayShards:
    """The actors of one engine, and Ray if it was started for them."""

    def __init__(self, handles: list[RayHandle], *, own_cluster: bool) -> None:
        """Made by `start`."""
        self.handles = handles
        self._own_cluster = own_cluster

    @classmethod
    def start(
        cls,
        folder: Path,
        instance: str,
        groups: Sequence[tuple[int, ...]],
        factory: OpenerFactory,
        options: ShardOptions,
        *,
        address: str | None = None,
    ) -> RayShards:
        """Start an actor for each group of partitions of the data directory `folder`.

        Without `address` Ray is started on this machine, reachable by it alone; with one, a
        cluster is joined, and the actors run on this machine, where the folder is. Actors that an
        engine of this `instance` left behind are ended first. Raises DownError.
        """
        ray = _ray(local=address is None)
        own_cluster = _connect(ray, address, len(groups))
        try:
            _end_leftovers(ray, instance)
            node = ray.get_runtime_context().get_node_id()
            remote = ray.remote(ShardHost)
            started = time.time_ns()
            actors = [
                remote.options(
                    name=f"{instance}/{started}/{index}",
                    namespace=NAMESPACE,
                    lifetime="detached",
                    max_restarts=-1,
                    # The handle makes lost calls again, after it has brought what commands the
                    # new process lacks.
                    max_task_retries=0,
                    num_cpus=0,
                    scheduling_strategy=_here(node),
                ).remote(str(folder), numbers, factory, options)
                for index, numbers in enumerate(groups)
            ]
        except BaseException:
            if own_cluster:
                ray.shutdown()
            raise
        handles = [RayHandle(a, numbers) for a, numbers in zip(actors, groups, strict=True)]
        return cls(handles, own_cluster=own_cluster)

    def close(self) -> None:
        """End the actors in good order, and Ray if it was started for them."""
        import ray

        try:
            close_all(self.handles)
        finally:
            if self._own_cluster:
                ray.shutdown()


def _ray(*, local: bool) -> Any:
    """Ray, set up before its first import to talk to nobody but this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray gives its workers a nice value of 15, as though they were jobs of the night.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if local and "ray" not in sys.modules:
        # Ray takes the machine's outer address unless it believes it cannot form a cluster.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise LiveError(
            f"Ray cannot be imported: {error}",
            advice="Install it with `pip install ray`, or run without it: --inline",
        ) from None
    return ray


def _connect(ray: Any, address: str | None, shards: int) -> bool:
    """Join a cluster or start one; whether one was started."""
    if ray.is_initialized():
        return False
    common = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is not None:
            ray.init(address=address, **common)
            return False
        ray.init(
            include_dashboard=False,
            dashboard_host="127.0.0.1",
            num_cpus=max(1, shards),
            object_store_memory=OBJECT_STORE_BYTES,
            **common,
        )
    except Exception as error:
        raise DownError(
            f"Ray does not start: {error}" if address is None else f"{address}: {error}",
            advice="Check the address and that the cluster runs the same version of Ray"
            if address is not None
            else "Free memory and space in the folder for temporary files, or use --inline",
        ) from None
    return True


def _end_leftovers(ray: Any, instance: str) -> None:
    """End the actors of an engine that died; their partitions are fenced off in any case."""
    for found in ray.util.list_named_actors(all_namespaces=True):
        if found["namespace"] == NAMESPACE and found["name"].startswith(f"{instance}/"):
            try:
                ray.kill(ray.get_actor(found["name"], namespace=NAMESPACE), no_restart=True)
            except ValueError:
                continue  # it ended by itself


def _here(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=False)


def _get(reference: Any, end_s: float) -> Any:
    """The answer of a call. Raises DownError if there is none by then: it may come to be done."""
    import ray

    try:
        return ray.get(reference, timeout=max(0.0, end_s - time.monotonic()))
    except ray.exceptions.ActorDiedError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        raise GoneError(
            f"the shard's actor ended for good: {said[-1].strip() if said else 'no reason given'}",
            advice="Start the engine again",
        ) from None
    except (ray.exceptions.RayError, TimeoutError) as error:
        raise DownError(
            f"the shard does not answer: {type(error).__name__}",
            advice="It is started again by itself; the same may be sent again",
        ) from None
