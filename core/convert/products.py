"""Tell by its shape which product a document comes from, and convert it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.convert.dittofeed import convert_dittofeed
from core.convert.fields import kind_of
from core.convert.knock import convert_knock
from core.convert.notes import Converted, ConvertError
from core.convert.posthog import convert_posthog
from core.json_text import read_json

PRODUCTS = ("dittofeed", "knock", "posthog")
_LOOKS = {
    "dittofeed": "an entryNode and nodes",
    "knock": "a list of steps",
    "posthog": "lists of actions and edges",
}


def read_source(text: bytes) -> Any:
    """The JSON value of a foreign document; ConvertError where it is none."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConvertError(f"it is not UTF-8 text: byte {error.start} can't be read") from None
    read = read_json(decoded)
    if read.violations:
        first = read.violations[0]
        line = "" if first.line is None else f"line {first.line}"
        raise ConvertError(
            f"it is no sound JSON: {first.message}",
            pointer=first.pointer or line or None,
            advice="Export the journey again as JSON; it may have been cut short",
        )
    return read.value


def product_of(document: object) -> str | None:
    """The product whose journeys look like this, None where none do."""
    if not isinstance(document, dict):
        return None
    definition = document.get("definition")
    held = definition if isinstance(definition, dict) else document
    entry = held.get("entryNode")
    kind = entry.get("type") if isinstance(entry, dict) else None
    if "nodes" in held and "exitNode" in held:
        return "dittofeed"
    if isinstance(kind, str) and kind.endswith("EntryNode"):
        return "dittofeed"
    if "actions" in document and "edges" in document:
        return "posthog"
    return "knock" if "steps" in document else None


def is_segment(document: object) -> bool:
    """Whether a document is a segment of Dittofeed, or a resource that holds one."""
    if not isinstance(document, dict):
        return False
    definition = document.get("definition")
    held = definition if isinstance(definition, dict) else document
    return "entryNode" in held and product_of(document) is None


def convert(
    document: object,
    *,
    name: str,
    product: str | None = None,
    segments: Mapping[str, Any] | None = None,
) -> Converted:
    """The flow of a journey of any product.

    `name` becomes the flow's id where the document has no name of its own. Without a `product`
    its shape tells. `segments` are for Dittofeed alone. Raises ConvertError.
    """
    found = product_of(document)
    if found is None or (product is not None and product != found):
        looks = "it looks like none of the products"
        if found is not None:
            looks = f"it looks like one of {found}"
        elif is_segment(document):
            looks = "it is a segment, which a journey only names"
        elif not isinstance(document, dict):
            looks = f"expected an object, found {kind_of(document)}"
        wanted = product or "any product"
        raise ConvertError(
            f"this is no journey of {wanted}: {looks}",
            advice="A journey has "
            + ", or ".join(
                f"{shape} ({each})" for each, shape in _LOOKS.items() if product in (None, each)
            ),
        )
    if found == "dittofeed":
        return convert_dittofeed(document, name=name, segments=segments)
    return (convert_knock if found == "knock" else convert_posthog)(document, name=name)
