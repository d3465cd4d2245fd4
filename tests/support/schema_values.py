"""Draws values that a JSON Schema of ours allows, for tests of what reading makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
KNOWN: dict[str, list[Any]] = {
    "Condition": [
        {"tag": "t"}, {"group": ""}, {"attribute": "a", "is": 1}, {"attribute": "a"}, {"any": []},
        {"did": "go", "within": "1 month"}, {"all": [{"tag": "t"}, {"not": {"tag": "t"}}]},
        {"attribute": "a", "matches": "("}, {"attribute": "a", "between": [2, 1]}, {"entry": "e"},
        {"subscribed": "sms"}, {"attribute": "a", "before": "2026-02-30"}, {"segment": "s"},
    ],
    "Filter": [
        {"property": "p", "is": 1}, {"property": "p"}, {"entry": "e", "is": {"entry": "f"}},
        {"all": []}, {"not": {"property": "p", "above": "x"}}, {"tag": "t"},
        {"property": "p", "one_of": []}, {"property": "p", "within_last": "-1 day"},
    ],
    "Operand": [1, "a", True, {"entry": "e"}],
}  # fmt: skip
"""Definitions that hold themselves: some values that fit, and some that nearly do."""
NAMES = st.sampled_from(["a", "b", "vip", "go", "x", "1 day", "~t", "é", "a b", "n"])
TEXTS = NAMES | st.text(min_size=1, max_size=4)
NUMBERS = [0, 1, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 10_000]


class Values:
    """Strategies for the definitions of one schema."""

    def __init__(self, root: Schema) -> None:
        self.definitions: Schema = root["$defs"]

    def of(self, schema: Schema | bool, depth: int = 0) -> st.SearchStrategy[Any]:
        """Values of a part of the schema; nearly all of them fit it."""
        if not isinstance(schema, Mapping):
            return st.nothing() if schema is False else TEXTS
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in KNOWN:
                return st.sampled_from(KNOWN[name])
            return self.of(self.definitions[name], depth + 1)
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return st.one_of([self.of(part, depth) for part in schema[several]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema.get("type", "string")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return st.one_of([self._of_kind(kind, schema, depth) for kind in kinds])

    def _of_kind(self, kind: str, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        match kind:
            case "null":
                return st.none()
            case "boolean":
                return st.booleans()
            case "integer" | "number":
                return self._number(kind, schema)
            case "array":
                return st.lists(
                    self.of(schema.get("items", True), depth + 1),
                    min_size=schema.get("minItems", 0),
                    max_size=min(schema.get("maxItems", 3), schema.get("minItems", 0) + 2),
                )
            case "object":
                return self._object(schema, depth)
        return self._text(schema)

    def _number(self, kind: str, schema: Schema) -> st.SearchStrategy[Any]:
        low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1)
        near = [*NUMBERS, low, high, low - 1, high + 1]
        return st.sampled_from(near if kind == "integer" else [*near, 0.5, -1e308])

    def _text(self, schema: Schema) -> st.SearchStrategy[Any]:
        if "examples" in schema:
            return st.sampled_from(schema["examples"])
        if "pattern" in schema:
            return st.from_regex(schema["pattern"])
        return TEXTS

    def _object(self, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
        properties = schema.get("properties", {})
        required = set(schema.get("required", ()))
        fixed = {n: self.of(p, depth + 1) for n, p in properties.items() if n in required}
        loose = {n: self.of(p, depth + 1) for n, p in properties.items() if n not in required}
        drawn = st.fixed_dictionaries(fixed, optional=loose)
        more = schema.get("additionalProperties", False)
        for pattern, part in schema.get("patternProperties", {}).items():
            more = part
            del pattern
        if more is False or properties:
            return drawn
        size = schema.get("minProperties", 0)
        return st.dictionaries(NAMES, self.of(more, depth + 1), min_size=size, max_size=size + 2)
