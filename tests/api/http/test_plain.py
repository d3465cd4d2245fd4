"""Values that JSON can write and nothing here can keep are refused with their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.http.plain import check_plain
from api.http.problems import ProblemError
from http_service import Served
from http_shop import MAIL, Shop

BAD = [
    ('"\\ud800"', "half a character"),
    ("1" + "0" * 40, "beyond 64 bits"),
    (str(2**63), "beyond 64 bits"),
    ("NaN", "not finite"),
    ("1e400", "not finite"),
    ('{"\\udfff": 1}', "half a character"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_value_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(ProblemError) as refused:
        check_plain({"a": [1, {"b": json.loads(text)}]})
    problem = refused.value.problem
    assert (problem.status, problem.pointer) == (422, "/a/1/b")
    assert why in problem.detail


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1.5, True, None, "ü😀", [], {}])
def test_a_value_that_can_be_kept_is_let_by(value: Any) -> None:
    check_plain({"a": [value]})


@pytest.mark.parametrize(("text", "why"), BAD)
def test_scenario_32_bodies_of_content_and_providers_never_fail_the_service(
    service: Served, text: str, why: str
) -> None:
    shop = Shop(service)
    shop.done("PUT", "/v1/content/kept", MAIL)
    shop.done("PUT", "/v1/customers/kept", {"set": {"email": "a@x.example"}})
    mail = json.dumps(MAIL)[:-1]
    gate = '{"kind": "http_provider", "channels": ["sms"], "url": "https://g.example.com/x"'
    secret = '"body": {}, "secrets": {"a": {"value": '
    bodies = [
        ("PUT", "/v1/content/kept", mail + f', "constants": {{"a": {text}}}}}'),
        ("PUT", "/v1/providers/gate", gate + f', "body": {text}}}'),
        ("PUT", "/v1/providers/gate", gate + f", {secret}{text}}}}}}}"),
        ("POST", "/v1/content/kept/preview",
         f'{{"customer": "kept", "channel": "email", "stated": {{"a": {text}}}}}'),
    ]  # fmt: skip
    for method, path, body in bodies:
        headers = {"Content-Type": "application/json"}
        status, problem = shop.problem(method, path, content=body.encode(), headers=headers)
        assert status in (400, 422), (path, problem)
