"""Parse distinct texts into numbers and truth values, and classify what they look like.

Text that loses something as a number stays text: a leading zero ("00123"), a plus sign, more digits
than 64 bits hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.importer.times import parse_times
from core.audience import INT64_MIN
from core.identity import FLOAT_EXACT_MAX

Flags = NDArray[np.bool_]

INTEGER = r"^-?(0|[1-9][0-9]*)$"
NUMBER = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
WHOLE = r"^(?P<whole>-?[0-9]+)(?:\.0*)?$"
TRUE_WORDS = ("true", "yes", "t", "y", "1")
FALSE_WORDS = ("false", "no", "f", "n", "0")
SAMPLE_ROWS = 2_000
REPEATED_MIN = 0.9  # with more different texts than this in the sample each is parsed by itself
SAFE_DIGITS = 18  # this many always fit in 64 bits


@dataclass(slots=True)
class Parsed:
    """n parsed texts: `ok` bool[n], `values` an Arrow array of n that counts where `ok` holds.

    `reason` says what was expected; `other` tells texts that are refused for another reason.
    `skipped` and `twice` tell local times that a change of the clock affects, None for none.
    """

    ok: Flags
    values: pa.Array
    reason: str
    other: tuple[Flags, str] | None = None
    skipped: Flags | None = None
    twice: Flags | None = None


@dataclass(slots=True)
class Distinct:
    """The texts of a column once each, where most repeat; else all of them as they are.

    `codes` int32[n] point into `texts`, None where `texts` are the column itself.
    """

    texts: pa.Array
    codes: NDArray[np.int32] | None

    @classmethod
    def of(cls, texts: pa.Array) -> Distinct:
        """The distinct texts of a column, if a sample from its middle promises that it pays."""
        middle = max(0, (len(texts) - SAMPLE_ROWS) // 2)
        sample = texts.slice(middle, SAMPLE_ROWS)
        if len(sample.unique()) > REPEATED_MIN * len(sample):
            return cls(texts, None)
        coded = texts.dictionary_encode()
        return cls(coded.dictionary, coded.indices.to_numpy(zero_copy_only=False))

    @property
    def weights(self) -> NDArray[np.int64] | None:
        """How often each text occurs; None for once each."""
        if self.codes is None:
            return None
        return np.bincount(self.codes, minlength=len(self.texts))

    def total(self, flags: Flags | None) -> int:
        """How many values of the column are flagged, by flags of `texts`."""
        if flags is None or not flags.any():
            return 0
        return int(np.count_nonzero(self.spread(flags)))

    def spread(self, found: Any) -> Any:
        """What was found for each of `texts` (an Arrow or NumPy array), for each of the column."""
        if self.codes is None:
            return found
        return (
            found.take(pa.array(self.codes)) if isinstance(found, pa.Array) else found[self.codes]
        )


def _matches(texts: pa.Array, pattern: str) -> Flags:
    found = pc.match_substring_regex(texts, pattern)
    return np.array(found.to_numpy(zero_copy_only=False), np.bool_)


def trimmed(texts: pa.Array) -> pa.Array:
    """The texts without blanks around them."""
    return pc.utf8_trim_whitespace(texts)


def parse_bools(texts: pa.Array) -> Parsed:
    """True, yes, t, y, 1 and their opposites, in any case."""
    lower = pc.utf8_lower(trimmed(texts))
    yes = pc.is_in(lower, pa.array(TRUE_WORDS, lower.type)).to_numpy(zero_copy_only=False)
    no = pc.is_in(lower, pa.array(FALSE_WORDS, lower.type)).to_numpy(zero_copy_only=False)
    return Parsed(yes | no, pa.array(yes), "expected true or false")


def parse_integers(texts: pa.Array) -> Parsed:
    """Whole numbers within 64 bits, also written like 3.0."""
    bare = trimmed(texts)
    plain = _matches(bare, INTEGER)
    values = np.zeros(len(bare), np.int64)
    short = plain & (pc.utf8_length(bare).to_numpy(zero_copy_only=False) <= SAFE_DIGITS)
    values[short] = bare.filter(pa.array(short)).cast(pa.int64()).to_numpy()
    ok, outside = short.copy(), np.zeros(len(bare), np.bool_)
    for index in np.flatnonzero(plain & ~short):
        number = int(bare[int(index)].as_py())
        if INT64_MIN < number < 2**63:
            values[index], ok[index] = number, True
        else:
            outside[index] = True
    rest = _matches(bare, NUMBER) & ~plain
    if rest.any():
        floats = bare.filter(pa.array(rest)).cast(pa.float64()).to_numpy()
        whole = (np.abs(floats) <= FLOAT_EXACT_MAX) & (floats == np.floor(floats))
        places = np.flatnonzero(rest)[whole]
        values[places], ok[places] = floats[whole].astype(np.int64), True
    reason = "the number is outside the 64-bit range"
    return Parsed(ok, pa.array(values), "expected a whole number", (outside, reason))


def parse_floats(texts: pa.Array) -> Parsed:
    """Decimal numbers; refused where infinite, or whole and too long to be exact."""
    bare = trimmed(texts)
    like = _matches(bare, NUMBER)
    values = np.full(len(bare), np.nan)
    values[like] = bare.filter(pa.array(like)).cast(pa.float64()).to_numpy()
    inexact = _matches(bare, INTEGER) & (np.abs(values) > FLOAT_EXACT_MAX)
    ok = like & np.isfinite(values) & ~inexact
    reason = "the number is too large to be exact; state type: int64 or string"
    return Parsed(ok, pa.array(values), "expected a number", (like & ~ok, reason))


def parse_integer_texts(texts: pa.Array) -> Parsed:
    """Whole numbers as text, without the fraction that a spreadsheet put behind them."""
    groups = pc.extract_regex(trimmed(texts), pattern=WHOLE)
    ok = pc.is_valid(groups).to_numpy(zero_copy_only=False)
    return Parsed(ok, pc.struct_field(groups, "whole"), "expected a whole number")


FAMILIES = ("text", "bool", "int", "float", "date", "datetime")


def classify(texts: pa.Array, *, typed: bool) -> NDArray[np.int8]:
    """What each text looks like, an index into `FAMILIES`: int8[n].

    Where text is `typed` as text (JSON, Parquet), only ISO dates and times are told from it.
    """
    bare = trimmed(texts)
    found = np.zeros(len(bare), np.int8)
    if not typed:
        found[parse_floats(bare).ok] = FAMILIES.index("float")
        whole = np.flatnonzero(_matches(bare, INTEGER))
        integers = parse_integers(bare.take(pa.array(whole))).ok
        found[whole[integers]] = FAMILIES.index("int")
        _classify_rest(bare, found, _words)
    _classify_rest(bare, found, _times)
    return found


def _classify_rest(
    texts: pa.Array, found: NDArray[np.int8], look: Callable[[pa.Array], NDArray[np.int8]]
) -> None:
    """Look at the texts that nothing else is found of; what one look finds no other does."""
    rest = np.flatnonzero(found == 0)
    if len(rest):
        found[rest] = look(texts if len(rest) == len(texts) else texts.take(pa.array(rest)))


def _words(texts: pa.Array) -> NDArray[np.int8]:
    known = pc.is_in(pc.utf8_lower(texts), pa.array(["true", "false"], texts.type))
    return np.where(known.to_numpy(zero_copy_only=False), np.int8(FAMILIES.index("bool")), 0)


def _times(texts: pa.Array) -> NDArray[np.int8]:
    written = parse_times(texts, "iso")
    kind = np.where(written.timed, FAMILIES.index("datetime"), FAMILIES.index("date"))
    return np.where(written.ok, kind, 0).astype(np.int8)
