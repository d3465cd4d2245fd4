"""Builds the Cython modules of `ext`; everything else is declared in pyproject.toml.

HEADRACE_DEBUG=1 keeps bounds checks and assertions, at -O1 -g.
HEADRACE_NATIVE=1 tunes for this very machine: such a build must not be handed to another.
"""

import os
import platform
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("HEADRACE_DEBUG") == "1"
NATIVE = os.environ.get("HEADRACE_NATIVE") == "1"
JOBS = os.cpu_count() or 1

# Results must be equal bit for bit on every machine: no -ffast-math, and no fused multiply-add.
CFLAGS = ["-ffp-contract=off", "-O1" if DEBUG else "-O3"]
MACROS = [
    ("HEADRACE_DEBUG", str(int(DEBUG))),
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
]
if DEBUG:
    CFLAGS += ["-g", "-UNDEBUG"]
else:
    CFLAGS += ["-g0"]
    MACROS += [("CYTHON_WITHOUT_ASSERTIONS", "1")]
if NATIVE:
    CFLAGS += ["-mcpu=native" if platform.machine() == "arm64" else "-march=native"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    # Off in both builds: a negative index is then an error where bounds are checked.
    "wraparound": False,
    "initializedcheck": DEBUG,
    # The same in both builds, because it decides the result of a negative division.
    "cdivision": True,
    "embedsignature": True,
}


class BuildExt(build_ext):
    """Translates .pyx to C below build/, and only when extensions are built: sdist needs no C."""

    def run(self) -> None:
        """Translates in parallel, then compiles in parallel what is out of date."""
        translated = {
            module.name: module
            for module in cythonize(
                [Extension(ext.name, ext.sources) for ext in self.extensions],
                build_dir="build/cython-debug" if DEBUG else "build/cython",
                compiler_directives=DIRECTIVES,
                force=bool(self.force),
                nthreads=JOBS,
            )
        }
        for ext in self.extensions:
            ext.sources = translated[ext.name].sources
            ext.depends = [*translated[ext.name].depends, "setup.py"]
        self.parallel = JOBS
        super().run()


if __name__ == "__main__":  # cythonize's workers import this file again on macOS
    setup(
        cmdclass={"build_ext": BuildExt},
        ext_modules=[
            Extension(
                f"ext.{source.stem}",
                [source.as_posix()],
                include_dirs=[numpy.get_include()],
                define_macros=MACROS,
                extra_compile_args=CFLAGS,
                libraries=["m"],
            )
            for source in sorted(Path("ext").glob("*.pyx"))
        ],
    )
