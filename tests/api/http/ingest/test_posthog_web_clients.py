"""The libraries for browsers as they are, in Chromium, on a page of another origin."""

from __future__ import annotations

import functools
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from actors.live.errors import BusyError, DownError
from house import CHECKOUT
from http_service import Served

FOLDER = CHECKOUT / "tests" / "api" / "http" / "node"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(),
        reason="the libraries for browsers are not installed: run `make node-clients`",
    ),
]
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and tells nobody."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """Where the pages are."""
    handler = functools.partial(Quiet, directory=FOLDER)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def visit(page: str, profile: Path, *arguments: str) -> str:
    """The title that a page gave itself in the end."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    # What calls itself headless counts as a robot, for which some libraries send nothing.
    command += [
        f"--user-agent={AGENT}",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=30000",
        "--dump-dom",
    ]
    done = subprocess.run(
        [*command, f"{page}#{quote(' '.join(arguments))}"],
        capture_output=True,
        text=True,
        timeout=90,
    )
    return done.stdout.partition("<title>")[2].partition("</title>")[0]


@pytest.mark.parametrize("failures", [[], [BusyError("full")], [DownError("down")]], ids=str)
def test_analytics_js_delivers_once(
    service: Served, pages: str, tmp_path: Path, failures: list[Exception]
) -> None:
    service.engine.failures += failures
    user = str(uuid.uuid4())
    told = visit(f"{pages}/segment.html", tmp_path, service.url, service.events, user)
    assert told == '["identify","track","page","group"]'
    assert service.engine.failures == []
    accepted, duplicates, _ = service.engine.total
    assert (accepted >= 2, duplicates) == (True, 0)
    events = [row.get("event") for row in service.engine.rows]
    assert events.count("signup") == 1
    known = service.engine.state_of(user)
    assert known is not None
    assert known["attributes"] == {"plan": "gold", "first_name": "Ada"}
    assert known["groups"] == ["acme"]


@pytest.mark.parametrize("how", ["batched", "plain", "single", "beacon"])
def test_posthog_js_delivers_once(service: Served, pages: str, tmp_path: Path, how: str) -> None:
    user = str(uuid.uuid4())
    told = visit(f"{pages}/posthog.html", tmp_path, service.url, service.events, user, how)
    assert told == '"sent"'
    events = [row for row in service.engine.rows if row.get("event") == "signup"]
    assert [(row["customer"], row["properties"]["plan"]) for row in events] == [(user, "gold")]
    known = service.engine.state_of(user)
    assert known is not None
    assert known["attributes"] == {"plan": "gold"}
    known = service.engine.state_of(user)
    assert known is not None
    assert known["attributes"] == {"plan": "gold"}
    assert (service.engine.total[1], service.engine.total[2]) == (0, 0)


@pytest.mark.parametrize("failure", [BusyError("full"), DownError("down")], ids=str)
def test_posthog_js_tries_again(
    service: Served, pages: str, tmp_path: Path, failure: Exception
) -> None:
    service.engine.failures.append(failure)
    user = str(uuid.uuid4())
    visit(f"{pages}/posthog.html", tmp_path, service.url, service.events, user, "batched")
    assert service.engine.failures == []
    events = [row.get("event") for row in service.engine.rows]
    assert events.count("signup") == 1
