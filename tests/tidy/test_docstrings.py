"""Checks that every file says what it is for, and every public function and class what it does."""

import ast
import re

import pytest

from house import CYTHON, PACKAGES, PYTHON, cython_code, hold, line_of, sources

_CYTHON_DEF = re.compile(
    r"^([ \t]*)(?:cpdef\b[^(\n]*?|def[ \t]+|(?:cdef[ \t]+)?class[ \t]+)(\w+)[ \t]*(?=[(:])", re.M
)
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _head(path: str, text: str) -> str | None:
    """The first line of a file's docstring; a .pxd may open with a comment instead."""
    if path.endswith(PYTHON):
        docstring = ast.get_docstring(ast.parse(text))
        return docstring and docstring.splitlines()[0]
    match = re.match(r'\s*(?:r?"""(.*?)(?:"""|$)|# ?(.*)$)', text, re.M)
    if match is None or (match[1] is None and path.endswith(".pyx")):
        return None
    return match[2] if match[1] is None else match[1]


def head_is_a_sentence(path: str, text: str) -> list[str]:
    head = _head(path, text)
    if not head:
        return [f"{path} does not say what it is for"]
    wrong = not head.rstrip().endswith(".") or len(head.split()) < 3
    return [f"{path}: the first line is no sentence: {head!r}"] if wrong else []


def _undocumented(node: ast.AST, prefix: str = "") -> list[tuple[int, str]]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Documented) and not child.name.startswith("_"):
            name = prefix + child.name
            overload = any("overload" in ast.dump(mark) for mark in child.decorator_list)
            setter = any(
                isinstance(mark, ast.Attribute) and mark.attr == "setter"
                for mark in child.decorator_list
            )
            if not (ast.get_docstring(child) or overload or setter):
                found.append((child.lineno, name))
            if isinstance(child, ast.ClassDef):
                found += _undocumented(child, f"{name}.")
    return found


def _cython_undocumented(text: str) -> list[tuple[int, str]]:
    code = cython_code(text)
    lines = text.splitlines()
    found = []
    private_indent: int | None = None
    for match in _CYTHON_DEF.finditer(code):
        indent, name = len(match[1]), match[2]
        if private_indent is not None and indent > private_indent:
            continue
        private_indent = indent if name.startswith("_") else None
        depth, end = 0, match.end()
        while code[end] != ":" or depth:
            depth += (code[end] in "([{") - (code[end] in ")]}")
            end += 1
        after = "\n".join(lines[line_of(code, end) :]).lstrip()
        if not name.startswith("_") and not after.startswith(('"""', 'r"""')):
            found.append((line_of(code, match.start()), name))
    return found


def public_is_documented(path: str, text: str) -> list[str]:
    cython = path.endswith(CYTHON)
    found = _cython_undocumented(text) if cython else _undocumented(ast.parse(text))
    return [f"{path}:{line} {name} has no docstring" for line, name in found]


def test_every_file_opens_with_a_sentence() -> None:
    hold(head_is_a_sentence, sources())


def test_every_public_function_and_class_is_documented() -> None:
    # Declarations in a .pxd and stubs in a .pyi are documented in their .pyx.
    code = sources(*PACKAGES, "bench", suffixes=(".py", ".pyx"))
    hold(public_is_documented, code)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "import os\n"),
        ("core/x.py", '"""Counts things"""'),
        ("core/x.py", '"""Utilities."""'),
        ("ext/x.pyx", "# Counts things fast.\n"),
        ("ext/x.pyx", '"""\nCounts things fast.\n"""'),
        ("ext/x.pxd", "from libc.stdint cimport int64_t\n"),
    ],
)
def test_a_file_without_a_sentence_is_found(path: str, text: str) -> None:
    assert len(head_is_a_sentence(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", '"""Counts things fast.\n\nAnd why."""'),
        ("ext/x.pyx", '"""Counts things fast."""\n'),
        ("ext/x.pxd", "# Counts things fast.\n"),
    ],
)
def test_a_sentence_is_accepted(path: str, text: str) -> None:
    assert head_is_a_sentence(path, text) == []


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("core/x.py", "def f(): ...", "f"),
        ("core/x.py", 'class A:\n    """A."""\n    def f(self): ...', "A.f"),
        ("core/x.py", "class A(B): ...", "A"),
        ("ext/x.pyx", "def f(int[:] x,\n      y):\n    return 1", "f"),
        ("ext/x.pyx", "cpdef int f(x):\n    return 1", "f"),
        ("ext/x.pyx", "cdef class A:\n    cdef int x", "A"),
        ("ext/x.pyx", 'cdef class A:\n    """A."""\n    def f(self):\n        pass', "f"),
    ],
)
def test_a_public_name_without_docstring_is_found(path: str, text: str, name: str) -> None:
    assert [complaint.split()[1] for complaint in public_is_documented(path, text)] == [name]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "def _f(): ...\nclass _A:\n    def f(self): ..."),
        ("core/x.py", 'def f():\n    """F."""\n    def inner(): ...'),
        ("ext/x.pyx", "cdef int f(int x) noexcept nogil:\n    return x"),
        ("ext/x.pyx", "cdef class _A:\n    def f(self):\n        pass"),
        ("ext/x.pyx", 'def f(x={1: 2}):\n    r"""F."""\n'),
    ],
)
def test_what_is_private_or_documented_is_accepted(path: str, text: str) -> None:
    assert public_is_documented(path, text) == []
