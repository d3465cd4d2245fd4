"""Lets a test state a flow, people and what they did in a few lines, and read the log as text.

Times are "MM-DD hh:mm", with seconds and milliseconds where they matter, of 2026 and UTC. Events
are (time, name), (time, name, properties) or (time, name, properties, customer); the customer is
"c" where none is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from core.audience import Audience
from core.audience_build import audience_from_python, instant_ms
from core.flow import Flow
from core.options import RunOptions
from core.responses import Responses
from interpreters import Ran, run_reference

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = {"type": "end"}


def ms(text: str) -> int:
    """The instant of "MM-DD[ hh:mm[:ss[.fff]]]" in 2026, UTC."""
    return instant_ms(f"2026-{text}".replace(" ", "T"))


def moment(at_ms: int) -> str:
    """The text of an instant, seconds left out where they are 0."""
    at = EPOCH + timedelta(milliseconds=at_ms)
    text = at.strftime("%m-%d %H:%M")
    if at_ms % 60_000:
        text += at.strftime(":%S")
    return text + (f".{at_ms % 1000:03d}" if at_ms % 1000 else "")


def on(event: str, target: str | Sequence[str], **fields: Any) -> dict[str, Any]:
    """An event trigger."""
    return {"type": "on_event", "event": event, "next": target, **fields}


def wait(duration: str, target: str) -> dict[str, Any]:
    """A wait of a duration."""
    return {"type": "wait", "for": duration, "next": target}


def wait_event(event: str, *, timeout: str | None = None, **ports: Any) -> dict[str, Any]:
    """A wait for an event; ports `yes` and `no` lead on from its event and its timeout."""
    names = {"yes": "event", "no": "timeout"}
    edges = {names[port]: ports.pop(port) for port in names if port in ports}
    limit = {} if timeout is None else {"timeout": timeout}
    return {"type": "wait_event", "event": event, **limit, **ports, "next": edges}


def ask(condition: Mapping[str, Any], yes: str = "x", no: str = "x") -> dict[str, Any]:
    """A condition node."""
    return {"type": "condition", "if": condition, "next": {"yes": yes, "no": no}}


def send(channel: str, template: str, target: str) -> dict[str, Any]:
    """A message."""
    return {"type": "send", "channel": channel, "template": template, "next": target}


def sure(event: str, delay: str = "1 hour", **fields: Any) -> dict[str, Any]:
    """An outcome that always happens, after a fixed time."""
    return {"event": event, "probability": 1, "delay": {"constant": delay}, **fields}


@dataclass(frozen=True, slots=True)
class Case:
    """A flow, an audience and a run of it in May 2026."""

    nodes: dict[str, Any]
    events: Sequence[Sequence[Any]] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    customers: Sequence[dict[str, Any]] = ({"id": "c"},)
    changes: Sequence[tuple[str, str, Any]] = ()
    audience: dict[str, Any] = field(default_factory=dict)
    responses: Sequence[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    window: tuple[str, str, str] = ("05-01", "06-01", "06-01")

    def flow(self) -> Flow:
        """The flow, with an end node `x` where it has none."""
        nodes = self.nodes if "x" in self.nodes else {**self.nodes, "x": END}
        return Flow.model_validate(
            {"headrace": 1, "flow": "f", "settings": self.settings, "nodes": nodes}
        )

    def people(self) -> Audience:
        """The audience."""
        events = []
        for time, name, *rest in self.events:
            row = {"time": ms(time), "event": name, "customer": rest[1] if len(rest) > 1 else "c"}
            events.append({**row, "properties": rest[0] if rest else None})
        changes = [
            {"customer": "c", "time": ms(time), "attribute": attribute, "value": value}
            for time, attribute, value in self.changes
        ]
        return audience_from_python(self.customers, events, changes=changes, **self.audience)

    def run_options(self) -> RunOptions:
        """The window and what else the run is asked for."""
        from_ms, until_ms, horizon_ms = map(ms, self.window)
        return RunOptions(from_ms, until_ms, horizon_ms, **self.options)

    def model(self) -> Responses | None:
        """The responses, of which the case states the rules."""
        if self.responses is None:
            return None
        return Responses.model_validate({"headrace_responses": 1, "rules": list(self.responses)})

    def run(self, interpreter: Any = run_reference) -> Ran:
        """What an interpreter decides."""
        ran: Ran = interpreter(self.flow(), self.people(), self.run_options(), self.model())
        return ran

    def log(self, interpreter: Any = run_reference, *, customer: str = "c") -> list[str]:
        """A customer's log, as lines such as "05-04 10:00 start next"."""
        return log_of(self.run(interpreter), customer)


def log_of(ran: Ran, customer: str = "c") -> list[str]:
    """A customer's log, as lines such as "05-04 10:00 start next"."""
    return [
        f"{moment(record.time_ms)} {record.node} {record.port}"
        for record in ran.records
        if record.customer == customer
    ]
