"""Names of traces: an incident is one, and whoever has its row finds the same, after a restart and on any machine.

The ids are those of W3C Trace Context: 16 bytes for a trace, 8 for a span, as hexadecimal digits. They are digests and
so as good as random, which samplers that look at the id rely on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from bot.incidents.model import Incident


def trace_of(incident: Incident) -> str:
    """Two installations have an INC-7 each, hence the instant."""
    return _digest("incident", incident.id, _written(incident.opened_at))[:32]


def evaluation_trace(group: str, evaluated_at: datetime, worked_in: datetime) -> str:
    """Of the evaluation that opened incidents: all that were written down together have the same."""
    return _digest("evaluation", group, _written(evaluated_at), _written(worked_in))[:32]


def root_span(trace: str) -> str:
    return _digest(trace, "root")[:16]


def change_span(trace: str, revision: int, event: str) -> str:
    """Of a change of the incident; `event` is a word of `Event`."""
    return _digest(trace, "change", str(revision), event)[:16]


def page_span(trace: str, page_id: str) -> str:
    return _digest(trace, "page", page_id)[:16]


def send_span(trace: str, page_id: str, attempt: int) -> str:
    return _digest(trace, "send", page_id, str(attempt))[:16]


def other_span(trace: str, *of: str) -> str:
    return _digest(trace, "other", *of)[:16]


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
