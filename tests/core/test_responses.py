"""Check responses documents: what they refuse, and their tables of delays against SciPy's laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from core.limits import QUANTILE_CELLS
from core.philox import draw_array
from core.responses import DELAY_MS_MAX, Delay, Outcome, Responses, Table, delay_ms

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LAWS: dict[str, tuple[dict[str, Any], Any]] = {
    "lognormal": (
        {"lognormal": {"median": "2 hours", "sigma": 1.2}},
        stats.lognorm(s=1.2, scale=2 * HOUR_MS),
    ),
    "exponential": ({"exponential": {"mean": "10 minutes"}}, stats.expon(scale=600_000)),
    "uniform": (
        {"uniform": ["1 hour", "2 days"]},
        stats.uniform(loc=HOUR_MS, scale=47 * HOUR_MS),
    ),
}


def outcome(event: str = "opened", **fields: Any) -> dict[str, Any]:
    return {"event": event, "probability": 1, "delay": {"constant": "1 hour"}, **fields}


def responses(*outcomes: dict[str, Any], **rule: Any) -> Responses:
    return Responses.model_validate(
        {"headrace_responses": 1, "rules": [{"outcomes": list(outcomes), **rule}]}
    )


def table_of(delay: dict[str, Any]) -> Table:
    return Outcome.model_validate(outcome(delay=delay)).table()


def draws(count: int, key: int = 7) -> list[int]:
    numbers = np.arange(count, dtype=np.uint64)
    return [int(draw) for draw in draw_array(key, numbers, np.zeros(count, np.uint64))]


@pytest.mark.parametrize(
    ("stated", "billionths"),
    [
        (0, 0),
        (1, 1_000_000_000),
        (0.35, 350_000_000),
        (0.1, 100_000_000),
        (1e-9, 1),
        (0.123456789, 123_456_789),
        ("98%", 980_000_000),
        ("12.5 %", 125_000_000),
        ("0.0000001%", 1),
        ("100%", 1_000_000_000),
    ],
)
def test_probabilities_are_exact_billionths(stated: object, billionths: int) -> None:
    assert Outcome.model_validate(outcome(probability=stated)).probability == billionths


@pytest.mark.parametrize(
    ("stated", "complaint"),
    [
        (1.1, "from 0 to 1"),
        (-0.1, "from 0 to 1"),
        ("101%", "from 0 to 1"),
        ("0.5", "from 0 to 1"),
        ("half%", "from 0 to 1"),
        ("nan%", "from 0 to 1"),
        (float("nan"), "from 0 to 1"),
        (float("inf"), "from 0 to 1"),
        (True, "from 0 to 1"),
        (None, "from 0 to 1"),
        (0.1234567891, "finer than a billionth"),
        ("0.00000001%", "finer than a billionth"),
    ],
)
def test_other_probabilities_are_refused(stated: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Outcome.model_validate(outcome(probability=stated))


@pytest.mark.parametrize("stated", [0, 1, 0.35, 1e-9, "33.3333333%"])
def test_probabilities_are_written_as_they_are_read(stated: object) -> None:
    read = Outcome.model_validate(outcome(probability=stated))
    assert Outcome.model_validate(read.model_dump(by_alias=True, exclude_none=True)) == read


@pytest.mark.parametrize(
    ("delay", "complaint"),
    [
        ({}, "exactly one of"),
        ({"constant": None}, "exactly one of"),
        ({"constant": "1 day", "uniform": ["1 day", "2 days"]}, "exactly one of"),
        ({"constant": "1 month"}, "no fixed length"),
        ({"constant": "-1 hour"}, "negative"),
        ({"lognormal": {"median": "0 hours", "sigma": 1}}, "longer than zero"),
        ({"lognormal": {"median": "1 hour", "sigma": 0}}, "greater than 0"),
        ({"exponential": {"mean": "1 year"}}, "no fixed length"),
        ({"uniform": ["2 days", "1 day"]}, "shorter to the longer"),
        ({"quantiles": []}, "at least 1"),
        ({"quantiles": [[0.5, "1 day"]]}, "at the share 1"),
        ({"quantiles": [[0.5, "1 day"], [0.5, "2 days"], [1, "3 days"]]}, "rise"),
        ({"quantiles": [[0, "1 day"], [1, "3 days"]]}, "above 0"),
        ({"quantiles": [[0.5, "2 days"], [1, "1 day"]]}, "do not fall"),
    ],
)
def test_delays_that_mean_nothing_are_refused(delay: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Delay.model_validate(delay)


def test_an_outcome_comes_after_an_earlier_one_of_its_rule() -> None:
    with pytest.raises(
        ValidationError, match="'clicked' comes after 'opened', which is no earlier"
    ):
        responses(outcome("clicked", after="opened"), outcome("opened"))
    with pytest.raises(ValidationError, match="two outcomes of the rule are 'opened'"):
        responses(outcome("opened"), outcome("opened"))


def test_what_every_modelled_event_carries_cannot_be_stated() -> None:
    with pytest.raises(ValidationError, match="carries node, flow by itself"):
        responses(outcome(properties={"node": "m", "flow": "f", "amount": 1}))


def test_outcomes_are_numbered_in_file_order_across_rules() -> None:
    model = Responses.model_validate(
        {
            "headrace_responses": 1,
            "rules": [
                {
                    "for": {"channel": "email", "if": {"tag": "vip"}},
                    "outcomes": [outcome("a"), outcome("b")],
                },
                {"outcomes": []},
                {"outcomes": [outcome("a")]},
            ],
        }
    )
    assert [(n, rule, o.event) for n, rule, o in model.numbered()] == [
        (0, 0, "a"),
        (1, 0, "b"),
        (2, 2, "a"),
    ]
    assert [o.event for o in model.outcomes] == ["a", "b", "a"]


@pytest.mark.parametrize("law", LAWS)
def test_tables_are_the_laws_quantiles(law: str) -> None:
    delay, expected = LAWS[law]
    quantiles, tail = table_of(delay)
    shares = np.arange(QUANTILE_CELLS) / QUANTILE_CELLS
    assert np.abs(quantiles[:-1] - np.maximum(expected.ppf(shares), 1)).max() <= 0.51
    beyond = 1 - 1 / QUANTILE_CELLS + np.arange(QUANTILE_CELLS) / QUANTILE_CELLS**2
    assert np.allclose(tail[:-1], expected.ppf(beyond), rtol=1e-12, atol=0.51)
    assert tail[-1] == quantiles[-1] == round(expected.ppf(1 - 2**-26))
    assert quantiles[-2] == tail[0]
    for table in (quantiles, tail):
        assert table.dtype == np.int64
        assert (np.diff(table) >= 0).all()


@pytest.mark.parametrize("law", LAWS)
def test_drawn_delays_follow_the_law(law: str) -> None:
    delay, expected = LAWS[law]
    table = table_of(delay)
    drawn = np.array([delay_ms(table, draw) for draw in draws(20_000)])
    error = expected.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - expected.mean()) < 4 * error
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.001


def test_quantiles_are_joined_by_lines_from_zero() -> None:
    table = table_of({"quantiles": [[0.25, "1 hour"], [0.5, "1 hour"], [1, "3 hours"]]})
    at = [delay_ms(table, int(share * 2**64)) for share in (0.125, 0.25, 0.375, 0.5, 0.75)]
    assert at == [HOUR_MS // 2, HOUR_MS, HOUR_MS, HOUR_MS, 2 * HOUR_MS]


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (0, 1),  # never at once
        (1 << 63, DAY_MS),
        ((1 << 63) + (1 << 51), DAY_MS + round(DAY_MS / 4096)),  # half a cell of 42,187.5 ms
        (2**64 - 1, round(2 * DAY_MS * (1 - 2**-26)) - 1),  # just before the end of the tail
    ],
)
def test_uniform_delays_at_given_draws(draw: int, expected: int) -> None:
    table = table_of({"uniform": ["0 days", "2 days"]})
    assert delay_ms(table, draw) == expected


def test_the_last_cell_is_split_by_the_tail() -> None:
    table = table_of({"lognormal": {"median": "1 hour", "sigma": 2}})
    _, tail = table
    draw = (4095 << 52) | (4095 << 40) | (0x80000000 << 8)
    assert delay_ms(table, draw) == (int(tail[4095]) + int(tail[4096])) // 2
    assert delay_ms(table, 4095 << 52) == int(tail[0])


def test_constant_and_extreme_delays() -> None:
    constant = table_of({"constant": "5 seconds"})
    assert {delay_ms(constant, draw) for draw in draws(100)} == {5_000}
    instant = table_of({"constant": "0 seconds"})
    assert {delay_ms(instant, draw) for draw in draws(100)} == {1}
    wild = table_of({"lognormal": {"median": "300 days", "sigma": 10}})
    assert wild[1][-1] == DELAY_MS_MAX
