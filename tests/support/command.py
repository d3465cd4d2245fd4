"""Runs the `headrace` command: in this process where speed matters, else as users do.

However it is run, no traceback may reach the user.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.main import main
from house import CHECKOUT
from waiting import PATIENCE_S

needs_full_disk = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no /dev/full to stand for a full disk"
)

COMMAND = [sys.executable, "-m", "api.main"]
EXAMPLES = CHECKOUT / "examples"
CLEAN = {k: v for k, v in os.environ.items() if k not in ("HEADRACE_TRACEBACK", "FORCE_COLOR")}


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        for text in (self.out, self.err):
            assert "Traceback" not in text, text
            assert "internal error" not in text, text

    @property
    def words(self) -> str:
        """All that was printed, with every line break a space."""
        return " ".join((self.out + " " + self.err).split())


def call(*args: str | Path) -> Done:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, code = sys.argv, 0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    sys.argv = ["headrace", *map(str, args)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(bool(exit_.code))
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Done(code, out.getvalue(), err.getvalue())


def start(*args: str | Path, **how: Any) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*COMMAND, *map(str, args)], **(pipes | how), text=True, cwd=CHECKOUT, env=CLEAN
    )


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for the process."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return Done(process.returncode, out or "", err or "")


def spawn(*args: str | Path, **how: Any) -> Done:
    """Run the command as a process of its own."""
    return ended(start(*args, **how))


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Read what the process says of its progress until it says `word`."""
    assert process.stderr is not None
    said = ""
    while word not in said:
        line = process.stderr.readline()
        assert line, f"it ended before it said {word!r}: {said}"
        said += line
    return said


Simulate = Callable[..., tuple[Done, dict[str, Any]]]


def simulate(folder: Path, flow: dict[str, Any] | Path, audience: Path, *args: str | Path) -> Any:
    """Dry-run a flow, and return what was printed and the report's JSON, {} where there is none."""
    if isinstance(flow, dict):
        path = folder / "flow.yaml"
        path.write_text(yaml.safe_dump(flow, sort_keys=False, allow_unicode=True))
    else:
        path = flow
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    done = call("simulate", path, "--audience", audience, "--json", report, *args)
    return done, json.loads(report.read_text()) if report.exists() else {}


def flow_of(nodes: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A flow with these nodes, and an end `x`."""
    return {
        "headrace": 1,
        "flow": "f",
        "settings": settings,
        "nodes": {**nodes, "x": {"type": "end"}},
    }


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())
