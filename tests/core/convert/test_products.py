"""Checks that products are told apart, and that nothing but a journey is converted."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convert.notes import ConvertError
from core.convert.products import convert, is_segment, product_of, read_source
from foreign import flow_of

DITTOFEED: dict[str, Any] = {
    "entryNode": {"type": "EventEntryNode", "event": "e", "child": "m"},
    "exitNode": {"type": "ExitNode"},
    "nodes": [
        {
            "type": "MessageNode",
            "id": "m",
            "variant": {"type": "Email", "templateId": "t"},
            "child": "w",
        },
        {
            "type": "WaitForNode",
            "id": "w",
            "timeoutSeconds": 60,
            "timeoutChild": "ExitNode",
            "segmentChildren": [{"id": "ExitNode", "segmentId": "s"}],
        },
    ],
}
KNOCK: dict[str, Any] = {
    "key": "k",
    "steps": [
        {
            "type": "branch",
            "ref": "b",
            "branches": [
                {
                    "conditions": {
                        "all": [{"variable": "data.a", "operator": "equal_to", "argument": "x"}]
                    },
                    "steps": [{"type": "channel", "ref": "m", "channel_type": "email"}],
                },
                {"steps": []},
            ],
        },
        {
            "type": "delay",
            "ref": "d",
            "settings": {"delay_for": {"unit": "hours", "value": 1}},
        },
    ],
}
POSTHOG: dict[str, Any] = {
    "key": "p",
    "trigger": {"type": "event", "filters": {"events": [{"id": "e", "type": "events"}]}},
    "actions": [
        {"id": "t", "type": "trigger"},
        {
            "id": "w",
            "type": "wait_until_condition",
            "config": {
                "condition": {"filters": {"events": [{"id": "c"}]}},
                "max_wait_duration": "1d",
            },
        },
        {"id": "x", "type": "exit"},
    ],
    "edges": [
        {"from": "t", "to": "w", "type": "continue"},
        {"from": "w", "to": "x", "type": "continue"},
        {"from": "w", "to": "x", "type": "branch", "index": 0},
    ],
}
SEGMENT = {"entryNode": {"type": "Everyone", "id": "1"}, "nodes": []}
ALL = {"dittofeed": DITTOFEED, "knock": KNOCK, "posthog": POSTHOG}


@pytest.mark.parametrize("product", ALL)
def test_N20_the_shape_tells_the_product(product: str) -> None:
    document = ALL[product]
    assert product_of(document) == product
    assert convert(document, name="n").product.lower() == product
    assert convert(document, name="n", product=product) == convert(document, name="n")
    assert not is_segment(document)


def test_N20_resources_are_looked_into() -> None:
    assert product_of({"name": "J", "definition": DITTOFEED}) == "dittofeed"
    assert is_segment(SEGMENT)
    assert is_segment({"name": "S", "definition": SEGMENT})
    assert product_of(SEGMENT) is None


@pytest.mark.parametrize(
    ("document", "product", "said"),
    [
        (KNOCK, "posthog", "no journey of posthog: it looks like one of knock"),
        (SEGMENT, None, "it is a segment, which a journey only names"),
        ({}, None, "no journey of any product: it looks like none of the products"),
        ([], None, "expected an object, found a list"),
        ("x", "knock", "no journey of knock: expected an object, found a text"),
        (None, None, "found null"),
    ],
)
def test_N20_the_wrong_product_is_an_error(document: Any, product: str | None, said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        convert(document, name="n", product=product)
    assert "A journey has " in caught.value.advice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no document"),
        (b"{", "no sound JSON"),
        (b"steps: []", "no sound JSON"),
        (b'{"a": NaN}', "no sound JSON"),
        (b'{"a": 1, "a": 2}', "no sound JSON"),
        (b"\xff\xfe", "not UTF-8 text: byte 0"),
        (b"[" * 100_000, "no sound JSON"),
    ],
)
def test_N20_what_is_no_json_is_an_error(text: bytes, said: str) -> None:
    with pytest.raises(ConvertError, match=said):
        read_source(text)


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_source("\ufeff{}".encode()) == {}


@pytest.mark.parametrize("product", ALL)
def test_N20_a_document_that_is_cut_short_is_an_error_at_any_byte(product: str) -> None:
    text = json.dumps(ALL[product]).encode()
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(ConvertError):
            read_source(text[:end])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, part in parts:
        found += places(part, (*path, key)) if isinstance(part, dict | list) else [(*path, key)]
    return found


@given(st.data())
def test_N20_damaged_documents_convert_or_are_errors(data: st.DataObject) -> None:
    """Whatever stands in a field, or is gone: a flow that passes the check, or a message."""
    product = data.draw(st.sampled_from(sorted(ALL)))
    document = json.loads(json.dumps(ALL[product]))
    *path, last = data.draw(st.sampled_from(places(document)))
    held = document
    for step in path:
        held = held[step]
    others = st.sampled_from(
        [None, True, 0, -1, 1e300, "", "x", "ExitNode", "$v", [], [{}], {}, {"type": "x"}, "w", "t"]
    )
    if data.draw(st.booleans()) and isinstance(held, dict):
        del held[last]
    else:
        held[last] = data.draw(others)
    with suppress(ConvertError):
        flow_of(convert(document, name="n", product=product))
