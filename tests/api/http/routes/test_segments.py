"""Segments and groups: changed, raced for, and in use."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json

import pytest

from http_service import Served
from http_shop import Shop


@pytest.fixture
def shop(service: Served) -> Shop:
    return Shop(service)


def on_segment(flow: str, name: str) -> str:
    nodes = {
        "in": {"type": "on_segment", "if": {"segment": name}, "next": "out"},
        "out": {"type": "end"},
    }
    settings = {"reentry": {"policy": "once"}}
    return json.dumps(
        {"headrace": 1, "flow": flow, "name": flow, "settings": settings, "nodes": nodes}
    )


def test_a_segment_is_made_used_and_then_kept(shop: Shop) -> None:
    buyers = {"did": "order"}
    told = shop.done("PUT", "/v1/segments/buyers", buyers)
    assert told["pending"] == told["warnings"] == []
    shop.done("PUT", "/v1/segments/pro_buyers", {"all": [{"segment": "buyers"}]})
    shop.served.engine.publish(on_segment("sell", "pro_buyers"))
    found = shop.done("GET", "/v1/segments/buyers")
    assert (found["condition"], found["segments"]) == (buyers, ["pro_buyers"])
    assert shop.done("GET", "/v1/segments/pro_buyers")["used_by"] == ["sell"]
    status, problem = shop.problem("DELETE", "/v1/segments/pro_buyers")
    assert (status, problem["code"], problem["used_by"]) == (409, "in-use", {"flows": ["sell"]})
    status, problem = shop.problem("DELETE", "/v1/segments/buyers")
    assert (status, problem["used_by"]) == (409, {"segments": ["pro_buyers"]})
    # A version that runs keeps what it was published with, and the change says so.
    told = shop.done("PUT", "/v1/segments/buyers", {"did": "signup"})
    assert [warning["code"] for warning in told["warnings"]]
    assert "sell" in str(told["warnings"])
    shop.served.engine.stop("sell", in_flight="drop")
    shop.done("DELETE", "/v1/segments/pro_buyers")
    shop.done("DELETE", "/v1/segments/buyers")
    assert shop.problem("GET", "/v1/segments/buyers")[0] == 404
    assert shop.problem("DELETE", "/v1/segments/buyers")[0] == 404
    assert shop.actions()[-2:] == ["segment.delete", "segment.delete"]


def test_racing_edits_get_both_versions(shop: Shop) -> None:
    shop.done("PUT", "/v1/segments/raced", {"did": "order"})
    first = shop.done("GET", "/v1/segments/raced")["revision"]
    match = {"If-Match": first}
    shop.done("PUT", "/v1/segments/raced", {"did": "signup"}, headers=match)
    status, race = shop.problem("PUT", "/v1/segments/raced", {"never_did": "order"}, headers=match)
    assert (status, race["current"], race["sent"]) == (
        409, {"did": "signup"}, {"never_did": "order"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ({"didnt": "order"}, "/segments/wrong"),
        ({"segment": "nowhere"}, "/segments/wrong/segment"),
        ({"segment": "wrong"}, "/segments/wrong"),
    ],
)
def test_what_is_wrong_with_a_segment_is_told(
    shop: Shop, condition: dict[str, str], place: str
) -> None:
    status, problem = shop.problem("PUT", "/v1/segments/wrong", condition)
    assert status == 422
    assert problem["errors"][0]["pointer"].startswith(place)


def test_A033_groups_have_priorities_until_a_flow_needs_them(shop: Shop) -> None:
    shop.done("PUT", "/v1/customer-groups", {"groups": ["gold", "all"], "deduplicate": True})
    shop.served.engine.publish(
        "headrace: 1\nflow: everyone\nname: Everyone\nsettings: {reentry: {policy: once}}\nnodes:\n"
        "  in: {type: on_group, group: all, next: out}\n  out: {type: end}\n"
    )
    found = shop.done("GET", "/v1/customer-groups")
    assert found["groups"] == [
        {"name": "gold", "used_by": []},
        {"name": "all", "used_by": ["everyone"]},
    ]
    assert found["deduplicate"] is True
    status, problem = shop.problem("PUT", "/v1/customer-groups", {"groups": ["gold"]})
    assert (status, problem["used_by"]) == (409, {"flows": ["everyone"]})
    status, problem = shop.problem("PUT", "/v1/customer-groups", {"groups": ["all", "all"]})
    assert status == 422
    shop.served.engine.stop("everyone", in_flight="drop")
    shop.done("PUT", "/v1/customer-groups", {"groups": []})
    document = shop.done("GET", "/v1/segments-document")
    assert document["document"]["groups"] == []
    shop.done("PUT", "/v1/segments-document", document["document"])


def test_a_viewer_reads_segments_and_changes_none(shop: Shop) -> None:
    viewer = shop.role("viewer")
    assert viewer.done("GET", "/v1/segments")["items"] is not None
    assert viewer.problem("PUT", "/v1/segments/a", {"did": "order"})[0] == 403
    assert viewer.problem("PUT", "/v1/customer-groups", {"groups": []})[0] == 403
