"""What two people edit at once: the second is told what is there, and what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.http.problems import ProblemError
from api.http.revisions import check_revision, in_use, revision
from http_service import SCHEMA, served
from http_shop import MAIL, Shop

WIDER = {**SCHEMA, "attributes": {**SCHEMA["attributes"], "shoe": {"type": "float64"}}}
WIDEST = {**SCHEMA, "attributes": {**WIDER["attributes"], "hat": {"type": "float64"}}}
LETTERS = {"kind": "file", "channels": ["email"], "file": "letters"}

EDITED: list[tuple[str, Any, Any]] = [
    # The path, the body that comes first, and the one that is to be refused then.
    ("/v1/schema", WIDER, WIDEST),
    ("/v1/segments/raced", {"did": "order"}, {"did": "signup"}),
    (
        "/v1/segments-document",
        {"segments": {"raced": {"did": "signup"}}, "groups": ["a"]},
        {"segments": {}, "groups": ["b"]},
    ),
    ("/v1/customer-groups", {"groups": ["a", "b"]}, {"groups": ["b", "a"]}),
    ("/v1/content/raced", MAIL, {**MAIL, "state": "draft"}),
    ("/v1/coupons/raced", {"stock": 5}, {"stock": 6}),
    ("/v1/recipients", {"groups": {"a": "contact"}}, {"groups": {"a": "profile"}}),
    ("/v1/providers/raced", LETTERS, {**LETTERS, "file": "others"}),
    ("/v1/tracking", {"channels": ["email"]}, {"channels": ["sms"]}),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with served(tmp_path_factory.mktemp("revisions") / "data") as found:
        yield Shop(found)


@pytest.mark.parametrize(("path", "mine", "theirs"), EDITED, ids=[each[0] for each in EDITED])
def test_racing_edits_get_both_versions(shop: Shop, path: str, mine: Any, theirs: Any) -> None:
    shop.done("PUT", path, theirs)
    began = {"If-Match": shop.done("GET", path)["revision"]}
    shop.done("PUT", path, mine, headers=began)
    now = shop.done("GET", path)
    status, told = shop.problem("PUT", path, theirs, headers=began)
    assert (status, told["code"]) == (409, "changed-meanwhile")
    assert told["revision"] == now["revision"] != began["If-Match"]
    assert says(told["current"], mine), told
    assert says(told["sent"], theirs), told
    assert not says(told["current"], theirs), told
    assert shop.done("GET", path) == now
    # With the revision of now, or with none at all, it goes over.
    shop.done("PUT", path, theirs, headers={"If-Match": now["revision"]})
    shop.done("PUT", path, mine)
    assert shop.done("GET", path)["revision"] == now["revision"]


def says(told: Any, body: Any) -> bool:
    """Whether a value says all that a body stated, and maybe defaults; or all of its one member."""
    if isinstance(told, dict) and isinstance(body, dict):
        if all(name in told and says(told[name], each) for name, each in body.items()):
            return True
        return len(body) == 1 and told == next(iter(body.values()))
    return bool(told == body)


def test_a_revision_is_that_of_the_value_alone() -> None:
    assert revision({"a": 1, "b": [2]}) == revision({"b": [2], "a": 1}) != revision({"a": 1})
    for stated in (None, "*", '"*"', revision({"a": 1}), f' "{revision({"a": 1})}" '):
        check_revision(stated, {"a": 1}, {"a": 2})
    with pytest.raises(ProblemError) as refused:
        check_revision("0", {"a": 1}, {"a": 2})
    told = refused.value.problem.body()
    assert (told["current"], told["sent"]) == ({"a": 1}, {"a": 2})


def test_what_is_in_use_is_told_by_whom() -> None:
    in_use("segment 'a'", flows=[], segments=[])
    with pytest.raises(ProblemError) as refused:
        in_use("segment 'a'", flows=["f"], segments=[])
    told = refused.value.problem.body()
    assert (told["status"], told["code"], told["used_by"]) == (409, "in-use", {"flows": ["f"]})
    assert told["detail"] == "segment 'a' is used by flows f"
