"""Says of each promised feature where it is tested, and whether live as well.

The name of a test carries the ids.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
CHECKLIST = TESTS / "features" / "checklist.txt"
_ID = re.compile(r"(?<![A-Za-z0-9])([AECXN]\d{2,3})(?![0-9])")
HEAD = """# Where each feature is tested

Made by `make docs` from the names of tests, which bear the ids, and from
`tests/features/checklist.txt`, which names some more. After each file is how many tests there are.
An id that is open says why. Under live: whether a live
partition decides just so in one of its tests at least, or why there is nothing to be live.

| id | what | tests | live |
|---|---|---|---|
"""
RUN_LIVE = ("both_ways", "followed", "live_cases", "live_side")
"""Modules whose functions run flows live."""
ONLY_MODELLED = "modelled"
"""The function among them that does not."""
NOT_LIVE = {
    "checked before a flow is published": "A045 A046 A060 A069 A114 A152 A158 A165 A183",
    "about writing flows": "A134",
    "asked of a live engine by the service": "A006 A007 A008 A009 A010 A011 A018 A037",
    "about dry runs": "N01 N02 N07",
    "told before an edit is published": "N03",
    "about lists, drafts and templates of flows": (
        "A001 A002 A003 A005 A012 A013 A014 A015 A016 A017 A019 A021 A022 A038 N08"
    ),
}
"""Why features have nothing that could run live, and which."""


class Promise(NamedTuple):
    """What an id is, tests that show it without bearing it (path, name), and why it is open."""

    what: str
    by: list[tuple[str, str]]
    open: str


def checklist() -> dict[str, Promise]:
    """The promises by id. A line is `ID  what[  by: path::test ...][  open: why]`."""
    found = {}
    for line in CHECKLIST.read_text(encoding="utf-8").splitlines():
        name, what = line.split("  ", 1)
        what, _, why = what.partition("  open: ")
        what, _, tests = what.partition("  by: ")
        by = [test.removeprefix("tests/").split("::") for test in tests.split()]
        found[name] = Promise(what.strip(), [(path, test) for path, test in by], why.strip())
    return found


def ids_tested() -> dict[str, list[tuple[str, str]]]:
    """The tests (path below tests/, name) of each id, in the order of their files.

    They bear the id, or the checklist names them.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    named = {test: name for name, promise in checklist().items() for test in promise.by}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in _names(path.read_text(encoding="utf-8")):
            place = (path.relative_to(TESTS).as_posix(), name)
            more = [named[place]] if place in named else []
            for each in dict.fromkeys([*_ID.findall(name.replace("_", " ")), *more]):
                found.setdefault(each, []).append(place)
    return found


def _names(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


def live_tests(text: str) -> set[str]:
    """Those tests of a module that run flows live, be it by functions that they call."""
    tree = ast.parse(text)
    live: set[str] = set()
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in RUN_LIVE:
            live |= {name.name for name in node.names if _runs(name.name)}
    for node in tree.body:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        if isinstance(node, ast.FunctionDef):
            used[node.name] = names
        elif isinstance(node, ast.Assign):
            used |= {target.id: names for target in node.targets if isinstance(target, ast.Name)}
    while more := {name for name in used.keys() - live if used[name] & live}:
        live |= more
    return {name for name in live if name.startswith("test_")}


def _runs(name: str) -> bool:
    """Whether what is imported by this name runs something live, and is no constant."""
    return name == "EVERY_WAY" or (not name.isupper() and name != ONLY_MODELLED)


def ids_live() -> set[str]:
    """The ids that a live partition was tested on."""
    tested = ids_tested()
    live = {
        path: live_tests((TESTS / path).read_text(encoding="utf-8"))
        for path in {path for places in tested.values() for path, _ in places}
    }
    return {
        name
        for name, places in tested.items()
        if any(path.startswith("actors/live/") or test in live[path] for path, test in places)
    }


def features_page() -> str:
    """docs/features.md."""
    tested, rows, live = ids_tested(), [], ids_live()
    reasons = {name: why for why, names in NOT_LIVE.items() for name in names.split()}
    for name, (what, _, why) in checklist().items():
        places: dict[str, list[str]] = {}
        for path, test in tested.get(name, []):
            places.setdefault(path, []).append(test)
        shown = "; ".join(
            f"[tests/{path}](../tests/{path}): {len(tests)}" for path, tests in places.items()
        )
        if why:
            shown = f"{shown}; open: {why}" if shown else f"open: {why}"
        told = "yes" if name in live else reasons.get(name, "")
        rows.append(f"| {name} | {what} | {shown} | {told} |")
    return HEAD + "\n".join(rows) + "\n"
