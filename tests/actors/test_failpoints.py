"""Checks that failpoints fire once, when told, and are off otherwise."""

import errno

import pytest

from actors import failpoints
from store_work import in_child


@pytest.fixture(autouse=True)
def _disarmed() -> None:
    failpoints.disarm()


def test_the_passage_that_was_named_fires_once() -> None:
    failpoints.arm("here", "eio", 3)
    failpoints.hit("here")
    failpoints.hit("elsewhere")
    failpoints.hit("here")
    with pytest.raises(OSError, match="Input/output error") as caught:
        failpoints.hit("here")
    assert caught.value.errno == errno.EIO
    failpoints.hit("here")
    assert failpoints.armed == {}


def test_a_text_arms_several() -> None:
    failpoints.arm_from("a=enospc@2,b=kill")
    assert failpoints.armed == {"a": (2, "enospc"), "b": (1, "kill")}
    assert in_child(lambda: failpoints.hit("b")) == ("died", "SIGKILL")
    failpoints.disarm()


@pytest.mark.parametrize("text", ["a=sing", "a=kill@0", "a=kill@x", "a"])
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|invalid literal"):
        failpoints.arm_from(text)
