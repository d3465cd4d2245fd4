"""Say what of a foreign document did not come along: where it is, why, and what stands in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from core.errors import HeadraceError
from core.violations import printable

Kind = Literal["left out", "approximated", "elsewhere"]
KINDS: tuple[Kind, ...] = ("left out", "approximated", "elsewhere")
NOTHING = "nothing"


class ConvertError(HeadraceError):
    """A foreign document can't be converted; `pointer` leads to the place in it."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that did not come along as it was.

    `pointer` is an RFC 6901 JSON pointer into the foreign document, `what` names the thing.
    Something `left out` has no effect any more, something `approximated` is done almost as it was,
    and `elsewhere` is what a flow document never holds: contents, providers, names.
    `stand_in` says what the flow does instead.
    """

    pointer: str
    what: str
    kind: Kind
    reason: str
    stand_in: str

    def __str__(self) -> str:
        place = self.pointer or "the document"
        return f"{place}: {self.what} ({self.kind}): {self.reason}; instead: {self.stand_in}"

    def to_json(self) -> dict[str, str]:
        """The fields as a mapping that JSON can carry."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Converted:
    """A flow document and how it came about.

    `flow_id` is the flow's id, `text` the document as YAML, with the notes as comments above it.
    `product` names where it comes from. `sources` are the JSON pointers of the foreign nodes.
    """

    product: str
    flow_id: str
    text: str
    notes: tuple[Note, ...]
    sources: tuple[str, ...]

    @property
    def noted(self) -> tuple[str, ...]:
        """Those of `sources` of which something was left out or approximated.

        A note counts for the innermost node around its place.
        """
        known, found = set(self.sources), set()
        for note in self.notes:
            place = "" if note.kind == "elsewhere" else note.pointer
            while place and place not in known:
                place = place.rpartition("/")[0]
            found.add(place)
        return tuple(s for s in self.sources if s in found)

    def count(self, kind: Kind) -> int:
        """How many notes are of this kind."""
        return sum(note.kind == kind for note in self.notes)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, as a comment and a terminal take it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in printable(text))


def in_order(notes: Iterable[Note]) -> tuple[Note, ...]:
    """The notes without repetitions: first what is left out, each kind as it was found."""
    return tuple(sorted(dict.fromkeys(notes), key=lambda note: KINDS.index(note.kind)))
