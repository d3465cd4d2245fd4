"""One HTTP request to a guarded address, and its answer, bounded in time and size.

No redirects, cookies, proxies or decompression: the transport is used without a client around it.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from actors.relay.channels.guard import Guard, RefusedError
from actors.relay.outcomes import Ambiguous, Dead, Retry

REPLY_MAX = 64 << 10
RETRY_AFTER_MAX_MS = 86_400_000
# Answers that say "later" to everybody rather than "no" to this message.
THROTTLES = frozenset({429})
AGAIN = frozenset({408, 425})
# A gateway's word about a server that may have done its work all the same.
UNSURE = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `body` is cut at 64 KiB, and `whole` says whether that was all of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    whole: bool


class Exchange:
    """Makes requests. `timeout_ms` is for a request and its answer together."""

    def __init__(
        self, guard: Guard, timeout_ms: int = 20_000, tls: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._timeout_ms = timeout_ms
        # Connections are not kept: one made for a name must never serve another at its address.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls or ssl.create_default_context(), trust_env=False, limits=limits
        )

    async def close(self) -> None:
        """Give back what the transport holds."""
        await self._transport.aclose()

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Reply | Retry | Ambiguous | Dead:
        """Return the answer, or what is known without one."""
        until = asyncio.get_running_loop().time() + self._timeout_ms / 1_000
        sent = False
        try:
            async with asyncio.timeout_at(until):
                target = await self._guard.target(url)
                request = self._request(method, target.url, str(target.address), headers, body)
                sent = True
                response = await self._transport.handle_async_request(request)
            return await _reply(response, until)
        except RefusedError as error:
            return Dead(str(error))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Retry("tls_failed" if is_tls(error) else "connect_failed")
        except (TimeoutError, httpx.TimeoutException):
            return Ambiguous("timeout") if sent else Retry("dns_timeout")
        except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeError):
            return Dead("request_malformed")
        except httpx.TransportError:
            return Ambiguous("connection_lost")
        except OSError:
            return Ambiguous("connection_lost") if sent else Retry("dns_failed")

    def _request(
        self, method: str, url: httpx.URL, address: str, headers: Mapping[str, str], body: bytes
    ) -> httpx.Request:
        name = url.raw_host.decode("ascii")
        fixed = {
            "host": url.netloc.decode("ascii"),
            "accept-encoding": "identity",
            "connection": "close",
        }
        seconds = self._timeout_ms / 1_000
        return httpx.Request(
            method,
            url.copy_with(host=address),
            headers={**headers, **fixed},
            content=body,
            extensions={
                "sni_hostname": name,
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds),
            },
        )


async def _reply(response: httpx.Response, until: float) -> Reply:
    """The answer with what there is of its body: the status has been given, which matters most."""
    body = bytearray()
    whole = True
    try:
        async with asyncio.timeout_at(until):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > REPLY_MAX:
                    whole = False
                    break
    except (TimeoutError, httpx.TransportError):
        whole = False
    finally:
        await response.aclose()
    return Reply(response.status_code, response.headers, bytes(body[:REPLY_MAX]), whole)


def refusal(reply: Reply, now_ms: int) -> Retry | Ambiguous | Dead:
    """Return what an answer that is no success means, by its status."""
    status = reply.status
    reason = f"http_{status}"
    after_ms = retry_after_ms(reply.headers.get("retry-after", ""), now_ms)
    if status in THROTTLES or (status == 503 and after_ms):
        return Retry(reason, after_ms, throttled=True)
    if status in UNSURE:
        return Ambiguous(reason)
    if status >= 500 or status in AGAIN:
        return Retry(reason, after_ms)
    return Dead(reason)


def retry_after_ms(text: str, now_ms: int) -> int:
    """Return how long Retry-After asks to wait: seconds or an HTTP date; 0 if absent or odd.

    At most a day (RFC 9110, 10.2.3 has no bound).
    """
    if text.isascii() and text.isdigit():
        return min(int(text[:12]) * 1_000, RETRY_AFTER_MAX_MS)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0
    return min(max(0, int(at.timestamp() * 1_000) - now_ms), RETRY_AFTER_MAX_MS)


def is_tls(error: BaseException | None) -> bool:
    """Return whether an error came of TLS, somewhere along its causes."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
