"""Read JSON of our own routes strictly: what parsers take differently is refused.

Numbers are as wide as a partition keeps them, no key stands twice, nothing is nested deeper than
anything that we know. Events are read by a faster parser; what is taken here is taken there, and to
the same value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from api.http.problems import ProblemError, refuse
from core.audience import INT64_MIN

DEPTH_MAX = 64
KEYS_MAX = 100_000  # of one object: so many nodes a flow may have
WHOLE_MAX = 2**53  # up to which whole numbers are the same in every parser
MEMBERS_MAX = 500_000  # of all objects together, by the marks that stand between key and value
DIGITS_MAX = 19  # of what fits into 64 bits


class _RefusedError(ValueError):
    """What is not taken: a code, and what it is."""


def read_json(body: bytes) -> Any:
    """The value that a body has. Raises ProblemError, 400, with what is wrong."""
    try:
        text = body.decode()
        if text.count('":') > MEMBERS_MAX:
            raise _RefusedError("too-many-keys", f"the body has over {MEMBERS_MAX:,} keys")
        found = _DECODER.decode(text)
        # Brackets within texts count too: it is quick to have, and seldom more.
        if text.count("[") + text.count("{") > DEPTH_MAX:
            _check_depth(found)
        if "\\ud" in text or "\\uD" in text:
            _check_texts(found)
    except UnicodeDecodeError:
        raise _broken("invalid-json", "the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        told = f"the body is no valid JSON: {error.msg}, line {error.lineno} column {error.colno}"
        raise _broken("invalid-json", told) from None
    except _RefusedError as error:
        raise _broken(*error.args) from None
    except RecursionError:
        raise _too_deep() from None
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RefusedError("duplicate-key", "an object has a key twice")
    if len(found) > KEYS_MAX:
        raise _RefusedError("too-many-keys", f"an object has over {KEYS_MAX:,} keys")
    return found


def _integer(text: str) -> int:
    if len(text.lstrip("-")) <= DIGITS_MAX and INT64_MIN <= (found := int(text)) < -INT64_MIN:
        return found
    raise _RefusedError("out-of-range", "a number does not fit into 64 bits")


def _number(text: str) -> float:
    """A number that is written with a point or exponent: 5.0 is the integer that 5 is."""
    found = float(text)
    if math.isfinite(found):
        return int(found) if found.is_integer() and abs(found) <= WHOLE_MAX else found
    raise _RefusedError("out-of-range", "a number is too large")


def _constant(text: str) -> float:
    raise _RefusedError("invalid-json", f"the body is no valid JSON: it has {text}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(DEPTH_MAX):
        level = [e for each in level for e in _inside(each) if isinstance(e, dict | list)]
        if not level:
            return
    raise _too_deep()


def _check_texts(found: Any) -> None:
    """Raise ProblemError for half of a surrogate pair, which stands for no letter."""
    waiting = [found]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            try:
                each.encode()
            except UnicodeEncodeError:
                told = "a text has half of a pair of surrogates"
                raise _broken("invalid-json", told) from None
        elif isinstance(each, dict | list):
            waiting.extend(_inside(each))
            if isinstance(each, dict):
                waiting.extend(each)


def _inside(each: Any) -> Iterator[Any]:
    if isinstance(each, dict):
        yield from each.values()
    elif isinstance(each, list):
        yield from each


def _too_deep() -> ProblemError:
    return _broken("too-deep", f"the JSON is nested over {DEPTH_MAX} deep")


def _broken(code: str, detail: str) -> ProblemError:
    return refuse(400, code, detail, "Send JSON as RFC 8259 has it, in UTF-8")
