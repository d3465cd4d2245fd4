"""What every route has: who asks, pages, changes that are told and happen once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from api.http.app import create_app
from api.http.routing import Calling, Page, Pages, Paging, Routes, Strict
from api.http.serving import HttpServer
from http_service import LOOPBACK, Served, served
from waiting import PATIENCE_S

routes = Routes("Groups")


class Group(Strict):
    name: str


class Named(BaseModel):
    name: str


@routes.add("POST", "/v1/groups", scope="flows:write", status=201, cost=5, example={"name": "a"})
def create_group(call: Calling, group: Group) -> Named:
    """Make a group."""
    made = Named(name=group.name)
    with call.change() as change:
        number = change.txn.append("groups", {"name": group.name})
        change.audit("group.create", f"group:{number}", after=group.name)
        return change.answer(made, 201)  # type: ignore[return-value]


@routes.add("GET", "/v1/groups", scope="flows:read", example={"items": []})
def list_groups(call: Calling, paging: Pages) -> Page[Named]:
    """List groups."""
    with call.rows.read() as txn:
        found = [(k, r["name"]) for k, r in txn.scan("groups", "", paging.after, paging.limit + 1)]
    keys = {name: key for key, name in found}
    return paging.page([Named(name=name) for _, name in found], lambda group: keys[group.name])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, httpx.Client]]:
    folder: Path = tmp_path_factory.mktemp("routes")
    with served(folder / "data") as found:
        app = create_app(found.service)
        app.include_router(routes)
        key = {"Authorization": f"Bearer {found.admin}"}
        with (
            HttpServer(app, LOOPBACK) as server,
            httpx.Client(base_url=server.url, timeout=PATIENCE_S, headers=key) as client,
        ):
            yield found, client


def names(client: httpx.Client) -> list[str]:
    return [item["name"] for item in client.get("/v1/groups").json()["items"]]


def test_a_repeated_request_happens_once(asked: tuple[Served, httpx.Client]) -> None:
    found, client = asked
    name, once = str(uuid.uuid4()), {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (client.post("/v1/groups", json={"name": name}, headers=once) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json() == {"name": name}
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert names(client).count(name) == 1
    other = client.post("/v1/groups", json={"name": "other"}, headers=once)
    assert (other.status_code, other.json()["pointer"]) == (422, "Idempotency-Key")
    with found.service.plane.tenant("main").read() as txn:
        told = [entry["action"] for _, entry in txn.scan("audit")]
    assert told == ["group.create"]


def test_pages_follow_each_other(asked: tuple[Served, httpx.Client]) -> None:
    _, client = asked
    made = [f"page-{i}" for i in range(5)]
    for name in made:
        client.post("/v1/groups", json={"name": name})
    seen: list[str] = []
    after = ""
    while True:
        page = client.get("/v1/groups", params={"limit": 2, "after": after}).json()
        seen += [item["name"] for item in page["items"]]
        if "next" not in page:
            break
        after = page["next"]
    assert [name for name in seen if name.startswith("page-")] == made
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 422),
        ("limit=501", 422),
        ("limit=x", 422),
        ("after=%25", 422),
        ("after=A", 422),
        ("after=_w", 404),
    ],
)
def test_wrong_pages_are_told(asked: tuple[Served, httpx.Client], query: str, status: int) -> None:
    answer = asked[1].get(f"/v1/groups?{query}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"name": 7}', 422, "/name"),
        (b"{}", 422, "/name"),
        (b'{"name": "a", "tenant": "x"}', 422, "/tenant"),
        (b'{"name"', 400, ""),
        (b"[" * 100_000, 400, ""),
        (b'{"name": "\xff"}', 400, ""),
    ],
)
def test_wrong_bodies_are_told_with_their_place(
    asked: tuple[Served, httpx.Client], body: bytes, status: int, pointer: str
) -> None:
    answer = asked[1].post("/v1/groups", content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    assert (answer.status_code, told["status"]) == (status, status)
    assert [fault["pointer"] for fault in told.get("errors", [])] == [pointer] * bool(pointer)


def test_a_key_without_the_scope_is_refused_before_anything_else(
    asked: tuple[Served, httpx.Client],
) -> None:
    found, client = asked
    key = {"Authorization": f"Bearer {found.events}", "Idempotency-Key": "k"}
    answer = client.post("/v1/groups", json={"name": "a"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_what_is_left_to_spend_is_told(asked: tuple[Served, httpx.Client]) -> None:
    found, client = asked
    answer = client.post("/v1/groups", json={"name": "a"})
    assert '"api";q=1000' in answer.headers["ratelimit-policy"]
    rates = found.service.rates
    for caller in found.service.rates._buckets["api"].values():
        caller.level = -1000.0
    refused = client.get("/v1/groups")
    rates._buckets["api"].clear()
    assert (refused.status_code, refused.json()["code"]) == (429, "limited")
    assert int(refused.headers["retry-after"]) >= 1


def test_a_page_has_no_next_when_all_is_shown() -> None:
    page = Paging(2, "").page([Named(name="a"), Named(name="b")], lambda item: item.name)
    assert (len(page.items), page.next) == (2, None)
