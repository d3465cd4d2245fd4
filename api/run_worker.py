"""Carry out one job of the service in a process of its own: `python -m api.run_worker FOLDER`.

The folder has `order.json`, which says what to do, and the documents that it names; results are
written beside them. Standard output is a line of JSON for each step, the last one with a failure if
there is one. The process gives way to all others, and ends when its standard input does, which is
when whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.service.run_process import NICE, Order
from core.errors import HeadraceError

if TYPE_CHECKING:
    from api.simulate import Request

TELL_S = 0.2
FAILED, CRASHED = 1, 2
_OOM = Path("/proc/self/oom_score_adj")
_AUTOGROUP = Path("/proc/self/autogroup")


def main(folder: Path) -> int:
    """Carry out the order in a folder; returns the exit code."""
    tell = _own_output()
    give_way()
    threading.Thread(target=_end_with_starter, daemon=True).start()
    order = Order.of(json.loads((folder / "order.json").read_text("utf-8")))
    try:
        carry_out(order, folder, _Steps(tell).step)
    except HeadraceError as error:
        tell({"failed": failure_of(error)})
        return FAILED
    except MemoryError:
        advice = "Ask for fewer replicates, or a smaller audience"
        tell({"failed": {"message": "there is not enough memory", "advice": advice}})
        return FAILED
    return 0


def give_way() -> None:
    """Let every other process go first, with the processors and when memory runs out.

    Where the system groups processes by session, niceness counts only within a group, and a job has
    a session of its own: then the group gives way too (sched(7), "The autogroup feature").
    """
    os.nice(NICE)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    for file, value in ((_AUTOGROUP, NICE), (_OOM, 1000)):
        with suppress(OSError):
            file.write_text(str(value))


def failure_of(error: HeadraceError) -> dict[str, Any]:
    """An error as the job's record keeps it: without paths of this machine."""
    from api.documents import ViolationsError

    told: dict[str, Any] = {"message": error.message, "advice": error.advice}
    if error.pointer:
        told["pointer"] = error.pointer
    if isinstance(error, ViolationsError):
        told["message"] = f"the {Path(error.path).name} has errors: {error.message}"
        told["violations"] = [violation.to_json() for violation in error.violations]
    return told


def carry_out(order: Order, folder: Path, progress: Callable[[str, int, int], None]) -> None:
    """Do what is ordered, and write the results. Raises HeadraceError."""
    if order.kind == "import":
        _import(order, folder, progress)
        return
    with _given(order, progress) as given:
        if order.kind == "comparison":
            _compare(order, folder, given, progress)
        else:
            _dry_run(order, folder, given, progress)


@contextmanager
def _given(order: Order, progress: Callable[[str, int, int], None]) -> Iterator[dict[str, Any]]:
    """Within the block, the audience, and with a tenant's journal what his flows run with."""
    if order.journal is None:
        yield {"audience": Path(order.audience), "name": order.name}
        return
    from api.tenant_data import audience_of

    progress("reading the journal", 0, 0)
    with audience_of(None, Path(order.journal), progress) as found:
        for name in ("salt", "entry_rate"):
            if order.options.get(name) is None:
                order.options[name] = getattr(found, name)
        yield {"audience": found.folder, "name": found.name, "tenants": found.segments}


def _request(order: Order, folder: Path, document: str, given: dict[str, Any]) -> Request:
    from api.simulate import Request

    segments, responses = folder / "segments", folder / "responses"
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in order.options.items()}
    made = {
        "flow": folder / document,
        "responses": responses if responses.is_file() else None,
        "segments": segments if segments.is_file() else None,
        "work_max": order.work_max,
        **given,
        **options,
    }
    return Request(**made)


def _dry_run(order: Order, folder: Path, given: dict[str, Any], progress: Any) -> None:
    from api.outputs import write_text
    from api.page import render_html
    from api.simulate import carry_out as simulate

    report = simulate(_request(order, folder, "flow", given), progress).report()
    progress("writing the report", 0, 1)
    # Stories tell what single customers did, so they are kept apart from what all may read.
    write_text(folder / "stories.json", json.dumps(report.stories))
    report = report.model_copy(update={"stories": []})
    write_text(folder / "report.json", report.model_dump_json())
    write_text(folder / "report.html", render_html(report))
    progress("writing the report", 1, 1)


def _compare(order: Order, folder: Path, given: dict[str, Any], progress: Any) -> None:
    from api.comparison_page import render_comparison
    from api.outputs import write_text
    from api.page import render_html
    from api.simulate import carry_out as simulate
    from core.comparison import compare

    request = _request(order, folder, "flow", given)
    first = simulate(request, lambda label, *of: progress(f"first: {label}", *of))
    options, lineage = first.options, first.opened.flow.draws_as
    whole, each = first.report(), first.reports()
    del first  # its audience, before there is another
    # Both have the window that the first one's zone makes of what was asked.
    times = {"begin": options.from_ms, "until": options.until_ms, "horizon": options.horizon_ms}
    order.options.update({name: _instant(ms) for name, ms in times.items()})
    request = _request(order, folder, "second", {**given, "draws_as": lineage})
    second = simulate(request, lambda label, *of: progress(f"second: {label}", *of))
    found = compare(each, second.reports(), whole.draws)
    progress("writing the comparison", 0, 1)
    for name, report in (("report", whole), ("second", second.report())):
        write_text(folder / f"{name}.json", report.model_dump_json())
        write_text(folder / f"{name}.html", render_html(report))
    write_text(folder / "comparison.json", found.model_dump_json())
    write_text(folder / "comparison.html", render_comparison(found))
    progress("writing the comparison", 1, 1)


def _instant(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _import(order: Order, folder: Path, progress: Any) -> None:
    from actors.importer import import_audience
    from api.outputs import write_text

    mapping = folder / "mapping.json"
    files = Path(order.files)
    summary = import_audience(
        mapping, Path(order.audience), data=files, replace=True, progress=progress
    )
    counts = summary.schema.counts
    told = {
        "customers": counts.customers,
        "events": counts.events,
        "changes": counts.changes,
        "rejected": counts.rejected,
        "sources": [asdict(source) for source in summary.sources],
        "reasons": [
            {"file": file, "column": column, "reason": reason, "rows": rows}
            for (file, column, reason), rows in summary.reasons.most_common(100)
        ],
    }
    write_text(folder / "import.json", json.dumps(told))


class _Steps:
    """Progress as lines, few enough that nobody drowns in them."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        self._label = ""
        self._next_s = 0.0

    def step(self, label: str, done: int, total: int) -> None:
        """Tell what is being done."""
        now = time.monotonic()
        if label != self._label or done == total or now >= self._next_s:
            self._label, self._next_s = label, now + TELL_S
            self._tell({"step": label, "done": done, "total": total})


def _own_output() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for the steps: what else is printed goes to standard error."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def tell(what: dict[str, Any]) -> None:
        with lock:
            output.write(json.dumps(what) + "\n")
            output.flush()

    return tell


def _end_with_starter() -> None:
    # Read without Python's buffers, whose lock would be in the way when the process ends.
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(CRASHED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
