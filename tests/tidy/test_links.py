"""Checks that links in the documents lead somewhere, and that what prose names exists.

A link whose words are a name in code, such as [`Machine.apply`](../ext/machine.pyx), claims that
the file defines it. A path or a dotted name anywhere in prose claims that there is such a file.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import PurePosixPath

import pytest

from house import CHECKOUT, CYTHON, PACKAGES, PYTHON, cython_code, hold, line_of, sources, texts

SOURCES = (*PYTHON, *CYTHON)
_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2[ \t]*$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]*)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_NAME = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
_DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})\.[A-Za-z_][\w.]*\w)")
_PATH = re.compile(
    rf"(?<![\w./-])((?:{'|'.join(PACKAGES)}|docs|examples|tests|bench)/[\w./-]*[\w/])(?![\w*<])"
)
_CYTHON_TYPE = re.compile(r"(?:cdef|ctypedef)\s+(?:class|struct|union)\s+(\w+)|class\s+(\w+)")
_CYTHON_FUNCTION = re.compile(r"(?:cdef|cpdef|def)\b[^=]*?(\w+)\s*\(")
_CYTHON_FIELD = re.compile(r"(?:cdef\s+)?[\w.\[\]*& ]*?\b(\w+)\s*(?:=.*)?$")


def _blanked(text: str, what: re.Pattern[str]) -> str:
    return what.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as hosts of Markdown make them."""
    found: dict[str, int] = {}
    for match in _HEADING.finditer(_blanked(text, _FENCED)):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).lower())
        slug = words.replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def _python_names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _python_names(inner, f"{prefix}{name}.")
            case ast.Assign(targets=targets):
                yield from (prefix + t.id for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name


def _cython_names(text: str) -> Iterator[str]:
    """Functions, types and their members by indentation; members of an enum count as the file's."""
    owner = ""
    for line in cython_code(text).splitlines():
        code = line.strip()
        if not code:
            continue
        if not line.startswith(" "):
            owner = ""
            if match := _CYTHON_TYPE.match(code):
                owner = (match[1] or match[2]) + "."
                yield owner[:-1]
            elif match := _CYTHON_FUNCTION.match(code) or re.match(r"(\w+)\s*=", code):
                yield match[1]
        elif re.match(r" {4}\S", line) and (
            match := _CYTHON_FUNCTION.match(code) or _CYTHON_FIELD.match(code)
        ):
            yield owner + match[1]


@cache
def defined(path: str) -> frozenset[str]:
    """What a source file defines: functions, types, constants, and members as Type.member."""
    text = texts()[path]
    if path.endswith(CYTHON):
        return frozenset(_cython_names(text))
    return frozenset(_python_names(ast.parse(text).body))


def _names_file(name: str, target: str) -> bool:
    """Whether a link's words are the path it leads to, or the end of it."""
    return target == name or target.endswith(f"/{name}")


def links_lead_somewhere(path: str, text: str) -> list[str]:
    here = PurePosixPath(path).parent
    found = []
    for match in _LINK.finditer(_blanked(text, _FENCED)):
        words, target = match.groups()
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        at = f"{path}:{line_of(text, match.start())}: "
        file = path
        if place:
            whole = (CHECKOUT / here / place).resolve()
            if not whole.is_relative_to(CHECKOUT) or not whole.exists():
                found.append(f"{at}nothing is at {target}")
                continue
            file = whole.relative_to(CHECKOUT).as_posix()
        page = text if file == path else texts().get(file, "")
        if anchor and anchor not in anchors(page):
            found.append(f"{at}no heading for {target}")
        name = _NAME.fullmatch(words)
        if name is None or not file.endswith(SOURCES) or _names_file(name[1], file):
            continue
        if name[1] not in defined(file):
            found.append(f"{at}{file} defines no {name[1]}")
    return found


def _is_there(dotted: str) -> bool:
    """Whether a dotted name is a package, a module, or what a module defines."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        module, rest = "/".join(parts[:count]), ".".join(parts[count:])
        files = [f"{module}{suffix}" for suffix in (".py", ".pyx", ".pxd", "/__init__.py")]
        held = [file for file in files if file in texts()]
        if held:
            return not rest or any(rest in defined(file) for file in held)
    return False


def named_things_exist(path: str, text: str) -> list[str]:
    prose = _blanked(text, _FENCED) if path.endswith(".md") else text
    found = [
        f"{path}:{line_of(text, match.start())}: there is no {match[1]}"
        for match in _DOTTED.finditer(prose)
        if not _is_there(match[1])
    ]
    for match in _PATH.finditer(prose):
        name = match[1]
        # A number of a decision stands for its file.
        if not (CHECKOUT / name).exists() and not any(p.startswith(f"{name}-") for p in texts()):
            found.append(f"{path}:{line_of(text, match.start())}: there is no {name}")
    return found


def test_every_link_leads_somewhere() -> None:
    hold(links_lead_somewhere, sources(suffixes=(".md",)))


def test_what_prose_names_exists() -> None:
    documents = sources(suffixes=(".md",))
    hold(named_things_exist, documents | sources(*PACKAGES, suffixes=SOURCES))


def _sections(text: str) -> dict[str, list[str]]:
    """The names in the first column of the table below each heading that is a name."""
    found = {}
    for section in text.split("\n## ")[1:]:
        heading = re.match(r"`(\w+)`\n", section)
        if heading is not None:
            cells = "".join(re.findall(r"^\| ([^|]*)\|", section, re.MULTILINE))
            found[heading[1]] = re.findall(r"`([^`]*)`", cells)
    return found


def not_in_directory(listed: dict[str, list[str]], paths: Iterable[str]) -> list[str]:
    """Modules, test folders and documents that are not listed, and listed names of nothing."""
    used: set[tuple[str, str]] = set()
    found = []
    for path in paths:
        package, *rest = path.split("/")
        if package not in listed or rest in (["__init__.py"], ["__init__.pxd"], ["conftest.py"]):
            continue
        name = rest[0] if package == "docs" or len(rest) > 1 else rest[0].partition(".")[0]
        whole = "/".join(rest)
        fits = {(package, p) for p in listed[package] if fnmatch(name, p) or fnmatch(whole, p)}
        used |= fits
        if not fits:
            found.append(f"docs/directory.md does not say what {path} is for")
    for package, patterns in listed.items():
        unused = [p for p in patterns if (package, p) not in used]
        found += [f"docs/directory.md lists {p} in {package}, which is not there" for p in unused]
    return found


def test_the_directory_is_complete() -> None:
    listed = _sections(texts()["docs/directory.md"])
    assert set(listed) == {*PACKAGES, "bench", "tests", "docs"}
    paths = [*sources(*PACKAGES, "bench", suffixes=SOURCES), *sources("docs", suffixes=(".md",))]
    paths += [path for path in sources("tests", suffixes=("",)) if path.count("/") > 1]
    assert not_in_directory(listed, paths) == []


def test_what_the_directory_lacks_is_found() -> None:
    listed = {"core": ["lint*", "flow"], "actors": ["importer/*"], "tests": ["tidy"]}
    there = ["core/lint_graph.py", "core/flow.py", "actors/importer/cells.py", "tests/tidy/x.py"]
    assert not_in_directory(listed, there) == []
    assert len(not_in_directory(listed, [*there, "core/new.py"])) == 1
    assert len(not_in_directory(listed, there[1:])) == 1


def test_every_decision_has_its_parts_and_its_number() -> None:
    decisions = sources("docs", suffixes=(".md",))
    decisions = {p: t for p, t in decisions.items() if p.startswith("docs/decisions/")}
    numbers = sorted(int(PurePosixPath(path).name[:4]) for path in decisions)
    assert numbers == list(range(1, len(numbers) + 1))
    hold(is_a_decision, decisions)


def is_a_decision(path: str, text: str) -> list[str]:
    number = int(PurePosixPath(path).name[:4])
    parts = ["Status: ", "## Context\n", "## Decision\n", "## Consequences\n"]
    missing = [f"{path} has no {part.strip()!r}" for part in parts if f"\n{part}" not in text]
    if not text.startswith(f"# {number}. "):
        missing.append(f"{path} is not number {number}")
    return missing


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("x", "nowhere.md"),
        ("x", "../../elsewhere.md"),
        ("x", "../core/flow.py/x"),
        ("x", "semantics.md#no-such-heading"),
        ("x", "#nowhere"),
        ("`no_such_function`", "../core/compiler.py"),
        ("`Machine.no_such_method`", "../ext/machine.pyx"),
        ("`PersonC.no_such_field`", "../ext/structs.pxd"),
    ],
)
def test_a_broken_link_is_found(words: str, target: str) -> None:
    assert len(links_lead_somewhere("docs/x.md", f"# Here\n[{words}]({target})\n")) == 1


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("x", "https://example.org/nowhere"),
        ("x", "semantics.md"),
        ("x", "semantics.md#chance-1"),
        ("x", "#here-there-and-everywhere"),
        ("x", "decisions/"),
        ("`core/compiler.py`", "../core/compiler.py"),
        ("`compiler.py`", "../core/compiler.py"),
        ("`compile_flow`", "../core/compiler.py"),
        ("`Counters.add`", "../core/counters.py"),
        ("`NODE`", "../core/program.py"),
        ("`Machine.apply`", "../ext/machine.pyx"),
        ("`Machine.census`", "../ext/machine.pyx"),
        ("`LANES`", "../ext/machine.pyx"),
        ("`heap_push`", "../ext/heap.pxd"),
        ("`PersonC.now_ms`", "../ext/structs.pxd"),
        ("`TOKEN_READY`", "../ext/structs.pxd"),
    ],
)
def test_a_good_link_is_accepted(words: str, target: str) -> None:
    text = f"# Here, there and everywhere\n[{words}]({target})\n"
    assert links_lead_somewhere("docs/x.md", text) == []


def test_fenced_code_holds_no_links() -> None:
    text = "```python\nx = table[1](nowhere.md)\n```\n"
    assert links_lead_somewhere("docs/x.md", text) == []


@pytest.mark.parametrize(
    ("path", "text", "count"),
    [
        ("docs/x.md", "See `core.nowhere` for it.", 1),
        ("docs/x.md", "See `core.flow.Nothing` for it.", 1),
        ("docs/x.md", "See `core.flow.Flow.triggers`, `ext.heap` and `core`.", 0),
        ("core/x.py", '"""See docs/nowhere.md."""', 1),
        ("core/x.py", '"""See docs/semantics.md, docs/decisions/0003, core/flow.py."""', 0),
        ("docs/x.md", "docs/decisions/9999 says so.", 1),
        ("docs/x.md", "```\ncore/nowhere.py\n```\n", 0),
        ("docs/x.md", "https://example.org/docs/nowhere.md", 0),
    ],
)
def test_a_name_of_nothing_is_found(path: str, text: str, count: int) -> None:
    assert len(named_things_exist(path, text)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("# 7. X\n\nStatus: accepted\n\n## Context\n\n## Decision\n\n## Consequences\n", 0),
        ("# 8. X\n\nStatus: accepted\n\n## Context\n\n## Decision\n\n## Consequences\n", 1),
        ("# 7. X\n\n## Context\n\n## Decision\n", 2),
    ],
)
def test_a_decision_without_its_parts_is_found(text: str, count: int) -> None:
    assert len(is_a_decision("docs/decisions/0007-x.md", text)) == count
