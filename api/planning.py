"""Compare a folder of flows, as git keeps it, with a service, and say what would have to change.

FOLDER/schema.yaml          attributes and events
FOLDER/segments.yaml        segments and groups
FOLDER/content/NAME.yaml    items of content
FOLDER/flows/*.yaml         flows; each says itself what its id is

Each part is optional: what the folder does not have is left alone. Documents are compared by what
they say, not by how they are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors.relay.contents import ContentFile
from actors.service.differences import differences
from actors.yaml_file import load_yaml
from api.documents import open_segments, read_bytes
from api.http_client import ApiError, HttpClient
from core.document import read_values
from core.errors import HeadraceError
from core.tenant_schema import TenantSchema

FLOWS, CONTENT = "flows", "content"
SCHEMA, SEGMENTS = "schema.yaml", "segments.yaml"
KINDS = ("schema", "segments", "content", "flow")
SUFFIXES = (".yaml", ".yml", ".json")
NOTHING = hashlib.sha256(b"null").hexdigest()[:16]
"""The revision of what is not there."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would be done to one thing.

    `action` is `create`, `change` or, of a flow, `publish` of what is its draft already. `told` are
    the places that differ, `document` what it is to be; `errors` would keep a flow from being
    published; `edition` is that of the draft that the plan was made of, `revision` that of anything
    else.
    """

    kind: str
    name: str
    action: str
    told: tuple[str, ...]
    document: Any
    file: str
    errors: tuple[str, ...] = ()
    edition: int | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order in which they are made; and flows that only the service has."""

    changes: tuple[Change, ...]
    unmanaged: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def errors(self) -> list[str]:
        """What would keep flows from being published."""
        return [f"{c.file}: {error}" for c in self.changes for error in c.errors]


def plan(folder: Path, client: HttpClient) -> Plan:
    """What would have to change. Raises HeadraceError for what cannot be read, ApiError."""
    if not folder.is_dir():
        raise HeadraceError(
            "there is no such folder", advice="Name the folder with flows/", file=str(folder)
        )
    found = [
        *_schema(folder / SCHEMA, client),
        *_segments(folder / SEGMENTS, client),
        *_contents(folder / CONTENT, client),
    ]
    flows = flow_files(folder)
    if not flows and not any((folder / name).exists() for name in (SCHEMA, SEGMENTS, CONTENT)):
        raise HeadraceError(
            "the folder holds nothing to compare",
            advice=f"Put flows into {FLOWS}/, and {SCHEMA} and {SEGMENTS} beside it",
            file=str(folder),
        )
    compared = [_flow(name, path, client) for name, path in flows.items()]
    known = [flow["flow"] for flow in client.list_flows(columns=["name"])]
    return Plan(
        (*filter(None, found), *filter(None, compared)),
        tuple(sorted(set(known) - set(flows))) if flows else (),
        sum(each is None for each in (*found, *compared)),
    )


def flow_files(folder: Path) -> dict[str, Path]:
    """The flow documents of a folder, by the flows' ids. Raises HeadraceError."""
    found: dict[str, Path] = {}
    for path in _files(folder / FLOWS):
        values = read_values(read_bytes(path).decode("utf-8", "replace"), name=str(path))
        name = values.get("flow") if isinstance(values, dict) else None
        if not isinstance(name, str):
            raise HeadraceError(
                "it does not say which flow it is", advice="State `flow: ID`", file=str(path)
            )
        if name in found:
            raise HeadraceError(
                f"the flow {name} is in {found[name]} as well",
                advice="Keep one of them",
                file=str(path),
            )
        found[name] = path
    return found


def _files(folder: Path) -> list[Path]:
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix in SUFFIXES and path.is_file())


def _schema(path: Path, client: HttpClient) -> Iterator[Change | None]:
    if path.exists():
        wanted = load_yaml(path, TenantSchema, "the schema").to_json()
        standing = client.read_schema()
        found = _compared("schema", "schema", standing["document"], wanted, path)
        yield _since(found, standing["revision"])


def _segments(path: Path, client: HttpClient) -> Iterator[Change | None]:
    if path.exists():
        wanted = open_segments(path).model_dump(mode="json")
        standing = client.read_segments_document()
        found = _compared("segments", "segments", standing["document"], wanted, path)
        yield _since(found, standing["revision"])


