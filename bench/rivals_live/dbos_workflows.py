"""Runs the reference journey as DBOS workflows on PostgreSQL, one workflow for each customer.

Starting a workflow, each message to it and each send, a step, are transactions of DBOS; the record
of a send as done is its place in the outbox. DBOS's own timers go by the clock of the machine, so
the driven clock sends each workflow a message when one of its waits is over. What it lacks beside
the other rivals: the effects of a batch are durable soon after it was taken, not before. What it
has beyond them is a general engine that recovers every workflow where it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import takewhile
from pathlib import Path

import numpy as np
import psycopg
from dbos import DBOS, DBOSConfig, SendMessage, SetWorkflowID, WorkflowHandleAsync

from bench.live.contender import APPLY, LOAD, SENDS, TRANSFER, Outcome, Stopwatch, arrivals
from bench.live.load import TRIGGER, Load, takes_b
from bench.live.postgres import PostgresServer
from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, MAIL, MAIL_A, MAIL_B, NODES, SMS

RECEIVE_S_MAX = 3600.0
TOPIC = "journey"
_TIMEOUT = -1


@DBOS.workflow(name="reference")
async def _journey(customer: str, at: int, consent: bool, key: int) -> None:
    """One customer's passage; messages are times of clicks, or that a wait is over."""
    await _send(MAIL, customer, at)
    due = at + CLICK_WAIT_MS
    while True:
        clicked = await DBOS.recv_async(TOPIC, RECEIVE_S_MAX)
        if clicked == _TIMEOUT:
            break
        if clicked <= due:
            (to_b,) = takes_b([customer.encode()], key)
            await _send(MAIL_B if to_b else MAIL_A, customer, clicked)
            return
    while await DBOS.recv_async(TOPIC, RECEIVE_S_MAX) != _TIMEOUT:
        pass
    if consent:
        await _send(SMS, customer, due + LATER_MS)


async def _send(node: int, customer: str, at: int) -> None:
    """A send as a step, whose name, arguments and end DBOS records."""
    await DBOS.run_step_async({"name": NODES[node]}, _effect, node, customer, at)


async def _effect(node: int, customer: str, at: int) -> tuple[int, str, int]:
    """What the step records."""
    return node, customer, at


class DbosWorkflows:
    """See the module."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None

    def prepare(self, folder: Path, load: Load) -> None:
        """Start a server, let DBOS make its tables; in a new folder, so nothing is recovered."""
        self._load = load
        self._server = PostgresServer()
        url = f"postgresql://bench@/postgres?host={self._server.folder}"
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()

    def run(self) -> Outcome:
        """Take the batches, then wait until all workflows have ended."""
        watch = Stopwatch()
        asyncio.run(self._drive(watch))
        return self._outcome(watch)

    def close(self) -> None:
        """End DBOS and the server, where they run."""
        DBOS.destroy()
        if self._server is not None:
            self._server.close()

    async def _drive(self, watch: Stopwatch) -> None:
        """Start workflows and send messages as the driven clock goes on."""
        handles: list[WorkflowHandleAsync[None]] = []
        first: deque[tuple[int, str]] = deque()
        second: deque[tuple[int, str]] = deque()
        for batch in self._load.batches():
            watch.lap(LOAD)
            clicks: list[SendMessage] = []
            for kind, name, at, _, consent in batch.rows():
                customer = name.decode()
                if kind == TRIGGER:
                    with SetWorkflowID(customer):
                        started = await DBOS.start_workflow_async(
                            _journey, customer, at, bool(consent), self._load.split_key
                        )
                    handles.append(started)
                    first.append((at + CLICK_WAIT_MS, customer))
                else:
                    clicks.append(SendMessage(customer, at, TOPIC))
            timed_out = _due(first, batch.now_ms)
            second.extend((due + LATER_MS, customer) for due, customer in timed_out)
            # One message for each customer at once, lest two have the same time.
            await _tell(clicks)
            for over in (timed_out, _due(second, batch.now_ms)):
                await _tell([SendMessage(customer, _TIMEOUT, TOPIC) for _, customer in over])
            watch.lap(APPLY)
        for handle in handles:
            await handle.get_result()
        watch.lap(TRANSFER)

    def _outcome(self, watch: Stopwatch) -> Outcome:
        """What DBOS's own tables say."""
        assert self._server is not None
        with psycopg.connect(self._server.conninfo) as db:
            steps = db.execute(
                "SELECT function_name, count(*) FROM dbos.operation_outputs GROUP BY function_name"
            ).fetchall()
            ended = db.execute(
                "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
            ).fetchall()
        found = {str(name): int(count) for name, count in steps}
        effects = [found.get(NODES[node], 0) for node in SENDS]
        sent = dict(zip(SENDS, effects, strict=True))
        clicked = sent[MAIL_A] + sent[MAIL_B]
        asked = ended[0][0] - clicked
        counts = arrivals(sent[MAIL], clicked, sent[MAIL_B], asked, asked, sent[SMS])
        return Outcome(
            counts, np.array(effects, np.int64), self._load.entries, watch.seconds, watch.stages
        )


def _due(timers: deque[tuple[int, str]], now_ms: int) -> list[tuple[int, str]]:
    """Take out the timers that are due, which come in order."""
    due = list(takewhile(lambda timer: timer[0] <= now_ms, timers))
    for _ in due:
        timers.popleft()
    return due


async def _tell(messages: list[SendMessage]) -> None:
    """Send messages in one transaction."""
    if messages:
        await DBOS.send_bulk_async(messages)
