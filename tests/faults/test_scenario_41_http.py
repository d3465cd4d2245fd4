"""Scenario 41: whatever is asked, the API answers as its OpenAPI document says, and never breaks.

Schemathesis makes the requests, with all of its checks over all operations. Where a request that
fits its schema may yet be refused, because a state or a text of another language decides, the
document itself says so (`x-beyond-schema`), and the check allows those statuses there and nowhere
else. Each phase runs against a service of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.service.rate import Budget
from http_service import served

ST = shutil.which("st", path=str(Path(sys.executable).parent)) or ""
SUPPORT = Path(__file__).parents[1] / "support"
SHORT, LONG = 2, 40  # examples of each operation
WALKS = 10  # along links, for each of these
ACCEPTED = ("2xx", "3xx", "401", "403", "404", "409", "429", "5xx")  # where nothing else is said
CONDITION_LACKS = ("400", "401", "403", "406", "415", "422", "428")
REFUSED = ("400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx")
ROWS = "application/x-ndjson"
PHASES = ("examples,coverage", "fuzzing", "stateful")


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _settings(document: dict[str, Any]) -> str:
    """The settings of Schemathesis, for a document: what may be refused beyond schemas."""
    lines = [
        'hooks = "schemathesis_hooks"',
        "[checks.missing_required_header]",
        f"expected-statuses = {list(CONDITION_LACKS)}",
    ]
    for operation in _operations(document):
        beyond = operation.get("x-beyond-schema", {})
        if beyond:
            lines += [
                "[[operations]]",
                f'include-operation-id = "{operation["operationId"]}"',
                "[operations.checks.positive_data_acceptance]",
                f"expected-statuses = {[*ACCEPTED, *beyond]}",
            ]
        if ROWS in operation.get("requestBody", {}).get("content", {}):
            # A line that nobody can read costs itself alone: the answer tells of it, and is a 200.
            lines += [
                "[[operations]]",
                f'include-operation-id = "{operation["operationId"]}"',
                "[operations.checks.negative_data_rejection]",
                f"expected-statuses = {['200', *REFUSED]}",
            ]
    return "\n".join(lines)


def _run(folder: Path, phase: str, examples: int) -> None:
    examples *= WALKS if phase == "stateful" else 1
    with served(folder / "data") as service:
        rates = service.service.rates
        # As much as it likes: that limits are kept is another test's.
        rates._budgets = {name: Budget(1e9, 1e9) for name in rates._budgets}
        document = service.client.get(f"{service.url}/openapi.json").json()
        settings = folder / "schemathesis.toml"
        settings.write_text(_settings(document))
        command = [ST, "--config-file", str(settings), "run", f"{service.url}/openapi.json"]
        command += ["-H", f"Authorization: Bearer {service.admin}", "--checks", "all"]
        command += ["--mode", "all", "--phases", phase, "--max-examples", str(examples)]
        command += ["--seed", "1", "--max-response-time", "5", "--continue-on-failure"]
        command += ["--no-color", "--warnings", "off", "--suppress-health-check", "all"]
        environ = {**os.environ, "PYTHONPATH": str(SUPPORT)}
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=environ
        )
    told = done.stdout.partition("=== FAILURES")[2] or done.stdout
    assert done.returncode == 0, told[:6_000] + done.stderr[-1_000:]
    tested = done.stdout.rpartition("Test cases:")[2].strip()
    assert " generated" in tested, done.stdout[-1_000:]
    print(f"scenario 41, {phase}: {tested[:80]}")


@pytest.mark.skipif(not ST, reason="schemathesis is not installed")
@pytest.mark.parametrize("phase", PHASES)
def test_every_answer_is_as_the_document_says(tmp_path: Path, phase: str) -> None:
    _run(tmp_path, phase, SHORT)


@pytest.mark.soak
@pytest.mark.skipif(not ST, reason="schemathesis is not installed")
@pytest.mark.parametrize("phase", PHASES)
def test_so_it_is_for_long(tmp_path: Path, phase: str) -> None:
    _run(tmp_path, phase, LONG)


def test_the_document_says_why_what_fits_a_schema_may_be_refused(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        document = service.client.get(f"{service.url}/openapi.json").json()
    beyond = {
        operation["operationId"]: operation["x-beyond-schema"]
        for operation in _operations(document)
        if "x-beyond-schema" in operation
    }
    assert {status for told in beyond.values() for status in told} <= {"400", "401", "409", "422"}
    assert all(len(why) > 10 for told in beyond.values() for why in told.values())
    # What is plain shape is told by schemas: only a part of all operations needs it.
    assert 10 < len(beyond) < len(list(_operations(document))) / 5
