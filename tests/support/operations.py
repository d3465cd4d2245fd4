"""Tells every operation of the HTTP API by its OpenAPI document, and asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from api.http.app import create_app
from http_service import Served

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `media` and `example` are those of its body, "" and None where it has none."""

    method: str
    path: str
    name: str
    scope: str
    media: str
    example: Any

    @property
    def parameters(self) -> tuple[str, ...]:
        """The ids in its path."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def place(self) -> str:
        """What it is called in a test's failure."""
        return f"{self.method} {self.path}"

    def url(self, ids: Mapping[str, str], default: str) -> str:
        """Its path with ids."""
        return _PARAMETER.sub(lambda m: quote(ids.get(m[1], default), safe=""), self.path)

    def ask(self, service: Served, url: str, key: str, *, body: bool = True) -> httpx.Response:
        """Ask for it with a key, with the example of its body if it has one."""
        more: dict[str, Any] = {}
        if body and self.media == "application/json":
            more["json"] = self.example
        elif body and self.media:
            text = self.example if isinstance(self.example, str) else ""
            more = {"content": text.encode(), "headers": {"Content-Type": self.media}}
        return service.ask(self.method, url, key=key, **more)


def operations(service: Served) -> list[Operation]:
    """All operations of a service's application."""
    return operations_of(create_app(service.service).openapi())


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """All operations of an OpenAPI document."""
    return [
        _operation(method, path, each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]


def _operation(method: str, path: str, found: Mapping[str, Any]) -> Operation:
    content = found.get("requestBody", {}).get("content", {})
    media = next(iter(content), "")
    example = content[media].get("example") if media else None
    return Operation(
        method.upper(), path, found["operationId"], found.get("x-scope", ""), media, example
    )
