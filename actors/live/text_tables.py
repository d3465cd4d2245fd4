"""Keep the tables of text tests true while new texts come in.

A test such as "contains" is a byte for each text of a column's dictionary. The bytes of new texts
are written behind those of the old ones, in room that was left for them; where that is used up the
tables are laid out anew, with twice the room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.binding import Bound
from core.binding_preds import TEXT_TESTS, text_hits
from core.program import Pred, Source

ROOM_MIN = 256


@dataclass(slots=True)
class _Test:
    pred: int
    texts: list[str]
    operator: str
    operand: str


class TextTables:
    """The tables of a bound program's text tests; `Bound.preds` and `pred_bytes` are changed."""

    def __init__(self, bound: Bound) -> None:
        """Find the tests and leave room behind their tables."""
        self._bound = bound
        self._tests = []
        for number, spec in enumerate(bound.program.preds):
            if bound.preds[number]["op"] != Pred.TABLE or spec.test is None:
                continue
            if spec.test.operator not in (*TEXT_TESTS, "matches"):
                continue  # one of a list: no new text is in it
            held = (
                bound.columns.customer if spec.source == Source.CUSTOMER else bound.columns.property
            )
            texts = held[spec.column].dictionary
            assert texts is not None
            operand = str(spec.test.operand)
            self._tests.append(_Test(number, texts, spec.test.operator, operand))
        self._lay_out()

    def _lay_out(self) -> None:
        """Give every table room for twice its texts, behind all others."""
        parts = [self._bound.pred_bytes]
        size = len(self._bound.pred_bytes)
        for test in self._tests:
            row = self._bound.preds[test.pred]
            table = np.zeros(max(ROOM_MIN, 2 * len(test.texts)), np.uint8)
            old = int(row["hi"])
            table[:old] = self._bound.pred_bytes[int(row["lo"]) : int(row["lo"]) + old]
            row["lo"] = size
            parts.append(table)
            size += len(table)
        if self._tests:
            self._bound.pred_bytes = np.concatenate(parts)

    def extend(self) -> bool:
        """Judge texts that are new; whether the bound program must be taken anew by its machine."""
        moved = False
        for test in self._tests:
            row = self._bound.preds[test.pred]
            known, wanted = int(row["hi"]), len(test.texts)
            if known == wanted:
                continue
            if wanted > self._room(test):
                self._compact()
                self._lay_out()
                moved = True
            first = int(row["lo"]) + known
            found = text_hits(test.texts[known:wanted], test.operator, test.operand)
            self._bound.pred_bytes[first : first + len(found)] = found
            row["hi"] = wanted
        return moved

    def _room(self, test: _Test) -> int:
        """How many bytes the table has: up to the next one's begin."""
        begins = [int(self._bound.preds[t.pred]["lo"]) for t in self._tests]
        mine = int(self._bound.preds[test.pred]["lo"])
        later = [begin for begin in begins if begin > mine]
        return min(later, default=len(self._bound.pred_bytes)) - mine

    def _compact(self) -> None:
        """Drop the room that earlier layouts left behind."""
        parts, size = [], 0
        for row in self._bound.preds:
            if row["op"] != Pred.TABLE:
                continue
            table = self._bound.pred_bytes[int(row["lo"]) : int(row["lo"]) + int(row["hi"])]
            parts.append(table)
            row["lo"] = size
            size += len(table)
        self._bound.pred_bytes = np.concatenate(parts)
