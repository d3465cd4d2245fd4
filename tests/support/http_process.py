"""Runs the service as a process of its own, so that its memory and time are its own."""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from command import read_until, start
from http_service import SCHEMA

RESET_PEAK = "5"  # of /proc/PID/clear_refs: the highest memory use so far counts anew


@dataclass
class Process:
    """A service that answers at `url`; `admin` and `events` are keys."""

    url: str
    process: subprocess.Popen[str]
    admin: str
    events: str = ""
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Ask with a key: the admin's unless another is named, "" for none."""
        known = self.admin if key is None else key
        told = {"Authorization": f"Bearer {known}"} if known else {}
        return self.client.request(
            method, self.url + path, headers={**told, **(headers or {})}, **more
        )

    def done(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """What a response says that must be a success."""
        answer = self.ask(method, path, key=key, **({} if body is None else {"json": body}))
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def loosen(self) -> None:
        """Let the first tenant ask as often as it likes."""
        quotas = {"requests_per_second": 1_000_000, "events_per_second": 10_000_000}
        self.done("PATCH", "/v1/tenants/main", {"quotas": quotas})

    @property
    def memory(self) -> int:
        """The bytes of memory that it has."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def begin_peak(self) -> int:
        """From now on `peak` counts; returns the bytes of memory that it has."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text(RESET_PEAK)
        return self.memory

    @property
    def peak(self) -> int:
        """The most bytes of memory that it had since `begin_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def tenant(self, name: str, **quotas: int) -> tuple[str, str]:
        """Make a tenant with the usual schema; the key of its admin, and one for events."""
        made = self.done("POST", "/v1/tenants", {"id": name, "name": name, "quotas": quotas})
        own = made["key"]["secret"]
        self.done("PUT", "/v1/schema", SCHEMA, key=own)
        return own, self.events_key(own)

    def events_key(self, admin: str) -> str:
        """A new key for events of the admin's tenant."""
        body = {"name": "sdk", "scopes": ["events:write"]}
        return str(self.done("POST", "/v1/keys", body, key=admin)["secret"])


@contextmanager
def http_process(folder: Path, *options: str) -> Iterator[Process]:
    """The service of a new folder without Ray, once it answers."""
    process = start(
        "serve", folder, "--inline", "--partitions", "2", "--http", "127.0.0.1:0", "--no-send",
        *options,
    )  # fmt: skip
    try:
        told = read_until(process, "ready:")
        assert process.stdout is not None
        told += process.stdout.readline()
        admin = re.search(r"hr_live_\w+", told)
        url = re.search(r"http://[\d.]+:\d+", told)
        assert admin is not None, told
        assert url is not None, told
        with httpx.Client(timeout=60) as client:
            found = Process(url[0], process, admin[0], client=client)
            found.done("PUT", "/v1/schema", SCHEMA)
            found.events = found.events_key(found.admin)
            yield found
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def times_s(
    service: Process, key: str, count: int, *, pause_s: float = 0.0, name: str = "c"
) -> list[float]:
    """How long each of so many single events took to be accepted."""
    taken = []
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        for number in range(count):
            row = [{"customer": f"{name}{number}", "event": "signup"}]
            began_s = time.perf_counter()
            answer = client.post(f"{service.url}/v1/events", json=row)
            taken.append(time.perf_counter() - began_s)
            assert answer.status_code == 200, answer.text
            time.sleep(pause_s)
    return taken


def quantiles(taken: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, seconds."""
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[max(0, int(len(ordered) * 0.99) - 1)]
