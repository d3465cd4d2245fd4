"""Write what there is to know of each node type and each word of conditions as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from core.catalogue.base import CATEGORIES, NodeBase
from core.catalogue.registry import NODE_TYPES
from core.catalogue.words import WORDS

_SHARED = {"type", "title", "note", "next", "delay"}


def catalogue_tables() -> str:
    """A table of the node types of each category, and one of the words, for docs/catalogue.md."""
    lines: list[str] = []
    for category in CATEGORIES:
        lines += [f"### {category}", "", "| type | | fields | ports |", "|---|---|---|---|"]
        lines += [
            f"| `{name}` | {model.label}: {_sentence(model.help)} | {_fields(model)} "
            f"| {_ports(model)} |"
            for name, model in NODE_TYPES.items()
            if model.category == category
        ]
        lines.append("")
    lines += ["### Words", "", "| word | | with |", "|---|---|---|"]
    for name, word in WORDS.items():
        more = ", ".join(f"`{field}`" for field in word.model_fields if field != name)
        lines.append(f"| `{name}` | {_sentence(word.help)} | {more} |")
    return "\n".join([*lines, ""])


def _sentence(text: str) -> str:
    return text[0].lower() + text[1:].removesuffix(".")


def _fields(model: type[NodeBase]) -> str:
    return ", ".join(_named(model))


def _named(model: type[NodeBase]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name not in _SHARED:
            shown = f"`{field.alias or name}`"
            yield f"**{shown}**" if field.is_required() else shown


def _ports(model: type[NodeBase]) -> str:
    ports = (["each branch"] if model.by_branch else []) + [f"`{port}`" for port in model.outs]
    return ", ".join(ports) or "none"
