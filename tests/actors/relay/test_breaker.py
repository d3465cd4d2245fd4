"""Tests of the circuit breaker, on times that the test says."""

from actors.relay.breaker import Breaker


def test_it_opens_probes_and_closes() -> None:
    breaker = Breaker(failures_max=3, open_ms=100, open_max_ms=300)
    breaker.failed(0)
    breaker.failed(0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(10)
    assert (breaker.state(10), breaker.permits(10, 7)) == ("closed", 7)
    breaker.failed(10)
    assert (breaker.state(10), breaker.permits(10, 7), breaker.wait_ms(10)) == ("open", 0, 100)
    # What was under way when it opened says nothing new.
    breaker.failed(50)
    assert breaker.wait_ms(50) == 60
    assert breaker.state(110) == "half_open"
    assert [breaker.permits(110, 7) for _ in range(3)] == [1, 0, 0]
    breaker.failed(120)
    assert breaker.wait_ms(120) == 200
    assert breaker.permits(320, 7) == 1
    breaker.failed(320)
    assert breaker.wait_ms(320) == 300
    assert breaker.permits(620, 7) == 1
    breaker.released()
    assert breaker.permits(620, 7) == 1
    breaker.succeeded()
    assert (breaker.state(620), breaker.permits(620, 7)) == ("closed", 7)


def test_a_pause_holds_everything_and_is_no_failure() -> None:
    breaker = Breaker()
    breaker.pause(500)
    breaker.pause(300)
    assert (breaker.permits(499, 4), breaker.wait_ms(400), breaker.state(400)) == (0, 100, "closed")
    assert breaker.permits(500, 4) == 4


def test_nothing_wanted_claims_no_probe() -> None:
    breaker = Breaker(failures_max=1, open_ms=10)
    breaker.failed(0)
    assert breaker.permits(10, 0) == 0
    assert breaker.permits(10, 3) == 1
