"""Say what the figures rest on and what they do not tell, as far as it applies to the run."""

from __future__ import annotations

from collections.abc import Iterator

from core.flow import Flow
from core.nodes import Send, WaitEvent
from core.quantity import THIN, moment
from core.report import Basis, Limit, Report
from core.responses import Responses
from core.taint import Assumptions
from core.usage import used


def basis(flow: Flow, responses: Responses | None, assumed: Assumptions) -> Basis:
    """What kind of truth the figures have: mechanics, recorded history or modelled responses."""
    if assumed.events:
        return Basis(kind="modelled", events=sorted(assumed.events), text=_MODELLED)
    if not _obeys_events(flow):
        return Basis(kind="mechanics", events=[], text=_MECHANICS)
    text = _HISTORY
    if any(isinstance(n, Send) for n in flow.nodes.values()):
        text += _NOT_SENT if responses is None else _NO_RULE
    return Basis(kind="history", events=[], text=text)


_MODELLED = (
    "Who enters, when, and what the flow then does with them is exact: it is carried out by the "
    "rules that also run it live. What people do after a message is assumed by the responses file. "
    "Figures that rest on it are marked ≈."
)
_MECHANICS = (
    "All figures are exact: after entry the flow asks for no behaviour, and it is carried out by "
    "the rules that also run it live."
)
_HISTORY = (
    "All figures are exact for the recorded past: history alone answers, and nothing is assumed."
)
_NOT_SENT = (
    " But a draft's messages were never sent, so history holds no clicks on them: whoever answers "
    "here answered something else, or acted unasked. To rehearse answers, give the run a "
    "responses file."
)
_NO_RULE = (
    " The responses file has no rule that fits a message of this flow, so nobody answers them."
)


def _obeys_events(flow: Flow) -> bool:
    """Whether a node after entry, or a success, depends on what people do."""
    inner = [n for n in flow.nodes.values() if not n.trigger]
    waits = any(isinstance(n, WaitEvent) for n in inner)
    asks = any(
        ref.kind == "event" and any(not flow.nodes[p].trigger for p in places if p in flow.nodes)
        for ref, places in used(flow).items()
    )
    return waits or asks or flow.settings.goal is not None


def limits(
    flow: Flow, responses: Responses | None, assumed: Assumptions, report: Report
) -> list[Limit]:
    """What the figures do not say, in the order of weight, only what applies to this run."""
    return [Limit(code=code, text=text) for code, text in _limits(flow, responses, assumed, report)]


def _limits(
    flow: Flow, responses: Responses | None, assumed: Assumptions, report: Report
) -> Iterator[tuple[str, str]]:
    yield (
        "mechanics",
        "Mechanics are exact, people are not. The same flow on the same people at the same times "
        "does the same live; whether people will behave as they did is not known.",
    )
    start = moment(report.window.from_ms)
    yield (
        "empty-start",
        f"Nobody is inside at the start: whoever would have entered before {start} is not in the "
        "flow, so its first days look emptier than they would be live.",
    )
    if assumed.events:
        yield (
            "responses",
            "The ≈ figures are as good as the responses file. A new text, another channel or "
            "another audience may be answered quite differently.",
        )
        if report.draws.replicates > 1:
            yield (
                "intervals",
                f"The 90{THIN}% intervals over replicates show chance alone. They do not show how "
                "wrong the assumed probabilities may be.",
            )
    sends = any(isinstance(n, Send) for n in flow.nodes.values())
    if sends:
        yield (
            "other-pressure",
            "Other flows, frequency caps, quiet hours and undelivered messages are not part of "
            "this run; every message counts as sent.",
        )
    yield (
        "past",
        "The window lies in the past. Season, prices, competitors and deliverability are those of "
        "that time.",
    )
    events = {ref.name for ref in used(flow) if ref.kind == "event"} | set(assumed.events)
    if any("open" in name.casefold() for name in events):
        yield (
            "opens",
            "Opens are partly made by machines that fetch images and links before anybody reads. "
            "A click or a purchase is a safer sign.",
        )
    if report.tests:
        yield (
            "sample",
            "A small test cannot tell small differences apart. Below the detectable difference "
            "that is stated with each test, expect no clear answer.",
        )
        yield (
            "best-of-many",
            "The best of several branches or drafts looks better than it is. Judge the winner "
            "again on fresh draws or fresh people.",
        )
    if flow.settings.goal is not None or report.tests:
        recorded = (
            "Recorded conversions are not caused by the flow: in a dry run nobody receives "
            "anything. They show who would have been counted."
        )
        modelled = " Modelled ones are caused by assumption."
        rests = assumed.goal or bool(assumed.tests)
        yield "cause", recorded + (modelled if rests else "")
