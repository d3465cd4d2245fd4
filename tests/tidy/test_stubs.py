"""Checks that every compiled module has true type stubs, and declarations that others cimport."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

from house import CHECKOUT, hold, sources

# Compiled modules without a .pxd, each with its reason.
WITHOUT_PXD: dict[str, str] = {}
# What Cython adds to every module or class.
ALLOWED = r"""
ext\.\w+\.__test__
ext\.\w+\.__pyx_capi__
ext\.\w+\.\w+\.__reduce_cython__
ext\.\w+\.\w+\.__setstate_cython__
"""


def _modules(suffix: str) -> set[str]:
    return {Path(path).stem for path in sources("ext", suffixes=(suffix,))}


def no_directives(path: str, text: str) -> list[str]:
    """Directives in a file would win over those of the debug build."""
    found = re.findall(r"^\s*(#\s*cython\s*:.*|@cython\.(?:boundscheck|wraparound).*)", text, re.M)
    return [f"{path}: {line!r} belongs to DIRECTIVES in setup.py" for line in found]


def test_every_compiled_module_has_a_stub_and_declarations() -> None:
    assert _modules(".pyi") == _modules(".pyx")
    assert _modules(".pyx") - _modules(".pxd") == set(WITHOUT_PXD)


def test_directives_are_declared_once() -> None:
    hold(no_directives, sources("ext", suffixes=(".pyx", ".pxd")))


def test_a_directive_in_a_file_is_found() -> None:
    assert len(no_directives("ext/x.pyx", "# cython: boundscheck=False\n")) == 1
    assert len(no_directives("ext/x.pyx", "@cython.boundscheck(False)\ndef f(): ...\n")) == 1


def test_stubs_tell_the_truth(tmp_path: Path) -> None:
    names = sorted(f"ext.{module}" for module in _modules(".pyx"))
    for name in names:
        compiled = Path(str(importlib.import_module(name).__file__))
        source = CHECKOUT / "ext" / f"{name.removeprefix('ext.')}.pyx"
        assert compiled.stat().st_mtime >= source.stat().st_mtime, f"{name} is stale: make build"
    allowlist = tmp_path / "allowlist"
    allowlist.write_text(ALLOWED)
    check = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", *names),
            *("--mypy-config-file", "pyproject.toml"),
            *("--allowlist", str(allowlist), "--ignore-unused-allowlist"),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"no issues found in {len(names)} module" in check.stdout
