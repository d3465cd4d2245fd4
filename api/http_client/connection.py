"""Send requests of the API: with the key, again where that is safe, page after page."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from core.errors import HeadraceError

ATTEMPTS_MAX = 6
WAIT_MAX_S = 30.0
TIMEOUT_S = 60.0
AGAIN = frozenset({429, 503})  # whatever was asked for has not happened
PAGE = 200


class Omitted:
    """Stands for an argument that is left out, where None means null."""

    def __repr__(self) -> str:
        return "OMITTED"


OMITTED: Final = Omitted()


class ApiError(HeadraceError):
    """An answer of the API that is no success; `problem` is its body (RFC 9457), {} without one."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail") or f"the service answered {status}"),
            advice=str(problem.get("advice") or ""),
            pointer=problem.get("pointer"),
        )
        self.status = status
        self.code = str(problem.get("code") or "")
        self.problem = dict(problem)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.status, self.problem)


class Connection:
    """A connection to a service. One thread at a time uses it."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts_max: int = ATTEMPTS_MAX,
        sleep: Callable[[float], object] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Ask the service at `url` with a key."""
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_s,
            transport=transport,
        )
        self._attempts_max = attempts_max
        self._sleep = sleep

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: Any = OMITTED,
        content: bytes | None = None,
        content_type: str = "",
        once: bool = False,
    ) -> httpx.Response:
        """The answer of success to a request; arguments that are OMITTED or None are left out.

        With `once` it gets an idempotency key, so that it happens once however often it is sent.
        What answers that it was refused for now is asked again after the time that it states; so is
        what got no answer, if that is safe. Raises ApiError, and HeadraceError without an answer.
        """
        sent = {name: value for name, value in (headers or {}).items() if value is not None}
        if once:
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        more: dict[str, Any] = {}
        if content is not None:
            more["content"] = content
            sent["Content-Type"] = content_type
        elif not isinstance(body, Omitted):
            more["json"] = body
        safe = once or method in ("GET", "HEAD", "PUT", "DELETE")
        params = {name: value for name, value in (query or {}).items() if value is not None}
        for attempt in range(1, self._attempts_max + 1):
            last = attempt == self._attempts_max
            try:
                answer = self._http.request(method, path, params=params, headers=sent, **more)
            except httpx.TransportError as error:
                refused = isinstance(error, httpx.ConnectError)
                if last or not (safe or refused):
                    raise HeadraceError(
                        f"no answer from {self._http.base_url}: {error}",
                        advice="See that the service runs, and that the address is its own",
                    ) from None
                self._sleep(min(WAIT_MAX_S, 0.1 * 2**attempt))
                continue
            if answer.is_success:
                return answer
            problem = _problem(answer)
            again = answer.status_code in AGAIN or problem.get("code") == "under-way"
            if last or not again:
                raise ApiError(answer.status_code, problem)
            self._sleep(min(WAIT_MAX_S, _wait_s(answer, attempt)))
        raise AssertionError("unreachable")

    def fetch(self, method: str, path: str, **more: Any) -> Any:
        """What the body of the answer says, None where it has none. Raises as `ask` does."""
        answer = self.ask(method, path, **more)
        return answer.json() if answer.content else None

    def fetch_bytes(self, method: str, path: str, **more: Any) -> bytes:
        """The body of the answer as it is. Raises as `ask` does."""
        return self.ask(method, path, **more).content

    def fetch_items(
        self, path: str, *, query: Mapping[str, Any] | None = None, **more: Any
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, page after page. Raises as `ask` does."""
        asked = {"limit": PAGE, **{k: v for k, v in (query or {}).items() if v is not None}}
        while True:
            page = self.fetch("GET", path, query=asked, **more)
            yield from page["items"]
            following = page.get("next")
            if not following:
                return
            asked["after"] = following

    def fetch_events(self, path: str, **more: Any) -> Iterator[dict[str, Any]]:
        """Server-sent events as `event` and `data`, until the service ends them."""
        query = {k: v for k, v in (more.get("query") or {}).items() if v is not None}
        sent = {k: v for k, v in (more.get("headers") or {}).items() if v is not None}
        with self._http.stream("GET", path, params=query, headers=sent, timeout=None) as answer:
            if not answer.is_success:
                answer.read()
                raise ApiError(answer.status_code, _problem(answer))
            name, data = "message", []
            for line in answer.iter_lines():
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif not line and data:
                    yield {"event": name, "data": json.loads("\n".join(data))}
                    name, data = "message", []


def at(path: str, *ids: object) -> str:
    """A path with ids in the places of its braces."""
    return path.format(*(quote(str(each), safe="") for each in ids))


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a body is of arguments: those that are not OMITTED."""
    return {name: each for name, each in arguments.items() if not isinstance(each, Omitted)}


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _wait_s(answer: httpx.Response, attempt: int) -> float:
    stated = answer.headers.get("retry-after", "")
    return float(stated) if stated.isdecimal() else 0.1 * 2**attempt
