"""What systemd is told of a unit with `Type=notify`: that it is ready, alive, going away. Source: sd_notify(3).

Without systemd, or where it does not listen, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from datetime import timedelta

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def listens(env: Mapping[str, str] = os.environ) -> bool:
    return bool(env.get("NOTIFY_SOCKET"))


def watchdog(env: Mapping[str, str] = os.environ) -> timedelta | None:
    """After how long without a sign of life the unit is killed; None when nobody watches, or not this process."""
    microseconds, process = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or process not in {"", str(os.getpid())}:
        return None
    return timedelta(microseconds=int(microseconds))


def tell(state: str, env: Mapping[str, str] = os.environ) -> None:
    address = env.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract name space
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
