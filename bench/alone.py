"""Run a measurement in a process of its own, so that the memory it reports is its own.

    python -m bench.alone MODULE FUNCTION JSON

calls the function with the keywords of the JSON object and prints what it returned, as JSON, with
the peak of memory. Figures of memory taken in one long process would tell of whatever ran before.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
STATUS = Path("/proc/self/status")
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Alone:
    """What a measurement returned, and the peak of its process's resident memory in GiB."""

    result: Any
    peak_gib: float


def alone(module: str, function: str, *, checkout: Path = CHECKOUT, **keywords: Any) -> Alone:
    """Call a function of a checkout in a new process; its keywords and result go through JSON.

    RuntimeError with what the process printed where it fails.
    """
    command = [sys.executable, "-m", "bench.alone", module, function, json.dumps(keywords)]
    ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{module}.{function} failed with {ran.returncode}:\n{ran.stderr}")
    answer = json.loads(ran.stdout.splitlines()[-1])
    return Alone(answer["result"], answer["peak_bytes"] / GIB)


def peak_bytes() -> int:
    """The most memory that this process had resident.

    Linux tells it of the program that runs; getrusage may still hold the peak of the process that
    started it (see proc(5), VmHWM, against getrusage(2), which counts through an exec).
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Do what the command line asks for."""
    module, function, keywords = sys.argv[1:4]
    result = getattr(import_module(module), function)(**json.loads(keywords))
    print(json.dumps({"result": result, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
