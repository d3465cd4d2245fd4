"""Declare routes that read their bodies themselves, with what their clients are told of errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from api.http.ingest.intake import SCOPE, Dialect
from api.http.problems import Problem, declared
from api.http.routing import Endpoint, Routes

Method = Literal["GET", "POST", "PUT", "DELETE"]
OBJECT: Mapping[str, Any] = {"type": "object", "additionalProperties": True}
KEY_IN_HEADER: list[dict[str, list[str]]] = [{"key": []}, {"basic": []}]
KEY_ANYWHERE: list[dict[str, list[str]]] = [*KEY_IN_HEADER, {}]
ERRORS = (400, 401, 403, 413, 415, 429, 500, 503)


def declare(
    routes: Routes,
    method: Method,
    path: str,
    dialect: Dialect,
    *,
    body: Mapping[str, Any] | None,
    answer: Any,
    model: Any,
    problems: tuple[int, ...] = (),
    scope: str = SCOPE,
    schemas: Mapping[str, Any] | None = None,
    shown: bool = True,
) -> Callable[[Endpoint], Endpoint]:
    """Declare a route that hands its request to the intake.

    `body` are examples of the body by media type, "" for one that no text shows, None where there
    is none; `answer` is an example of the answer, `model` its model. `schemas` are those of bodies
    that are not plain, by media type. One that is not `shown` is another spelling of one that is.
    """
    statuses = {dialect.status_of(status) for status in (*ERRORS, *problems)}
    told: dict[int | str, dict[str, Any]] = {}
    for status, each in declared(*statuses).items():
        if dialect.told is not None:
            example = dialect.told(Problem(int(status), "busy", "what is wrong", "What to do"))
            each["content"] = {"application/json": {"schema": dict(OBJECT), "example": example}}
        told[status] = each
    keys = KEY_IN_HEADER if dialect.key_of is None else KEY_ANYWHERE
    extra: dict[str, Any] = {"x-scope": scope, "security": keys}
    if body is not None:
        content: dict[str, dict[str, Any]] = {}
        for media, example in body.items():
            content[media] = {"schema": (schemas or {}).get(media) or _schema(media, example)}
            if example:
                content[media]["example"] = example
        extra["requestBody"] = {"required": True, "content": content}
    return routes.add(
        method,
        path,
        scope=None,
        example=answer,
        responses=told,
        extra=extra,
        response_model=model,
        include_in_schema=shown,
        body_bytes_max=None,
    )


def _schema(media: str, example: Any) -> dict[str, Any]:
    """The schema of a body: items of a list may be anything, since each is refused by itself."""
    if "ndjson" in media:
        return {"type": "string", "format": "ndjson"}
    if "json" not in media:
        return {"type": "string", "format": "binary"}
    items: dict[str, Any] = {"type": "array", "items": {}}
    if not isinstance(example, dict):
        return items
    if "batch" in example:
        return {**OBJECT, "required": ["batch"], "properties": {"batch": items}}
    return dict(OBJECT)
