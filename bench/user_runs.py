"""Time what a user does with an audience folder: compare two drafts, and simulate replicates.

Here loading counts, and for the command everything from the start of its process to its report.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from actors.audience import load_audience, read_schema
from actors.dry_run import dry_run
from actors.sample import make_sample
from api.documents import open_flow, open_responses
from api.window import read_window
from bench.alone import CHECKOUT
from bench.figures import interleave
from core.audience import AudienceSchema
from core.binding import bind
from core.compiler import compile_flow, needs_of
from core.flow import Flow
from core.options import RunOptions
from core.program import Program

FLOW_PATH = CHECKOUT / "examples" / "abandoned-cart.yaml"
RESPONSES_PATH = CHECKOUT / "examples" / "responses.yaml"
WORKERS = 2
COMMAND = "from api.main import main; main()"


class UserMeasured(TypedDict):
    """Seconds of each run: of the one, and of the two or many."""

    one: list[float]
    many: list[float]


def shop_runs(
    customers: int, replicates: int, runs: int, large_runs: int
) -> dict[str, UserMeasured]:
    """Make a sample shop of so many customers, and measure on it, the last two in `large_runs`.

    `drafts`: load and run one draft, or two after loading once. `command`: `headrace simulate` with
    responses, one replicate or many. `engine`: only the dry run of that, loaded and bound before.
    """
    with TemporaryDirectory() as place:
        folder = Path(place) / "shop"
        make_sample(folder, customers=customers)
        return {
            "drafts": _drafts(folder, runs),
            "command": _command(folder, replicates, large_runs),
            "engine": _engine(folder, replicates, large_runs),
        }


def _drafts(folder: Path, runs: int) -> UserMeasured:
    schema = read_schema(folder)
    flow = open_flow(FLOW_PATH, schema).flow
    drafts = [compile_flow(flow), compile_flow(_changed(flow))]
    options = _options(flow, schema)
    one = partial(_load_and_run, folder, drafts[:1], options)
    return _measured(one, partial(_load_and_run, folder, drafts, options), runs)


def _command(folder: Path, replicates: int, runs: int) -> UserMeasured:
    return _measured(partial(simulate, folder, 1), partial(simulate, folder, replicates), runs)


def _engine(folder: Path, replicates: int, runs: int) -> UserMeasured:
    schema = read_schema(folder)
    flow = open_flow(FLOW_PATH, schema).flow
    program = compile_flow(flow, open_responses(RESPONSES_PATH))
    audience = load_audience(folder, needs_of(program))
    bound = bind(program, audience, _options(flow, schema))
    run = partial(dry_run, bound, workers=WORKERS)
    return _measured(run, partial(run, replicates=replicates), runs)


def _measured(one: Callable[[], object], many: Callable[[], object], runs: int) -> UserMeasured:
    taken = interleave({"one": one, "many": many}, runs)
    return {"one": taken["one"], "many": taken["many"]}


def _changed(flow: Flow) -> Flow:
    """Another draft of the flow: it waits for two hours instead of one."""
    document = flow.model_dump(by_alias=True, exclude_none=True)
    document["nodes"]["an-hour"]["timeout"] = "2 hours"
    return Flow.model_validate(document)


def _options(flow: Flow, schema: AudienceSchema) -> RunOptions:
    window = read_window(None, None, None, zone=flow.settings.zone, schema=schema)
    return RunOptions(*window, audience_zone=schema.zone)


def _load_and_run(folder: Path, drafts: list[Program], options: RunOptions) -> None:
    """Load what the first draft needs, which is what all need, and run all drafts."""
    audience = load_audience(folder, needs_of(drafts[0]))
    for draft in drafts:
        dry_run(bind(draft, audience, options), workers=WORKERS)


def simulate(folder: Path, replicates: int) -> None:
    """Run the command in a process of its own, report and all; RuntimeError where it fails."""
    command = [
        sys.executable, "-c", COMMAND, "simulate", str(FLOW_PATH), "--audience", str(folder),
        "--responses", str(RESPONSES_PATH), "--replicates", str(replicates),
        "--workers", str(WORKERS), "--json", str(folder.parent / "report.json"), "--quiet",
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"headrace simulate failed with {ran.returncode}:\n{ran.stderr}")
