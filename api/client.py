"""Talk to a running engine from Python: publish flows, send events, read what became of people.

    from api.client import Client

    with Client("DATA_DIR") as client:
        client.set_schema({"events": {"signup": {}}})
        client.publish(open("welcome.yaml").read())
        client.send_events([{"customer": "c1", "event": "signup", "message_id": "e1"}])
        print(client.counts("welcome").entered)

A call that lost its connection is made again until `timeout_s` is over, under the same name, so
that nothing counts twice.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from actors.intake.strange import Strange
from actors.live.data_dir import read_manifest, socket_path
from actors.live.errors import BusyError, DownError, RefusedError, UnknownError
from actors.live.replies import Done, Entrants, InFlight, Reply
from actors.store.folder import os_errors
from api.unix_socket import connect
from api.wire import FORMAT, WireError, error_of, read_message, send_message
from core.counters import Counters

ROWS_AT_ONCE = 5_000
AGAIN_S = 0.05
AGAIN_MAX_S = 1.0

Row = Mapping[str, Any]

Name = TypeVar("Name")


class Client:
    """A connection to the engine of a data directory on this machine. Any thread may use it.

    Every call raises DownError if no engine serves in time, UnknownError if an answer is lost, and
    what the engine refuses, as `actors.live.errors` names it; all are HeadraceErrors.
    """

    def __init__(self, data_dir: str | os.PathLike[str], *, timeout_s: float = 60.0) -> None:
        """Connect at the first call. Raises FormatError if there is no data directory, StoreError.

        `timeout_s` bounds each call, waiting for an engine that is being started again included.
        """
        self._folder = Path(data_dir).absolute()
        with os_errors(self._folder):
            read_manifest(self._folder)
        self._timeout_s = timeout_s
        self._calling = threading.Lock()
        self._connection: socket.socket | None = None

    # Rows

    def send_events(self, rows: Iterable[Row], *, source: str = "", sequence: int = 0) -> Reply:
        """Send events; returns when they are durable, with the rows that were refused.

        A row is {"customer", "event", "occurred", "message_id", "properties"}; the last three may
        be left out. With `source` the rows are batch number `sequence` of that source, from 1
        without a gap, taken once for ever. Else batches of 5,000 are sent one after the other; a
        row with a message id is taken once within a day.
        """
        if source:
            return self._send(list(rows), source=source.encode(), sequence=sequence)
        total = Reply(0, 0)
        remaining, first = iter(rows), 0
        while batch := list(islice(remaining, ROWS_AT_ONCE)):
            reply = self._send(batch, batch=secrets.token_bytes(16))
            moved = [(row + first, place, code, what) for row, place, code, what in reply.rejects]
            total = Reply(
                total.accepted + reply.accepted,
                total.duplicates + reply.duplicates,
                total.rejects + moved,
                _added(total.dropped, reply.dropped),
                _added(total.strange, reply.strange),
            )
            first += len(batch)
        return total

    def upsert_customers(
        self, rows: Iterable[Row], *, source: str = "", sequence: int = 0
    ) -> Reply:
        """Create or change customers; as `send_events`, with other rows.

        A row is {"customer", "set", "tags", "groups", "zone", "created"}; all but the first may be
        left out. Null takes a value away.
        """
        return self.send_events(rows, source=source, sequence=sequence)

    def sequence_of(self, source: str) -> int:
        """The last batch of a numbered source that is durable, 0 without any."""
        return int(self._call("sequence_of", source=source.encode()))

    # Flows

    def set_schema(self, schema: Mapping[str, Any]) -> Done:
        """State what customers and events look like; what had a type keeps it."""
        return self._command("set_schema", schema=dict(schema))

    def set_segments(self, segments: str | Mapping[str, Any], *, name: str = "segments") -> Done:
        """State the segments that flows may name, and the priorities of groups, all of them.

        They are a segments file's text, or what such a file holds; `name` is told in errors. What
        was published keeps what its segments meant: publish a flow again to let it have the new
        ones. The answer's warnings tell which flows that concerns.
        """
        document = segments if isinstance(segments, str) else json.dumps(dict(segments))
        return self._command("set_segments", document=document, name=name)

    def segments(self) -> dict[str, Any]:
        """The segments as they were set last, as a segments file holds them."""
        return dict(self._call("segments"))

    def publish(self, document: str, *, name: str = "flow", in_flight: InFlight = "pin") -> Done:
        """Publish a flow, or its next version, to everybody or nobody.

        `document` is YAML or JSON; `in_flight` says whether people inside an older version go on in
        it (pin), leave (drop) or begin anew (reset); `name` is told in errors.
        """
        return self._command("publish", document=document, name=name, in_flight=in_flight)

    def stop(self, flow: str, *, in_flight: Literal["pin", "drop"] = "pin") -> Done:
        """Let nobody enter any more; those inside go on to the end (pin) or leave (drop)."""
        return self._command("stop", flow=flow, in_flight=in_flight)

    def pause(self, flow: str) -> Done:
        """Let a flow stand still."""
        return self._command("pause", flow=flow)

    def resume(self, flow: str) -> Done:
        """Let a paused flow go on."""
        return self._command("resume", flow=flow)

    def erase(self, customers: Sequence[str]) -> Done:
        """Forget customers for good: what is known of them, and where they are in flows."""
        return self._command("erase", customers=list(customers))

    def merge(self, previous: str, customer: str) -> bool:
        """Merge one customer into another, for good; False where they were one before.

        Raises RefusedError for a merge into oneself, and of an alias of somebody else.
        """
        found = self._call("merge", pairs=[[previous, customer]])
        for _, why in found["refused"]:
            raise RefusedError(why, advice="Ask for the state of both ids")
        return found["done"] is not None

    # Reading

    def state_of(self, customer: str) -> dict[str, Any] | None:
        """What is known of a customer and where in which flows they are, None if unknown."""
        found = self._call("state_of", customer=customer)
        return None if found is None else dict(found)

    def counts(self, flow: str, version: int | None = None) -> Counters:
        """What a version of a flow counted, the newest unless stated."""
        return Counters(**self._call("counts", flow=flow, version=version))

    def entrants(self, flow: str) -> Entrants:
        """Who entered each version of a flow, and by its totals all of them, for good."""
        return Entrants(**self._call("entrants", flow=flow))

    def flows(self) -> list[dict[str, Any]]:
        """Every flow with its newest version and its status: active, paused or stopped."""
        return list(self.status()["flows"])

    def status(self) -> dict[str, Any]:
        """What the engine and its shards do."""
        return dict(self._call("status"))

    def export_journal(self, path: str | os.PathLike[str]) -> list[Path]:
        """Have the engine write each partition's journal below a new folder, as audiences."""
        found = self._ended(self._call("export_journal", path=str(Path(path).absolute())))
        return [Path(made) for made in found]

    def back_up(self, path: str | os.PathLike[str], *, people: bool = True) -> dict[str, Any]:
        """Have the engine copy the data directory into a new folder; returns its statement.

        Rows are taken in meanwhile. Without `people` no personal value is in the copy.
        """
        job = self._call("back_up", to=str(Path(path).absolute()), people=people)
        return dict(self._ended(job))

    def looks(self) -> dict[str, Any]:
        """What an operator should know of each store, by its place."""
        return dict(self._call("looks"))

    def close(self) -> None:
        """Give up the connection; the next call makes another."""
        with self._calling:
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    # Calling

    def _send(self, rows: Sequence[Row], **named: Any) -> Reply:
        found = self._call("send", rows=[dict(row) for row in rows], **named)
        rejects = [(row, place, code, what) for row, place, code, what in found["rejects"]]
        strange = {Strange(*what): count for *what, count in found.get("strange", ())}
        return Reply(found["accepted"], found["duplicates"], rejects, found["dropped"], strange)

    def _ended(self, job: str) -> Any:
        """What a job of the engine's returns, once it has ended."""
        while True:
            ended, found = self._call("ended", job=job)
            if ended:
                return found

    def _command(self, method: str, **arguments: Any) -> Done:
        return Done(**self._call(method, request=secrets.token_hex(16), **arguments))

    def _call(self, method: str, **arguments: Any) -> Any:
        """Ask until there is an answer; what was asked counts once, so asking again is safe."""
        request = {"format": FORMAT, "method": method, "arguments": arguments}
        end = time.monotonic() + self._timeout_s
        wait_s, asked = AGAIN_S, False
        while True:
            try:
                with self._calling:
                    connection = self._connected(end)
                    asked = True
                    answer = self._answer(connection, request)
            except (OSError, WireError) as error:
                if isinstance(error, WireError):
                    raise
                failure: BusyError | DownError = self._down(error)
            else:
                if "error" not in answer:
                    return answer["result"]
                told = error_of(answer["error"])
                if not isinstance(told, BusyError):
                    raise told
                failure, wait_s = told, told.retry_after_ms / 1000
            if time.monotonic() + wait_s >= end:
                raise self._late(failure, asked=asked)
            time.sleep(wait_s)
            wait_s = min(AGAIN_MAX_S, wait_s * 2)

    def _connected(self, end: float) -> socket.socket:
        left_s = max(0.001, end - time.monotonic())
        if self._connection is None:
            self._connection = connect(socket_path(self._folder), left_s)
        self._connection.settimeout(left_s)
        return self._connection

    def _answer(self, connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            send_message(connection, request)
            answer = read_message(connection)
        except BaseException:
            # What comes on this connection now would be the answer to something else.
            self._disconnect()
            raise
        if answer is None:
            self._disconnect()
            raise ConnectionResetError("the engine closed the connection")
        return answer

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _down(self, error: OSError) -> DownError:
        return DownError(
            f"no engine answers: {error.strerror or error}",
            advice=f"Start one with `headrace serve {self._folder}`",
            file=str(self._folder),
        )

    def _late(
        self, failure: BusyError | DownError, *, asked: bool
    ) -> BusyError | DownError | UnknownError:
        if isinstance(failure, BusyError) or not asked:
            return failure
        return UnknownError(
            f"{failure.message}; it was asked, so whether it was done is not known",
            advice=failure.advice,
            file=failure.file,
        )


def _added(one: Mapping[Name, int], other: Mapping[Name, int]) -> dict[Name, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
