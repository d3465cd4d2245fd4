"""Scenario 41: whatever is asked, the API answers as its OpenAPI document says, and never breaks.

Schemathesis makes the requests, with all of its checks but one: that whatever fits the schema is
accepted, since a schema does not say that a flow must be there or a key must not do more than its
maker's. Each phase runs against a service of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.service.rate import Budget
from http_service import served

ST = shutil.which("st", path=str(Path(sys.executable).parent)) or ""
UNTRIED = {
    # What is not tried, and why.
    "send_events": "its columns and lines are no JSON, and have tests of their own",
    "send_audience_file": "an empty file is a file",
}
EXAMPLES_MAX = int(os.environ.get("HEADRACE_SCHEMATHESIS_EXAMPLES", "2"))


@pytest.mark.skipif(not ST, reason="schemathesis is not installed")
@pytest.mark.parametrize("phase", ["examples,coverage", "fuzzing", "stateful"])
def test_every_answer_is_as_the_document_says(tmp_path: Path, phase: str) -> None:
    with served(tmp_path / "data") as service:
        rates = service.service.rates
        # As much as it likes: that limits are kept is another test's.
        rates._budgets = {name: Budget(1e9, 1e9) for name in rates._budgets}
        left_out = [part for name in UNTRIED for part in ("--exclude-operation-id", name)]
        command = [ST, "run", f"{service.url}/openapi.json", *left_out]
        command += ["-H", f"Authorization: Bearer {service.admin}"]
        command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
        command += ["--mode", "all", "--phases", phase, "--max-examples", str(EXAMPLES_MAX)]
        command += ["--seed", "1", "--max-response-time", "5", "--continue-on-failure"]
        command += ["--no-color", "--warnings", "off", "--suppress-health-check", "all"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = done.stdout.partition("=== FAILURES")[2] or done.stdout
    assert done.returncode == 0, told[:6_000] + done.stderr[-1_000:]
    print(f"scenario 41, {phase}: {done.stdout.rpartition('Test cases:')[2].strip()[:80]}")
