"""Count the instructions of the interpreter on the reference journey, with all that was inlined.

Callgrind counts what each machine instruction costs, by the functions that called; the symbols tell
which functions of the source were inlined where it stands (valgrind.org/docs/manual/cl-manual.html,
addr2line(1)). The counts hardly change from run to run, however busy the machine is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.builds import hold_place

Stack = tuple[str, ...]
"""Functions of the source, the outermost first."""

CUSTOMERS = 40_960
TOOLS = {"valgrind": "valgrind", "addr2line": "binutils"}
ROOT = "__pyx_pw_3ext_7machine_7Machine_"
LOOP = ("machine.Machine.load", "machine.Machine.apply", "machine.Machine.finish")
"""What is called for each block; what is done once for a run does not count."""

CALLERS = 12  # how many callers tell one place of a function from another
LOST_MAX = 0.01
# A repeated instruction is counted for each byte that it sets, though it is one for the processor.
_NO_REPEATS = ":".join(
    f"glibc.cpu.x86_rep_{name}_threshold=1073741824" for name in ("stosb", "movsb")
)
_NUMBER = r"\*|[+-]?\d+|0x[0-9a-f]+"
_COST = re.compile(rf"({_NUMBER}) ({_NUMBER})(?: (\d+))?$")
_NAMED = re.compile(r"(\w+)=\((\d+)\)(?: (.*))?$")
_CYTHON = re.compile(r"__pyx_(?:f|pf|pw|fuse_\w+?)_(.*)")
_VARIANT = re.compile(r"_*(mem[a-z]+|str[a-z]+)_(?:avx|sse|evex|erms|unaligned)\w*")
_CLONE = re.compile(r"\.(?:part|constprop|isra|cold|lto_priv|localalias)(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Profile:
    """Instructions by stack over so many customers and token-steps, and the compiler's name."""

    stacks: Mapping[Stack, float]
    customers: int
    steps: int
    compiler: str

    @property
    def instructions(self) -> float:
        """All of them."""
        return sum(self.stacks.values())

    def by_function(self) -> list[tuple[str, float]]:
        """Instructions of each function itself, without those that it calls, most first."""
        own: defaultdict[str, float] = defaultdict(float)
        for stack, cost in self.stacks.items():
            own[stack[-1]] += cost
        return sorted(own.items(), key=lambda item: (-item[1], item[0]))


@dataclass(slots=True)
class Context:
    """A function as called by certain callers: what its instructions cost, and where it calls.

    `costs` by address in `image`; `calls` by the other context, then by the address of the call.
    """

    name: str
    image: str = ""
    costs: Counter[int] = field(default_factory=Counter)
    calls: defaultdict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))


def require_tools() -> None:
    """RuntimeError that names the tools which are missing here."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(f"the profile needs {' and '.join(missing)}: install what is missing")


def profile_journey(copy: Path) -> Profile:
    """Profile a copy that was built by `build_copy`; takes about a minute."""
    require_tools()
    with TemporaryDirectory() as place:
        out = Path(place) / "callgrind.out"
        command = [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-instr=yes",
            f"--separate-callers={CALLERS}", f"--toggle-collect={ROOT}*",
            sys.executable, "-m", "bench.profile",
        ]  # fmt: skip
        ran = subprocess.run(
            command,
            cwd=copy,
            env=os.environ | {"PYTHONHASHSEED": "0", "GLIBC_TUNABLES": _NO_REPEATS},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"callgrind failed:\n{ran.stderr}")
        steps = int(ran.stdout.split()[-1])
        with out.open() as lines:
            contexts = read_contexts(lines)
    stacks = fold(contexts, _inlined(contexts, copy))
    return Profile(stacks, CUSTOMERS, steps, _compiler())


def read_contexts(lines: Iterable[str]) -> dict[int, Context]:
    """Read callgrind's file, of which positions are instructions and lines, by its own numbers."""
    images: dict[str, str] = {}
    contexts: dict[int, Context] = {}
    image = ""
    here = Context("")
    called: int | None = None
    address = 0

    def context(number: str, name: str | None) -> Context:
        found = contexts.setdefault(int(number), Context(""))
        if name is not None:
            found.name = name
        return found

    for line in lines:
        text = line.rstrip()
        if cost := _COST.match(text):
            where, _, amount = cost.groups()
            address = _moved(address, where)
            if called is not None:
                here.calls[called][address] += int(amount or 0)
                called = None
            elif amount is not None:
                here.costs[address] += int(amount)
        elif named := _NAMED.match(text):
            key, number, name = named.groups()
            if key in ("ob", "cob"):
                images.setdefault(number, name or "")
                image = images[number] if key == "ob" else image
            elif key == "fn":
                here = context(number, name)
                here.image = image
            elif key == "cfn":
                context(number, name)
                following = int(number)
        elif text.startswith("calls="):
            called = following
    return contexts


