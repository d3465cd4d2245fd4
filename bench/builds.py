"""Build copies of the checkout: with symbols for a profile, or for the local processor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.alone import CHECKOUT

PACKAGES = ("core", "ext", "actors", "api", "bench")
FILES = ("setup.py", "pyproject.toml", "README.md")
UNCOPIED = shutil.ignore_patterns("*.so", "__pycache__", "results")
NO_SYMBOLS, SYMBOLS = '"-g0"', '"-g"'


def build_copy(folder: Path, *, native: bool = False) -> Path:
    """Copy the checkout to `folder`, which must not exist, and compile it there with symbols.

    Symbols tell of the code and leave it as it is. RuntimeError with what the compiler said.
    """
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, folder / package, ignore=UNCOPIED)
    for name in FILES:
        shutil.copy(CHECKOUT / name, folder)
    script = folder / "setup.py"
    text = script.read_text()
    if NO_SYMBOLS not in text:
        raise RuntimeError(f"setup.py has no {NO_SYMBOLS} to be replaced by {SYMBOLS}")
    script.write_text(text.replace(NO_SYMBOLS, SYMBOLS))
    flags = {"HEADRACE_NATIVE": str(int(native)), "HEADRACE_DEBUG": "0"}
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | flags, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"the copy was not built:\n{ran.stdout}{ran.stderr}")
    return folder


def hold_place(module_file: str | None) -> None:
    """RuntimeError where a module was not loaded from the folder in which this process runs."""
    if module_file is None or not Path(module_file).resolve().is_relative_to(Path.cwd().resolve()):
        raise RuntimeError(f"{module_file} was loaded, which is not of the copy that was built")
