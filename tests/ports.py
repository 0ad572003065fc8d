"""Ports for servers of tests and benchmarks."""

from __future__ import annotations

import os
import random
import socket

# Below what systems give to outgoing connections: one of those would take the port before the server listens.
_FIRST, _EACH = 10_000, 2_000


def free_port() -> int:
    """Of those that belong to this worker of a test run."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    first = _FIRST + worker * _EACH
    for port in random.sample(range(first, first + _EACH), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port is free from {first} to {first + _EACH}")
