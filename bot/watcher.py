"""The child process: scrapes, evaluates, renders. May be killed at any moment; owns nothing that lasts.

Reads requests on standard input and writes updates, heartbeats and replies on standard output, one JSON object a line.
Ends when its input ends.
"""

from __future__ import annotations

import structlog

log = structlog.get_logger()

MEMORY_BYTES = 4 << 30  # address space of this process; the child dies, never the pager
_LINE_LIMIT = 256 * 1024 * 1024
