"""Which addresses no request of ours may reach: link-local ones and the clouds' metadata services, where credentials
lie about; for what is told of an incident also those of the own network, unless that is asked for.

Names are resolved here, once per connection, and only what passed is connected to, so that a name cannot change its
address between the check and the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ip_network("64:ff9b::/96")
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
    )
)


@lru_cache(4096)  # every scrape asks
def is_denied(address: str) -> bool:
    """Whether the text is an address that must not be connected to; a name is not an address."""
    try:
        ip = ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    return any(each.is_link_local or each in _METADATA for each in _readings(ip))


@lru_cache(4096)
def is_private(address: str) -> bool:
    """Whether the text is an address of this machine or its network, which the outside world does not have."""
    try:
        ip = ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    return any(not each.is_global or each.is_multicast for each in _readings(ip))


def _readings(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address and the IPv4 address it may stand for."""
    if isinstance(ip, IPv4Address):
        return [ip]
    inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64 or int(ip) >> 32 == 0:
        inner.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [ip, *(each for each in inner if each is not None)]


class DeniedAddressError(OSError):
    """A name that stands for an address which must not be connected to."""


def _never_scraped(address: str) -> str:
    return "a link-local or metadata address, which is never asked" if is_denied(address) else ""


class GuardedResolver(AbstractResolver):
    """The system's resolver on threads of its own, so that a name server that hangs holds up nobody else's threads.

    `denied` says of an address why it must not be connected to, empty when it may be.
    """

    def __init__(self, threads: Executor, denied: Callable[[str], str] | None = None) -> None:
        self._threads = threads
        self._denied = denied or _never_scraped

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        allowed = [entry for entry in found if not self._denied(entry["host"])]
        if found and not allowed:
            first = found[0]["host"]
            raise DeniedAddressError(None, f"{host} is {self._denied(first)} ({first})")
        return allowed

    async def close(self) -> None:
        """The threads belong to whoever made them."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    answers = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in answers
        if len(address) >= 2 and kind in {socket.AF_INET, socket.AF_INET6}
    ]
