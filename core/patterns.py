"""Compile people's regular expressions, and search texts in a time that is bounded.

RE2 takes time linear in the text, but the factor grows with the pattern: one of 20 letters may need
a second for the texts of one customer. So patterns are short, their programs are small, and of a
long text only the beginning is searched. The numbers keep a search below five milliseconds for the
worst patterns that are known.
"""

from __future__ import annotations

from functools import lru_cache

import re2

from core import limits
from core.errors import HeadraceError
from core.violations import quoted

ADVICE = "Write RE2 syntax; it has no look-around and no back-references."
SHORTER = "Repeat less, or name fewer letters; \\pL and its like stand once at most."


class PatternError(HeadraceError):
    """A regular expression that is not taken."""


class Pattern:
    """A regular expression; `text_bytes_max` is how much of a text it is searched for in."""

    def __init__(self, text: str) -> None:
        """Compile it. Raises PatternError."""
        size = len(text.encode(errors="replace"))
        if size > limits.PATTERN_BYTES_MAX:
            told = f"{size:,} bytes; at most {limits.PATTERN_BYTES_MAX} are taken"
            raise PatternError(f"the regular expression has {told}", advice=SHORTER)
        options = re2.Options()
        options.max_mem = limits.PATTERN_MEMORY_BYTES_MAX
        options.log_errors = False
        try:
            self._found = re2.compile(text, options)
        except re2.error as error:
            reason = error.args[0]
            told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            advice = SHORTER if "too large" in told else ADVICE
            problem = f"{quoted(text)} is no regular expression: {told}"
            raise PatternError(problem, advice=advice) from None
        steps = self._found.programsize
        if steps > limits.PATTERN_PROGRAM_MAX:
            told = f"{steps:,} steps; at most {limits.PATTERN_PROGRAM_MAX:,} are taken"
            raise PatternError(f"the regular expression makes a program of {told}", advice=SHORTER)
        small = steps <= limits.PATTERN_SMALL_PROGRAM_MAX
        self.text_bytes_max = limits.PATTERN_TEXT_BYTES_MAX
        if not small:
            self.text_bytes_max = limits.PATTERN_LARGE_TEXT_BYTES_MAX

    def searches(self, text: str) -> bool:
        """Whether it is found anywhere in the text, or in the beginning of a long one."""
        if 4 * len(text) > self.text_bytes_max:
            data = text[: self.text_bytes_max + 1].encode(errors="replace")
            if len(data) > self.text_bytes_max:
                text = data[: self.text_bytes_max].decode(errors="ignore")
        return self._found.search(text) is not None


@lru_cache(maxsize=1_024)
def pattern_of(text: str) -> Pattern:
    """The pattern, compiled once. Raises PatternError."""
    return Pattern(text)
