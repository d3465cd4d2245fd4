"""Time a dry run that is started over HTTP beside the same one of the command line.

Both load the same audience, carry out the same flow with the same responses, and write a report.
Over HTTP what counts is the time from asking for the job to reading its report; of the command,
that of its whole process.
"""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from actors.sample import make_sample
from actors.service.audiences import FOLDER
from bench.figures import Bar, Figure, interleave, spread_of
from bench.live.dry_run import Ask, asker, start
from bench.live.figures import Form, Measured
from bench.live.figures_http import served
from bench.user_runs import FLOW_PATH, RESPONSES_PATH, simulate

GROUP = "runs"
AUDIENCE = "shop"
LOOK_S = 0.02
TIMES_MOST = 1.5


def measure(form: Form) -> Measured:
    """One dry run of all customers of `form`, over HTTP and by the command."""
    with TemporaryDirectory() as place, served() as service, closing(service.connect()) as line:
        ask = asker(line, service.key)
        folder = Path(place) / AUDIENCE
        make_sample(folder, customers=form.customers_of_run)
        (service.data / FOLDER).mkdir(exist_ok=True)
        (service.data / FOLDER / AUDIENCE).symlink_to(folder)
        contenders = {"http": partial(_over_http, ask), "command": partial(simulate, folder, 1)}
        taken = interleave(contenders, form.runs)
    ours, theirs = taken["http"], taken["command"]
    return Measured(
        [
            Figure(
                GROUP,
                f"dry run of {form.customers_of_run:,} customers over HTTP",
                "s",
                median(ours),
                spread_of(ours),
                rival="headrace simulate",
                theirs=median(theirs),
                bar=Bar("ratio", "at most", TIMES_MOST),
                their_spread=spread_of(theirs),
            )
        ]
    )


def _over_http(ask: Ask) -> None:
    """From the order to the report; RuntimeError where the job fails."""
    flow, responses = FLOW_PATH.read_text(), RESPONSES_PATH.read_text()
    run = start(ask, {"audience": AUDIENCE, "draft": {"document": flow}, "responses": responses})
    while (found := ask("GET", f"/v1/runs/{run}", b"", ""))["status"] in ("queued", "running"):
        time.sleep(LOOK_S)
    if found["status"] != "done":
        raise RuntimeError(f"the dry run is {found['status']}: {found['failure']}")
    ask("GET", f"/v1/runs/{run}/report", b"", "")
