"""Scenario 1 by HTTP: what was acknowledged is there, however the served process ends.

Several connections send batches through the Segment route until the process is killed, or is told
to stop, in their midst. Then it is started again and everything is sent once more: each row that
was acknowledged is known already, so that none was lost, and none counts twice.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from command import ended, read_until, start
from http_service import SCHEMA

SENDERS = 4
BATCH = 50
LASTS_S = 1.0


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    options = ("--inline", "--partitions", "2", "--no-send", "--http", "127.0.0.1:0")
    process = start("serve", folder, *options)
    try:
        (url,) = re.findall(r"http://[\d.]+:\d+", read_until(process, "ready:"))
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def batch(sender: int, number: int) -> list[dict[str, Any]]:
    """Calls of the Segment route, each with an id of its own."""
    return [
        {
            "type": "track",
            "event": "signup",
            "userId": f"u{sender}-{number}-{row}",
            "messageId": f"m{sender}-{number}-{row}",
        }
        for row in range(BATCH)
    ]


def post(client: httpx.Client, url: str, calls: list[dict[str, Any]]) -> httpx.Response:
    return client.post(f"{url}/v1/batch", json={"batch": calls})


def outcomes(url: str) -> dict[str, float]:
    """Rows of the Segment route by what became of them."""
    text = httpx.get(f"{url}/metrics").text
    form = r'headrace_events_total\{format="segment",outcome="(\w+)"\} ([\d.e+]+)'
    return {outcome: float(count) for outcome, count in re.findall(form, text)}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to stop"])
def test_scenario_01_nothing_that_was_acknowledged_by_http_is_lost(
    tmp_path: Path, end: signal.Signals
) -> None:
    folder = tmp_path / "d"
    acknowledged: list[list[dict[str, Any]]] = []
    refused: list[int] = []

    def send(sender: int, url: str, key: str) -> None:
        with httpx.Client(auth=(key, ""), timeout=60) as client:
            for number in range(100_000):
                calls = batch(sender, number)
                try:
                    answer = post(client, url, calls)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(calls)
                else:
                    assert int(answer.headers["retry-after"]) >= 1
                    refused.append(answer.status_code)
                    return

    with serving(folder) as (process, url):
        assert process.stdout is not None
        (key,) = re.findall(r"hr_live_\w+", process.stdout.readline())
        schema = httpx.put(
            f"{url}/v1/schema", json=SCHEMA, headers={"Authorization": f"Bearer {key}"}
        )
        assert schema.status_code == 200
        threads = [threading.Thread(target=send, args=(n, url, key)) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        time.sleep(LASTS_S)
        process.send_signal(end)
        for thread in threads:
            thread.join()
        done = ended(process)
    assert done.code == (-end if end == signal.SIGKILL else 0), done.err
    rows = BATCH * len(acknowledged)
    assert len(acknowledged) > SENDERS
    assert set(refused) <= {429, 503}
    with serving(folder) as (_, url), httpx.Client(auth=(key, ""), timeout=60) as client:
        for calls in acknowledged:
            assert post(client, url, calls).status_code == 200
        assert outcomes(url) == {"duplicate": rows}
    print(f"scenario 1 by HTTP, {end.name}: {rows:,} rows acknowledged, lost 0, counted twice 0")
