"""Serve an engine's clients at a Unix socket: a thread for each connection, one request at a time.

The table of methods is all that a client can ask. Another transport needs only `answer`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actors.live.backup import back_up
from actors.live.backup_manifest import check_new
from actors.live.engine import Engine
from actors.live.errors import DownError, LiveError
from actors.live.publishing import segments_of
from api.unix_socket import listen
from api.wire import (
    FORMAT,
    WireError,
    counters_map,
    error_map,
    read_message,
    send_message,
)
from core.errors import HeadraceError

CONNECTIONS_MAX = 512
JOB_WAIT_S = 1.0  # so long an answer to how a job is going may take
_LOG = logging.getLogger(__name__)


def answer(engine: Engine, message: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request: a map with `result` or `error`. Nothing is raised."""
    try:
        method, arguments = message.get("method"), message.get("arguments", {})
        if method not in _METHODS or not isinstance(arguments, dict):
            raise LiveError(
                f"there is no method {method!r}", advice="Let client and engine be of one release"
            )
        try:
            return {"format": FORMAT, "result": _METHODS[method](engine, **arguments)}
        except TypeError as error:
            raise LiveError(f"{method} was asked with wrong arguments: {error}") from error
    except HeadraceError as error:
        return {"format": FORMAT, "error": error_map(error)}
    except Exception as error:
        _LOG.exception("a request failed")
        told = LiveError(f"{type(error).__name__}: {error}", advice="Please report it")
        return {"format": FORMAT, "error": error_map(told)}


def _begin_backup(engine: Engine, to: str, people: bool = True) -> str:
    """Begin to copy the data directory; returns the name to ask `ended` for."""
    job = f"backup to {to}"
    check_new(Path(to))
    beside = engine.data.beside
    engine.jobs.begin(
        job, lambda: back_up(engine, Path(to), people=people, beside=beside).to_json()
    )
    return job


def _begin_export(engine: Engine, path: str) -> str:
    """Begin to write the journals; returns the name to ask `ended` for."""
    job = f"export to {path}"
    check_new(Path(path))
    engine.jobs.begin(job, lambda: [str(made) for made in engine.export_journal(path)])
    return job


def _send(engine: Engine, **said: Any) -> dict[str, Any]:
    """Send rows; the keys of what is strange are no keys of a message."""
    reply = engine.send(**said)
    strange = [[*what, count] for what, count in reply.strange.items()]
    return {**asdict(reply), "strange": strange}


_METHODS: dict[str, Callable[..., Any]] = {
    "send": _send,
    "sequence_of": lambda engine, **a: engine.sequence_of(**a),
    "set_schema": lambda engine, **a: asdict(engine.set_schema(**a)),
    "set_segments": lambda engine, **a: asdict(engine.set_segments(**a)),
    "segments": lambda engine: segments_of(engine.control.standing).model_dump(mode="json"),
    "publish": lambda engine, **a: asdict(engine.publish(**a)),
    "stop": lambda engine, **a: asdict(engine.stop(**a)),
    "pause": lambda engine, **a: asdict(engine.pause(**a)),
    "resume": lambda engine, **a: asdict(engine.resume(**a)),
    "erase": lambda engine, **a: asdict(engine.erase(**a)),
    "merge": lambda engine, **a: asdict(engine.merge(**a)),
    "state_of": lambda engine, **a: engine.state_of(**a),
    "counts": lambda engine, **a: counters_map(engine.counts(**a)),
    "entrants": lambda engine, **a: asdict(engine.entrants(**a)),
    "status": lambda engine: engine.status(),
    "export_journal": lambda engine, **a: _begin_export(engine, **a),
    "back_up": lambda engine, **a: _begin_backup(engine, **a),
    "looks": lambda engine: {
        place: look if isinstance(look, str) else asdict(look)
        for place, look in engine.looks().items()
    },
    "ended": lambda engine, job: engine.jobs.ended(job, JOB_WAIT_S),
    "advance": lambda engine, **a: engine.advance(**a),
}


class Server:
    """The socket of an engine; it serves from `start` to `close`."""

    def __init__(self, engine: Engine, path: Path) -> None:
        """Listen at `path`. Raises HeadraceError, OSError."""
        self._engine = engine
        self._path = path
        self._listener = listen(path)
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._busy: set[socket.socket] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="socket", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self, timeout_s: float = 10.0) -> None:
        """Take no more requests, let those under way be answered, and remove the socket."""
        with self._lock:
            self._closing = True
            idle = [c for c in self._connections if c not in self._busy]
            threads = list(self._connections.values())
        with contextlib.suppress(OSError):
            # Wakes the thread that accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in idle:
            _shut(connection)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        for thread in threads:
            thread.join(timeout_s)
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closing:
                    return
                continue
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="client", daemon=True
            )
            with self._lock:
                if self._closing or len(self._connections) >= CONNECTIONS_MAX:
                    refused = True
                else:
                    refused = False
                    self._connections[connection] = thread
            if refused:
                _refuse(connection)
            else:
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while (message := self._next(connection)) is not None:
                send_message(connection, answer(self._engine, message))
                with self._lock:
                    self._busy.discard(connection)
                    if self._closing:
                        return
        except WireError as error:
            # What follows cannot be told apart from what is damaged.
            with contextlib.suppress(OSError):
                send_message(connection, {"format": FORMAT, "error": error_map(error)})
        except OSError:
            return  # the client went away
        finally:
            with self._lock:
                self._busy.discard(connection)
                self._connections.pop(connection, None)
            connection.close()

    def _next(self, connection: socket.socket) -> dict[str, Any] | None:
        message = read_message(connection)
        with self._lock:
            if self._closing:
                return None
            self._busy.add(connection)
        return message


def _refuse(connection: socket.socket) -> None:
    error = DownError("the engine has too many connections, or is stopping")
    with contextlib.suppress(OSError):
        send_message(connection, {"format": FORMAT, "error": error_map(error)})
    connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
