"""Checks what content is read from a data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.tenant_content import tenant_content
from core.errors import HeadraceError

HELLO = "channels:\n  %s: {address: email, parts: {text: %s}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    return tmp_path


def test_templates_are_ready_items_unless_they_say_otherwise(folder: Path) -> None:
    (folder / "templates" / "hello.yaml").write_text(HELLO % ("email", "Hi"))
    more = "state: draft\nkind: promotional\nrecipient: profile\nreleased: false\ncoupon: p\n"
    text = HELLO % ("sms", "Hi") + more + "expires: 2026-12-31\n"
    (folder / "templates" / "draft.yaml").write_text(text)
    (folder / "templates" / "notes.txt").write_text("no template")
    items = tenant_content(folder).items
    assert set(items) == {"hello", "draft"}
    hello, draft = items["hello"], items["draft"]
    assert (hello.channel, hello.state, hello.kind, hello.released) == (
        ["email"],
        "ready",
        None,
        True,
    )
    assert (draft.channel, draft.state, draft.kind) == (["sms"], "draft", "promotional")
    assert (draft.recipient, draft.released, draft.coupon) == ("profile", False, "p")
    assert draft.expires == "2026-12-31"
    assert hello.body != draft.body


def test_templates_that_say_the_same_have_one_body(folder: Path) -> None:
    for name, text in (("a", "Hi"), ("b", "Hi"), ("c", "Ho")):
        (folder / "templates" / f"{name}.yaml").write_text(HELLO % ("email", text))
    items = tenant_content(folder).items
    assert items["a"].body == items["b"].body
    assert items["a"].body != items["c"].body


def test_a_list_adds_pools_and_content_that_is_elsewhere(folder: Path) -> None:
    (folder / "templates" / "hello.yaml").write_text(HELLO % ("email", "Hi"))
    (folder / "content.yaml").write_text(
        "headrace_content: 1\nitems:\n  hello: {channel: sms, state: draft}\n"
        "  page: {channel: in_app, state: ready}\npools: {spring: {stock: 9}}\n"
    )
    content = tenant_content(folder)
    assert content.items["hello"].channel == ["email"]
    assert content.items["page"].channel == ["in_app"]
    assert content.pools["spring"].stock == 9


def test_a_wrong_template_matters_where_it_is_used(folder: Path) -> None:
    (folder / "templates" / "bad.yaml").write_text("channels: {}\n")
    assert tenant_content(folder).items == {}
    with pytest.raises(HeadraceError, match=r"bad\.yaml"):
        tenant_content(folder, {"bad"})


def test_a_wrong_list_is_told_with_its_place(folder: Path) -> None:
    (folder / "content.yaml").write_text("headrace_content: 1\npools: {p: {stok: 9}}\n")
    with pytest.raises(HeadraceError, match=r"content\.yaml, line 2, /pools/p/stok"):
        tenant_content(folder)


def test_there_may_be_nothing(tmp_path: Path) -> None:
    content = tenant_content(tmp_path)
    assert (content.items, content.pools, content.segments) == ({}, {}, {})
