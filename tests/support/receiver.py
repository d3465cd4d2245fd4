"""A receiver of webhooks on loopback: it checks signatures, notes what came, answers as it is told.

It runs in a thread, for tests of a service that runs in another.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

LOOPBACK = ["127.0.0.0/8"]


@dataclass
class Received:
    """What came, each with its id, in the order of arrival; `secrets` are those that may sign."""

    port: int = 0
    connections: int = 0
    secrets: list[str] = field(default_factory=list)
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    unsigned: int = 0
    answer: Callable[[dict[str, Any], int], int] = lambda body, number: 204
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was taken, repeated ones once, in the order in which each came first."""
        with self.lock:
            return list(dict(reversed(self.taken)).values())[::-1]

    def steps(self) -> dict[str, list[str]]:
        """The kinds of what was taken, by customer."""
        found: dict[str, list[str]] = defaultdict(list)
        seen: set[str] = set()
        with self.lock:
            for key, body in self.taken:
                if key not in seen:
                    seen.add(key)
                    found[body["data"]["customer"]].append(body["type"].removeprefix("journey."))
        return dict(found)


@contextmanager
def receiver() -> Iterator[Received]:
    """A receiver until the block ends."""
    found = Received()
    attempts: dict[str, int] = defaultdict(int)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not any(_signed(secret, data, headers) for secret in found.secrets):
                found.unsigned += 1
            key, body = headers["webhook-id"], json.loads(data)
            with found.lock:
                attempts[key] += 1
                status = found.answer(body, attempts[key])
                (found.taken if status < 300 else found.refused).append((key, body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> Any:
            found.connections += 1
            return super().get_request()

    with Server(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def _signed(secret: str, data: str, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(data, headers)
    except Exception:
        return False
    return True
