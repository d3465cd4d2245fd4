"""Draws conditions, filters and nodes that can be read, whether or not their literals fit."""

from typing import Any

from hypothesis import strategies as st

from core.conditions import COMPARISONS

TESTS = [name.rstrip("_") for name in COMPARISONS]
NAMES = st.sampled_from(["age", "amount", "birth_date", "plan", "purchase", "vip"])
TIMES = ["2026-01-31", "2026-01-31T09:00Z", "2026-01-31T09:00", "0001-01-01"]
LITERALS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 2.0, 1e300]),
    st.sampled_from(["a", "b", *TIMES]),
    st.booleans(),
)
OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("before", "after", "contains"), st.sampled_from(["a", "2026-01-31", "x"])),
    **dict.fromkeys(("starts_with", "ends_with"), st.sampled_from(["a", "x"])),
    "anniversary_in_days": st.sampled_from([0, 7, -366]),
    "matches": st.sampled_from(["a", "(", "[a-z]+$"]),
    **dict.fromkeys(("within_last", "within_next", "older_than"), st.just("3 days")),
    **dict.fromkeys(("one_of", "none_of"), st.lists(LITERALS, min_size=1, max_size=3)),
    "between": st.lists(LITERALS, min_size=2, max_size=2),
    "is_set": st.booleans(),
}
COMPARED = st.sampled_from(TESTS).flatmap(
    lambda name: st.tuples(
        st.just(name), OPERANDS.get(name, LITERALS | st.just({"entry": "amount"}))
    )
)


def comparisons_of(*kinds: str) -> st.SearchStrategy[Any]:
    """Comparisons of values of these kinds."""
    return st.builds(
        lambda kind, name, compared: {kind: name, compared[0]: compared[1]},
        st.sampled_from(kinds),
        NAMES,
        COMPARED,
    )


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The tests, joined in any way."""
    return st.recursive(
        leaf,
        lambda inner: (
            st.builds(
                lambda kind, parts: {kind: parts},
                st.sampled_from(["all", "any"]),
                st.lists(inner, min_size=1, max_size=3),
            )
            | st.builds(lambda part: {"not": part}, inner)
        ),
        max_leaves=5,
    )


FILTERS = trees(comparisons_of("property", "entry"))
CONDITIONS = trees(
    comparisons_of("attribute", "entry")
    | st.builds(lambda kind, name: {kind: name}, st.sampled_from(["tag", "group"]), NAMES)
    | st.builds(lambda part: {"did": "purchase", "where": part}, FILTERS)
    | st.just({"never_did": "clicked", "within": "1 day"})
)
NODES = st.one_of(
    st.builds(
        lambda name, value: {"type": "set_attribute", "attribute": name, "value": value},
        NAMES,
        LITERALS,
    ),
    st.builds(
        lambda name, by: {"type": "add_to_attribute", "attribute": name, "by": by},
        NAMES,
        st.sampled_from([1, 2.0, 0.5]),
    ),
    st.builds(
        lambda name, values: {
            "type": "branch_attribute",
            "attribute": name,
            "branches": {f"b{i}": value for i, value in enumerate(values)},
        },
        NAMES,
        st.lists(LITERALS, min_size=1, max_size=3),
    ),
    st.builds(lambda name: {"type": "wait_date", "attribute": name}, NAMES),
    st.builds(
        lambda condition: {"type": "condition", "if": condition},
        comparisons_of("attribute", "entry") | CONDITIONS,
    ),
)
"""Nodes without edges, whose values fit the types of their attributes or don't."""
