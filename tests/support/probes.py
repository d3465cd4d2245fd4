"""Compiles a Cython module of tests against the declarations in ext, outside the checkout."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]

_BUILD = """
import runpy, sys
from Cython.Build import cythonize
from setuptools import Extension, setup
name, source, known = sys.argv.pop(1), sys.argv.pop(1), runpy.run_path(sys.argv.pop(1))
module = Extension(
    name, [source], define_macros=known["MACROS"], extra_compile_args=["-O0", "-g0", "-w"]
)
modules = cythonize(
    [module], compiler_directives=known["DIRECTIVES"], quiet=True, include_path=[sys.argv.pop(1)]
)
setup(ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])
"""


def compiled(source: Path, folder: Path) -> ModuleType:
    """Compile a .pyx of tests/support in `folder` and import it."""
    name = source.stem
    copied = folder / source.name
    copied.write_text(source.read_text())
    script = folder / "build.py"
    script.write_text(_BUILD)
    ran = subprocess.run(
        [sys.executable, str(script), name, copied.name, str(CHECKOUT / "setup.py"), str(CHECKOUT)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    [library] = folder.glob(f"{name}.*.so")
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
