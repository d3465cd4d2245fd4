"""The libraries for Node.js as they are: run where `make node-clients` has installed them."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from typing import Any

import pytest

from actors.live.errors import BusyError, DownError
from house import CHECKOUT
from http_service import Served

FOLDER = CHECKOUT / "tests" / "api" / "http" / "node"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="there is no node"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(),
        reason="the libraries for Node.js are not installed: run `make node-clients`",
    ),
]


def run(script: str, *arguments: str) -> Any:
    """What a script printed."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, FOLDER / script, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("failures", [[], [BusyError("full")], [DownError("down")]], ids=str)
def test_segments_library_delivers_once(service: Served, failures: list[Exception]) -> None:
    service.engine.failures += failures
    user, message = str(uuid.uuid4()), str(uuid.uuid4())
    assert run("segment.mjs", service.url, service.events, user, message) == []
    assert service.engine.failures == []
    assert service.engine.total == (2, 1, 0)
    attributes = service.engine.state_of(user)["attributes"]
    assert attributes == {"plan": "gold", "first_name": "Ada"}


LIBRARIES = ("posthog.mjs", "rudderstack.mjs")


@pytest.mark.parametrize("script", LIBRARIES)
@pytest.mark.parametrize("failures", [[], [BusyError("full")], [DownError("down")]], ids=str)
def test_other_libraries_deliver_once(
    service: Served, script: str, failures: list[Exception]
) -> None:
    service.engine.failures += failures
    user, message = str(uuid.uuid4()), str(uuid.uuid4())
    assert run(script, service.url, service.events, user, message) == []
    assert service.engine.failures == []
    assert service.engine.total == (2, 1, 0)
    assert service.engine.state_of(user)["attributes"]["plan"] == "gold"


def test_the_cloudevents_library_delivers_once(service: Served) -> None:
    user, event = str(uuid.uuid4()), str(uuid.uuid4())
    assert run("cloudevents.mjs", service.url, service.events, user, event) == [
        {"accepted": 1, "duplicates": 0, "refused": 0},
        {"accepted": 0, "duplicates": 1, "refused": 0},
    ]
    assert service.engine.rows[0]["properties"] == {"amount": 5.5}
