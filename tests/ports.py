"""Ports for servers of tests and benchmarks."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below what systems give to outgoing connections: one of those would take the port before the server listens.
_FIRST, _EACH = 10_000, 2_000


def _of_this_worker() -> list[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    first = _FIRST + worker * _EACH
    return random.SystemRandom().sample(range(first, first + _EACH), _EACH)


# In turn, so that none is given twice before its server listens.
_turns = itertools.cycle(_of_this_worker())


def free_port() -> int:
    """Of those that belong to this worker of a test run."""
    for port in itertools.islice(_turns, _EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
