"""Bind a response model: for each message the rules that can fit it, with keys and tables.

An outcome of one rule is drawn with other keys for each channel and template, so every pair of a
send node and an outcome has a record of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core import limits
from core.binding_columns import Columns
from core.binding_preds import held_bits
from core.binding_zones import Zones
from core.conditions import Scalar
from core.nodes import Send
from core.options import RunOptions
from core.philox import delay_key, response_key
from core.program import DRAW, RULE, Program
from core.responses import Responses, Rule

CELLS = limits.QUANTILE_CELLS + 1


@dataclass(slots=True)
class BoundResponses:
    """What follows messages.

    Send number s (a SEND node's `b`) has the rules `sends[s]` to `sends[s + 1]`.

    `rules` (RULE) and `draws` (DRAW); `delays` int64[t, 2, 4097]: quantiles and tail in ms;
    `constants` int64[r, properties]: what a modelled event carries, and behind these what internal
    ones do, as `Columns.bits`, valid where `known` uint8[r, properties] is 1; `idents` uint8[] from
    `ident_offsets`: the bytes to hash for a modelled event's identity, with entry at 16 and the
    visit in the last 8; `outcomes` in all.
    """

    sends: NDArray[np.int32]
    rules: NDArray[np.void]
    draws: NDArray[np.void]
    delays: NDArray[np.int64]
    constants: NDArray[np.int64]
    known: NDArray[np.uint8]
    idents: NDArray[np.uint8]
    ident_offsets: NDArray[np.int32]
    places: list[tuple[Send, str]]
    outcomes: int

    def rekeyed(self, program: Program, options: RunOptions) -> BoundResponses:
        """The same with the keys of another seed or replicate."""
        draws = self.draws.copy()
        for row, (send, event) in zip(draws, self.places, strict=True):
            place = (program.flow.draws_as, send.channel, send.template, event)
            row["key"] = response_key(options.seed, options.replicate, *place)
            row["delay_key"] = delay_key(options.seed, options.replicate, *place)
        return replace(self, draws=draws)


def bind_responses(
    program: Program,
    columns: Columns,
    zones: Zones,
    options: RunOptions,
    nodes: NDArray[np.void],
) -> BoundResponses:
    """Bind the program's response model, and number its SEND nodes in `nodes` (field `b`)."""
    responses = program.responses or Responses(headrace_responses=1, rules=[])
    first_outcome = np.cumsum([0] + [len(rule.outcomes) for rule in responses.rules])
    tables = [outcome.table() for outcome in responses.outcomes]
    rules: list[tuple[int, int, int, int]] = []
    draws: list[tuple[object, ...]] = []
    constants: list[list[int]] = []
    known: list[list[int]] = []
    idents: list[bytes] = []
    places: list[tuple[Send, str]] = []
    offsets = [0]
    for i, (node_id, node) in enumerate(program.flow.nodes.items()):
        if not isinstance(node, Send):
            continue
        nodes[i]["b"] = len(offsets) - 1
        for number, rule in enumerate(responses.rules):
            if not _fits(rule, node_id, node):
                continue
            rules.append((program.rule_conds[number], len(draws), len(rule.outcomes), 0))
            names = [outcome.event for outcome in rule.outcomes]
            for place, outcome in enumerate(rule.outcomes):
                event = (
                    program.events.index(outcome.event) if outcome.event in program.events else -1
                )
                parent = -1 if outcome.after is None else names.index(outcome.after)
                table = int(first_outcome[number]) + place
                draws.append(
                    (
                        table,
                        event,
                        parent,
                        table,
                        len(constants),
                        len(idents),
                        outcome.probability,
                        0,
                        0,
                    )
                )
                carried = outcome.properties | node.carried(program.flow.flow, node_id)
                bits, valid = _constants(program, columns, zones, carried)
                constants.append(bits)
                known.append(valid)
                idents.append(_ident(node.template, outcome.event))
                places.append((node, outcome.event))
        offsets.append(len(rules))
    for internal in program.internals:
        # What recorded events carry as something else, this one does not carry.
        kinds = dict(zip(program.properties, columns.property, strict=True))
        texts = {
            n: v for n, v in internal.carried.items() if n in kinds and kinds[n].kind == "string"
        }
        bits, valid = _constants(program, columns, zones, texts)
        constants.append(bits)
        known.append(valid)
    width = len(program.properties)
    unkeyed = BoundResponses(
        sends=np.array(offsets, np.int32),
        rules=np.array(rules, RULE),
        draws=np.array(draws, DRAW),
        delays=np.array(tables, np.int64).reshape(-1, 2, CELLS),
        constants=np.array(constants, np.int64).reshape(len(constants), width),
        known=np.array(known, np.uint8).reshape(len(constants), width),
        idents=np.frombuffer(b"".join(idents), np.uint8).copy(),
        ident_offsets=np.cumsum([0] + [len(ident) for ident in idents], dtype=np.int32),
        places=places,
        outcomes=len(tables),
    )
    return unkeyed.rekeyed(program, options)


def _fits(rule: Rule, node_id: str, node: Send) -> bool:
    scope = rule.for_
    return (
        scope.channel in (None, node.channel)
        and scope.node in (None, node_id)
        and scope.template in (None, node.template)
    )


def _constants(
    program: Program, columns: Columns, zones: Zones, properties: dict[str, Scalar]
) -> tuple[list[int], list[int]]:
    bits, valid = [], []
    for name, column in zip(program.properties, columns.property, strict=True):
        present = name in properties
        bits.append(
            held_bits(column, properties[name], zones, f"property {name!r}") if present else 0
        )
        valid.append(int(present))
    return bits, valid


def _ident(template: str, event: str) -> bytes:
    """The bytes of hash_parts("modelled", entry, template, event, visit), entry and visit 0."""
    size = (8).to_bytes(4, "little")
    texts = [text.encode() for text in (template, event)]
    middle = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return size + b"modelled" + size + bytes(8) + middle + size + bytes(8)
