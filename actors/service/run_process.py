"""Run one job in a process of its own, hear how far it is, and end it.

The process is the program `api.run_worker`, which stands above this package and is therefore named
and not imported. It gets a folder, tells its steps by lines on its standard output, and ends by
itself when its standard input does: no worker outlives the service, however that ends
(docs/decisions/0039).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

Kind = Literal["dry_run", "comparison", "import"]

NICE = 10
WORKER = (sys.executable, "-m", "api.run_worker")
LOG = "worker.log"
LOG_CHARS_MAX = 400
ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Order:
    """What a worker is to do.

    `audience` is the audience's folder, of an import the one to make; `journal` instead a copy of a
    live tenant's data directory, `files` the folder of files to import. `options` are the fields of
    `api.simulate.Request` that were asked for.
    """

    kind: Kind
    name: str
    audience: str = ""
    journal: str | None = None
    files: str = ""
    work_max: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """An order as `order.json` has it."""
        return cls(**found)

    def write(self, folder: Path) -> None:
        """Write it where the worker reads it."""
        (folder / "order.json").write_text(json.dumps(asdict(self)), "utf-8")


@dataclass(frozen=True, slots=True)
class Step:
    """What a job is doing: `done` of `total`, which is 0 where nobody knows."""

    label: str
    done: int = 0
    total: int = 0


class RunProcess:
    """A process that carries out the order in a folder."""

    def __init__(self, folder: Path, program: Sequence[str] = WORKER) -> None:
        """Start it. Raises OSError."""
        self.folder = folder
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with (folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [*program, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a Ctrl-C at the service's terminal is not meant for it
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def follow(self, step: Callable[[Step], None]) -> dict[str, Any] | None:
        """Hear it out; returns None where it did all, else why not: `message`, `advice` and more.

        `step` is called with each step that it tells.
        """
        assert self._process.stdout is not None
        failure: dict[str, Any] | None = None
        for line in self._process.stdout:
            with suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)
                if "failed" in told:
                    failure = dict(told["failed"])
                else:
                    step(Step(str(told["step"]), int(told["done"]), int(told["total"])))
        code = self._process.wait()
        self._close()
        return failure or (self._ended_by(code) if code else None)

    def kill(self) -> None:
        """End it at once; it has nothing but its own folder to leave behind."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _ended_by(self, code: int) -> dict[str, Any]:
        if code < 0:
            name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
            return {
                "message": f"the process of the run was ended by the signal {name}",
                "advice": "Start it again; if memory was short, with fewer replicates",
            }
        with suppress(OSError):
            lines = (self.folder / LOG).read_text("utf-8", "replace").strip().splitlines()
            if lines:
                last = lines[-1][-LOG_CHARS_MAX:]
                for place in (self.folder.parents[1], ROOT):
                    last = last.replace(str(place), "...")  # where it is concerns no client
                return {
                    "message": f"the process of the run failed: {last}",
                    "advice": "This is a mistake in Headrace; please report it",
                }
        return {
            "message": f"the process of the run ended with code {code}",
            "advice": "Start it again; if it fails again, report it",
        }
