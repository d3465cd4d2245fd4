"""Checks that files stay short, and that every test stands where its module's name says."""

from pathlib import PurePosixPath

import pytest

from house import CHECKOUT, PACKAGES, PYTHON, hold, sources

LINES_MAX = 600
# Longer files, each with its reason.
LONG: dict[str, str] = {
    "ext/structs.pxd": "every C struct of the interpreter, told apart by what they are for",
}
# Folders of tests/ that mirror no package, each with its reason.
OTHER_FOLDERS = {
    "data": "runs on public data, held against counts that other programs make",
    "faults": "numbered scenarios of what goes wrong: crashes, disks, providers, attacks",
    "features": "what was promised, through every layer",
    "support": "what several tests share",
    "tidy": "the house rules, about files rather than modules",
    "vectors": "known answers that several implementations must give",
}


def short(path: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{path} has {lines} lines"] if lines > LINES_MAX and path not in LONG else []


def mirrors_a_module(path: str, _text: str) -> list[str]:
    """tests/core/test_x.py tests core/x.py; when that is too long, test_x_waits.py is its part."""
    folder, name = PurePosixPath(path).parent.relative_to("tests"), PurePosixPath(path).name
    if not name.startswith("test_"):
        return [] if name in ("__init__.py", "conftest.py") else [f"{path} is not a test"]
    words = PurePosixPath(name).stem.removeprefix("test_").split("_")
    wanted = [
        CHECKOUT / folder / ("_".join(words[:count]) + suffix)
        for count in range(1, len(words) + 1)
        for suffix in (".py", ".pyx", ".pxd", "")
    ]
    return [] if any(module.exists() for module in wanted) else [f"{path} tests no module"]


def test_files_are_short() -> None:
    code = sources(suffixes=(*PYTHON, ".pyx", ".pxd", ".html", ".css", ".js"))
    hold(short, code)
    stale = [path for path in LONG if len(code.get(path, "").splitlines()) <= LINES_MAX]
    assert stale == []


def test_every_test_mirrors_a_module() -> None:
    tests = {
        path: text
        for path, text in sources("tests", suffixes=(".py",)).items()
        if path.split("/")[1] in PACKAGES
    }
    hold(mirrors_a_module, tests)


def test_every_other_folder_of_tests_has_its_reason() -> None:
    folders = {
        path.split("/")[1] for path in sources("tests", suffixes=("",)) if path.count("/") > 1
    }
    assert folders - set(PACKAGES) == set(OTHER_FOLDERS)


def test_a_long_file_is_found() -> None:
    assert short("core/x.py", "\n" * (LINES_MAX + 1)) == ["core/x.py has 601 lines"]
    assert short("core/x.py", "\n" * LINES_MAX) == []


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("tests/core/test_limits.py", 0),
        ("tests/core/test_limits_of_waits.py", 0),
        ("tests/core/test_nothing.py", 1),
        ("tests/ext/test_limits.py", 1),
        ("tests/core/helpers.py", 1),
        ("tests/core/conftest.py", 0),
        ("tests/actors/relay/test_lane.py", 0),
        ("tests/actors/relay/channels/test_lane.py", 1),
    ],
)
def test_a_test_without_a_module_is_found(path: str, count: int) -> None:
    assert len(mirrors_a_module(path, "")) == count
