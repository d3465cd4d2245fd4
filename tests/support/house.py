"""Read the project's own files for the tests of the house rules.

A rule is a function of a path and a text that returns complaints, so that each can be shown to
catch what it forbids.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "ext", "actors", "api")
PYTHON = (".py", ".pyi")
CYTHON = (".pyx", ".pxd")
# Made by builds and tools; hidden folders are left out as well, except this one.
GENERATED = {"build", "dist", "node_modules", "__pycache__"}
HIDDEN_BUT_OURS = {".ci"}

Rule = Callable[[str, str], list[str]]


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name not in HIDDEN_BUT_OURS
            if not (hidden or path.name in GENERATED or path.name.endswith(".egg-info")):
                yield from _walk(path)
        elif path.suffix not in (".c", ".so"):
            yield path


@cache
def texts() -> dict[str, str]:
    """Every text file of the checkout: its path from there, with slashes, and what it says."""
    found = {}
    for path in _walk(CHECKOUT):
        data = path.read_bytes()
        if b"\0" not in data:
            try:
                found[path.relative_to(CHECKOUT).as_posix()] = data.decode()
            except UnicodeDecodeError:
                continue
    return found


def sources(*folders: str, suffixes: tuple[str, ...] = PYTHON + CYTHON) -> dict[str, str]:
    """The files of `texts` with one of the suffixes, below one of the folders if any is named."""
    return {
        path: text
        for path, text in texts().items()
        if path.endswith(suffixes) and (not folders or path.split("/")[0] in folders)
    }


def hold(rule: Rule, files: dict[str, str]) -> None:
    """Fails with every complaint of the rule about the files, of which there must be some."""
    __tracebackhide__ = True
    assert files
    found = [complaint for path, text in files.items() for complaint in rule(path, text)]
    assert not found, "\n".join(["", *found])


_CYTHON_PROSE = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*',
    re.DOTALL,
)


def cython_code(text: str) -> str:
    """The Cython text with strings and comments blanked, every line and column in its place."""
    return _CYTHON_PROSE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def line_of(text: str, offset: int) -> int:
    """The 1-based line of an offset."""
    return text.count("\n", 0, offset) + 1
