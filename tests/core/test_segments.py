"""Checks what named segments stand for, and how groups of lower priority leave people out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from core.conditions import Condition
from core.document import read_flow, read_responses, read_segments, read_values, resolved_text
from core.segments import (
    PARTS_MAX,
    Segments,
    check_segments,
    group_condition,
    meaning,
    named_in,
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
            "unclear-condition",
            "/segments/a",
            "here tag stands beside it",
        ),
        ({"a": {"not": {"segment": 5}}}, "wrong-type", "/segments/a/not/segment", "its name"),
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


FLOW = """\
# A comment
headrace: 1
flow: f
nodes:
  t: {type: on_group, group: members, next: q}
  q:
    type: condition
    if: {any: [{tag: x}, {segment: lapsed_buyers}]}
    next: {yes: x, no: x}
  x: {type: end}
"""


def test_a_flow_is_read_with_what_its_segments_stand_for() -> None:
    flow, violations = read_flow(FLOW, name="f.yaml", segments=shop())
    assert flow is not None, violations
    written = FLOW.replace(
        "{segment: lapsed_buyers}",
        "{all: [{never_did: purchase, within: 90 days}, {did: purchase}]}",
    ).replace(
        "{type: on_group, group: members,",
        "{type: on_segment, if: {all: [{group: members}, {not: {any: [{group: vip}]}}]},",
    )
    assert flow == read_flow(written, name="f.yaml")[0]


def test_the_resolved_text_means_the_same_without_segments() -> None:
    segments = shop()
    other = "\ufeff" + FLOW.replace("tag: x", "tag: '\u00fc\U0001f600'")
    for text, name in ((FLOW, "f.yaml"), (other, "f")):
        plain = resolved_text(text, name=name, segments=segments)
        assert plain != text
        expected, _ = read_flow(text, name=name, segments=segments)
        assert read_flow(plain, name="flow") == (expected, [])
        assert resolved_text(plain, name="flow", segments=Segments()) is plain
    without = FLOW.replace("{segment: lapsed_buyers}", "{tag: segment}")
    off = segments.model_copy(update={"deduplicate": False})
    assert resolved_text(without, name="f.yaml", segments=off) is without


@pytest.mark.parametrize(
    ("condition", "code", "pointer", "advice"),
    [
        ("{segment: lapsd}", "unknown-segment", "/nodes/q/if/segment", "Did you mean 'lapsed'?"),
        ("{segment: other}", "unknown-segment", "/nodes/q/if/segment",
         "The segments are lapsed, buyers, lapsed_buyers."),
        ("{segment: 5}", "wrong-type", "/nodes/q/if/segment", "Write {segment: NAME}"),
        ("{segment: lapsed, tag: x}", "unclear-condition", "/nodes/q/if", "`all` or `any`"),
        ("{all: [{tag: y}, {segmnt: lapsed}]}", "unclear-condition", "/nodes/q/if/all/1",
         "Did you mean 'segment'?"),
    ],
)  # fmt: skip
def test_a_flow_that_names_segments_wrongly_is_told_where(
    condition: str, code: str, pointer: str, advice: str
) -> None:
    text = FLOW.replace("{any: [{tag: x}, {segment: lapsed_buyers}]}", condition)
    flow, (found,) = read_flow(text, name="f.yaml", segments=shop())
    assert flow is None
    assert (found.code, found.pointer, found.line) == (code, pointer, 8)
    assert advice in found.advice


def test_without_segments_every_name_is_unknown() -> None:
    flow, (found,) = read_flow(FLOW, name="f.yaml")
    assert (flow, found.code) == (None, "unknown-segment")
    assert found.advice == "Define it in a segments file: none was given."
    responses = {"for": {"if": {"segment": "buyers"}}, "outcomes": []}
    text = json.dumps({"headrace_responses": 1, "rules": [responses]})
    assert [v.code for v in read_responses(text, name="r.json")[1]] == ["unknown-segment"]
    read, violations = read_responses(text, name="r.json", segments=shop())
    assert violations == []
    assert read is not None
    assert read.rules[0].for_.if_ == TypeAdapter[Any](Condition).validate_python(BUYERS)


def test_what_is_wrong_beside_a_segment_is_told_at_a_place_of_the_text() -> None:
    text = FLOW.replace("    type: condition\n", "    type: condition\n    iff: 1\n")
    _, (found,) = read_flow(text.replace("x}\n  x:", "x}\n  y:"), name="f.yaml", segments=shop())
    assert (found.code, found.pointer, found.line) == ("unknown-field", "/nodes/q/iff", 8)


def test_a_document_with_segments_grows_only_so_far() -> None:
    wide = of({"wide": {"any": [{"tag": f"t{n}"} for n in range(9_999)]}})
    nodes = {f"n{n}": {"type": "condition", "if": {"segment": "wide"}} for n in range(25)}
    document = {"nodes": nodes}
    _, (found,) = resolve_document(document, wide)
    # Each has 10,000 parts: the 21st is one too many.
    assert (found.code, found.pointer) == ("out-of-range", "/nodes/n20/if")
    del nodes["n20"], nodes["n21"], nodes["n22"], nodes["n23"], nodes["n24"]
    resolved, violations = resolve_document(document, wide)
    assert violations == []
    assert len(resolved["nodes"]["n19"]["if"]["any"]) == 9_999


def test_what_a_document_leaves_to_segments_is_listed_with_its_place() -> None:
    text = FLOW.replace("type: end", "type: end, guards: [{if: {not: {segment: lapsed}}}]")
    found = dict(named_in(read_values(text, name="f.yaml")))
    assert found == {
        ("nodes", "t"): {"group": "members"},
        ("nodes", "q", "if", "any", 1): {"segment": "lapsed_buyers"},
        ("nodes", "x", "guards", 0, "if", "not"): {"segment": "lapsed"},
    }
    assert meaning({"segment": "lapsed_buyers"}, shop()) == {"all": [LAPSED, BUYERS]}
    assert meaning({"group": "vip"}, shop()) == {"group": "vip"}
    assert meaning({"segment": "none"}, shop()) is None


@pytest.mark.parametrize("kind", ["on_segment", "on_schedule", "on_anniversary"])
def test_a_start_on_a_group_is_one_on_those_who_count_as_being_in_it(kind: str) -> None:
    plain = group_condition("members", shop())
    other = {"any": [{"group": "members"}, {"tag": "t"}]}

    def started(condition: Any, segments: Segments, of_type: str = kind) -> Any:
        document = {"nodes": {"t": {"type": of_type, "if": condition}}}
        resolved, violations = resolve_document(document, segments)
        assert violations == []
        return resolved["nodes"]["t"]["if"]

    assert started({"group": "members"}, shop()) == plain
    assert started({"all": [BUYERS, {"group": "members"}, {"segment": "lapsed"}]}, shop()) == {
        "all": [BUYERS, plain, LAPSED]
    }
    assert started(other, shop()) is other
    off = shop().model_copy(update={"deduplicate": False})
    assert started({"group": "members"}, off) == {"group": "members"}
    for type_ in ("condition", "on_enter_segment"):
        assert started({"group": "members"}, shop(), type_) == {"group": "members"}


def test_groups_put_in_are_counted_too() -> None:
    many = of({}, groups=[f"g{n}" for n in range(1_000)], deduplicate=True)
    nodes = {f"n{n}": {"type": "on_group", "group": "g999"} for n in range(250)}
    _, (found,) = resolve_document({"nodes": nodes}, many)
    # Each has 1,002 parts: the 200th is one too many.
    assert (found.code, found.pointer) == ("out-of-range", "/nodes/n199")


KEYS = st.sampled_from(["segment", "all", "any", "not", "if", "tag", "group", "type", "did", "x"])
WORDS = st.sampled_from(["a", "b", "vip", "on_group", "on_segment", ""]) | st.integers(0, 2)
ANYTHING = st.recursive(
    WORDS | st.none() | st.booleans(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=3),
    max_leaves=12,
)
NODES = st.dictionaries(
    st.sampled_from(["n", "m"]),
    ANYTHING | st.fixed_dictionaries({"type": WORDS, "if": ANYTHING, "group": WORDS}),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "segments": ANYTHING | st.dictionaries(st.sampled_from(["a", "b"]), ANYTHING),
            "groups": st.lists(WORDS, max_size=3) | ANYTHING,
            "deduplicate": st.booleans() | WORDS,
        },
    ),
    NODES | ANYTHING,
)
def test_whatever_is_written_is_told_and_never_raised(named: Any, nodes: Any) -> None:
    segments, violations = read_segments(json.dumps(named), name="s.json")
    assert (segments is None) == bool(violations)
    assert all(v.message and v.advice and v.line for v in violations)
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": nodes})
    flow, violations = read_flow(text, name="f.json", segments=segments)
    assert (flow is None) == bool(violations)
    assert all(v.message and v.advice and v.line for v in violations)
    list(named_in(json.loads(text)))


def test_a_pattern_that_is_not_taken_is_told_where_it_stands() -> None:
    wrong = {"attribute": "plan", "matches": "(?=a)b"}
    found = check_segments(
        Segments.model_validate(
            {"segments": {"a": {"all": [{"did": "order"}, {"not": wrong}]}, "b": {"did": "order"}}}
        )
    )
    assert [(each.code, each.pointer) for each in found] == [
        ("invalid-pattern", "/segments/a/all/1/not/matches")
    ]
