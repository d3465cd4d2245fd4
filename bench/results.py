"""Write what was measured as JSON, with the versions and the machine it was measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.figures import Figure

FORMAT = 1
CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / "bench" / "results"
FILE = "latest.json"
LIBRARIES = ("numpy", "numba", "simpy", "headrace")


def write_results(
    figures: Sequence[Figure], folder: Path, *, runs: int, quick: bool, taken_at: str
) -> Path:
    """Write `folder`/latest.json and return its path; the folder is made.

    `taken_at` is when the measurement began, ISO 8601.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    document = {
        "headrace_bench": FORMAT,
        "taken_at": taken_at,
        "runs": runs,
        "quick": quick,
        "versions": versions(),
        "machine": machine(),
        "figures": [as_json(figure) for figure in figures],
    }
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def as_json(figure: Figure) -> dict[str, Any]:
    """One figure: measured values, ratio, spreads, and its bar with whether it is met."""
    bar, place = figure.bar, figure.place
    return {
        "name": figure.name,
        "group": figure.group,
        "gate": figure.gate,
        "unit": figure.unit,
        "ours": figure.ours,
        "rival": figure.rival,
        "theirs": figure.theirs,
        "ratio": figure.ratio,
        "spread": figure.spread,
        "their_spread": None if figure.rival is None else figure.their_spread,
        "bar": None if bar is None else {"of": bar.of, bar.relation: bar.value},
        "met": figure.meets,
        "sweep": None if place is None else place.sweep,
        "x": None if place is None else place.x,
        "step_ns": figure.step_ns,
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that were measured."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def machine() -> dict[str, Any]:
    """The machine, and how the extensions were compiled where the build left a note of it."""
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count() or 1,
        "compiled": compiled(CHECKOUT / "build"),
    }


def processor() -> str:
    """The processor's name as its maker writes it, else what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    elif platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def compiled(build: Path) -> str | None:
    """How `make build` compiled: portable, native or debug; None where it left no note.

    The note is an empty file that the Makefile names for HEADRACE_DEBUG and HEADRACE_NATIVE.
    """
    notes = [path.name for path in build.glob("flavour-*-*")]
    if len(notes) != 1:
        return None
    _, debug, native = notes[0].split("-")
    flavour = "native" if native == "1" else "portable"
    return f"{flavour}, debug" if debug == "1" else flavour
