"""Checks, by Cython's own annotation, that no line that runs without the GIL touches Python."""

import re
import runpy
from pathlib import Path

import pytest
from Cython.Build import cythonize

from house import CHECKOUT, cython_code, sources

# Cython marks each line of its report with the weight of the Python calls it became, and then shows
# the C, in which a way out with an exception weighs nothing and yet takes the GIL.
_LINE = re.compile(
    r'<pre class="cython line score-(\d+)"[^>]*>[^<]*<span class="">0*(\d+)</span>(.*?)'
    r'(?=<pre class="cython line|\Z)',
    re.DOTALL,
)
_RAISES = "error_goto"
_HEADER = re.compile(r"\bnogil\b[^:]*:\s*$")


def lines_without_gil(text: str) -> set[int]:
    """The 1-based lines inside nogil functions and blocks, without the lines that open them."""
    lines = cython_code(text).splitlines()
    inside: set[int] = set()
    for end, line in enumerate(lines):
        if not _HEADER.search(line):
            continue
        start, unopened = end, line.count(")") - line.count("(")
        while unopened > 0:
            start -= 1
            unopened += lines[start].count(")") - lines[start].count("(")
        indent = len(lines[start]) - len(lines[start].lstrip())
        for number, body in enumerate(lines[end + 1 :], start=end + 2):
            if body.strip():
                if len(body) - len(body.lstrip()) <= indent:
                    break
                inside.add(number)
    return inside


def python_without_gil(path: Path, build_dir: Path) -> list[str]:
    """Complains of the lines of a .pyx that hold no GIL and yet call Python, errors included."""
    directives = runpy.run_path(str(CHECKOUT / "setup.py"))["DIRECTIVES"]
    cythonize(
        [str(path)],
        annotate=True,
        build_dir=str(build_dir),
        compiler_directives=directives,
        force=True,
        quiet=True,
    )
    (report,) = build_dir.rglob(f"{path.stem}.html")
    python = {
        int(line): score != "0" or _RAISES in code
        for score, line, code in _LINE.findall(report.read_text())
    }
    text = path.read_text()
    lines = text.splitlines()
    assert len(python) == len(lines)
    return [
        f"{path.name}:{line} calls Python or may raise: {lines[line - 1].strip()}"
        for line in sorted(lines_without_gil(text))
        if python[line]
    ]


@pytest.mark.parametrize("path", sources("ext", suffixes=(".pyx",)))
def test_no_line_without_the_gil_calls_python(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert python_without_gil(Path(path), tmp_path) == []


def test_regions_are_found() -> None:
    text = """\
cdef int f(int a,
           int b) noexcept nogil:
    # a comment

    return a

def g():
    with nogil:
        f(1, 2)
    return 1
    for i in prange(9, nogil=True):
        f(i, 0)
"""
    assert lines_without_gil(text) == {5, 9, 12}


def test_python_inside_a_region_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("probe.pyx").write_text(
        """\
cdef int raises(int x) except -1 nogil:
    return x

cdef int calls(int x) noexcept nogil:
    with gil:
        print(x)
    return raises(x)

cdef int clean(long[::1] xs) noexcept nogil:
    return xs[0] // 3
"""
    )
    found = python_without_gil(Path("probe.pyx"), tmp_path / "build")
    assert [complaint.split()[0] for complaint in found] == [
        "probe.pyx:5",
        "probe.pyx:6",
        "probe.pyx:7",
    ]
