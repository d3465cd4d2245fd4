"""Resolve named segments and prioritised groups into the conditions that they stand for.

A segment is a condition with a name, used as `{segment: NAME}` wherever a condition may stand, in
other segments too. Resolution is on documents, before any model is made of them: what the compiler,
lint and both interpreters see are plain conditions, so a segment needs no rule of its own to be
entered, left or re-checked as time passes.

    headrace_segments: 1
    segments:
      lapsed: {never_did: purchase, within: 90 days}
      lapsed_buyers: {all: [{segment: lapsed}, {did: purchase}]}
    groups: [vip, members, everybody]   # the highest priority first
    deduplicate: true                   # off unless stated
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field, StrictBool, TypeAdapter, ValidationError

from core import limits
from core.conditions import Condition, Model, Name
from core.patterns import PatternError, pattern_of
from core.shape import shape_violations
from core.violations import Violation, close_to, listed, quoted, violation

SEGMENTS_MAX = 10_000
GROUPS_MAX = 1_000
PARTS_MAX = 100_000  # of a condition with all its segments put in: names can double with each step
PUT_IN_MAX = 200_000  # parts of all the conditions of a document together that have segments
GROUP_STARTS = (
    "on_segment",
    "on_schedule",
    "on_anniversary",
)  # that have a condition of who enters

Tree = Any
"""A condition as a document states it: mappings, lists and scalars."""

_Steps = tuple[str | int, ...]
_CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)


class Segments(Model):
    """The segments of a tenant by name, and his static groups by priority, format version 1.

    `groups` are in order of priority, the highest first. With `deduplicate` a flow that starts on a
    group leaves out whoever is in a group of higher priority.
    """

    headrace_segments: Literal[1] = 1
    segments: dict[Name, dict[str, Any]] = Field(default_factory=dict, max_length=SEGMENTS_MAX)
    groups: list[Name] = Field(default_factory=list, max_length=GROUPS_MAX)
    deduplicate: StrictBool = False


class _Shapes(Model):
    """Checks the shape of conditions, each at its place."""

    segments: dict[Name, Condition]


class _Size(NamedTuple):
    parts: int
    depth: int


def check_segments(segments: Segments) -> list[Violation]:
    """What is wrong with them: shapes, patterns, absent names, circles, sizes, repeated groups."""
    found = _misshapen(segments)
    for owner, tree in segments.segments.items():
        found += _unclear(tree, ("segments", owner))
        found += _untaken(tree, ("segments", owner))
    found += _unknown(segments)
    found += _circles(segments)
    for place, group in enumerate(segments.groups):
        if group in segments.groups[:place]:
            what = f"group {quoted(group)} has two priorities"
            found.append(violation("repeated-group", ("groups", place), what, "Keep one."))
    if not found:
        found += _oversize(segments)
    return sorted(found)


def resolve(tree: Tree, segments: Segments, steps: _Steps = ()) -> tuple[Tree, list[Violation]]:
    """A condition with every `{segment: NAME}` replaced by what it stands for, or what is wrong.

    `tree` is a document's part or a model of `core.conditions`, and the result is of the same kind;
    nothing is changed in place. `steps` lead to it, for the pointers of violations. The segments
    must have passed `check_segments`.
    """
    return _Resolution(segments).condition(tree, steps)


def resolve_document(document: Tree, segments: Segments) -> tuple[Tree, list[Violation]]:
    """A flow or responses document, as parsed, with the segments in all its `if` resolved.

    Where de-duplication is on, starts on a group leave out whoever is in one of higher priority.
    Nothing is changed in place; a document that names nothing is returned itself.
    """
    resolution = _Resolution(segments)
    resolved = resolution.part(document, ())
    return resolved, sorted(resolution.violations)


class _Resolution:
    """Puts segments into the conditions of one document; each is worked out once."""

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self.violations: list[Violation] = []
        self._sizes: dict[str, _Size] = {}
        self._trees: dict[str, Tree] = {}
        self._put_in = 0

    def part(self, value: Tree, steps: _Steps) -> Tree:
        """A part of a document, resolved; itself where nothing is to be replaced."""
        if isinstance(value, list):
            parts = [self.part(part, (*steps, place)) for place, part in enumerate(value)]
            return value if _same(parts, value) else parts
        if not isinstance(value, Mapping):
            return value
        stated: Mapping[Any, Any] = value
        for place, group in _starts_on(stated, steps):
            stated = self._start(stated, place, group, steps)
        made: dict[Any, Any] = {}
        for key, part in stated.items():
            if key == "if":
                made[key], found = self.condition(part, (*steps, key))
                self.violations += found
            else:
                made[key] = self.part(part, (*steps, key))
        return value if _same(list(made.values()), list(value.values())) else made

    def _start(
        self, node: Mapping[Any, Any], place: _Steps, group: str, steps: _Steps
    ) -> Mapping[Any, Any]:
        """A node that starts on a group, on those of the group who count as being in it."""
        condition = group_condition(group, self.segments)
        if condition == {"group": group}:
            return node
        if not self._has_room(3 + self.segments.groups.index(group), steps):
            return node
        if not place:
            rest = {key: part for key, part in node.items() if key not in ("type", "group")}
            return {"type": "on_segment", "if": condition, **rest}
        if place == ("if",):
            return {**node, "if": condition}
        parts = list(node["if"]["all"])
        parts[int(place[-1])] = condition
        return {**node, "if": {**node["if"], "all": parts}}

    def _has_room(self, parts: int, steps: _Steps) -> bool:
        """Whether so many more parts may be put in; it is told where that ends."""
        before, self._put_in = self._put_in, self._put_in + parts
        if before <= PUT_IN_MAX < self._put_in:
            self.violations.append(_too_many(steps))
        return self._put_in <= PUT_IN_MAX

    def condition(self, tree: Tree, steps: _Steps) -> tuple[Tree, list[Violation]]:
        """As `resolve`; all conditions together become only so large."""
        if isinstance(tree, Model):
            stated = tree.model_dump(mode="json", by_alias=True, exclude_none=True)
            plain, violations = self.condition(stated, steps)
            return (tree if violations else _CONDITION.validate_python(plain)), violations
        found = [*_unclear(tree, steps)]
        named = list(references(tree))
        found += [
            _unknown_segment(name, self.segments, (*steps, *place))
            for place, name in named
            if name not in self.segments.segments
        ]
        if found or not named:
            return tree, found
        order = _dependencies_first([name for _, name in named], self.segments, self._sizes)
        for name in order:
            self._sizes[name] = _measured(self.segments.segments[name], self._sizes)
            self._trees[name] = _replaced(self.segments.segments[name], self._trees)
        size = _measured(tree, self._sizes)
        if size.parts > PARTS_MAX or len(steps) + size.depth > limits.FLOW_DEPTH_MAX:
            return tree, [_too_large(size, steps)]
        return (_replaced(tree, self._trees) if self._has_room(size.parts, steps) else tree), []


def _same(parts: Sequence[Tree], others: Sequence[Tree]) -> bool:
    return len(parts) == len(others) and all(
        one is other for one, other in zip(parts, others, strict=True)
    )


def named_in(document: Tree) -> Iterator[tuple[_Steps, Tree]]:
    """What a flow document, as parsed, leaves to a tenant's segments: (steps to it, what stands).

    These are all `{segment: NAME}` in its conditions, and where nodes start on a `{group: NAME}`;
    of an `on_group` the steps lead to the node.
    """
    waiting: list[tuple[_Steps, Tree]] = [((), document)]
    while waiting:
        steps, part = waiting.pop()
        if isinstance(part, list):
            waiting += [((*steps, place), each) for place, each in enumerate(part)]
        elif isinstance(part, Mapping):
            for place, group in _starts_on(part, steps):
                yield (*steps, *place), {"group": group}
            for key, each in part.items():
                if key == "if":
                    for place, name in references(each):
                        yield (*steps, key, *place[:-1]), {"segment": name}
                else:
                    waiting.append(((*steps, key), each))


def meaning(named: Tree, segments: Segments) -> Tree:
    """The condition that `{segment: NAME}` stands for, or a start on `{group: NAME}`.

    None for a segment that isn't there. The segments must have passed `check_segments`.
    """
    if "group" in named:
        return group_condition(named["group"], segments)
    found, violations = resolve(named, segments)
    return None if violations else found


def references(tree: Tree) -> Iterator[tuple[_Steps, str]]:
    """Every `{segment: NAME}` in a condition as (steps to the name, name), in document order."""
    waiting: list[tuple[_Steps, Tree]] = [((), tree)]
    while waiting:
        steps, part = waiting.pop()
        if (name := _named(part)) is not None:
            yield (*steps, "segment"), name
        elif isinstance(part, Mapping):
            waiting += reversed(list(_children(part, steps)))


def group_condition(group: str, segments: Segments) -> Tree:
    """The condition of being in a group from which nobody of higher priority is taken (A033).

    Where de-duplication is off, or the group has no priority, that is plain membership.
    """
    member = {"group": group}
    if not segments.deduplicate or group not in segments.groups:
        return member
    higher = segments.groups[: segments.groups.index(group)]
    if not higher:
        return member
    return {"all": [member, {"not": {"any": [{"group": name} for name in higher]}}]}


def _starts_on(node: Mapping[Any, Any], steps: _Steps) -> list[tuple[_Steps, str]]:
    """The groups that a node at `steps` of a flow starts on, with the steps to each in the node.

    A start on a group is an `on_group`, or one of `GROUP_STARTS` on a condition that is the group,
    or `all` of the group and more.
    """
    if len(steps) != 2 or steps[0] != "nodes":
        return []
    if node.get("type") == "on_group":
        return [((), node["group"])] if isinstance(node.get("group"), str) else []
    if node.get("type") not in GROUP_STARTS:
        return []
    condition = node.get("if")
    places: list[tuple[_Steps, Tree]] = [(("if",), condition)]
    if isinstance(condition, Mapping) and isinstance(condition.get("all"), list):
        places = [(("if", "all", n), part) for n, part in enumerate(condition["all"])]
    return [
        (place, part["group"])
        for place, part in places
        if isinstance(part, Mapping) and len(part) == 1 and isinstance(part.get("group"), str)
    ]


def _named(part: Tree) -> str | None:
    """The name in `{segment: NAME}`, None for anything else."""
    if isinstance(part, Mapping) and len(part) == 1 and isinstance(part.get("segment"), str):
        name: str = part["segment"]
        return name
    return None


def _children(part: Mapping[str, Tree], steps: _Steps) -> Iterator[tuple[_Steps, Tree]]:
    """The conditions within `all`, `any` and `not`, with the steps to each."""
    for key in ("all", "any"):
        listed_parts = part.get(key)
        if isinstance(listed_parts, list):
            for place, child in enumerate(listed_parts):
                yield (*steps, key, place), child
    if "not" in part:
        yield (*steps, "not"), part["not"]


def _unclear(tree: Tree, steps: _Steps) -> Iterator[Violation]:
    """What is wrong with the places where a condition mentions a segment, but not as a name."""
    waiting: list[tuple[_Steps, Tree]] = [(steps, tree)]
    while waiting:
        at, part = waiting.pop()
        if not isinstance(part, Mapping) or _named(part) is not None:
            continue
        if "segment" not in part:
            waiting += reversed(list(_children(part, at)))
        elif not isinstance(part["segment"], str):
            what = "a segment is used by its name, which is text"
            advice = "Write {segment: NAME}; what it is stands in the segments file."
            yield violation("wrong-type", (*at, "segment"), what, advice)
        else:
            others = listed([key for key in part if key != "segment"])
            what = f"a segment is a condition of its own, and here {others} stands beside it"
            yield violation("unclear-condition", at, what, "Join conditions by `all` or `any`.")


def _untaken(tree: Tree, steps: _Steps) -> Iterator[Violation]:
    """The regular expressions in a condition that are not taken."""
    waiting: list[tuple[_Steps, Tree]] = [(steps, tree)]
    while waiting:
        at, part = waiting.pop()
        if isinstance(part, Mapping):
            waiting += [((*at, key), value) for key, value in reversed([*part.items()])]
        elif isinstance(part, list):
            waiting += [((*at, place), value) for place, value in reversed([*enumerate(part)])]
        elif at[-1] == "matches" and isinstance(part, str):
            try:
                pattern_of(part)
            except PatternError as error:
                yield violation("invalid-pattern", at, error.message, error.advice)


def _dependencies_first(
    names: Iterable[str], segments: Segments, known: Iterable[str] = ()
) -> list[str]:
    """Segments and all that they are made of but is not `known`, each behind what it needs itself.

    Chains can be longer than Python's stack, so this walks on a stack of its own.
    """
    order: dict[str, None] = {}
    begun: set[str] = set(known)
    waiting = [(name, False) for name in names]
    while waiting:
        name, done = waiting.pop()
        if done:
            order[name] = None
        elif name not in begun:
            begun.add(name)
            waiting.append((name, True))
            waiting += [(used, False) for _, used in references(segments.segments[name])]
    return list(order)


def _replaced(tree: Tree, known: Mapping[str, Tree]) -> Tree:
    """The tree with segments put in; what they stand for is shared, not copied."""
    if (name := _named(tree)) is not None:
        return known[name]
    return _mapped(tree, lambda child: _replaced(child, known))


def _mapped(tree: Tree, change: Callable[[Tree], Tree]) -> Tree:
    """A copy of a combination with its parts changed; anything else as it is."""
    if not isinstance(tree, Mapping):
        return tree
    made = dict(tree)
    for key in ("all", "any"):
        if isinstance(made.get(key), list):
            made[key] = [change(child) for child in made[key]]
    if "not" in made:
        made["not"] = change(made["not"])
    return made


def _measured(tree: Tree, known: Mapping[str, _Size]) -> _Size:
    """How many parts a tree has with segments put in, and how deep its mappings and lists are."""
    if (name := _named(tree)) is not None:
        return known[name]
    parts, depth = 1, _depth(tree)
    if isinstance(tree, Mapping):
        for steps, child in _children(tree, ()):
            size = _measured(child, known)
            parts, depth = parts + size.parts, max(depth, len(steps) + size.depth)
    return _Size(parts, depth)


def _depth(value: Tree) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _misshapen(segments: Segments) -> list[Violation]:
    """What is wrong with the conditions' shapes; a reference stands for any test there."""

    def stood_in(tree: Tree) -> Tree:
        mentions = isinstance(tree, Mapping) and "segment" in tree
        return {"group": "any"} if mentions else _mapped(tree, stood_in)

    plain = {"segments": {name: stood_in(tree) for name, tree in segments.segments.items()}}
    try:
        _Shapes.model_validate(plain)
    except ValidationError as error:
        return shape_violations(error, _Shapes, plain)
    return []


