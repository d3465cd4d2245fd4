"""Checks what named segments stand for, and how groups of lower priority leave people out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from core.conditions import Condition
from core.segments import (
    PARTS_MAX,
    Segments,
    check_segments,
    group_condition,
    read_segments,
    references,
    resolve,
    resolve_document,
)
from house import CHECKOUT

FILE = """
headrace_segments: 1
segments:
  lapsed: {never_did: purchase, within: 90 days}
  buyers: {did: purchase}
  lapsed_buyers: {all: [{segment: lapsed}, {segment: buyers}]}
groups: [vip, members, everybody]
deduplicate: true
"""
LAPSED = {"never_did": "purchase", "within": "90 days"}
BUYERS = {"did": "purchase"}


def shop() -> Segments:
    segments, violations = read_segments(FILE, name="s.yaml")
    assert segments is not None, violations
    return segments


def test_the_example_of_the_page_is_sound() -> None:
    page = (CHECKOUT / "docs/customer-record.md").read_text(encoding="utf-8")
    text = page.split("```yaml segments.yaml\n")[1].split("```")[0]
    segments, violations = read_segments(text, name="segments.yaml")
    assert violations == []
    assert segments is not None
    assert segments.groups == ["vip", "members", "everybody"]


def of(segments: dict[str, Any], **fields: Any) -> Segments:
    return Segments(segments=segments, **fields)


def test_a_segment_stands_for_its_condition_at_any_depth() -> None:
    tree = {"any": [{"tag": "x"}, {"not": {"segment": "lapsed_buyers"}}]}
    found, violations = resolve(tree, shop())
    assert violations == []
    assert found == {"any": [{"tag": "x"}, {"not": {"all": [LAPSED, BUYERS]}}]}
    assert tree == {"any": [{"tag": "x"}, {"not": {"segment": "lapsed_buyers"}}]}
    assert resolve({"segment": "buyers"}, shop()) == (BUYERS, [])


def test_a_condition_without_segments_stays_as_it_is() -> None:
    tree = {"attribute": "segment", "is": "segment"}
    assert resolve(tree, shop()) == (tree, [])
    model = TypeAdapter[Any](Condition).validate_python({"all": [tree, LAPSED]})
    assert resolve(model, shop()) == (model, [])


def test_a_flow_document_is_resolved_in_its_conditions_only() -> None:
    document = {
        "flow": "f",
        "nodes": {
            "a": {"type": "condition", "if": {"segment": "buyers"}, "next": ["segment"]},
            "b": {"type": "x", "segment": "buyers", "more": [{"if": {"not": {"segment": "q"}}}]},
        },
    }
    found, violations = resolve_document(document, shop())
    assert found["nodes"]["a"]["if"] == BUYERS
    assert found["nodes"]["b"]["segment"] == "buyers"
    (wrong,) = violations
    assert (wrong.code, wrong.pointer) == ("unknown-segment", "/nodes/b/more/0/if/not/segment")


def test_references_are_told_in_order_with_their_places() -> None:
    tree = {"all": [{"segment": "a"}, {"not": {"any": [{"segment": "b"}, {"tag": "c"}]}}]}
    assert list(references(tree)) == [
        (("all", 0, "segment"), "a"),
        (("all", 1, "not", "any", 0, "segment"), "b"),
    ]


@pytest.mark.parametrize(
    ("segments", "code", "pointer", "said"),
    [
        ({"a": {"segment": "b"}}, "unknown-segment", "/segments/a/segment", "no segment 'b'"),
        ({"a": {"segment": "a"}}, "segment-circle", "/segments/a/segment", "circle: a, a"),
        (
            {"a": {"not": {"segment": "b"}}, "b": {"all": [{"tag": "t"}, {"segment": "a"}]}},
            "segment-circle",
            "/segments/b/all/1/segment",
            "circle: a, b, a",
        ),
        ({"a": {"tagg": "x"}}, "unclear-condition", "/segments/a", "names no kind of test"),
        ({"a": {"all": [{"tag": 1}]}}, "wrong-type", "/segments/a/all/0/tag", "expected text"),
        (
            {"a": {"segment": "b", "tag": "x"}, "b": {"tag": "y"}},
            "unknown-field",
            "/segments/a/segment",
            "segment",
        ),
    ],
)
def test_segments_that_are_wrong_are_told_with_their_place(
    segments: dict[str, Any], code: str, pointer: str, said: str
) -> None:
    (found,) = check_segments(of(segments))
    assert (found.code, found.pointer) == (code, pointer)
    assert said in found.message
    text = json.dumps({"headrace_segments": 1, "segments": segments})
    none, violations = read_segments(text, name="s.json")
    assert none is None
    assert [(v.code, v.pointer, v.line) for v in violations] == [(code, pointer, 1)]


def test_a_long_chain_of_names_is_followed_and_a_doubling_one_refused() -> None:
    chain: dict[str, Any] = {f"s{n}": {"segment": f"s{n + 1}"} for n in range(5_000)}
    chain["s5000"] = BUYERS
    assert check_segments(of(chain)) == []
    assert resolve({"segment": "s0"}, of(chain)) == (BUYERS, [])
    doubling: dict[str, Any] = {f"s{n}": {"all": [{"segment": f"s{n + 1}"}] * 2} for n in range(40)}
    doubling["s40"] = BUYERS
    found = check_segments(of(doubling))
    assert {v.code for v in found} == {"out-of-range"}
    # s(n) has 2^(41 - n) - 1 parts: the first that fits is s25.
    assert 2**16 - 1 < PARTS_MAX < 2**17 - 1
    assert {v.pointer for v in found} == {f"/segments/s{n}" for n in range(25)}
    deep: dict[str, Any] = {f"s{n}": {"not": {"segment": f"s{n + 1}"}} for n in range(64)}
    deep["s64"] = BUYERS
    (too_deep,) = check_segments(of(deep))
    assert (too_deep.code, too_deep.pointer) == ("out-of-range", "/segments/s0")
    tree, violations = resolve({"not": {"segment": "s1"}}, of(deep), ("if",))
    assert tree == {"not": {"segment": "s1"}}
    assert [v.pointer for v in violations] == ["/if"]


def test_a_group_leaves_out_those_of_higher_priority_only_where_it_is_switched_on() -> None:
    on = of({}, groups=["vip", "members", "everybody"], deduplicate=True)
    off = on.model_copy(update={"deduplicate": False})
    assert group_condition("everybody", on) == {
        "all": [
            {"group": "everybody"},
            {"not": {"any": [{"group": "vip"}, {"group": "members"}]}},
        ]
    }
    assert group_condition("vip", on) == {"group": "vip"}
    assert group_condition("elsewhere", on) == {"group": "elsewhere"}
    assert group_condition("everybody", off) == {"group": "everybody"}
    assert not Segments().deduplicate


def test_a_group_has_one_priority() -> None:
    (found,) = check_segments(of({}, groups=["a", "b", "a"]))
    assert (found.code, found.pointer) == ("repeated-group", "/groups/2")


TESTS = st.sampled_from([{"tag": "t"}, {"group": "g"}, BUYERS])
NAMES = ("a", "b", "c", "d")


def trees(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    leaves = TESTS | (st.sampled_from(names).map(lambda n: {"segment": n}) if names else TESTS)
    return st.recursive(
        leaves,
        lambda part: (
            st.lists(part, min_size=1, max_size=3).map(lambda p: {"all": p})
            | st.lists(part, min_size=1, max_size=3).map(lambda p: {"any": p})
            | part.map(lambda p: {"not": p})
        ),
        max_leaves=6,
    )


def truth(tree: Any, segments: Segments, held: set[str]) -> bool:
    """What a condition is, its segments looked up as they are met: the slow, obvious way."""
    match tree:
        case {"segment": name}:
            return truth(segments.segments[name], segments, held)
        case {"all": parts}:
            return all(truth(part, segments, held) for part in parts)
        case {"any": parts}:
            return any(truth(part, segments, held) for part in parts)
        case {"not": part}:
            return not truth(part, segments, held)
    return next(iter(tree)) in held


@given(
    st.tuples(*(trees(NAMES[n + 1 :]) for n in range(len(NAMES)))),
    trees(NAMES),
    st.sets(st.sampled_from(["tag", "group", "did"])),
)
def test_a_resolved_condition_is_true_where_the_named_one_is(
    defined: tuple[Any, ...], tree: Any, held: set[str]
) -> None:
    segments = of(dict(zip(NAMES, defined, strict=True)))
    assert check_segments(segments) == []
    plain, violations = resolve(tree, segments)
    assert violations == []
    assert list(references(plain)) == []
    TypeAdapter[Any](Condition).validate_python(plain)
    assert truth(plain, segments, held) == truth(tree, segments, held)
