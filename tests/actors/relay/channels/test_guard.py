"""Tests of where requests may go."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from actors.relay.channels.guard import Guard, RefusedError

PUBLIC = "93.184.216.34"


def target(url: str, *found: str, guard: Guard | None = None) -> str:
    async def resolve(host: str, port: int) -> list[str]:
        return list(found)

    chosen = guard or Guard(resolve=resolve)
    return str(asyncio.run(chosen.target(url)).address)


def test_public_places_are_open() -> None:
    assert target("https://example.com/a?b=c", PUBLIC) == PUBLIC
    assert target("https://example.com:8443/", "2606:2800:220:1::1") == "2606:2800:220:1::1"
    assert target(f"https://{PUBLIC}/") == PUBLIC
    assert target("https://[2606:2800:220:1::1]/") == "2606:2800:220:1::1"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("::127.0.0.1", "2001:0:7f00:1::", "fec0::1", "2001:db8::1", "192.0.2.1"),
    ],
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(RefusedError, match="address_refused"):
        target("https://example.com/", address)
    with pytest.raises(RefusedError, match="address_refused"):
        target("https://example.com/", PUBLIC, address)


def test_what_is_allowed_is_open() -> None:
    network = ipaddress.ip_network("10.9.0.0/16")

    async def resolve(host: str, port: int) -> list[str]:
        return ["10.9.1.1"]

    assert target(
        "https://hook.example.com/", guard=Guard(allowed=(network,), resolve=resolve)
    ) == ("10.9.1.1")
    with pytest.raises(RefusedError):
        target("https://10.8.0.1/", guard=Guard(allowed=(network,)))


def test_a_name_without_address_is_an_error_of_the_network() -> None:
    with pytest.raises(OSError, match="no address"):
        target("https://example.com/")


def test_a_server_is_checked_as_a_url_is() -> None:
    async def inner(host: str, port: int) -> list[str]:
        return ["10.9.1.1"]

    def address(host: str, port: int, guard: Guard) -> str:
        return str(asyncio.run(guard.address(host, port)))

    mail = Guard(ports=frozenset({587}), resolve=inner)
    for host, port, refusal in (
        ("mx.example.com", 25, "port_refused"),
        ("mx.example.com", 587, "address_refused"),
        ("postfix", 587, "host_refused"),
        ("mx.LAN.", 587, "host_refused"),
        ("a/b", 587, "host_malformed"),
        ("", 587, "host_malformed"),
        ("10.9.1.1", 587, "address_refused"),
    ):
        with pytest.raises(RefusedError, match=refusal):
            address(host, port, mail)
    network = ipaddress.ip_network("10.9.0.0/16")
    opened = Guard(ports=frozenset({587}), allowed=(network,), resolve=inner)
    # Who opened a network may name what is in it as it is called there.
    assert address("postfix", 587, opened) == address("10.9.1.1", 587, opened) == "10.9.1.1"
    assert address(PUBLIC, 587, mail) == PUBLIC
