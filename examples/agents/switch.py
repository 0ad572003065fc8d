"""The page an example is read from, and the switch that makes it fail. Nothing of it belongs into an agent of yours.

GET  /metrics            what the agent exposes
POST /fail?how=tools     makes it fail in that way; without `how` it is well again
POST /work?runs=10       does that many runs now, and answers when they are done
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Switch:
    """`how` is the way it fails at the moment, empty when it is well. The variable FAIL sets the first one."""

    def __init__(self, ways: tuple[str, ...]) -> None:
        self.ways = ways
        self.how = ""
        self.set(os.environ.get("FAIL", ""))

    def set(self, how: str) -> None:
        if how and how not in self.ways:
            raise ValueError(f"unknown way to fail: {how}; known: {', '.join(self.ways)}")
        self.how = how


def serve(switch: Switch, page: Callable[[], tuple[bytes, str]], work: Callable[[], None], port: int) -> None:
    """Works once a second until stopped; with --by-hand only when told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--by-hand", action="store_true", help="work only when POST /work says so")
    options = parser.parse_args()
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path != "/metrics":
                return self.answer(404, b"try /metrics\n")
            body, kind = page()
            return self.answer(200, body, kind)

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            try:
                if url.path == "/fail":
                    switch.set(asked.get("how", ""))
                elif url.path == "/work":
                    with turn:
                        for _ in range(int(asked.get("runs", "1"))):
                            work()
                else:
                    return self.answer(404, b"try /fail or /work\n")
            except ValueError as error:
                return self.answer(400, f"{error}\n".encode())
            return self.answer(200, f"fails by: {switch.how or 'nothing'}\n".encode())

        def answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    sys.stdout.write(f"{address}/metrics; fails by: {switch.how or 'nothing'}\n")
    sys.stdout.write(f"curl -X POST '{address}/fail?how=…' with {', '.join(switch.ways)}\n")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(1)
            if not options.by_hand:
                with turn:
                    work()
    except KeyboardInterrupt:
        sys.exit(0)
