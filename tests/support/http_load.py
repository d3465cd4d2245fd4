"""Sends batches of events at a pace, as a program of its own, and tells what became of them.

    python http_load.py URL KEY BATCHES_PER_SECOND SECONDS ROWS NAME

It goes on at its pace whatever it is answered, and prints one JSON object at the end.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Sent:
    """What became of batches: `taken_s` of those that were accepted, `rows` how many rows."""

    taken_s: list[float]
    rows: int
    statuses: dict[int, int]
    waits_s: list[int]


class Load:
    """The program under way, at a service that has a `url`."""

    def __init__(
        self, url: str, key: str, per_second: float, seconds: float, rows: int, name: str
    ) -> None:
        """Start it."""
        given = (url, key, per_second, seconds, rows, name)
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, given)], stdout=subprocess.PIPE, text=True
        )

    def end(self) -> Sent:
        """What it tells, once it has ended."""
        told = json.loads(self._process.communicate()[0])
        assert self._process.returncode == 0
        statuses = {int(status): count for status, count in told.pop("statuses").items()}
        return Sent(**told, statuses=statuses)


def main() -> None:
    """Send, and print what became of it."""
    url, key, per_second, seconds, rows, name = sys.argv[1:]
    address = urlsplit(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    taken_s: list[float] = []
    accepted, statuses, waits_s = 0, dict[str, int](), set[int]()
    began_s = due_s = time.perf_counter()
    number = 0
    while due_s < began_s + float(seconds):
        number += 1
        batch = [{"customer": f"{name}{number}-{n}", "event": "signup"} for n in range(int(rows))]
        body = json.dumps(batch).encode()
        time.sleep(max(0.0, due_s - time.perf_counter()))
        sent_s = time.perf_counter()
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status == 200:
            taken_s.append(time.perf_counter() - sent_s)
            accepted += json.loads(data)["accepted"]
        else:
            waits_s.add(int(answer.headers.get("Retry-After", 0)))
        statuses[str(answer.status)] = statuses.get(str(answer.status), 0) + 1
        due_s = max(due_s + 1 / float(per_second), time.perf_counter() - 1)
    told = {
        "taken_s": taken_s,
        "rows": accepted,
        "statuses": statuses,
        "waits_s": sorted(waits_s),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
