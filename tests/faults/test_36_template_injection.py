"""Scenario 36: neither values nor templates reach anything but text, or take long."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from actors.relay.channels.render import OUTPUT_MAX, RenderError, Source, render

VALUES = [
    "{{ 7 | times: 7 }}",
    "{% for i in (1..9) %}x{% endfor %}",
    "{{ name }}",
    "{% raw %}",
    "{%- include 'x' -%}",
    "}}{{ secret }}",
]
REFUSED = [
    "{{ ''.__class__.__mro__ }}",
    "{{ name.__class__ }}",
    "{{ name['__class__'] }}",
    "{{ items.append }}",
    "{{ items.__len__ }}",
    "{{ forloop.__class__ }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in (1..1000000000) %}x{% endfor %}",
    "{% assign n = 1000000000 %}{% for i in (1..n) %}x{% endfor %}",
    "{% for i in (1..999) %}{% for j in (1..999) %}{% for k in (1..999) %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "{% tablerow i in (1..1000) %}x{% endtablerow %}",
    "{{ name | attr: '__class__' }}",
    "{{ name | map: '__class__' }}",
    "{{ name | safe }}",
    "{{ 'now' | date: '%Y' }}",
    "{{ name | date: '%999999999d' }}",
    "{% include 'x' %}",
    "{% render 'x' %}",
    "{% extends 'x' %}",
    "{% macro x %}{% endmacro %}",
    "{% assign s = 'aaaaaaaaaaaaaaaa' %}" + "{% assign s = s | append: s %}" * 40 + "{{ s }}",
    "{% assign s = big | replace: 'x', big %}{{ s }}",
    "{% assign l = big | split: '' %}{{ l | join: big }}",
    "{% assign n = 9 %}" + "{% assign n = n | times: n %}" * 40 + "{{ n }}",
    "{% for i in (1..1000) %}{{ big }}{% endfor %}",
    "{% for i in (1..1000) %}{% capture s %}{{ s }}{{ big }}{% endcapture %}{% endfor %}",
    "{% if a %}" * 200 + "{% endif %}" * 200,
    "{{ a" + "[0]" * 20_000 + " }}",
    "x" * 10_000_000,
]
SLOW = [
    "{{ big }}" * 4,
    "{% for i in (1..600) %}" + "{% if a %}{% endif %}" * 300 + "{% endfor %}",
    "{% for i in (1..600) %}"
    + "{{ big | upcase | downcase | escape | size }}" * 20
    + "{% endfor %}",
    "{{ big | escape | split: '&' | join: ';' | truncatewords: 5 }}" * 100,
    "{% assign a = 1 %}" * 3_000,
    "{{ '" + "a" * 60_000 + "' | split: 'a' | last }}",
]


def values() -> dict[str, object]:
    return {"name": "Zoë", "items": [1, 2], "big": "x" * 60_000, "secret": "canary"}


def test_36_values_stay_text() -> None:
    for encoding in ("text", "header", "sms"):
        for value in VALUES:
            assert render(Source("[{{ x }}]"), encoding, {"x": value, "secret": "canary"}) == (
                f"[{value}]"
            )
    for value in VALUES:
        assert "canary" not in render(Source("{{ x }}"), "html", {"x": value, "secret": "canary"})


def test_36_templates_are_bounded() -> None:
    slowest = 0.0
    for text in REFUSED:
        began = time.perf_counter()
        with pytest.raises(RenderError) as raised:
            render(Source(text), "html", values())
        slowest = max(slowest, time.perf_counter() - began)
        assert len(str(raised.value)) < 40
    largest = 0
    for text in SLOW:
        began = time.perf_counter()
        with suppress(RenderError):
            largest = max(largest, len(render(Source(text), "html", values())))
        slowest = max(slowest, time.perf_counter() - began)
    print(
        f"\nscenario 36: {len(REFUSED)} templates refused, {len(SLOW)} costly ones bounded, "
        f"the slowest took {slowest * 1_000:.0f} ms, the largest output {largest:,} characters"
    )
    assert 240_000 == largest <= OUTPUT_MAX
    assert slowest < 2.0
