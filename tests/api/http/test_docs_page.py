"""The interactive documentation loads nothing from elsewhere, draws every operation, and asks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from house import CHECKOUT
from http_service import Served
from operations import operations

SCRIPT = CHECKOUT / "tests" / "api" / "http" / "node" / "docs.mjs"
NODE = shutil.which("node")


def test_the_page_and_its_parts_are_served_from_here_alone(service: Served) -> None:
    page = service.ask("GET", "/docs", key="")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    parts = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert set(parts) == {"docs/page.css", "docs/page.js", "openapi.json"}
    kinds = {}
    for part in parts:
        answer = service.ask("GET", f"/{part}", key="")
        assert answer.status_code == 200, part
        kinds[part] = answer.headers["content-type"].partition(";")[0]
        assert "http" not in answer.text or part == "openapi.json"
    assert kinds == {
        "docs/page.css": "text/css",
        "docs/page.js": "text/javascript",
        "openapi.json": "application/json",
    }


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_the_page_draws_every_operation_and_asks_the_service(service: Served) -> None:
    assert NODE is not None
    code = service.ask("GET", "/docs/page.js", key="").text
    done = subprocess.run(
        [NODE, SCRIPT, service.url, service.admin],
        input=code, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    drawn = {tuple(words.split(" ")[:2]) for words in told["words"]}
    shown = {"GET", "POST", "PUT", "PATCH", "DELETE"}
    expected = {
        (each.method.lower(), each.path) for each in operations(service) if each.method in shown
    }
    assert drawn == {(method, path.lower()) for method, path in expected}
    assert len(expected) > 100
    assert told["empty"] == []
    assert "Version" in told["about"]
    assert any(words.startswith("post /v1/flows/{flow}/publish") for words in told["found"])
    assert len(told["found"]) < 10
    assert told["asked"][0] == ["GET", "openapi.json"]
    method, path = told["asked"][1]
    assert (method, path.partition("?")[0]) == ("GET", "v1/flows")
    assert told["answer"].startswith("200 OK")
    assert '"items": []' in told["answer"]
