"""Plants faults into a copy of the compiled interpreter, to show that comparing finds each of them.

Each fault replaces some whole lines, which must occur exactly once. All are built into one module:
where a fault stands, the C variable `headrace_fault` chooses between the true and the false lines.
Run as a program, this tries each fault on random cases and prints after how many it was found.
"""

from __future__ import annotations

import ctypes
import json
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
CASES = 150
MEMORY_BYTES_MAX = 6 * 2**30  # some faults make tokens without end


class Fault(NamedTuple):
    """What is wrong, and the lines of a file that it replaces, without their common indentation."""

    name: str
    file: str
    true: str
    false: str


FAULTS = (
    Fault(
        "a timeout one millisecond late",
        "kernels.pxd",
        """
        due_ms = later(m, c, node)
        if due_ms <= person.now_ms:
            go_on(m, c, t, 1)
            return
        """,
        """
        due_ms = later(m, c, node) + 1
        if due_ms <= person.now_ms:
            go_on(m, c, t, 1)
            return
        """,
    ),
    Fault(
        "a timer before an event of the same instant",
        "timeline.pxd",
        """
        if person.timers >= 0 and m.s.timers[person.timers].key < best:
            best = m.s.timers[person.timers].key
            rank[0] = RANK_TIMER
        """,
        """
        if person.timers >= 0 and m.s.timers[person.timers].key <= best:
            best = m.s.timers[person.timers].key
            rank[0] = RANK_TIMER
        """,
    ),
    Fault(
        "yes and no swapped",
        "kernels.pxd",
        "go_on(m, c, t, decide(m, node.cond, c, NO_ROW, value, person.now_ms))",
        "go_on(m, c, t, node.ports - 1 - decide(m, node.cond, c, NO_ROW, value, person.now_ms))",
    ),
    Fault(
        "a write that is lost",
        "kernels.pxd",
        "write_cell(&m.p.columns[node.a], m.s.lo + c - m.p.columns[node.a].base, node.x)",
        "pass",
    ),
    Fault(
        "a sum that is lost",
        "kernels.pxd",
        "write_cell(column, m.s.lo + c - column.base, total)",
        "pass",
    ),
    Fault(
        "the block's first customer read for all",
        "predicates.pxd",
        "return read_cell(column.data, column.store, m.s.lo + c - column.base, value)",
        "return read_cell(column.data, column.store, m.s.lo - column.base, value)",
    ),
    Fault(
        "a fork that is lost",
        "tokens.pxd",
        """
        for k in range(1, p.edges):
            fork = token_make(m, entry, m.p.edges[p.edge0 + k], TOKEN_READY)
            if fork < 0:
                return 0
            ready_push(m, &m.s.persons[c], fork)
        """,
        "pass",
    ),
    Fault(
        "last in, first out",
        "tokens.pxd",
        """
        m.s.tokens[t].next = -1
        if person.ready < 0:
            person.ready = t
        else:
            m.s.tokens[person.ready_last].next = t
        person.ready_last = t
        """,
        """
        m.s.tokens[t].next = person.ready
        person.ready = t
        """,
    ),
    Fault(
        "a window of history that is closed",
        "predicates.pxd",
        """
        if ms <= begin:
            break
        """,
        """
        if ms < begin:
            break
        """,
    ),
    Fault(
        "a wrong number of the visit",
        "tokens.pxd",
        """
        count[0] += 1
        return count[0]
        """,
        """
        count[0] += 1
        return count[0] - 1
        """,
    ),
    Fault(
        "an end of the whole flow that ends one token",
        "kernels.pxd",
        """
        if node.flags & FLAG_WHOLE:
            end_whole_flow(m, c, t)
        else:
            token_end(m, t)
        """,
        "token_end(m, t)",
    ),
    Fault(
        "waits woken in the order in which they came",
        "timeline.pxd",
        """
        if n > 1:
            sort_by_tie(m, m.scratch, n)
        """,
        "pass",
    ),
    Fault(
        "a gap that is enough a millisecond later",
        "admission.pxd",
        """
        if m.p.gap_ms >= 0 and admission.last_ms > now - m.p.gap_ms:
            note_outcome(m, c, node, OUT_REFUSED_GAP, identity)
            return
        """,
        """
        if m.p.gap_ms >= 0 and admission.last_ms >= now - m.p.gap_ms:
            note_outcome(m, c, node, OUT_REFUSED_GAP, identity)
            return
        """,
    ),
    Fault(
        "a success that counts a millisecond less long",
        "timeline.pxd",
        "over = w.deadline_ms < person.now_ms",
        "over = w.deadline_ms <= person.now_ms",
    ),
)


