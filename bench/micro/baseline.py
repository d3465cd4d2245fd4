"""Keep what the micro-benchmarks took, as a baseline file, and compare two of them.

Nanoseconds differ between machines; `Timing.ratio`, to a calibration that ran at the same time,
does so far less, and is what is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

FORMAT = 1
FILE = Path(__file__).with_name("baseline.json")
SLOWER_FLAGGED = 1.3


class BaselineError(Exception):
    """A baseline can't be compared with; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one benchmark took: ns for a step of a unit, and that to the calibration's ns."""

    ns: float
    unit: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """All timings of one session by name, with what they were taken on.

    `calibration_ns` is the median over the benchmarks, for one value; `short` are those of few
    customers, which can only be compared with each other.
    """

    taken_at: str
    short: bool
    machine: dict[str, Any]
    versions: dict[str, str]
    calibration_ns: float
    timings: dict[str, Timing]


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark of a comparison; what a side lacks is None."""

    name: str
    unit: str
    then_ns: float | None
    now_ns: float | None
    change: float | None

    @property
    def slower(self) -> bool:
        """Whether the ratio grew beyond `SLOWER_FLAGGED`."""
        return self.change is not None and self.change > SLOWER_FLAGGED


def from_session(document: Mapping[str, Any], *, short: bool, versions: dict[str, str]) -> Baseline:
    """What a session of pytest-benchmark wrote with `--benchmark-json`."""
    timings, calibrations = {}, []
    for benchmark in document["benchmarks"]:
        info = benchmark["extra_info"]
        calibrations.append(info["calibration_ns"])
        timings[name_of(benchmark["fullname"])] = Timing(
            ns=_rounded(info["ns_per_step"]),
            unit=info["unit"],
            ratio=_rounded(info["ns_per_step"] / info["calibration_ns"]),
        )
    return Baseline(
        taken_at=document["datetime"][:19] + "Z",
        short=short,
        machine=document["machine_info"],
        versions=versions,
        calibration_ns=_rounded(median(calibrations)),
        timings=timings,
    )


def name_of(fullname: str) -> str:
    """`nodes: node[send]` for `bench/micro/test_nodes.py::test_node[send]`."""
    path, _, test = fullname.partition(".py::")
    module = path.rpartition("/")[2]
    return f"{module.removeprefix('test_')}: {test.removeprefix('test_')}"


def _rounded(value: float) -> float:
    """Four digits: what follows them is noise, and would fill the difference of two files."""
    return float(f"{value:.4g}")


def write(baseline: Baseline, path: Path) -> None:
    """Write a baseline file."""
    document = {"headrace_micro": FORMAT} | asdict(baseline)
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def read(path: Path) -> Baseline:
    """Read a baseline file; BaselineError where there is none, or one of another format."""
    try:
        document = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise BaselineError(
            f"{path}: no baseline ({error}); make one with `python -m bench.micro store`"
        ) from error
    if not isinstance(document, dict) or document.pop("headrace_micro", None) != FORMAT:
        raise BaselineError(
            f"{path}: no baseline of format {FORMAT}; make one with `python -m bench.micro store`"
        )
    timings = {name: Timing(**timing) for name, timing in document.pop("timings").items()}
    return Baseline(**document, timings=timings)


def compare(then: Baseline, now: Baseline) -> Iterator[Row]:
    """A row for each benchmark of now in its order, then those that only the baseline has.

    BaselineError where one is of the short form and the other isn't.
    """
    if then.short != now.short:
        forms = {False: "full", True: "short"}
        raise BaselineError(
            f"the baseline is of the {forms[then.short]} form and this session of the "
            f"{forms[now.short]} one; their sizes differ, so measure in the same form"
        )
    for name in now.timings | then.timings:
        old, new = then.timings.get(name), now.timings.get(name)
        known = new or old
        assert known is not None
        yield Row(
            name=name,
            unit=known.unit,
            then_ns=None if old is None else old.ns,
            now_ns=None if new is None else new.ns,
            change=None if old is None or new is None else new.ratio / old.ratio,
        )
