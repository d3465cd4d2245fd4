"""Tests of `actors.live.jobs`."""

from __future__ import annotations

import threading

import pytest

from actors.live.errors import UnknownError
from actors.live.jobs import Jobs
from waiting import PATIENCE_S


def test_a_job_is_begun_once_and_tells_its_end_once() -> None:
    jobs, go, calls = Jobs(), threading.Event(), []

    def work() -> int:
        calls.append(1)
        assert go.wait(PATIENCE_S)
        return 7

    jobs.begin("a", work)
    jobs.begin("a", work)
    assert jobs.ended("a") == (False, None)
    go.set()
    assert jobs.ended("a", 10) == (True, 7)
    assert calls == [1]
    with pytest.raises(UnknownError, match="nothing of the name a is under way"):
        jobs.ended("a")
    jobs.begin("a", lambda: 8)
    assert jobs.ended("a", 10) == (True, 8)


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("late")])
def test_what_a_job_raises_is_raised_and_its_name_is_free(error: Exception) -> None:
    jobs = Jobs()

    def work() -> None:
        raise error

    jobs.begin("a", work)
    with pytest.raises(type(error), match=str(error)):
        jobs.ended("a", 10)
    jobs.begin("a", lambda: 1)
    assert jobs.ended("a", 10) == (True, 1)
