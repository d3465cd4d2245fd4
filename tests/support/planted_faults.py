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
CASES = 400
MEMORY_BYTES_MAX = 6 * 2**30  # some faults make tokens without end


class Fault(NamedTuple):
    """What is wrong, and the lines of a file that it replaces, without their common indentation."""

    name: str
    file: str
    true: str
    false: str


FAULTS = (
    Fault(
        "a wait one millisecond longer",
        "kernels.pxd",
        "pass_until(m, onward[k], onward[k].now_ms + ms)",
        "pass_until(m, onward[k], onward[k].now_ms + ms + 1)",
    ),
    Fault(
        "a timer before an event of the same instant",
        "kernels.pxd",
        """
        return (
            (person.crowd | person.stage) == 0
        ) & (due_ms < min(min(person.input_ms, person.other_ms), m.w.until_ms))
        """,
        """
        return (
            (person.crowd | person.stage) == 0
        ) & (due_ms <= min(min(person.input_ms, person.other_ms), m.w.until_ms - 1))
        """,
    ),
    Fault(
        "yes and no swapped",
        "kernels.pxd",
        "m.w.ports[k] = decide(m, cond, at(m, person), NO_ROW, person.entry_row, person.now_ms)",
        """
        m.w.ports[k] = 1 - decide(
            m, cond, at(m, person), NO_ROW, person.entry_row, person.now_ms
        )
        """,
    ),
    Fault(
        "a range that leaves out its end",
        "kernels.pxd",
        "hit = there & ((value >= lo) & (value <= hi) ^ negate)",
        "hit = there & ((value >= lo) & (value < hi) ^ negate)",
    ),
    Fault(
        "a write that is lost",
        "kernels.pxd",
        "write_cell(&m.p.columns[node.a], at(m, items[k]), node.x)",
        "pass",
    ),
    Fault(
        "a sum that is lost",
        "kernels.pxd",
        "write_cell(column, at(m, person), total)",
        "pass",
    ),
    Fault(
        "a branch of the draw's upper half",
        "kernels.pxd",
        "ports[k] += drawn >= weights[port]",
        "ports[k] += drawn > weights[port] + 100",
    ),
    Fault(
        "an arrival whose delay is forgotten",
        "kernels.pxd",
        """
        if delay != last:
            if last > 0:
                count_delays(m, i, last, alike)
            last = delay
            alike = 0
        """,
        """
        if delay != last:
            last = delay
            alike = 0
        """,
    ),
    Fault(
        "the block's first customer read for all",
        "predicates.pxd",
        "return read_cell(column.data, column.store, c, value)",
        "return read_cell(column.data, column.store, 0, value)",
    ),
    Fault(
        "a fork that is lost",
        "tokens.pxd",
        """
        for k in range(1, p.edges):
            fork = token_make(m, detail, entry, m.p.edges[p.edge0 + k], TOKEN_READY)
            if fork < 0:
                return 0
            ready_push(m, detail, fork)
        """,
        "pass",
    ),
    Fault(
        "last in, first out",
        "tokens.pxd",
        """
        m.s.tokens[t].next = -1
        if detail.ready < 0:
            detail.ready = t
        else:
            m.s.tokens[detail.ready_last].next = t
        detail.ready_last = t
        """,
        """
        m.s.tokens[t].next = detail.ready
        detail.ready = t
        """,
    ),
    Fault(
        "a second token that takes the first one's timer away",
        "tokens.pxd",
        """
        if due_ms != INT64_MAX:
            set_timer(m, person, t, due_ms)
        """,
        "pass",
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
        "an end of the whole flow that ends one other token",
        "tokens.pxd",
        "other = following",
        "other = -1",
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
        "waits woken in the order in which they came",
        "events.pxd",
        """
        if n > 1:
            sort_by_tie(m, m.scratch, n)
        """,
        "pass",
    ),
    Fault(
        "a success that counts a millisecond less long",
        "events.pxd",
        "over = w.deadline_ms < person.now_ms",
        "over = w.deadline_ms <= person.now_ms",
    ),
    Fault(
        "an event that nobody sees",
        "timeline.pxd",
        """
        if event.flags == EVENT_WAITED and event.triggers == 0:
            # At most waits see it: nothing happens to a customer whose only token is no such.
            if person.state != TOKEN_LISTENING and not person.crowd:
                return 0
        """,
        """
        if event.flags == EVENT_WAITED:
            if person.state != TOKEN_LISTENING and not person.crowd:
                return 0
        """,
    ),
    Fault(
        "a gap that is enough a millisecond later",
        "admission.pxd",
        """
        if m.p.gap_ms >= 0 and admission.last_ms > person.now_ms - m.p.gap_ms:
            note_outcome(m, person, node, OUT_REFUSED_GAP, identity)
            return 1
        """,
        """
        if m.p.gap_ms >= 0 and admission.last_ms >= person.now_ms - m.p.gap_ms:
            note_outcome(m, person, node, OUT_REFUSED_GAP, identity)
            return 1
        """,
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
