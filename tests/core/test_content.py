"""Checks how a content list is read, and when what stands in it expires."""

from __future__ import annotations

import pytest

from core.content import Content, expiry_ms
from core.document import read_content
from core.instants import instant_ms

LIST = """\
headrace_content: 1
items:
  welcome:
    channel: [email, sms]
    state: ready
    recipient: contact
    kind: promotional
    variables: [first_name, entry.source]
    coupon: spring
    expires: 2026-12-31
  page: {channel: in_app, state: draft, released: false}
pools:
  spring: {stock: 500, expires: "2026-06-30T18:00"}
  old: {deleted: true}
segments: {newsletter: contact}
"""


def read(text: str) -> Content:
    content, violations = read_content(text, name="content.yaml")
    assert violations == []
    assert content is not None
    return content


def test_a_list_is_read_with_its_defaults() -> None:
    content = read(LIST)
    welcome, page = content.items["welcome"], content.items["page"]
    assert (welcome.channel, welcome.state, welcome.coupon) == (["email", "sms"], "ready", "spring")
    assert (page.channel, page.released, page.kind, page.expires) == (["in_app"], False, None, None)
    assert (page.recipient, page.variables, page.deleted) == (None, [], False)
    assert content.pools["spring"].stock == 500
    assert (content.pools["old"].stock, content.pools["old"].deleted) == (None, True)
    assert content.segments == {"newsletter": "contact"}
    assert read(content.model_dump_json()) == content


@pytest.mark.parametrize(
    ("old", "new", "code", "pointer"),
    [
        ("headrace_content: 1", "headrace_content: 2", "unknown-value", "/headrace_content"),
        ("headrace_content: 1\n", "", "missing-field", ""),
        ("state: ready", "state: done", "unknown-value", "/items/welcome/state"),
        ("released: false", "relesed: false", "unknown-field", "/items/page/relesed"),
        ("    state: ready\n", "", "missing-field", "/items/welcome"),
        ("[email, sms]", "[email, fax]", "unknown-value", "/items/welcome/channel/1"),
        ("[email, sms]", "[]", "out-of-range", "/items/welcome/channel"),
        ("stock: 500", "stock: -1", "out-of-range", "/pools/spring/stock"),
        ("2026-12-31", "2026-12-32", "invalid-value", "/items/welcome/expires"),
        ("2026-12-31", "soon", "invalid-name", "/items/welcome/expires"),
        ("newsletter: contact", "newsletter: lead", "unknown-value", "/segments/newsletter"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, code: str, pointer: str) -> None:
    content, violations = read_content(LIST.replace(old, new, 1), name="content.yaml")
    assert content is None
    assert (violations[0].code, violations[0].pointer) == (code, pointer)
    assert violations[0].line is not None
    assert violations[0].advice


@pytest.mark.parametrize(
    ("expiry", "zone", "instant"),
    [
        ("2026-06-30", "UTC", "2026-07-01T00:00Z"),
        ("2026-06-30", "Europe/Berlin", "2026-06-30T22:00Z"),
        ("2026-03-28", "Europe/Berlin", "2026-03-28T23:00Z"),
        ("2026-06-30T18:00", "Europe/Berlin", "2026-06-30T16:00Z"),
        ("2026-06-30T18:00Z", "Europe/Berlin", "2026-06-30T18:00Z"),
        ("2026-06-30T18:00+05:00", "UTC", "2026-06-30T13:00Z"),
    ],
)
def test_a_last_day_counts_as_a_whole(expiry: str, zone: str, instant: str) -> None:
    assert expiry_ms(expiry, zone) == instant_ms(instant)


def test_of_what_two_lists_have_the_first_holds() -> None:
    mine = read("headrace_content: 1\nitems: {a: {channel: sms, state: draft}}\n")
    other = read(
        "headrace_content: 1\nitems: {a: {channel: sms, state: ready}, "
        "b: {channel: sms, state: ready}}\npools: {p: {stock: 1}}\n"
    )
    both = mine.joined(other)
    assert {name: item.state for name, item in both.items.items()} == {"a": "draft", "b": "ready"}
    assert list(both.pools) == ["p"]