def planted(text: str, fault: Fault, number: int) -> str:
    """The text of the fault's file with the fault planted; ValueError unless its place is one."""
    true = textwrap.dedent(fault.true).strip("\n")
    first = true.splitlines()[0]
    places = []
    for at, line in enumerate(text.splitlines()):
        if line.strip() == first:
            indent = line[: len(line) - len(line.lstrip())]
            block = textwrap.indent(true, indent).splitlines()
            if text.splitlines()[at : at + len(block)] == block:
                places.append((at, len(block), indent))
    if len(places) != 1:
        raise ValueError(f"{fault.file}: {len(places)} places for the fault: {fault.name}")
    [(at, count, indent)] = places
    false = textwrap.dedent(fault.false).strip("\n")
    body = textwrap.indent
    chosen = f"if headrace_fault == {number}:\n{body(false, '    ')}\nelse:\n{body(true, '    ')}"
    lines = text.splitlines()
    lines[at : at + count] = body(chosen, indent).splitlines()
    return "\n".join(lines) + "\n"


_CHOICE = '''
cdef extern from *:
    """
    #ifndef HEADRACE_FAULT
    #define HEADRACE_FAULT
    int headrace_fault = 0;
    #endif
    """
    int headrace_fault
'''

_BUILD = """
import runpy, sys
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
known = runpy.run_path(sys.argv.pop())
module = Extension(
    "ext.machine", ["ext/machine.pyx"], include_dirs=[numpy.get_include()], libraries=["m"],
    define_macros=known["MACROS"], extra_compile_args=["-O0", "-g0", "-w", "-ffp-contract=off"],
)
directives = known["DIRECTIVES"]
modules = cythonize([module], compiler_directives=directives, quiet=True)
setup(ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])
"""


def build(folder: Path) -> None:
    """Make the package `ext` in `folder`, with a machine that has all faults in it.

    ValueError where the place of a fault is not found, CalledProcessError where it can't be built.
    """
    package = folder / "ext"
    package.mkdir()
    for path in (CHECKOUT / "ext").iterdir():
        if path.suffix in (".pxd", ".py", ".so") and "machine." not in path.name:
            shutil.copy(path, package)
    for name in ("machine.pyx", "machine.pxd"):
        shutil.copy(CHECKOUT / "ext" / name, package)
    for number, fault in enumerate(FAULTS, start=1):
        path = package / fault.file
        path.write_text(planted(path.read_text(), fault, number))
    for name in sorted({fault.file for fault in FAULTS}):
        path = package / name
        head, marker, rest = path.read_text().partition("\nfrom libc")
        path.write_text(head + _CHOICE + marker + rest)
    script = folder / "build.py"
    script.write_text(_BUILD)
    subprocess.run(
        [sys.executable, str(script), str(CHECKOUT / "setup.py")],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )


def main() -> None:
    """Print, as JSON, after how many cases each fault was found, null for never; "" is no fault."""
    from differential import CUTS, TooLongError, difference, load, run_cut, run_reference
    from ext import machine
    from random_flows import random_case

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    chosen = ctypes.c_int.in_dll(ctypes.CDLL(machine.__file__), "headrace_fault")
    found: dict[str, int | None] = dict.fromkeys(["", *(fault.name for fault in FAULTS)])
    for seed in range(CASES):
        loaded = load(random_case(seed))
        try:
            expected = run_reference(loaded)
        except TooLongError:
            continue
        bound = loaded.bound()
        for number, name in enumerate(found):
            if found[name] is None:
                chosen.value = number
                try:
                    same = difference(expected, run_cut(bound, CUTS[0])) is None
                except MemoryError:
                    same = False
                if not same:
                    found[name] = seed + 1
    print(json.dumps(found))


if __name__ == "__main__":
    main()
