"""Checks that core and ext take time and chance from their inputs only."""

import ast
import re

import pytest

from house import CYTHON, cython_code, hold, line_of, sources

# As written in code: the last two parts of a dotted name.
CLOCKS = {
    *{f"time.{name}{ns}" for name in ("time", "monotonic", "perf_counter") for ns in ("", "_ns")},
    *{"time.gmtime", "time.localtime", "datetime.now", "datetime.utcnow", "datetime.today"},
    *{"date.today", "os.urandom", "uuid.uuid1", "uuid.uuid4"},
}
MODULES = {"random", "secrets", "time", "uuid"}
C_CALLS = {"rand", "random", "drand48", "clock", "clock_gettime", "gettimeofday", "time"}
_DOTTED = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)+")
_CALL = re.compile(r"(?<![\w.])(\w+)\(")
_IMPORT = re.compile(r"^[ \t]*(?:from|c?import)[ \t]+(?:libc\.)?(\w+)", re.MULTILINE)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _call(node: ast.Call) -> str | None:
    name = _dotted(node.func)
    parts = name.split(".")
    if "random" in parts[:-1] and (parts[-1] != "default_rng" or not (node.args or node.keywords)):
        return f"{name} draws from a generator without a seed"
    if name == "default_rng" and not (node.args or node.keywords):
        return "default_rng draws from a generator without a seed"
    if name == "hash":
        return "hash differs from one process to the next"
    return None


def no_clock_no_chance(path: str, text: str) -> list[str]:
    found: list[tuple[int, str]] = []
    if path.endswith(CYTHON):
        code = cython_code(text)
        for match in _IMPORT.finditer(code):
            if match[1] in MODULES:
                found.append((line_of(code, match.start()), f"imports {match[1]}"))
        for match in _DOTTED.finditer(code):
            if ".".join(match[0].split(".")[-2:]) in CLOCKS or ".random." in match[0]:
                found.append((line_of(code, match.start()), match[0]))
        for match in _CALL.finditer(code):
            if match[1] in C_CALLS | {"hash"}:
                found.append((line_of(code, match.start()), match[1]))
        return [f"{path}:{line} {what}" for line, what in found]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names} & MODULES
            found += [(node.lineno, f"imports {name}") for name in names]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES:
                found.append((node.lineno, f"imports {node.module}"))
        elif isinstance(node, ast.Attribute):
            if ".".join(_dotted(node).split(".")[-2:]) in CLOCKS:
                found.append((node.lineno, _dotted(node)))
        elif isinstance(node, ast.Call) and (what := _call(node)):
            found.append((node.lineno, what))
    return [f"{path}:{line} {what}" for line, what in found]


def test_core_and_ext_have_no_clock_and_no_chance() -> None:
    hold(no_clock_no_chance, sources("core", "ext"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "import time"),
        ("core/x.py", "from random import choice"),
        ("core/x.py", "now = datetime.datetime.now(UTC)"),
        ("core/x.py", "clock = date.today"),
        ("core/x.py", "np.random.shuffle(x)"),
        ("core/x.py", "rng = np.random.default_rng()"),
        ("core/x.py", "rng = default_rng()"),
        ("core/x.py", "key = hash(customer)"),
        ("ext/x.pyx", "from libc.time cimport clock_t"),
        ("ext/x.pyx", "now = datetime.now()"),
        ("ext/x.pyx", "x = np.random.random()"),
        ("ext/x.pyx", "x = rand()"),
    ],
)
def test_clocks_and_chance_are_found(path: str, text: str) -> None:
    assert len(no_clock_no_chance(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "rng = np.random.default_rng(7)\nx = rng.random(3)"),
        ("core/x.py", "zoned = datetime.fromtimestamp(s, UTC)"),
        ("ext/x.pyx", "# time.time() is not used\nx = hash_words(y)"),
    ],
)
def test_what_is_given_is_allowed(path: str, text: str) -> None:
    assert no_clock_no_chance(path, text) == []
