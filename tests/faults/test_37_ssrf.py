"""Scenario 37: no URL that a tenant or a template can write reaches a service of ours."""

from __future__ import annotations

import asyncio
import itertools

from actors.relay.channels.base import Message
from actors.relay.channels.guard import Guard
from actors.relay.channels.http_provider import Gateway, HttpProvider
from actors.relay.channels.smtp import Server as MailServer
from actors.relay.channels.smtp import SmtpChannel
from actors.relay.channels.webhook import WebhookChannel
from actors.relay.outcomes import Dead, Retry
from local_http import LOOPBACK, answer, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC = "93.184.216.34"
HOSTS = [
    *("127.0.0.1", "127.1", "127.0.1", "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1"),
    *("017700000001", "0177.0.0.1", "127.0.0.1.", "0xA9FEA9FE", "2852039166", "169.254.169.254"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]"),
    *("[fd00:ec2::254]", "[fe80::1%25lo]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1"),
    *("100.64.0.1", "192.168.0.1", "172.16.0.1", "localhost", "LOCALHOST", "a.localhost"),
    *("metadata.google.internal", "db.local", "router", "printer.lan", "x.home.arpa"),
    *("user@127.0.0.1", "user:pass@example.com", "example.com@127.0.0.1", "example.com#@127.0.0.1"),
    *(
        "127.0.0.1\\@example.com",
        "example.com\\@127.0.0.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "１２７.0.0.1",
    ),
    *("127.0.0.1%00.example.com", "127.0.0.1 .example.com", "loop\tback", "", "%31%32%37.0.0.1"),
]
SCHEMES = [
    "file",
    "gopher",
    "ftp",
    "unix",
    "dict",
    "ws",
    "data",
    "javascript",
    "httpx",
    "http+unix",
]


