"""Work for a live partition whose end is known: steps that are carried out, killed, and resumed.

A plan is cut from a case: frames of a numbered source, commands, ticks and snapshots. Whoever
carries it out again from any step on gets nothing twice, because frames and commands are numbered.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from actors import failpoints
from actors.intake.frame import Frame
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.relay.effect_block import decode_effects
from core.counters import Counters
from core.reference import Record
from differential import Loaded
from live_cases import Inputs, _cuts, schema_of

SOURCE = b"load"
FRAME_ROWS = 8_192  # so that a frame stays below a record's megabyte
COUNTED = (
    "customers", "people", "steps", "entered", "unique", "port", "outcome", "waiting", "idle",
    "delay_sum_ms", "delays",
)  # fmt: skip
Key = tuple[int, int, str, int]
"""Of a message: hash of the customer's id, entry, node, time."""


@dataclass(frozen=True)
class Step:
    """One call of a partition; `number` is that of the command."""

    kind: str  # rows, tick, command, snapshot
    now_ms: int = 0
    frame: Frame | None = None
    number: int = 0
    command: dict[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """The steps of a case, and the tenant that they are for."""

    loaded: Loaded
    settings: TenantSettings
    steps: list[Step]

    @property
    def flow(self) -> str:
        return self.loaded.flow.flow


def plan_of(loaded: Loaded, batch: int, seed: int = 0, *, snapshots: float = 0.2) -> Plan:
    """Cut a case into frames of about `batch` rows, with ticks and snapshots by chance between."""
    inputs, options, dice = Inputs(loaded.audience), loaded.options, Random(seed)
    start = min([int(m) for m in inputs.ms[:1]] + [options.from_ms]) - 1
    steps: list[Step] = []

    def rows(frame: Frame, now_ms: int) -> None:
        frame.source = SOURCE
        frame.sequence = 1 + sum(step.kind == "rows" for step in steps)
        steps.append(Step("rows", now_ms, frame))

    first_frame = inputs.first(start)
    for at in range(0, first_frame.rows, FRAME_ROWS):
        kept = np.arange(at, min(at + FRAME_ROWS, first_frame.rows))
        rows(first_frame.take(kept), start)
    before = int(np.searchsorted(inputs.ms, options.from_ms))
    end = int(np.searchsorted(inputs.ms, options.horizon_ms))
    for first, last in _cuts(inputs.ms, 0, before, batch):
        rows(inputs.frame(np.arange(first, last)), start)
    command = {
        "kind": "publish",
        "flow": loaded.flow.flow,
        "version": 1,
        "document": json.dumps(
            loaded.flow.model_dump(mode="json", by_alias=True, exclude_unset=True)
        ),
        "at_ms": options.from_ms,
    }
    steps.append(Step("command", number=1, command=command))
    for first, last in _cuts(inputs.ms, before, end, batch):
        rows(inputs.frame(np.arange(first, last)), options.from_ms)
        if dice.random() < 0.5 and last < end:
            steps.append(Step("tick", int(inputs.ms[last]) - 1))
        if dice.random() < snapshots:
            steps.append(Step("snapshot"))
    # The rest of the time passes in a few ticks.
    last_ms = int(inputs.ms[end - 1]) if end else options.from_ms
    for now_ms in np.linspace(last_ms, options.horizon_ms - 1, 4)[1:]:
        steps.append(Step("tick", int(now_ms)))
    settings = TenantSettings(
        "tenant",
        salt=options.salt,
        zone=options.audience_zone or loaded.audience.zone or "UTC",
        schema=schema_of(loaded.audience),
    )
    return Plan(loaded, settings, steps)


def open_partition(folder: Path, plan: Plan, *, log: bool = False) -> LivePartition:
    """The plan's partition, made where it is not there."""
    return LivePartition.open(folder, plan.settings, create=True, log=log)


def carry_out(partition: LivePartition, step: Step) -> None:
    """Do one step, to its end."""
    if step.kind == "rows":
        assert step.frame is not None
        partition.take([step.frame], step.now_ms)
    elif step.kind == "tick":
        while partition.tick(step.now_ms):
            pass
    elif step.kind == "command":
        assert step.command is not None
        partition.prepare(step.command) if step.number > partition.control_sequence else None
        partition.command(step.number, step.command)
    else:
        while partition.snapshot(now=True):
            pass


def keys(partition: LivePartition) -> list[Key]:
    """The messages in the outbox, in its order."""
    return [
        (effect.customer % 2**64, effect.entry % 2**64, effect.node, effect.committed_ms)
        for _, blocks in partition.store.outbox()
        for block in blocks
        for effect in decode_effects(block)
    ]


def model_keys(loaded: Loaded, records: list[Record]) -> Counter[Key]:
    """The messages that the model's decisions are."""
    audience = loaded.audience
    row = {audience.id_of(c): int(audience.id_hash[c]) for c in range(audience.customers)}
    sends = {name for name, node in loaded.flow.nodes.items() if node.type == "send"}
    return Counter(
        (row[r.customer], r.entry, r.node, r.time_ms)
        for r in records
        if r.node in sends and not r.port.startswith("parked")
    )


def counted(counters: Counters) -> dict[str, Any]:
    """What a run counted, as far as it does not depend on how long it might go on."""
    return {name: np.asarray(getattr(counters, name)).tolist() for name in COUNTED}


@dataclass
class Child:
    """A forked process and what it tells, line by line."""

    pid: int
    reading: int

    def kill(self) -> None:
        """End it by SIGKILL; it may be gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[list[str], int]:
        """What it told, whole lines only, and how it ended (a signal is negative)."""
        with os.fdopen(self.reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return told.decode().split("\n")[:-1], code


def fork(work: Callable[[Callable[[object], None]], None]) -> Child:
    """Run `work(tell)` in a forked process; it ends with 1 where that raises, and tells why."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    code = 1

    def tell(what: object) -> None:
        os.write(writing, f"{what}\n".encode())

    try:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.close(reading)
        try:
            work(tell)
            code = 0
        except BaseException as error:
            tell(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def run_child(folder: Path, plan: Plan, first: int = 0, armed: str = "") -> Child:
    """Carry the plan out from step `first` on in a child, which tells each step that it did."""

    def work(tell: Callable[[object], None]) -> None:
        failpoints.disarm()
        failpoints.arm_from(armed)
        with open_partition(folder, plan) as partition:
            tell("open")
            for number in range(first, len(plan.steps)):
                carry_out(partition, plan.steps[number])
                tell(number)

    return fork(work)


@contextlib.contextmanager
def armed(point: str, action: str, hit: int = 1) -> Iterator[None]:
    """Let a point fail in this process."""
    failpoints.arm(point, action, hit)
    try:
        yield
    finally:
        failpoints.disarm()
