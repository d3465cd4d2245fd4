"""A tenant who is set up by the HTTP API alone: content, a flow that mails, roles."""

from __future__ import annotations

import json
from typing import Any

import httpx

from http_service import Served

MAIL: dict[str, Any] = {
    "channels": {
        "email": {
            "address": "email",
            "parts": {
                "subject": {"text": "For {{ first_name }}"},
                "text": {"text": "Dear {{ first_name }}, {{ email }}", "missing": "fail"},
            },
        }
    },
    "kind": "transactional",
}


def mailing(flow: str, template: str = "hello", **more: Any) -> str:
    """A flow that mails whoever signs up."""
    node = {"type": "send", "channel": "email", "template": template, "next": "end", **more}
    return json.dumps(
        {
            "headrace": 1,
            "flow": flow,
            "name": flow,
            "settings": {"reentry": {"policy": "always"}},
            "nodes": {
                "start": {"type": "on_event", "event": "signup", "next": "mail"},
                "mail": node,
                "end": {"type": "end"},
            },
        }
    )


class Shop:
    """Asks a service, as the admin unless a key is given."""

    def __init__(self, served: Served, key: str = "") -> None:
        self.served = served
        self.key = key or served.admin

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """The response."""
        given = {} if body is None else {"json": body}
        return self.served.ask(method, path, key=self.key, **given, **more)

    def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What a response says that must be a success."""
        answer = self.ask(method, path, body, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def problem(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Status and body of a response that must be a problem."""
        answer = self.ask(method, path, body, **more)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()

    def role(self, role: str) -> Shop:
        """The same tenant with a key of another role."""
        minted = self.done("POST", "/v1/keys", {"name": role, "role": role})
        return Shop(self.served, minted["secret"])

    def actions(self, noun: str = "") -> list[str]:
        """What the audit log tells was done to things of a kind, the newest last.

        What the engine was told without HTTP comes to the log later, whenever it is read.
        """
        items = self.done("GET", "/v1/audit?limit=500")["items"]
        found = [item["action"] for item in sorted(items, key=lambda item: item["number"])]
        return [action for action in found if action.startswith(noun)]
