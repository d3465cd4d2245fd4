"""Scenario 15: messages that cannot be sent are parked with a reason; the others go on."""

from __future__ import annotations

import time
from dataclasses import replace

from actors.relay.channels.render import Source
from actors.relay.compose import Content
from actors.relay.effects import Effect
from actors.relay.provider import Provider
from relaying import MemoryOutbox, Scripted, Setup, Templates, effects, run_virtual

GOOD = 3_000
POISON = {
    "loop": Source("{% for i in (1..900000) %}x{% endfor %}"),
    "syntax": Source("{{ name"),
    "large": Source("x" * 10_000_000),
    "include": Source("{% include 'other' %}"),
}


class Poisoned(Templates):
    """A content for each kind of poison."""

    async def content(self, effect: Effect) -> Content | None:
        if source := POISON.get(effect.template):
            return Content({"body": source}, "email")
        return await super().content(effect)


def drained_s(poison: bool) -> tuple[float, Setup, MemoryOutbox]:
    bad: list[Effect | bytes] = [
        *(
            replace(effects(1)[0], template=name, node=name, customer=n)
            for n in range(5)
            for name in POISON
        ),
        *(b"\xff\xfe not msgpack", b"\x91\x01", b""),
    ]
    outbox = MemoryOutbox()
    outbox.commit([*(bad if poison else ()), *effects(GOOD)])

    async def main() -> Setup:
        setup = Setup(outbox, {"email": Provider("mail", Scripted())})
        object.__setattr__(setup.relay._services, "contents", Poisoned())
        await setup.run_until(lambda: setup.counts["message_sent"] == GOOD)
        return setup

    began = time.process_time()
    setup = run_virtual(main())
    return time.process_time() - began, setup, outbox


def test_15_poison_is_parked_with_its_reason() -> None:
    alone = min(drained_s(False)[0] for _ in range(2))
    took, setup, outbox = drained_s(True)
    failed = [r for r in setup.results if r.name == "message_failed"]
    reasons = {r.effect.template: r.reason for r in failed}
    cost = (took - alone) / 23 / (alone / GOOD)
    print(
        f"\nscenario 15: {len(failed)} + 3 poisoned among {GOOD:,}, each at the cost of "
        f"{cost:.1f} others"
    )
    # One poisoned in 10,000 may cost 1 % of the throughput.
    assert cost < 100
    assert reasons == {
        "loop": "template_over_limit",
        "syntax": "template_invalid",
        "large": "template_too_long",
        "include": "template_invalid",
    }
    assert len(failed) == 20
    assert len([n for n in outbox.names("parked") if n.startswith("parked/unrouted/")]) == 3
    assert len(outbox.names("parked")) == 23
    assert setup.counts["message_sent"] == GOOD
