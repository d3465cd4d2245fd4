"""The benchmark of events by HTTP: its batches are plain, and processor time is whose it is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.live.figures_http import SCHEMA, SEGMENT, _Bodies
from bench.live.stages_http import processor_s, segment_steps
from core.tenant_schema import TenantSchema

SPIN = "import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass\ninput()"


def test_batches_go_the_quick_way_and_no_two_are_alike() -> None:
    bodies = _Bodies(SEGMENT)
    first, second = bodies.next(), bodies.next()
    assert first != second
    steps = segment_steps(first, TenantSchema.of(SCHEMA))
    assert len(steps) == 5
    assert min(steps.values()) > 0
    with pytest.raises(ValueError, match="not plain"):
        segment_steps(first.replace(b'"track"', b'"page"'), TenantSchema.of(SCHEMA))


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_processor_time_is_that_of_a_process_and_those_that_it_started() -> None:
    before = processor_s(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE)
    try:
        while processor_s(child.pid)["gateway"] < 0.3:
            pass
        after = processor_s(os.getpid())
        assert after["other"] - before["other"] >= 0.29
        assert after["shards"] == before["shards"] == 0
    finally:
        child.communicate(b"\n")