def _unknown(segments: Segments) -> list[Violation]:
    return [
        _unknown_segment(name, segments, ("segments", owner, *place))
        for owner, tree in segments.segments.items()
        for place, name in references(tree)
        if name not in segments.segments
    ]


def _unknown_segment(name: str, segments: Segments, steps: _Steps) -> Violation:
    otherwise = (
        f"The segments are {listed(segments.segments)}."
        if segments.segments
        else "Define it in a segments file: none was given."
    )
    advice = close_to(name, segments.segments, otherwise)
    return violation("unknown-segment", steps, f"there is no segment {quoted(name)}", advice)


def _circles(segments: Segments) -> Iterator[Violation]:
    """A violation for each circle of segments, at the reference that closes it."""
    known = segments.segments
    uses = {
        owner: [(steps, name) for steps, name in references(tree) if name in known]
        for owner, tree in known.items()
    }
    settled: set[str] = set()
    for start in known:
        path = {} if start in settled else {start: iter(uses[start])}
        while path:
            owner = next(reversed(path))
            steps, name = next(path[owner], ((), ""))
            if not steps:
                settled.add(owner)
                del path[owner]
            elif name in path:
                way = [*path]
                told = listed([*way[way.index(name) :], name])
                what = f"segments are defined by each other in a circle: {told}"
                place = ("segments", owner, *steps)
                yield violation("segment-circle", place, what, "Break it at one place.")
            elif name not in settled:
                path[name] = iter(uses[name])


def _oversize(segments: Segments) -> Iterator[Violation]:
    sizes: dict[str, _Size] = {}
    for name in _dependencies_first(segments.segments, segments):
        size = sizes[name] = _measured(segments.segments[name], sizes)
        if size.parts > PARTS_MAX or size.depth > limits.FLOW_DEPTH_MAX:
            yield _too_large(size, ("segments", name))


def _too_large(size: _Size, steps: _Steps) -> Violation:
    what = f"with all segments put in, the condition has {size.parts:,} parts, {size.depth:,} deep"
    most = f"At most {PARTS_MAX:,} parts and a depth of {limits.FLOW_DEPTH_MAX} are possible."
    return violation("out-of-range", steps, what, most)


def _too_many(steps: _Steps) -> Violation:
    what = f"up to here, conditions with segments put in have more than {PUT_IN_MAX:,} parts"
    return violation("out-of-range", steps, what, "Use large segments in fewer places.")
