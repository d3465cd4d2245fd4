"""Scenario 43 for several flows: what they send and change reaches the others alike, always."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.relay.effect_block import decode_effects
from core.compiler import compile_flow
from core.internal_events import MESSAGE_SENT
from differential import Loaded, TooLongError, run_reference
from live_cases import Tenant, Way, live_options, run_live
from live_work import model_keys
from random_flows import random_case

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
HEARER = {
    "headrace": 1,
    "flow": "hearer",
    "settings": {"reentry": {"policy": "always"}},
    "nodes": {
        "t": {
            "type": "on_event",
            "event": "message_sent",
            "where": {"property": "flow", "is_not": "hearer"},
            "next": "mail",
        },
        "mail": {"type": "send", "channel": "email", "template": "heard", "next": "x"},
        "x": {"type": "end"},
    },
}
CAPPED = {
    "headrace": 1,
    "flow": "capped",
    "settings": {
        "reentry": {"policy": "always"},
        "exit": [{"if": {"did": "message_sent", "at_least": 6, "within": "1 day"}}],
    },
    "nodes": {
        "t": {"type": "on_event", "event": "message_sent", "next": ["mail", "w"]},
        "w": {
            "type": "wait_any",
            "events": {
                "again": {
                    "event": "message_sent",
                    "where": {"property": "flow", "is": "capped"},
                },
                "other": {"event": "message_sent"},
            },
            "timeout": "5 days",
            "next": {"again": "x", "other": "tag", "timeout": "mail"},
        },
        "tag": {"type": "add_tag", "tag": "heard", "next": "mail"},
        "mail": {
            "type": "send",
            "channel": "email",
            "template": "capped",
            "guards": [
                {"reason": "full", "if": {"did": "message_sent", "at_least": 3, "within": "1 day"}}
            ],
            "next": "x",
        },
        "x": {"type": "end"},
    },
}


class Flows(Tenant):
    """A tenant with other flows around that of the case."""

    before: tuple[dict[str, Any], ...] = ()
    after: tuple[dict[str, Any], ...] = ()
    copied = False

    def command(self, sequence: int, command: dict[str, Any]) -> None:
        """Publish the flow in its turn."""
        whole = [*map(json.dumps, self.before), command["document"], *map(json.dumps, self.after)]
        if self.copied:
            whole.append(json.dumps({**json.loads(command["document"]), "flow": "copy"}))
        for number, document in enumerate(whole):
            said = {**command, "flow": json.loads(document)["flow"], "document": document}
            super().command(sequence + number, said)

    def outboxes(self) -> list[list[tuple[str, int, int, str, int, int]]]:
        """Every message of each partition, in its order."""
        return [
            [
                (e.flow, e.customer % 2**64, e.entry % 2**64, e.node, e.visit, e.committed_ms)
                for _, blocks in partition.store.outbox()
                for block in blocks
                for e in decode_effects(block)
            ]
            for partition in self.partitions
        ]


class HeardAfter(Flows):
    after = (HEARER,)


class HeardBefore(Flows):
    before = (HEARER,)


class Crowd(Flows):
    before = (CAPPED,)
    after = ({**CAPPED, "flow": "also"}, HEARER)
    copied = True


WAYS = (
    Way(),
    Way(batch=1),
    Way(2, 64, restart_every=3, snapshots=True),
    Way(4, 7, restart_every=5),
    Way(8, 4096, snapshots=True),
)


def cased(seed: int) -> tuple[Loaded, Counter[Any]] | None:
    loaded = live_options(random_case(seed))
    try:
        return loaded, model_keys(loaded, run_reference(loaded)[0])
    except TooLongError:
        return None


def check_once(seed: int) -> int:
    """Whatever a flow sends another one hears exactly once; returns how often that was."""
    found = cased(seed)
    if found is None or MESSAGE_SENT in compile_flow(found[0].flow.core).events:
        return 0
    loaded, sent = found
    heard, known = 0, set[tuple[int, int]]()
    for place, way in enumerate(WAYS):
        for kind in (HeardAfter, HeardBefore)[place % 2 :]:
            with tempfile.TemporaryDirectory() as folder:
                tenant = run_live(Path(folder), loaded, way, seed, kind=kind)
                assert isinstance(tenant, Flows)
                keys = [key for box in tenant.outboxes() for key in box]
                tenant.close()
            mine = [key for key in keys if key[0] == "hearer"]
            assert Counter(key[1] for key in mine) == Counter(key[0] for key in sent.elements())
            # Each by the identity of the message, which no way of cutting changes.
            identities = {(key[1], key[2]) for key in mine}
            assert len(identities) == len({key[1:5] for key in keys if key[0] != "hearer"})
            assert not heard or identities == known, f"seed {seed}, {way}"
            assert Counter(
                (key[1], key[2], key[3], key[5]) for key in keys if key[0] != "hearer"
            ) == sent, f"seed {seed}, {way}"  # fmt: skip
            known = identities
            heard += len(mine)
    return heard


def check_replayed(seed: int) -> int:
    """Restarts and snapshots change nothing among flows that answer each other."""
    found = cased(seed)
    if found is None:
        return 0
    messages = 0
    for partitions, batch in ((1, 64), (3, 5)):
        ends = []
        for restart_every, snapshots in ((0, False), (2, False), (3, True)):
            way = Way(partitions, batch, restart_every, snapshots)
            with tempfile.TemporaryDirectory() as folder:
                tenant = run_live(Path(folder), found[0], way, seed, kind=Crowd)
                assert isinstance(tenant, Flows)
                ends.append(([p.digest() for p in tenant.partitions], tenant.outboxes()))
                tenant.close()
        assert ends[0] == ends[1] == ends[2], f"seed {seed}, {partitions} partitions"
        messages += sum(map(len, ends[0][1]))
    return messages


def test_what_a_flow_sends_is_heard_once_in_every_way() -> None:
    heard = 0

    @settings(max_examples=8, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal heard
        heard += check_once(seed)

    check_one()
    print(f"scenario 43: {heard:,} messages heard by another flow, each once")
    assert heard > 50


def test_flows_that_answer_each_other_are_replayed_alike() -> None:
    messages = 0

    # The same cases every time: few of any five have flows that answer each other.
    @settings(max_examples=8, phases=PHASES, derandomize=True)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal messages
        messages += check_replayed(seed)

    check_one()
    print(f"scenario 43: {messages:,} messages of flows that answer each other, 0 differ")
    assert messages > 20


@pytest.mark.soak
@pytest.mark.parametrize("check", [check_once, check_replayed])
def test_many_flows_together(check: Any) -> None:
    @settings(phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        check(seed)

    check_one()
