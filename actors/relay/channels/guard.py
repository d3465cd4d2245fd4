"""The guard decides which address a request or a mail may go to: never into our own network.

A URL that a tenant writes, or a template produces, could name a service that only we can reach, and
so could the host of a mail server. So every connection resolves its host once, all addresses found
must be public, and it goes to the very address that was checked; a name that answers differently a
moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
URL_MAX = 2_048
# Names that mean "inside" wherever they are looked up (RFC 6761, 6762, 8375; ICANN for .internal).
INNER_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "corp", "home")
# Prefixes that carry an IPv4 address inside, or lead somewhere else than they seem to.
CARRIERS = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)
SHARED = ipaddress.ip_network("100.64.0.0/10")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\Z")


class RefusedError(ValueError):
    """A request that may not be made; its text is a short code."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: a checked address, and the URL with the name that the server knows."""

    url: httpx.URL
    address: Address


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host by the system's resolver; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


@dataclass(frozen=True, slots=True)
class Guard:
    """What is allowed beyond public addresses by https on port 443.

    `allowed` are networks that may be reached although they are not public; `schemes` and `ports`
    what a URL may say.
    """

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] = frozenset({443, 8443})
    allowed: tuple[Network, ...] = ()
    resolve: Resolve = resolve

    async def target(self, text: str) -> Target:
        """Return where a request for the URL `text` goes.

        Raises RefusedError if it may not be made, OSError if the name cannot be resolved.
        """
        url = self.parsed(text)
        host, port = url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
        return Target(url, await self._checked(host, port))

    async def address(self, host: str, port: int) -> Address:
        """Return the address at which a server with the name or address `host` is connected to.

        A name that means "inside" is looked up only where networks are allowed. Raises as `target`
        does.
        """
        if not _HOST.fullmatch(host):
            raise RefusedError("host_malformed")
        if port not in self.ports:
            raise RefusedError("port_refused")
        known = host.lower().rstrip(".")
        if not self.allowed and _literal(known) is None and _is_inner(known):
            raise RefusedError("host_refused")
        return await self._checked(host, port)

    async def _checked(self, host: str, port: int) -> Address:
        literal = _literal(host)
        found = [str(literal)] if literal else await self.resolve(host, port)
        addresses = [_address(each) for each in found]
        if not addresses:
            raise OSError(f"no address for port {port}")
        # One inner address among public ones is reason enough: the name is not to be trusted.
        if not all(map(self._is_open, addresses)):
            raise RefusedError("address_refused")
        return addresses[0]

    def parsed(self, text: str) -> httpx.URL:
        """Return the URL if its form is allowed, without looking anything up; RefusedError else."""
        if len(text) > URL_MAX or not text.isprintable() or "\\" in text or " " in text:
            raise RefusedError("url_malformed")
        try:
            url = httpx.URL(text)
            host = url.raw_host.decode("ascii").lower().rstrip(".")
            port = url.port or _PORTS.get(url.scheme, 0)
        except (httpx.InvalidURL, ValueError):
            raise RefusedError("url_malformed") from None
        if url.scheme not in self.schemes or url.scheme not in _PORTS:
            raise RefusedError("scheme_refused")
        if url.userinfo or "@" in url.netloc.decode("ascii", "replace"):
            raise RefusedError("userinfo_refused")
        if port not in self.ports:
            raise RefusedError("port_refused")
        if not host:
            raise RefusedError("url_malformed")
        literal = _literal(host)
        if literal is None and _is_inner(host):
            raise RefusedError("host_refused")
        if literal is not None and not self._is_open(literal):
            raise RefusedError("address_refused")
        return url

    def _is_open(self, address: Address) -> bool:
        if any(address in network for network in self.allowed):
            return True
        return _is_public(address)


_PORTS = {"https": 443, "http": 80}


def _literal(host: str) -> Address | None:
    """The address that a host is, None if it is a name; RefusedError for an odd way to write one.

    Resolvers take 0x7f.1, 2130706433 and 017700000001 for addresses; we take four decimals only.
    """
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare or _NUMBER.match(bare.rstrip(".").rpartition(".")[2]):
        return _address(bare)
    return None


def _is_inner(host: str) -> bool:
    """Whether a name, in small letters, means "inside" wherever it is looked up."""
    return "." not in host or any(host.endswith("." + inner) for inner in INNER_NAMES)


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise RefusedError("address_refused") from None


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address.scope_id or any(address in network for network in CARRIERS):
            return False
    elif address in SHARED:
        return False
    return address.is_global and not (
        address.is_multicast
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_reserved
        or address.is_unspecified
    )
