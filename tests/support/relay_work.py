"""A data directory whose messages leave by a relay thread, set up as a live engine does it.

Run as a program it sends until nothing is left, or until it is killed: `relay_work.py FOLDER`.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgpack

from actors.people.lookup import Lookup
from actors.people.people import People
from actors.relay.contents import FolderContents
from actors.relay.effects import Effect, encode_effect
from actors.relay.relay_thread import RelayThread
from actors.relay.reports import BatchedReport, Row
from actors.relay.services import wall_ms, wall_services
from actors.relay.settings import load_providers
from actors.store.partition import Partition
from core.hashing import hash_bytes
from relaying import DAY_MS, EFFECT
from waiting import until

CONTENT = """\
channels:
  sms: {address: phone, parts: {body: "Hello {{ name }}"}}
  email: {address: email, parts: {subject: "For {{ name }}", text: "{{ note }}"}}
"""
MAP_BYTES = 1 << 20


def customer_id(number: int) -> bytes:
    """The external id of a customer, which is an e-mail address."""
    return b"id%d@example.com" % number


def sends(count: int, **changed: object) -> list[Effect]:
    """Messages to customers 0, 1, 2, ..., wanted for a day from now on."""
    now_ms = wall_ms()
    times = {"committed_ms": now_ms, "expires_ms": now_ms + DAY_MS}
    names = ("name", "note") if changed.get("channel") == "email" else ("name",)
    effect = replace(EFFECT, channel="sms", variables=names, **times)
    effect = replace(effect, fresh_until_ms=effect.expires_ms)
    return [replace(effect, customer=n, **changed) for n in range(count)]  # type: ignore[arg-type]


class Engine:
    """One partition of a data directory with its people and its relay; no machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "contents").mkdir(parents=True, exist_ok=True)
        (folder / "contents" / "hello.yaml").write_text(CONTENT)
        self.partition = Partition.open(
            folder / "partitions" / "000", create=True, map_bytes=MAP_BYTES
        )
        self.people = People.open(folder / "people" / "000", create=True, map_bytes=MAP_BYTES)
        # As the owner of both does every minute: this opening is not one that died young.
        self.partition.tend()
        self.people.tend()
        self.forgotten: set[int] = set()
        self._writing = threading.Lock()
        services = wall_services(
            Lookup("shop", self.people, self._hash_of),
            FolderContents(folder / "contents"),
            BatchedReport(self._take),
            seed=5,
        )
        providers = load_providers(folder).build(folder, "000")
        self.relay = RelayThread(self.partition, providers, services, trim_commits=4)

    def _hash_of(self, number: int) -> int | None:
        return None if number in self.forgotten else hash_bytes(customer_id(number))

    def _take(self, rows: Sequence[Row]) -> None:
        with self._writing:
            self.partition.commit(msgpack.packb(list(rows)))

    def commit(self, effects: Sequence[Effect]) -> int:
        """Commits messages, as a machine would."""
        with self._writing:
            return self.partition.commit(b"\x90", [encode_effect(effect) for effect in effects])

    def results(self) -> Counter[str]:
        """How many messages had which result; a result told twice counts once."""
        told = {
            (row["message_id"], row["event"])
            for _, record in self.partition.journal()
            for row in msgpack.unpackb(record)
        }
        return Counter(event for _, event in told)

    def wait(self, finished: int) -> None:
        """Waits until so many messages have a result that ends them."""

        def ended() -> bool:
            if self.relay.failure is not None:
                raise self.relay.failure
            told = self.results()
            return told.total() - told["message_delayed"] >= finished

        until(ended, self.results)

    def close(self) -> None:
        """Ends the relay, then the rest."""
        self.relay.close()
        self.people.close()
        self.partition.close()


class Gateway:
    """A provider on loopback that notes every request; one that knows keys delivers each once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.attempts: Counter[str] = Counter()
        self.bodies: list[bytes] = []

    def providers(self, keyed: bool, resend: bool) -> str:
        """The text of providers.yaml that leads to it."""
        return f"""\
providers:
  gate:
    kind: http_provider
    channels: [sms]
    url: http://127.0.0.1:{self.port}/send
    headers: {{idempotency-key: "{{{{ key }}}}"}}
    body: {{to: "{{{{ to }}}}", text: "{{{{ body }}}}"}}
    schemes: [http]
    ports: [{self.port}]
    allow_networks: [127.0.0.0/8]
    keyed: {str(keyed).lower()}
    resend_ambiguous: {str(resend).lower()}
    concurrency: 2
"""


@contextmanager
def gateway() -> Iterator[Gateway]:
    """Serves one that always answers 200."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                served.attempts[self.headers["idempotency-key"]] += 1
                served.bodies.append(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Gateway(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(folder: str, count: str) -> None:
    """Commits messages to so many customers if there are none yet, and sends them."""
    engine = Engine(Path(folder))
    if engine.partition.head.outbox_last == 0:
        values = {customer_id(n): {"phone": f"+49 {n}", "name": "Ann"} for n in range(int(count))}
        engine.people.put(values)
        engine.commit(sends(int(count)))
    engine.relay.start()
    engine.wait(int(count))
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
