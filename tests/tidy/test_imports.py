"""Checks that imports point one way, api -> actors -> ext -> core, and that core does no I/O."""

import ast
import re
import sys
import tomllib

import pytest

from house import (
    CHECKOUT,
    CYTHON,
    PACKAGES,
    cython_code,
    hold,
    line_of,
    sources,
)

MAY_IMPORT = {package: set(PACKAGES[: i + 1]) for i, package in enumerate(PACKAGES)}
OURS = {*PACKAGES, "bench", "tests"}
# The library's package on the left is imported under the name on the right.
IMPORT_NAMES = {
    "google-re2": "re2",
    "python-liquid": "liquid",
    "PyYAML": "yaml",
    "scikit-learn": "sklearn",
}
CORE_LIBRARIES = {"numpy", "scipy", "pydantic", "re2", "typing_extensions", "xxhash", "yaml"}
CYTHON_LIBRARIES = {"numpy", "cython", "cpython", "libc", "libcpp", "typing_extensions"}
IO_MODULES = {
    *{"asyncio", "fileinput", "glob", "http", "logging", "mmap", "multiprocessing", "os"},
    *{"pathlib", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess"},
    *{"tempfile", "threading", "urllib"},
}
IO_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint"}
_CIMPORT_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+c?import\b", re.MULTILINE)
_CIMPORT = re.compile(r"^[ \t]*c?import[ \t]+([^\n;]+)", re.MULTILINE)


def imported(path: str, text: str) -> list[tuple[int, str]]:
    """Line and top-level package of every import, wherever in the file it stands."""
    package = path.split("/")[0]
    found = []
    if path.endswith(CYTHON):
        code = cython_code(text)
        for match in _CIMPORT_FROM.finditer(code):
            name = package if match[1] else match[2].split(".")[0]
            found.append((line_of(code, match.start()), name))
        for match in _CIMPORT.finditer(code):
            for name in match[1].split(","):
                found.append((line_of(code, match.start()), name.split()[0].split(".")[0]))
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = package if node.level else (node.module or "").split(".")[0]
            found.append((node.lineno, name))
    return found


def imports_point_down(path: str, text: str) -> list[str]:
    package = path.split("/")[0]
    return [
        f"{path}:{line} imports {name}, which {package} must not"
        for line, name in imported(path, text)
        if name in OURS and name not in MAY_IMPORT[package]
    ]


def libraries_are_declared(path: str, text: str) -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=!~\[; ]", line)[0] for line in project["dependencies"]}
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}
    package = path.split("/")[0]
    if package == "core":
        declared &= CORE_LIBRARIES
    if package == "ext":
        declared = CYTHON_LIBRARIES
    return [
        f"{path}:{line} imports {name}: not a library that {package} may depend on"
        for line, name in imported(path, text)
        if name not in OURS | declared | sys.stdlib_module_names
    ]


def core_does_no_io(path: str, text: str) -> list[str]:
    found = [
        f"{path}:{line} imports {name}: readers and writers belong to actors"
        for line, name in imported(path, text)
        if name in IO_MODULES
    ]
    if path.endswith(CYTHON):
        calls = re.finditer(rf"(?<![\w.])({'|'.join(IO_CALLS)})\(", cython_code(text))
        return found + [f"{path}:{line_of(text, call.start())} calls {call[1]}" for call in calls]
    return found + [
        f"{path}:{node.lineno} calls {node.func.id}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in IO_CALLS
    ]


def test_imports_point_one_way() -> None:
    hold(imports_point_down, sources(*PACKAGES))


def test_every_library_is_declared_for_its_package() -> None:
    hold(libraries_are_declared, sources(*PACKAGES))


def test_core_and_ext_do_no_io() -> None:
    hold(core_does_no_io, sources("core", "ext"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "from ext import machine"),
        ("core/x.py", "def late():\n    import api.main\n"),
        ("ext/x.py", "from actors.run import run"),
        ("actors/x.pyi", "import core, api"),
        ("ext/x.pyx", "cimport numpy\nfrom actors.run cimport run"),
        ("ext/x.pxd", "cimport core.x, api.y as y"),
        ("api/x.py", "import tests.support"),
    ],
)
def test_an_import_upwards_is_found(path: str, text: str) -> None:
    assert len(imports_point_down(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("api/x.py", "from core import flow\nfrom . import pages"),
        ("ext/x.pyx", '"""\nimport api\n"""\nfrom ext.y cimport z  # from api import x'),
        ("ext/x.pxd", 'cdef extern from "api.h":\n    pass'),
    ],
)
def test_an_import_downwards_or_in_prose_is_not(path: str, text: str) -> None:
    assert imports_point_down(path, text) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [("core/x.py", "import pyarrow"), ("api/x.py", "import torch"), ("ext/x.pyx", "import scipy")],
)
def test_a_library_out_of_place_is_found(path: str, text: str) -> None:
    assert len(libraries_are_declared(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/x.py", "import os.path"),
        ("core/x.py", "x = open('a')"),
        ("ext/x.pyx", "print(1)"),
        ("ext/x.pyx", "from pathlib import Path"),
    ],
)
def test_io_is_found(path: str, text: str) -> None:
    assert len(core_does_no_io(path, text)) == 1