def _contents(folder: Path, client: HttpClient) -> Iterator[Change | None]:
    for path in _files(folder):
        wanted = load_yaml(path, ContentFile, "the content")
        try:
            told = client.read_content(path.stem)
            standing = ContentFile.model_validate(told["content"]).model_dump(mode="json")
            known = told["revision"]
        except ApiError as error:
            if error.status != 404:
                raise
            standing, known = None, NOTHING
        document = wanted.model_dump(mode="json", exclude_unset=True)
        found = _compared("content", path.stem, standing, wanted.model_dump(mode="json"), path)
        yield None if found is None else replace(found, document=document, revision=known)


def _since(found: Change | None, revision: str) -> Change | None:
    return None if found is None else replace(found, revision=revision)


def _compared(
    kind: str, name: str, standing: Any, wanted: Mapping[str, Any], path: Path
) -> Change | None:
    if standing == wanted:
        return None
    told = () if standing is None else places(standing, wanted)
    action = "create" if standing is None else "change"
    return Change(kind, name, action, told, wanted, str(path))


def _flow(name: str, path: Path, client: HttpClient) -> Change | None:
    text = read_bytes(path).decode("utf-8", "replace")
    try:
        known = client.read_flow(name)
        draft = client.read_draft(name)
    except ApiError as error:
        if error.status != 404:
            raise
        errors = _errors(client, text)
        return Change("flow", name, "create", (), text, str(path), errors)
    wanted = read_values(text, name=str(path))
    version = int(known.get("version") or 0)
    published = (
        read_values(client.read_version(name, version)["document"], name=name) if version else {}
    )
    if published == wanted:
        return None
    same = read_values(draft["document"], name=name) == wanted
    return Change(
        "flow",
        name,
        "publish" if same else "change",
        places(published, wanted) if version else (),
        text,
        str(path),
        _errors(client, text),
        int(draft["edition"]),
    )


def _errors(client: HttpClient, text: str) -> tuple[str, ...]:
    """What is wrong with a document as publishing would judge it now."""
    found = client.lint_document(document=text)["violations"]
    return tuple(
        f"{each.get('pointer', '')}: {each['message']}"
        for each in found
        if each.get("severity") == "error"
    )


def places(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What is different between two documents, in words."""
    found = differences(before, after)
    told = [f"+ node {node}" for node in found.added]
    told += [f"- node {node}" for node in found.removed]
    for change in found.changes:
        if change.kind == "changed":
            told.append(f"~ {change.pointer}: {_short(change.before)} -> {_short(change.after)}")
        elif change.kind == "added":
            told.append(f"+ {change.pointer}: {_short(change.after)}")
        else:
            told.append(f"- {change.pointer}: {_short(change.before)}")
    return tuple(told)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def apply(
    wanted: Plan, client: HttpClient, *, in_flight: str = "pin", audiences: Mapping[str, int]
) -> Iterator[str]:
    """Make the changes, and tell each when it is made. Raises ApiError at the first that is not.

    Each is made only to what the plan was made of: where somebody changed it since, the ApiError
    is 409 and has both versions. `audiences` are the numbers
    of people that are acknowledged, by flow.
    """
    for change in wanted.changes:
        if change.kind == "schema":
            client.set_schema(change.document, if_match=change.revision)
        elif change.kind == "segments":
            client.set_segments_document(change.document, if_match=change.revision)
        elif change.kind == "content":
            _put_content(client, change)
        else:
            yield from _publish(client, change, in_flight, audiences.get(change.name))
            continue
        yield f"{change.kind} {change.name}: {change.action}d"


def _put_content(client: HttpClient, change: Change) -> None:
    headers = {"If-Match": change.revision}
    client.ask(
        "PUT", f"/v1/content/{change.name}", body=change.document, headers=headers, once=True
    )


def _publish(
    client: HttpClient, change: Change, in_flight: str, audience: int | None
) -> Iterator[str]:
    edition = change.edition
    if change.action == "create":
        edition = int(client.create_flow(document=change.document)["edition"])
    elif change.action == "change":
        saved = client.save_draft(change.name, change.document, if_match=f'"{edition}"')
        edition = int(saved["edition"])
    order: dict[str, Any] = {"in_flight": in_flight}
    if audience is not None:
        order["audience"] = audience
    done = client.publish_flow(change.name, if_match=f'"{edition}"', **order)
    yield f"flow {change.name}: version {done['version']} is published"
    for each in done["warnings"]:
        yield f"  {each['severity']} {each['code']} at {each['pointer']}: {each['message']}"


def lines(found: Sequence[Change]) -> Iterator[tuple[str, str, str, str]]:
    """A row for each change: its kind, name, action and first differences."""
    for change in found:
        more = len(change.told) - 5
        told = "\n".join((*change.told[:5], *((f"and {more} more",) if more > 0 else ())))
        yield change.kind, change.name, change.action, told
