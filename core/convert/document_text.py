"""Write a flow document as YAML, as people write one and as `core.yaml_text` reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from core.violations import printable

_WIDTH = 100
# Text that can be taken for nothing else, and durations; all other text is put in quotes.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*|[0-9]+(?: [0-9]*[a-z]+)+")
_WORDS = frozenset(("true", "false", "null"))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write out what occurs twice: flow documents have no aliases."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", printable(value), style=style)


def _mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    # What fits on a line stays on one: a test, a slot, where the ports lead.
    leaf = all(not isinstance(v, dict | list) for v in value.values())
    node = dumper.represent_mapping("tag:yaml.org,2002:map", value.items())
    node.flow_style = leaf and bool(value) and len(str(value)) < _WIDTH - 20
    return node


# The core schema's scalars alone: by default PyYAML would quote `yes`, `no` and `on` as well.
_Dumper.yaml_implicit_resolvers = {}
for _tag, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
}.items():
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None
    )
_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)


def document_text(document: dict[str, Any], comments: Iterable[str] = ()) -> str:
    """The document as YAML, keys in their order, below the comments, one line each."""
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "".join(f"# {comment}\n" for comment in comments) + body
