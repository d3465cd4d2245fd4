"""Scenario 01 for journey events: kill -9 at any moment leaves out none of them, and moves none."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from actors.failpoints import ENVIRONMENT
from command import CLEAN, read_until, start
from receiver import LOOPBACK, Received, receiver
from waiting import PATIENCE_S, until

KILLS = 4
BATCH = 40
POINT = "webhook_delivered_before_mark"
FLOW: dict[str, Any] = {
        "headrace": 1,
        "flow": "two",
        "settings": {"reentry": {"policy": "always"}},
        "nodes": {
            "start": {"type": "on_event", "event": "signup", "next": "wait"},
            "wait": {"type": "wait_event", "event": "order", "timeout": "30 days",
                     "next": {"event": "done", "timeout": "done"}},
            "done": {"type": "end"},
        },
    }  # fmt: skip
SCHEMA = {"events": {"signup": {}, "order": {}}}
STEPS = ["entered", "moved", "completed"]


@contextmanager
def service(
    folder: Path, armed: str = "", *, new: bool = False
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A process that serves a folder: itself, its URL, and the admin's key where it is new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLEAN, ENVIRONMENT, armed)
        process = start(
            "serve", folder, "--inline", "--partitions", "2", "--http", "127.0.0.1:0", "--no-send"
        )
    try:
        told = read_until(process, "ready:")
        assert process.stdout is not None
        if new:
            told += process.stdout.readline()  # the admin's key
        url, key = re.search(r"http://[\d.]+:\d+", told), re.search(r"hr_live_\w+", told)
        assert url is not None, told
        yield process, url[0], "" if key is None else key[0]
    finally:
        process.terminate()
        process.communicate()


class Asking:
    """Asks the service that runs now."""

    def __init__(self) -> None:
        self.url = self.key = ""

    def __call__(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer


def send(ask: Asking, left: list[tuple[str, list[str]]]) -> None:
    """Send what is left, in order; what was not answered is sent again by the next call."""
    while left:
        event, customers = left[0]
        rows = [{"customer": c, "event": event, "message_id": f"{event}-{c}"} for c in customers]
        ask("POST", "/v1/events", rows)
        del left[0]


def test_01_no_journey_event_is_lost_or_moved_by_a_kill(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    ask, sent, left = Asking(), list[str](), list[tuple[str, list[str]]]()
    with receiver() as inbox:
        with service(tmp_path / "d", new=True) as (_, ask.url, ask.key):
            _set_up(ask, inbox)
        for number in range(KILLS):
            if number == KILLS // 2:
                # Three openings in a row that die young are taken for a damaged store.
                with service(tmp_path / "d") as (process, _, _):
                    process.terminate()
                    process.wait(PATIENCE_S)
            # Every other time between what was delivered and its being written down.
            armed = "" if number % 2 else f"{POINT}=kill"
            with service(tmp_path / "d", armed) as (process, ask.url, _):
                fresh = [f"k{number}-{i}" for i in range(BATCH)]
                sent += fresh
                left += [("signup", fresh), ("order", fresh)]
                with contextlib.suppress(httpx.TransportError):
                    send(ask, left)
                if armed:
                    process.wait(PATIENCE_S)
                else:
                    time.sleep(3 * float(rng.random()))
                    process.kill()
        with service(tmp_path / "d") as (_, ask.url, _):
            send(ask, left)
            until(lambda: len(inbox.events) == 3 * len(sent), lambda: len(inbox.events))
            shown = ask("GET", "/v1/webhooks").json()["items"][0]
    assert inbox.unsigned == 0
    assert inbox.steps() == dict.fromkeys(sent, STEPS)
    repeated = len(inbox.taken) - 3 * len(sent)
    assert (shown["waiting"], shown["dead"]) == (0, 0)
    print(f"scenario 01, webhooks: {KILLS} kills, {len(sent)} customers, lost 0, again {repeated}")


def _set_up(ask: Asking, inbox: Received) -> None:
    ask("PUT", "/v1/schema", SCHEMA)
    ask("POST", "/v1/flows", {"document": FLOW})
    ask("POST", "/v1/flows/two/publish", {})
    body = {"url": inbox.url, "kinds": STEPS, "networks": LOOPBACK}
    inbox.secrets.append(ask("POST", "/v1/webhooks", body).json()["secret"])
