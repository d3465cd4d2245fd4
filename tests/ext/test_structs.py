"""Holds the C structs and enums of the interpreter equal to the layouts and names in core."""

from __future__ import annotations

import ctypes
import re
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import (
    binding,
    binding_check,
    binding_internals,
    counters,
    couplings,
    internal_events,
    limits,
    outcomes,
    passage,
    program,
)
from ext import machine

EXT = Path(__file__).parents[2] / "ext"
STRUCTS = (EXT / "structs.pxd").read_text() + "\n" + (EXT / "claims.pxd").read_text()
LAYOUTS = {
    "NodeC": program.NODE,
    "PortC": program.PORT,
    "PredC": program.PRED,
    "TriggerC": program.TRIGGER,
    "WatchC": program.WATCH,
    "RuleC": program.RULE,
    "DrawC": program.DRAW,
    "EventC": program.EVENT,
    "ListenC": program.LISTEN,
    "InternalC": program.INTERNAL,
    "LogC": program.LOG,
    "EffectC": program.EFFECT,
    "ChangeC": program.CHANGE,
    "ValueTableC": binding.VALUE_TABLE,
    "ClaimC": couplings.CLAIM,
    "AnswerC": couplings.ANSWER,
}
C_TYPES = {
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
}
NUMPY_TYPES = {"i4": "int32_t", "u4": "uint32_t", "i8": "int64_t", "u8": "uint64_t"}


def fields_of(struct: str) -> list[tuple[str, str]]:
    """The (name, type) of each field of a struct in structs.pxd."""
    body = re.search(rf"^cdef struct {struct}:\n((?:    .*\n|\n)+)", STRUCTS, re.M)
    assert body is not None, struct
    lines = [line.split("#")[0].split() for line in body[1].splitlines() if line.strip()]
    return [(name, kind) for kind, name in lines]


def constants_of(text: str) -> dict[str, int]:
    """The names and values in the enums of a .pxd."""
    found = {}
    for body in re.findall(r"^cdef enum:\n((?:    .*\n)+)", text, re.M):
        for name, value in re.findall(r"^    (\w+) = (-?\d+)", body, re.M):
            found[name] = int(value)
    return found


@pytest.mark.parametrize("struct", LAYOUTS)
def test_a_record_lies_in_memory_as_its_struct_does(struct: str) -> None:
    layout, fields = LAYOUTS[struct], fields_of(struct)
    assert [name for name, _ in fields] == list(layout.names or ())
    for name, kind in fields:
        assert NUMPY_TYPES[layout[name].str[1:]] == kind, name
    twin = type(struct, (ctypes.Structure,), {"_fields_": [(n, C_TYPES[k]) for n, k in fields]})
    offsets = {name: getattr(twin, name).offset for name, _ in fields}
    assert offsets == {name: layout.fields[name][1] for name in layout.names}
    assert ctypes.sizeof(twin) == layout.itemsize


def test_the_machine_was_compiled_with_these_sizes() -> None:
    sizes = machine.record_sizes()
    assert len(sizes) == len(LAYOUTS)
    assert {name: declared for name, (declared, _) in sizes.items()} == {
        name: compiled for name, (_, compiled) in sizes.items()
    }
    itemsizes = sorted(layout.itemsize for layout in LAYOUTS.values())
    assert sorted(declared for declared, _ in sizes.values()) == itemsizes


@pytest.mark.parametrize(("struct", "size"), [("PersonC", 64), ("DetailC", 128)])
def test_a_customers_record_fills_whole_cache_lines(struct: str, size: int) -> None:
    kinds: dict[str, Any] = {**C_TYPES, "uint8_t": ctypes.c_uint8}

    def twin(struct: str) -> type[ctypes.Structure]:
        fields = []
        for name, kind in fields_of(struct):
            base, _, count = kind.rstrip("]").partition("[")
            known = kinds[base] if base in kinds else twin(base)
            fields.append((name, known * int(count) if count else known))
        return type(struct, (ctypes.Structure,), {"_fields_": fields})

    assert ctypes.sizeof(twin(struct)) == size


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [
        ("OP_", program.Op),
        ("PRED_", program.Pred),
        ("SOURCE_", program.Source),
        ("STORE_", program.Store),
        ("REL_", program.Relation),
        ("TRIGGER_", program.TriggerKind),
        ("OUT_", outcomes.Outcome),
        ("COUPLED_", outcomes.CoupledOutcome),
    ],
)
def test_an_enum_has_the_same_names_and_values(prefix: str, enum: type[IntEnum]) -> None:
    found = {n: v for n, v in constants_of(STRUCTS).items() if n.startswith(prefix)}
    assert found == {prefix + member.name: member.value for member in enum}


def test_claims_and_reports_are_of_the_same_kinds() -> None:
    found = {n: v for n, v in constants_of(STRUCTS).items() if n.startswith(("CLAIM_", "REPORT_"))}
    claimed = (couplings.Kind.ENTRY, couplings.Kind.COUPON)
    assert found == {
        ("CLAIM_" if kind in claimed else "REPORT_") + kind.name: kind.value
        for kind in couplings.Kind
    }


@pytest.mark.parametrize("prefix", ["FLAG_", "EVENT_"])
def test_flags_are_the_same_bits(prefix: str) -> None:
    found = {n: v for n, v in constants_of(STRUCTS).items() if n.startswith(prefix)}
    assert found == {n: v for n, v in vars(program).items() if n.startswith(prefix)}
    assert sorted(found.values()) == [1 << bit for bit in range(len(found))]


def test_limits_are_the_same_numbers() -> None:
    known = constants_of(STRUCTS)
    assert known["OUTCOMES"] == outcomes.OUTCOMES
    assert (known["ROUTE_NONE"], known["ROUTE_FORK"]) == (passage.ROUTE_NONE, passage.ROUTE_FORK)
    assert known["DELAY_SUB_BITS"] == counters.DELAY_SUB_BITS
    assert known["DELAY_CELLS"] == counters.DELAY_CELLS
    policies = [f"POLICY_{name.upper()}" for name in binding.POLICIES]
    assert [known[name] for name in policies] == [0, 1, 2]
    folder = Path(__file__).parents[2] / "ext"
    parts = ("kernels.pxd", "responses.pxd", "internals.pxd")
    kernels = constants_of("\n".join((folder / part).read_text() for part in parts))
    assert kernels["POINTS_TOTAL"] == limits.WEIGHT_TOTAL
    kinds = [kernels[f"KIND_{kind.upper()}"] for kind in internal_events.CHANGE_KINDS]
    assert kinds == list(range(len(internal_events.CHANGE_KINDS)))
    assert known["FIRES"] == binding_internals.FIRES == kernels["KIND_ZERO"] + 1
    assert kernels["CELLS"] == limits.QUANTILE_CELLS
    assert kernels["DRAWS_MAX"] == binding_check.DRAWS_MAX
    assert kernels["WEIGHT_TOTAL"] == limits.WEIGHT_TOTAL
    assert kernels["PROBABILITY_TOTAL"] == limits.PROBABILITY_TOTAL
    bound = re.search(
        r"TIME_MS_MAX \(\(int64_t\)1 << (\d+)\)", (folder / "predicates.pxd").read_text()
    )
    assert bound is not None
    assert 1 << int(bound[1]) == binding_check.TIME_MS_MAX


def test_stores_are_the_types_of_columns() -> None:
    assert {store: np.dtype(kind).itemsize for store, kind in machine.NUMPY_OF_STORE.items()} == {
        program.Store.INT8: 1,
        program.Store.INT32: 4,
        program.Store.INT64: 8,
        program.Store.FLOAT64: 8,
    }
