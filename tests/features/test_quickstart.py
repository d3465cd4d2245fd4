"""The quickstart, as a user runs it, against a real service: under a minute, and as it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from command import EXAMPLES
from http_service import served

SCRIPT = EXAMPLES / "quickstart.sh"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_quickstart_does_what_it_says_within_a_minute(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        began_s = time.monotonic()
        done = subprocess.run(
            ["sh", str(SCRIPT)],
            env={**os.environ, "HEADRACE_URL": service.url, "HEADRACE_KEY": service.admin},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        took_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stdout + done.stderr
    parts = {
        part.partition("\n")[0]: part.partition("\n")[2]
        for part in done.stdout.split("\n== ")
        if part.strip()
    }
    assert len(parts) == 7
    audience = json.loads(parts["Import an audience: past customers and what they did"])
    assert (audience["customers"], audience["events"], audience["rejected"]) == (200, 1330, 0)
    lint = json.loads(next(v for k, v in parts.items() if k.startswith("Say which")))
    assert lint["publishable"]
    assert json.loads(parts["Publish it"])["version"] == 1
    sent = json.loads(next(v for k, v in parts.items() if k.startswith("Send events")))
    assert (sent["accepted"], sent["refused"]) == (5, 0)
    report = json.loads(parts["Read its report"])
    assert (report["total"]["entries"], report["total"]["sends"]) == (2, {"email": 1})
    print(f"quickstart: {took_s:.1f} s")


def test_the_quickstart_says_what_it_lacks() -> None:
    done = subprocess.run(
        ["sh", str(SCRIPT)],
        env={k: v for k, v in os.environ.items() if k != "HEADRACE_KEY"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "admin key" in done.stderr
