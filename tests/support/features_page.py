"""Says of each promised feature where it is tested; the name of a test carries the ids."""

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
An id that is open says why.

| id | what | tests |
|---|---|---|
"""


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


def features_page() -> str:
    """docs/features.md."""
    tested, rows = ids_tested(), []
    for name, (what, _, why) in checklist().items():
        places: dict[str, list[str]] = {}
        for path, test in tested.get(name, []):
            places.setdefault(path, []).append(test)
        shown = "; ".join(
            f"[tests/{path}](../tests/{path}): {len(tests)}" for path, tests in places.items()
        )
        if why:
            shown = f"{shown}; open: {why}" if shown else f"open: {why}"
        rows.append(f"| {name} | {what} | {shown} |")
    return HEAD + "\n".join(rows) + "\n"
