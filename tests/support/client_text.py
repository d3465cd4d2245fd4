"""Write the client's methods out of the OpenAPI document: a class for each heading.

Nothing is decided by hand: what an operation takes is what its path, query and body have. Ids, the
names of parameters and the summaries are the document's.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LEFT_OUT: Mapping[str, str] = {
    # By what their ids begin with, and why.
    "segment_": "clients of Segment and RudderStack have libraries of their own",
    "rudderstack_": "images ask for pixels",
    "customerio_": "clients of Customer.io have libraries of their own",
    "posthog_": "clients of PostHog have libraries of their own",
    "cloudevents_": "senders of CloudEvents have libraries of their own",
    "follow_link": "people follow links",
    "look_at_": "mail programs look at links",
    "show_": "people look at pages",
    "change_subscription": "people and mail programs unsubscribe",
    "take_callback": "providers call back",
    "read_metrics": "Prometheus reads it",
}
_HEAD = '''"""Ask for what the API's document has under "{tag}".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

{imports}

class {name}:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection
'''
WIDTH = 100
_KINDS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "Sequence[Any]",
    "object": "Mapping[str, Any]",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a method; `sent` is its name in the request, `kind` its type as text."""

    name: str
    sent: str
    kind: str
    required: bool


IF_MATCH = "If-Match"


def reason_left_out(operation_id: str) -> str:
    """Why an operation has no method, "" if it has one."""
    for prefix, why in LEFT_OUT.items():
        if operation_id.startswith(prefix):
            return why
    return ""


def modules(document: Mapping[str, Any]) -> dict[str, str]:
    """The text of each module, by its name; it is not formatted yet."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not reason_left_out(operation["operationId"]):
                text = _method(document, method.upper(), path, operation)
                by_tag.setdefault(operation["tags"][0], []).append(text)
    return {_module(tag): _text(tag, texts) for tag, texts in sorted(by_tag.items())}


def client(names: Mapping[str, str]) -> str:
    """The text of the client's class, which has all modules' methods."""
    lines = ['"""Put the client together of the operations under every heading."""', ""]
    lines += ["from __future__ import annotations", ""]
    lines += [
        f"from api.http_client.calls.{module} import {_class(module)}" for module in sorted(names)
    ]
    lines += ["from api.http_client.connection import Connection", "", ""]
    lines += ["class HttpClient("]
    lines += [f"    {_class(module)}," for module in sorted(names)]
    lines += ["    Connection,", "):"]
    lines += ['    """A client of the HTTP API; see `Connection` for what it is made with."""', ""]
    lines += ["    @property"]
    lines += ["    def _connection(self) -> Connection:  # type: ignore[override]"]
    lines += ["        return self", ""]
    return "\n".join(lines)


def _text(tag: str, methods: list[str]) -> str:
    body = "\n".join(methods)
    abstract = [name for name in ("Iterator", "Mapping", "Sequence") if name in body]
    imports = []
    if abstract:
        imports.append(f"from collections.abc import {', '.join(abstract)}")
    imports.append("from typing import Any")
    imports.append("")
    names = ("OMITTED", "Connection", "Omitted", "at", "given")
    ours = [name for name in names if re.search(rf"\b{name}\b", body)]
    ours = sorted({*ours, "Connection"}, key=lambda name: (not name.isupper(), name))
    imports.append(f"from api.http_client.connection import {', '.join(ours)}\n")
    head = _HEAD.format(tag=tag, name=_class(_module(tag)), imports="\n".join(imports))
    return head + "\n" + body


def _method(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> str:
    arguments, sending = _arguments(document, path, operation)
    answer, call = _answer(document, method, operation)
    paged = call == "fetch_items"
    required = [a for a in arguments if a.required]
    optional = [a for a in arguments if not a.required and not (paged and a.sent == "after")]
    if paged:
        # Going from page to page is the connection's part.
        sending = [re.sub(r', "after": after|"after": after,? ?', "", line) for line in sending]
        sending = [line for line in sending if line != "query={}"]
    # What stands in a header is told by name.
    told = [f"{a.name}: {a.kind}" for a in required if a.sent != IF_MATCH]
    named = [f"{a.name}: {a.kind}" for a in required if a.sent == IF_MATCH]
    named += [f"{a.name}: {a.kind} = {_default(a)}" for a in optional]
    if named:
        told += ["*", *named]
    summary = operation["summary"].rstrip(".")
    lines = [f"    def {operation['operationId']}(self, {', '.join(told)}) -> {answer}:"]
    lines.append(_docstring(f"{summary}."))
    ids = re.findall(r"\{([a-z_]+)\}", path)
    place = re.sub(r"\{[a-z_]+\}", "{}", path)
    url = f'at("{place}", {", ".join(ids)})' if ids else f'"{place}"'
    parts = [url, *sending]
    if call in ("fetch", "fetch_bytes"):
        parts.insert(0, f'"{method}"')
    if any(p.get("name") == "Idempotency-Key" for p in operation.get("parameters", ())):
        parts.append("once=True")
    lines.append(f"        found: {answer} = self._connection.{call}({', '.join(parts)})")
    lines.append("        return found")
    return "\n".join(lines) + "\n"


def _docstring(summary: str) -> str:
    lines = textwrap.wrap(summary, WIDTH - 14)
    end = "" if len(lines) == 1 else "\n        "
    told = "\n        ".join(lines)
    return f'        """{told}{end}"""'


def _default(argument: Argument) -> str:
    return "OMITTED" if "Omitted" in argument.kind else "None"


def _arguments(
    document: Mapping[str, Any], path: str, operation: Mapping[str, Any]
) -> tuple[list[Argument], list[str]]:
    """What a method takes, and how it is sent."""
    kinds = {
        each["name"]: _kind(document, each.get("schema", {}))
        for each in operation.get("parameters", ())
        if each["in"] == "path"
    }
    found = [
        Argument(name, name, kinds.get(name, "str"), True)
        for name in re.findall(r"\{([a-z_]+)\}", path)
    ]
    groups: dict[str, list[Argument]] = {"query": [], "header": []}
    for parameter in operation.get("parameters", ()):
        where, sent = parameter["in"], parameter["name"]
        if where not in groups or sent == "Idempotency-Key":
            continue
        kind = _kind(document, parameter.get("schema", {}))
        needed = bool(parameter.get("required"))
        kind = kind if needed or kind.endswith("| None") or kind == "Any" else f"{kind} | None"
        groups[where].append(Argument(_name(sent, found), sent, kind, needed))
    sending = []
    for where, arguments in groups.items():
        if arguments:
            name = "query" if where == "query" else "headers"
            pairs = ", ".join(f'"{a.sent}": {a.name}' for a in arguments)
            sending.append(f"{name}={{{pairs}}}")
            found += arguments
    body, how = _body(document, operation, found)
    return found + body, sending + how


def _body(
    document: Mapping[str, Any], operation: Mapping[str, Any], known: list[Argument]
) -> tuple[list[Argument], list[str]]:
    wanted = operation.get("requestBody")
    if not wanted:
        return [], []
    media = wanted["content"].get("application/json")
    if media is None or len(wanted["content"]) > 1:
        kinds = [Argument("content", "", "bytes", True), Argument("content_type", "", "str", True)]
        return kinds, ["content=content", "content_type=content_type"]
    schema = _resolved(document, media.get("schema", {}))
    if "properties" not in schema:
        kind = _kind(document, schema)
        return [Argument("body", "", kind, True)], ["body=body"]
    required = set(schema.get("required", ()))
    arguments = []
    for sent, each in schema["properties"].items():
        kind = _kind(document, each)
        if sent not in required:
            kind = f"{kind} | Omitted" if kind != "Any" else "Any | Omitted"
        arguments.append(Argument(_name(sent, known), sent, kind, sent in required))
    pairs = ", ".join(f'"{a.sent}": {a.name}' for a in arguments)
    return arguments, [f"body=given({{{pairs}}})"]


def _answer(
    document: Mapping[str, Any], method: str, operation: Mapping[str, Any]
) -> tuple[str, str]:
    """The type of what a method returns, and what of the connection it calls."""
    status, success = next((s, r) for s, r in operation["responses"].items() if s < "300")
    content = success.get("content", {})
    if "text/event-stream" in content:
        return "Iterator[dict[str, Any]]", "fetch_events"
    if status == "204" or not content:
        return "None", "fetch"
    if "application/json" not in content:
        return "bytes", "fetch_bytes"
    schema = _resolved(document, content["application/json"].get("schema", {}))
    names = {p.get("name") for p in operation.get("parameters", ())}
    if method == "GET" and "items" in schema.get("properties", {}) and "after" in names:
        return "Iterator[dict[str, Any]]", "fetch_items"
    return "dict[str, Any]", "fetch"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    several = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(several) == 1:
        return _resolved(document, several[0])
    return schema


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    options = list(_kinds(document, schema))
    if not options or "Any" in options:
        return "Any"
    return " | ".join(dict.fromkeys(sorted(options, key=lambda each: each == "None")))


def _kinds(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        for each in options:
            yield from _kinds(document, each)
    elif schema.get("type") == "null":
        yield "None"
    elif schema.get("type") == "array":
        yield f"Sequence[{_kind(document, schema.get('items', {}))}]"
    else:
        yield _KINDS.get(str(schema.get("type")), "Any")


def _name(sent: str, known: list[Argument]) -> str:
    """An argument's name: that of the request, unless Python or a part of the path has it."""
    name = re.sub(r"[^a-z0-9_]", "_", sent.lower())
    if keyword.iskeyword(name) or name in {each.name for each in known}:
        name += "_"
    return name


def _module(tag: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", tag.lower()).strip("_")


def _class(module: str) -> str:
    return "".join(part.title() for part in module.split("_")) + "Calls"
