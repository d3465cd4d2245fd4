"""Checks that refusals survive the way between processes."""

import pickle

import pytest

from actors.service.errors import (
    ConflictError,
    ForbiddenError,
    LimitedError,
    NotFoundError,
    ServiceError,
    UnderWayError,
)


@pytest.mark.parametrize("kind", [ConflictError, ForbiddenError, NotFoundError])
def test_a_refusal_survives_the_way_between_processes(kind: type[ServiceError]) -> None:
    error = kind("what", advice="do", pointer="/a")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.advice, again.pointer) == ("what", "do", "/a")


@pytest.mark.parametrize("kind", [LimitedError, UnderWayError])
def test_what_may_be_tried_later_says_when(kind: type[LimitedError] | type[UnderWayError]) -> None:
    assert kind("what").retry_after_ms == 1_000
    again = pickle.loads(pickle.dumps(kind("what", retry_after_ms=7, advice="do")))
    assert (type(again), again.retry_after_ms, str(again)) == (kind, 7, "what. do")
    assert issubclass(UnderWayError, ConflictError)