def test_37_nothing_reaches_the_canary() -> None:
    async def main() -> tuple[int, int]:
        async with serving(answer(200)) as canary:
            # Whatever has a name leads to the canary; the canary's own port is allowed.
            async def to_canary(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            ports = frozenset({443, canary.port})
            guard = Guard(frozenset({"http", "https"}), ports, resolve=to_canary)
            urls = [
                f"{scheme}://{host}{port}/"
                for scheme, host in itertools.product(("http", "https"), HOSTS)
                for port in (f":{canary.port}", "")
            ]
            urls += [f"{scheme}://127.0.0.1:{canary.port}/" for scheme in SCHEMES]
            urls += [f"//127.0.0.1:{canary.port}/", "127.0.0.1", "http:127.0.0.1", "http:///x"]
            urls += [f"https://rebound.example.com:{canary.port}/", "https://inner.example.com/"]
            urls += [f"https://example.com:{port}/" for port in (22, 25, 80, 6379, 0, 65536)]
            hook = WebhookChannel([SECRET], guard)
            for url in urls:
                outcome = await hook.send(Message("k", url, {"body": "b"}, 0))
                assert isinstance(outcome, Dead), (url, outcome)
            await hook.close()
            gateway = Gateway("{{ raw }}", {}, secrets={"raw": f"http://127.0.0.1:{canary.port}/"})
            by_value = HttpProvider(gateway, guard)
            assert isinstance(await by_value.send(Message("k", "a", {"body": ""}, 0)), Dead)
            await by_value.close()
            plain = Gateway(f"http://127.0.0.1:{canary.port}/{{{{ to }}}}", {})
            by_template = HttpProvider(plain, guard)
            assert isinstance(await by_template.send(Message("k", "a", {"body": ""}, 0)), Dead)
            await by_template.close()
            return len(urls) + 2, canary.connections

    tried, reached = asyncio.run(main())
    print(f"\nscenario 37: {tried} requests, {reached} connections to the canary")
    assert reached == 0


def test_37_a_name_that_changes_its_answer_gains_nothing() -> None:
    asked: list[str] = []

    async def main() -> int:
        async with serving(answer(200)) as canary:

            async def rebind(host: str, port: int) -> list[str]:
                asked.append(host)
                # Nobody listens there; it is allowed here to stand for a public address.
                return ["127.0.0.9" if len(asked) == 1 else "127.0.0.1"]

            guard = Guard(frozenset({"http"}), frozenset({canary.port}), LOOPBACK, rebind)
            hook = WebhookChannel([SECRET], guard, timeout_ms=2_000)
            url = f"http://rebound.example.com:{canary.port}/"
            outcome = await hook.send(Message("k", url, {"body": "b"}, 0))
            await hook.close()
            # Nobody listens at the first address, and the second is never asked for.
            assert outcome == Retry("connect_failed")
            return canary.connections

    assert asyncio.run(main()) == 0
    assert len(asked) == 1


def test_37_a_redirect_is_not_followed() -> None:
    async def main() -> tuple[int, int]:
        async with serving(answer(200)) as canary:
            location = f"Location: http://127.0.0.1:{canary.port}/"
            async with serving(
                *(answer(code, b"", location) for code in (301, 302, 307, 308))
            ) as s:
                hook = WebhookChannel([SECRET], s.guard())
                for code in (301, 302, 307, 308):
                    outcome = await hook.send(Message("k", s.url(), {"body": "b"}, 0))
                    assert outcome == Dead(f"http_{code}")
                await hook.close()
                return s.connections, canary.connections

    assert asyncio.run(main()) == (4, 0)


MAIL = Message("k", "zoe@example.org", {"subject": "s", "text": "t"}, 0)
MAIL_HOSTS = [
    *HOSTS,
    "a" * 254,
    "example.com/path",
    "example.com:25",
    "-x.example.com",
    "ex\nx.com",
]
PORTS = (22, 80, 443, 6379)


def test_37_no_mail_server_leads_inside() -> None:
    async def main() -> tuple[int, int]:
        async with serving(answer(200)) as canary:

            async def to_canary(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            async def to_both(host: str, port: int) -> list[str]:
                return [PUBLIC, "127.0.0.1"]

            tried = 0
            for resolve in (to_canary, to_both):
                guard = Guard(ports=frozenset({canary.port}), resolve=resolve)
                for host in (*MAIL_HOSTS, *(h.strip("[]") for h in HOSTS), "rebound.example.com"):
                    mailer = SmtpChannel(
                        MailServer(host, canary.port, "shop@example.com", tls="none"), guard
                    )
                    outcome = await mailer.send(MAIL)
                    assert isinstance(outcome, Dead), (host, outcome)
                    tried += 1
                for port in PORTS:
                    other = SmtpChannel(MailServer(PUBLIC, port, "shop@example.com"), guard)
                    assert await other.send(MAIL) == Dead("port_refused")
            return tried, canary.connections

    tried, reached = asyncio.run(main())
    print(f"\nscenario 37: {tried} mail servers, {reached} connections to the canary")
    assert reached == 0


def test_37_a_mail_server_whose_name_changes_its_answer_gains_nothing() -> None:
    """Public when it was set up, private when it is connected to, and the other way round."""
    answers: list[str] = []

    async def main() -> int:
        async with serving(answer(200)) as canary:

            async def rebind(host: str, port: int) -> list[str]:
                return [answers.pop(0)]

            guard = Guard(ports=frozenset({canary.port}), resolve=rebind)
            mailer = SmtpChannel(
                MailServer("mx.example.com", canary.port, "shop@example.com", tls="none"), guard
            )
            answers[:] = [PUBLIC, "127.0.0.1"]
            assert str(await guard.address("mx.example.com", canary.port)) == PUBLIC
            assert await mailer.send(MAIL) == Dead("address_refused")
            assert answers == []
            # It is allowed here to stand for a public one; nobody listens at the first address.
            pinned = SmtpChannel(
                MailServer("mx.example.com", canary.port, "shop@example.com", tls="none"),
                Guard(ports=frozenset({canary.port}), allowed=LOOPBACK, resolve=rebind),
            )
            answers[:] = ["127.0.0.9", "127.0.0.1"]
            assert await pinned.send(MAIL) == Retry("connect_failed")
            assert answers == ["127.0.0.1"]
            return canary.connections

    assert asyncio.run(main()) == 0
