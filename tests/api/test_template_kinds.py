"""Checks what each kind of parameter takes, refuses and becomes."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.template import KindName
from api.template_kinds import FORMS, KINDS, Value, formed, kind_of, read_value
from core.nodes import CHANNELS


def test_every_kind_can_be_declared() -> None:
    assert set(get_args(KindName)) == set(KINDS)
    assert {kind for form in FORMS.values() for kind in form.kinds} <= set(KINDS)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", " two words ", "two words"),
        ("name", "contact_added", "contact_added"),
        ("names", "shoes, home", ["shoes", "home"]),
        ("id", "cart-2", "cart-2"),
        ("integer", "-7", -7),
        ("number", "150", 150),
        ("number", "0.5", 0.5),
        ("boolean", "Yes", True),
        ("boolean", "false", False),
        ("share", "12.5 %", "12.5%"),
        ("share", "33.33%", "33.33%"),
        ("share", "20.00%", "20%"),
        ("duration", "1h 30m", "1 hour 30 minutes"),
        ("duration", "2 months", "2 months"),
        ("window", "2 weeks", "14 days"),
        ("time", "9:05", "09:05"),
        ("date", "2026-02-28", "2026-02-28"),
        ("channel", "sms", "sms"),
        ("zone", "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_a_text_becomes_a_value_and_that_stays_itself(kind: str, text: str, value: Value) -> None:
    found = read_value(kind, text)
    assert found == value
    assert type(found) is type(value)
    assert read_value(kind, found) == value


PERCENTAGE = "it is not a percentage between 0% and 100%, with at most two decimals"


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("text", "  ", "it is empty"),
        ("text", "a\nb", "it has a character that can't be printed, such as a line break"),
        ("name", "x" * 257, "it has 257 characters, and the limit is 256"),
        ("names", "a,,b", "it is empty"),
        ("names", "a,b,a", "it names 'a' twice"),
        ("id", "a b", "an id has up to 64 letters, digits, '_', '.' and '-'"),
        ("id", "x" * 65, "an id has up to 64 letters, digits, '_', '.' and '-'"),
        ("integer", "1.5", "it is not a whole number of 64 bits"),
        ("integer", "9223372036854775808", "it is not a whole number of 64 bits"),
        ("integer", "1_000", "it is not a whole number of 64 bits"),
        ("number", "much", "it is not a number"),
        ("number", "nan", "it is not a finite number"),
        ("number", "1e999", "it is not a finite number"),
        ("boolean", "1", "it is neither true nor false"),
        ("share", "20", PERCENTAGE),
        ("share", "0%", PERCENTAGE),
        ("share", "100%", PERCENTAGE),
        ("share", "1.234%", PERCENTAGE),
        ("duration", "0 days", "it is not longer than zero"),
        ("duration", "-3 days", "it is not longer than zero"),
        ("window", "1 month", "'1 month': months have no fixed length; use days"),
        ("time", "24:00", "it is not a time of day between 00:00 and 23:59"),
        ("time", "9", "it is not a time of day between 00:00 and 23:59"),
        ("date", "2026-02-29", "there is no such date"),
        ("date", "1 May", "there is no such date"),
        ("channel", "fax", "it is none of " + ", ".join(CHANNELS)),
        ("zone", "Europe/Atlantis", "there is no such time zone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(kind: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        read_value(kind, text)


def test_an_unknown_unit_of_a_duration_is_told() -> None:
    with pytest.raises(ValueError, match=r"^'3 dayz' has the unknown unit 'dayz'"):
        read_value("duration", "3 dayz")


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=20))
def test_any_text_is_a_value_or_a_value_error(kind: str, text: str) -> None:
    try:
        value = read_value(kind, text)
    except ValueError:
        return
    assert read_value(kind, value) == value


@pytest.mark.parametrize(
    ("form", "value", "becomes"),
    [
        ("", 5, 5),
        ("rest", "12.5%", "87.5%"),
        ("rest", "99.99%", "0.01%"),
        ("before", "7 days", "-7 days"),
        ("before", "1 month 2 hours", "-1 month 2 hours"),
        ("consent", "sms", "consent:sms"),
        ("points", "shop", "points:shop"),
        ("tier", "shop", "tier:shop"),
    ],
)
def test_a_value_comes_in_other_forms(form: str, value: Value, becomes: Value) -> None:
    assert formed(form, value) == becomes


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (3, "integer"),
        (0.5, "number"),
        ("20%", "share"),
        ("09:00", "time"),
        ("2026-05-01", "date"),
        ("3 days", "duration"),
        ("email", "channel"),
        ("purchase", "text"),
    ],
)
def test_a_value_of_a_flow_tells_its_kind(value: Value, kind: str) -> None:
    assert kind_of(value) == kind
    assert read_value(kind, value) == value
