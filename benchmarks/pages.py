"""Serves the fleet's pages, `/<number>/metrics`, from a process of its own: `python -m benchmarks.pages --agents 1000`.

Prints its port. Speaks as little HTTP as three scrapers need, so that serving costs little beside what is measured.
Takes alerts, too, at any other path, and throws them away. Ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from benchmarks.fleet import Fleet

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"


class Pages(asyncio.Protocol):
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (length := _request_length(self._received)) is not None:
            path = bytes(self._received[: self._received.index(b"\r\n")]).split(b" ")[1]
            del self._received[:length]
            assert self._transport is not None
            body = self._body(path)
            self._transport.write(_HEAD % len(body) + body)

    def _body(self, path: bytes) -> bytes:
        number = path.split(b"/")[1]
        return self._fleet.page(int(number), time.time()) if number.isdigit() else b"{}"


def _request_length(received: bytearray) -> int | None:
    """None while the request is not there as a whole."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return None
    sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = len(head) + len(end) + (int(sizes[0]) if sizes else 0)
    return length if len(received) >= length else None


async def serve(agents: int) -> None:
    fleet = Fleet(agents)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Pages(fleet), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves the pages of a fleet of agents.")
    parser.add_argument("--agents", type=int, default=1000)
    asyncio.run(serve(parser.parse_args().agents))


if __name__ == "__main__":
    main()
