"""Carry frames to a shard in another process of this machine, and receipts back, by a socket.

A parcel is a head of three numbers, its partition, the last command that this must have and the
size, and then the frame's bytes. Answers come in the order of parcels, several at a time where they
are ready: the size, then a pickled list of receipts and errors, which is read from the process only
that the gateway has started itself. Ray carries the same for more than ten times the work.
"""

from __future__ import annotations

import pickle
import queue
import select
import socket
import struct
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.live.errors import DownError, LiveError
from actors.live.hosted import Receipt
from core.errors import HeadraceError

CONNECT_S = 30.0
ANSWER_S = 60.0  # without an answer, the shard counts as down
BUFFER_BYTES = 1 << 20
_HEAD = struct.Struct("<QQQ")
_SIZE = struct.Struct("<Q")

Submit = Callable[[int, bytes, int], Future[Receipt]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A frame for a partition that has had the command `control`; the promise of its receipt."""

    partition: int
    frame: bytes
    control: int
    future: Future[Receipt]


def listen(submit: Submit, check: Callable[[], None]) -> str:
    """The path of a socket at which one gateway may connect, and send what `submit` takes.

    `check` is called before answers are sent. The path is gone once somebody has connected.
    """
    folder = Path(tempfile.mkdtemp(prefix="headrace-"))
    path = folder / "shard"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    server.settimeout(CONNECT_S)

    def serve() -> None:
        try:
            connection, _ = server.accept()
        except OSError:
            return  # nobody came
        finally:
            server.close()
            with suppress(OSError):
                path.unlink()
                folder.rmdir()
        connection.setblocking(True)
        with connection:
            _serve(connection, submit, check)

    threading.Thread(target=serve, name="line", daemon=True).start()
    return str(path)


def _serve(connection: socket.socket, submit: Submit, check: Callable[[], None]) -> None:
    """Take parcels until the other end closes, then answer the last ones."""
    asked: queue.SimpleQueue[Future[Receipt] | None] = queue.SimpleQueue()
    answering = threading.Thread(
        target=_answer, args=(connection, asked, check), name="answers", daemon=True
    )
    answering.start()
    try:
        while head := _received(connection, _HEAD.size):
            partition, control, size = _HEAD.unpack(head)
            frame = _received(connection, size)
            try:
                asked.put(submit(partition, frame, control))
            except Exception as error:
                failed: Future[Receipt] = Future()
                failed.set_exception(error)
                asked.put(failed)
    except OSError:
        pass  # The gateway died; whoever asked it will ask again.
    finally:
        asked.put(None)
        answering.join()


def _answer(
    connection: socket.socket,
    asked: queue.SimpleQueue[Future[Receipt] | None],
    check: Callable[[], None],
) -> None:
    next_: Future[Receipt] | None = asked.get()
    while next_ is not None:
        outcomes = [_outcome(next_)]
        try:
            while (next_ := asked.get_nowait()) is not None and next_.done():
                outcomes.append(_outcome(next_))
            more = False
        except queue.Empty:
            more = True
        data = pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL)
        check()
        try:
            connection.sendall(_SIZE.pack(len(data)) + data)
        except OSError:
            return
        if more:
            next_ = asked.get()


def _outcome(future: Future[Receipt]) -> Receipt | HeadraceError:
    error = future.exception()
    if error is None:
        return future.result()
    return error if isinstance(error, HeadraceError) else plain(error)


def plain(error: BaseException) -> LiveError:
    """An error that nobody expected, as one that can be told."""
    return LiveError(f"{type(error).__name__}: {error}", advice="Please report it")


def _received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, b"" at the end. Raises OSError where the end comes within them."""
    found = connection.recv(size, socket.MSG_WAITALL)
    while len(found) < size:
        more = connection.recv(size - len(found), socket.MSG_WAITALL) if found else b""
        if not more:
            if found:
                raise ConnectionResetError("cut short")
            return b""
        found += more
    return found


class Line:
    """A gateway's end of a connection to a shard. One thread sends; answers come by another."""

    def __init__(self, path: str) -> None:
        """Connect. Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._lock = threading.Lock()
        self._sent: deque[Parcel] = deque()
        self._thread = threading.Thread(target=self._answers, name="answers", daemon=True)
        self.open = True
        self._thread.start()

    def send(self, parcel: Parcel) -> None:
        """Send a parcel; its future tells if that fails."""
        with self._lock:
            if self.open:
                self._sent.append(parcel)
            else:
                parcel.future.set_exception(_down())
                return
        head = _HEAD.pack(parcel.partition, parcel.control, len(parcel.frame))
        try:
            self._socket.sendall(head)
            self._socket.sendall(parcel.frame)
        except OSError:
            self._end()

    def close(self) -> None:
        """Send nothing more, and wait for the answers that are due."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._thread.join()
        self._socket.close()

    def _end(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _answers(self) -> None:
        try:
            while self._answered() and (head := _received(self._socket, _SIZE.size)):
                (size,) = _SIZE.unpack(head)
                self._tell(pickle.loads(_received(self._socket, size)))
        except OSError:
            pass  # the shard died
        finally:
            with self._lock:
                self.open = False
                lost = list(self._sent)
                self._sent.clear()
            self._end()
            for parcel in lost:
                parcel.future.set_exception(_down())

    def _answered(self) -> bool:
        """Wait for an answer; False if one is due that does not come."""
        readable = select.poll()
        readable.register(self._socket, select.POLLIN)
        while not readable.poll(ANSWER_S * 1000):
            with self._lock:
                if self._sent:
                    return False
        return True

    def _tell(self, outcomes: list[Any]) -> None:
        for outcome in outcomes:
            with self._lock:
                parcel = self._sent.popleft()
            if isinstance(outcome, Exception):
                parcel.future.set_exception(outcome)
            else:
                parcel.future.set_result(outcome)


def _down() -> DownError:
    return DownError(
        "the shard does not answer",
        advice="It is started again by itself; the same may be sent again",
    )
