"""Answers the claims of coupled flows in live partitions of tests, as the coordinator does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actors.live.coordinator import Desk
from core.couplings import ANSWER, CLAIM, DECISION, Coordinator, Grants, Kind, resources_of
from differential import Loaded
from live_cases import Tenant, Way


class CoupledTenant(Tenant):
    """Answers claims after every commit, and keeps the answers as they took effect."""

    def __init__(self, folder: Path, loaded: Loaded, way: Way) -> None:
        self.specs = resources_of(loaded.flow.core, loaded.options)
        self.desk = Desk(Coordinator(self.specs))
        self.granted: dict[tuple[int, int], tuple[int, int]] = {}
        self.decided: dict[int, tuple[int, int]] = {}
        super().__init__(folder, loaded, way)

    def _after(self, number: int) -> None:
        super()._after(number)
        if self.partitions[number].control_sequence:
            self.coordinate()

    def coordinate(self) -> int:
        """Answer what was claimed; returns how many claims and reports were."""
        found = {n: p.open_claims(1) for n, p in enumerate(self.partitions)}
        fresh: dict[int, Any] = {}
        for number, (acked, data, _) in found.items():
            claims = np.frombuffer(data, CLAIM)
            begin = self.desk.align(number, acked, acked + len(claims))
            if begin < acked + len(claims):
                fresh[number] = begin, claims[begin - acked :]
        clocks = [clock for _, _, clock in found.values()]
        self.desk.take(fresh, min(clocks), max(clocks))
        decisions = self.desk.coordinator.decisions()
        answered = 0
        for number, (acked, data, clock) in found.items():
            lacking = self.desk.lacking(number, acked)
            if not len(lacking) and not len(decisions):
                continue
            for claim, answer in zip(np.frombuffer(data, CLAIM), lacking, strict=True):
                if claim["kind"] <= Kind.COUPON:
                    key = int(claim["hash"]), int(claim["number"])
                    self.granted[key] = max(int(answer["time_ms"]), clock), int(answer["result"])
            for time_ms, resource, branch in decisions.tolist():
                self.decided.setdefault(resource, (max(time_ms, clock), branch))
            self.partitions[number].grant(
                1, acked + len(lacking), lacking.tobytes(), decisions.tobytes()
            )
            answered += len(lacking)
        return answered

    def settle(self, until_ms: int) -> None:
        """Let the time pass until nothing more is claimed."""
        while True:
            self.tick(until_ms)
            if not self.coordinate():
                return

    def grants(self) -> Grants:
        """The answers by the audience's rows."""
        audience = self.loaded.audience
        answers: list[tuple[int, int, int]] = []
        offsets = [0]
        for hashed in audience.id_hash.tolist():
            mine = sorted((n, *a) for (h, n), a in self.granted.items() if h == hashed)
            assert [n for n, _, _ in mine] == list(range(len(mine)))
            answers += [(time_ms, result, 0) for _, time_ms, result in mine]
            offsets.append(len(answers))
        decided = [
            (time_ms, resource, branch) for resource, (time_ms, branch) in self.decided.items()
        ]
        return Grants(
            np.array(offsets, np.int64), np.array(answers, ANSWER), np.array(decided, DECISION)
        )


class PromptTenant(CoupledTenant):
    """Answers what is claimed before anything later happens; its time goes from timer to timer."""

    def tick(self, now_ms: int) -> None:
        """Let the time pass, and answer what is claimed meanwhile."""
        while True:
            due = [ms for p in self.partitions if (ms := p.next_due_ms) is not None]
            if min(due, default=now_ms + 1) <= now_ms:
                super().tick(min(due))
            elif not self.coordinate():
                return
