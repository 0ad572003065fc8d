"""What a child process may take, and when it has to go: the child dies, never the pager."""

from __future__ import annotations

import ctypes
import resource
import signal
import sys

MEMORY_BYTES = 8 << 30  # address space


def confine() -> None:
    """Limits on memory, first to go when the machine runs out of it, and no life without the pager."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the pager decides when to end
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("500")
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
