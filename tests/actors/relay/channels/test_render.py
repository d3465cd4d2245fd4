"""Tests that templates do what marketers know from Liquid, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from liquid import Markup

from actors.relay.channels.render import (
    MissingError,
    RenderError,
    Source,
    check,
    render,
    variables_of,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hi {{ name | capitalize }}!", "Hi Zoë & co!"),
        ("{% if vip %}A{% else %}B{% endif %}", "A"),
        ("{% if nobody %}A{% else %}B{% endif %}", "B"),
        ("{{ nobody | default: 'friend' }}", "friend"),
        ("{% for i in items %}{{ i.title }};{% endfor %}", "a;b;"),
        ("{% assign n = 3 %}{{ n | times: 7 | plus: 1 }}", "22"),
        ("{{ order.total }} {{ items.size }} {{ items[1].title }}", "9.5 2 b"),
        ("{{ name | replace: '&', 'and' | upcase }}", "ZOË AND CO"),
        ("{{ 'a,b' | split: ',' | join: '-' }}", "a-b"),
        ("{% case vip %}{% when true %}yes{% endcase %}", "yes"),
    ],
)
def test_what_marketers_know(text: str, written: str) -> None:
    values: dict[str, object] = {
        "name": "zoë & co",
        "vip": True,
        "items": [{"title": "a"}, {"title": "b"}],
        "order": {"total": 9.5},
    }
    assert render(Source(text), "text", values) == written


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("text", "<b>&\"'/ é\t"),
        ("html", "&lt;b&gt;&amp;&#34;&#39;/ é\t"),
        ("url", "%3Cb%3E%26%22%27%2F%20%C3%A9%09"),
        ("sms", "<b>&\"'/ é "),
    ],
)
def test_values_are_encoded_for_their_place(encoding: Any, written: str) -> None:
    for text in ("{{ x }}", "{% echo x %}", "{% assign y = x %}{{ y }}"):
        assert render(Source(text), encoding, {"x": "<b>&\"'/ é\t"}) == written


def test_a_value_marked_as_safe_is_not() -> None:
    assert render(Source("{{ x }}"), "html", {"x": Markup("<b>")}) == "&lt;b&gt;"


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\0b", "a\u2028b", "a\x85b"])
def test_headers_hold_no_line_break(bad: str) -> None:
    with pytest.raises(RenderError, match="line_break_in_header"):
        render(Source("Hi {{ x }}"), "header", {"x": bad})


def test_missing_values() -> None:
    for missing in ("fail", "skip", "default"):
        with pytest.raises(MissingError):
            render(Source("{{ x }}", missing), "text", {"x": None})
    assert render(Source("[{{ x }}]", "empty"), "text", {}) == "[]"
    assert render(Source("[{{ x }}]", "default"), "text", {"x": None}, {"x": "d"}) == "[d]"
    assert render(Source("[{{ x }}]", "default"), "text", {"x": "v"}, {"x": "d"}) == "[v]"
    with pytest.raises(MissingError):
        render(Source("{{ x | upcase }}"), "text", {})
    with pytest.raises(MissingError):
        render(Source("{{ order.total }}"), "text", {"order": {}})


def test_errors_tell_no_value() -> None:
    for text in ("{{ 1 | divided_by: 0 }}", "{{ x | date: 'y' }}", "{{ 1 | round: x }}{{ z }}"):
        with pytest.raises(RenderError) as raised:
            render(Source(text), "text", {"x": "canary", "y": {"a": "canary"}})
        assert "canary" not in str(raised.value)
        assert raised.value.__suppress_context__ or isinstance(raised.value, MissingError)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", lambda: 1, "x" * 70_000])
def test_only_plain_values_pass(value: object) -> None:
    with pytest.raises(RenderError, match="value_"):
        render(Source("{{ x }}"), "text", {"x": value})


def test_check_refuses_what_cannot_be_compiled() -> None:
    check(Source("{{ x }}"), "text")
    for text in ("{{ x", "{% if %}", "{% cycle x %}", "{% render 'a' %}", "x" * 70_000):
        with pytest.raises(RenderError, match=r"template_(invalid|too_long)"):
            check(Source(text), "text")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hi {{ name | default: friend }}", {"name", "friend"}),
        ("{% if vip %}{{ order.total }}{% endif %}", {"vip", "order"}),
        ("{% assign a = b %}{{ a }}{% for i in items %}{{ i }}{% endfor %}", {"b", "items"}),
        ("{{ ['picture:card'] }}{% echo last %}", {"picture:card", "last"}),
        ("nothing", set()),
        ("{% no template", set()),
    ],
)
def test_the_names_that_a_part_reads_are_known(text: str, names: set[str]) -> None:
    assert variables_of(Source(text), "html") == names