def _moved(address: int, where: str) -> int:
    """The position after another, as callgrind shortens it."""
    if where == "*":
        return address
    return address + int(where) if where[0] in "+-" else int(where, 0)


def fold(
    contexts: Mapping[int, Context], inlined: Mapping[tuple[str, int], Stack]
) -> dict[Stack, float]:
    """Instructions by stack, from `LOOP` inwards.

    `inlined` gives the functions at an address of an image, the outermost first, where it is known.
    RuntimeError where more than `LOST_MAX` has callers that are not known.
    """
    parents: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, context in contexts.items():
        for callee, sites in context.calls.items():
            parents[callee] += [(number, address, cost) for address, cost in sites.items()]

    def chain(number: int, address: int) -> Stack:
        context = contexts[number]
        known = inlined.get((context.image, address))
        return known or (readable(context.name.split("'")[0]),)

    def callers(number: int, seen: frozenset[int]) -> dict[Stack, float]:
        """Shares of the stacks from which a context is called; they add up to 1, if known."""
        if contexts[number].name.startswith(ROOT):
            return {(): 1.0}
        places = [place for place in parents[number] if place[0] not in seen and place[2]]
        total = sum(cost for _, _, cost in places)
        shares: defaultdict[Stack, float] = defaultdict(float)
        for parent, address, cost in places:
            for stack, share in callers(parent, seen | {parent}).items():
                shares[stack + chain(parent, address)] += share * cost / total
        return shares

    stacks: defaultdict[Stack, float] = defaultdict(float)
    every = 0.0
    kept = 0.0
    for number, context in contexts.items():
        every += sum(context.costs.values())
        for above, share in callers(number, frozenset([number])).items():
            for address, cost in context.costs.items():
                stack = _plain((*above, *chain(number, address)))
                kept += share * cost
                if stack[0] in LOOP:
                    stacks[stack] += share * cost
    if every - kept > LOST_MAX * every:
        raise RuntimeError(f"of {every:,.0f} instructions {every - kept:,.0f} have no caller")
    return dict(stacks)


def _plain(stack: Stack) -> Stack:
    """The stack without a function that seems to call itself: a wrapper, or a part split off."""
    return tuple(name for i, name in enumerate(stack) if i == 0 or name != stack[i - 1])


def readable(symbol: str) -> str:
    """`kernels.arrive` of `__pyx_f_3ext_7kernels_arrive`; other symbols without their clones.

    Cython writes the length of each part of a module's or class's name before it, and numbers the
    methods that Python sees.
    """
    name = _CLONE.sub("", symbol).split("@")[0]
    made = _CYTHON.fullmatch(name)
    if made is None:
        return _VARIANT.sub(r"\1", name)
    rest, parts = made[1], []
    while (length := re.match(r"(\d+)([A-Za-z_].*)", rest)) and len(length[2]) > int(length[1]):
        end = int(length[1])
        if not length[2][end:].startswith("_"):
            break
        parts.append(length[2][:end])
        rest = length[2][end + 1 :]
    return ".".join([*parts[1:], re.sub(r"^\d+", "", rest)])


def _inlined(contexts: Mapping[int, Context], copy: Path) -> dict[tuple[str, int], Stack]:
    """The functions at each address that is in the copy's own extensions."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for context in contexts.values():
        if Path(context.image).is_relative_to(copy.resolve()):
            wanted[context.image] |= context.costs.keys()
            wanted[context.image] |= {a for sites in context.calls.values() for a in sites}
    return {
        (image, address): stack
        for image, addresses in wanted.items()
        for address, stack in _resolved(image, sorted(addresses))
    }


def _resolved(image: str, addresses: list[int]) -> Iterator[tuple[int, Stack]]:
    asked = "".join(f"{address:#x}\n" for address in addresses)
    command = ["addr2line", "-a", "-f", "-i", "-e", image]
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout
    for block in re.split(r"^(?=0x)", told, flags=re.MULTILINE)[1:]:
        address, *lines = block.splitlines()
        stack = tuple(readable(symbol) for symbol in reversed(lines[::2]))
        if "??" not in stack:
            yield int(address, 16), stack


def _compiler() -> str:
    ran = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False)
    return ran.stdout.splitlines()[0] if ran.stdout else "a compiler that does not tell its name"


def main() -> None:
    """Run the journey on one machine, block after block, and print its token-steps."""
    import ext.machine
    from bench.journey import bound_journey

    hold_place(ext.machine.__file__)
    bound = bound_journey(CUSTOMERS)
    machine = ext.machine.Machine(bound)
    for first in range(0, CUSTOMERS, ext.machine.BLOCK):
        machine.load(first, min(first + ext.machine.BLOCK, CUSTOMERS))
        machine.apply(bound.options.horizon_ms)
        machine.finish()
    print(machine.take_counters().steps)


if __name__ == "__main__":
    main()
