"""Write the OpenAPI document so exactly that it can be held against every answer.

What a schema cannot say stands beside it: `x-beyond-schema` has the statuses, with the reasons, by
which an operation may refuse a request that fits its schema. Links tell whoever makes a thing where
to go on with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from api.http.problems import ProblemBody

REFERENCE = "#/components/schemas/"
MAKING = ("post", "put", "delete")
UNUSED = ("HTTPValidationError", "ValidationError")
_PLACE = re.compile(r"{([^}]+)}")
TOLD: Mapping[str, Mapping[str, str]] = {
    # By the model of an answer: places in paths, and where the answer tells what stands there.
    "CommandBody": {"flow": "flow", "version": "version"},
    "ErasureBody": {"erasure": "id"},
    "ExportBody": {"export": "id"},
    "FlowBody": {"flow": "flow"},
    "GroupBody": {"group": "group"},
    "KeyMinted": {"key": "key/key_id"},
    "RunBody": {"run": "id"},
    "TemplateBody": {"template": "template"},
    "TenantMade": {"tenant": "tenant/id"},
    "UploadBody": {"upload": "id"},
    "UserBody": {"user": "id"},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    found: dict[str, Any] = FastAPI.openapi(app)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schema = ProblemBody.model_json_schema(ref_template=REFERENCE + "{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["ProblemBody"] = schema
    for unused in UNUSED:
        schemas.pop(unused, None)
    for operation in _operations(found):
        _drop_default_problems(operation)
        _state_parameters(operation)
    _link(found)
    return found


def _operations(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in found["paths"].values():
        yield from path.values()


def _drop_default_problems(operation: dict[str, Any]) -> None:
    told = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
    if "HTTPValidationError" in told.get("schema", {}).get("$ref", ""):
        del operation["responses"]["422"]


def _state_parameters(operation: dict[str, Any]) -> None:
    """A parameter is there or not, and never null; what is asked for by 428 must be there."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update(kinds[0])
        if parameter["name"] == "If-Match" and "428" in operation["responses"]:
            parameter["required"] = True


def _link(found: dict[str, Any]) -> None:
    """Link what makes a thing with whatever can be asked of it."""
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if method not in MAKING:
                continue
            for status, response in operation["responses"].items():
                links = _links(found, path, operation, response) if status[0] == "2" else {}
                if links:
                    response["links"] = links


def _links(
    found: dict[str, Any], path: str, operation: dict[str, Any], response: dict[str, Any]
) -> dict[str, Any]:
    """What can be asked with what an answer tells, or of the very thing that was put."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    told = TOLD.get(schema.get("$ref", "").removeprefix(REFERENCE), {})
    own = _PLACE.findall(path) if operation["x-scope"] else []
    known = {place: f"$request.path.{place}" for place in own}
    known |= {place: f"$response.body#/{member}" for place, member in told.items()}
    noun = path.split("/")[:3]
    links = {}
    for target, operations in found["paths"].items():
        places = _PLACE.findall(target)
        if not places or not known.keys() >= set(places):
            continue
        if not told.keys() & set(places) and target.split("/")[:3] != noun:
            continue  # another noun's places have the same names
        for each in operations.values():
            if each is not operation:
                parameters = {place: known[place] for place in places}
                name = each["operationId"]
                links[name] = {"operationId": name, "parameters": parameters}
    return links
