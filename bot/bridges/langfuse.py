"""Langfuse's alerts on cost, quality and latency (`type: monitor-alert`), and the signature of its requests.

Shape and signature: https://langfuse.com/docs/observability/features/alerts. Recovery is always told, so these alerts
end by themselves.
"""

from __future__ import annotations

import hashlib
import hmac
import re  # noqa: TID251 - fixed patterns
from datetime import datetime

from bot.bridges.model import Body, PayloadError, Told, text_of

_SEVERITIES = {"ALERT": "critical", "WARNING": "warning", "NO_DATA": "warning"}
_OVER = {"OK", "PAUSED"}
_SIGNATURE = re.compile(r"t=(\d{9,14}),\s*v1=([0-9a-f]{64})")
_TITLE = re.compile(r"^\[[A-Z_ ]+\]\s*")
_TOLERANCE_SECONDS = 300.0
_MILLISECONDS = 1e11  # larger numbers are no seconds


def signed(header: str, raw: bytes, secret: str, now: datetime) -> bool:
    """Whether the request was signed with the secret, not long ago."""
    found = _SIGNATURE.fullmatch(header.strip())
    if found is None or not secret:
        return False
    at = int(found[1])
    seconds = at / 1000 if at > _MILLISECONDS else at
    expected = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, found[2]) and abs(now.timestamp() - seconds) <= _TOLERANCE_SECONDS


def read(body: Body) -> list[Told]:
    """Raises PayloadError. Nothing for events that are no alerts, such as new versions of prompts."""
    if text_of(body, "type") != "monitor-alert":
        return []
    payload = body.get("payload")
    monitor = text_of(payload, "monitorId") if isinstance(payload, dict) else ""
    if not isinstance(payload, dict) or not monitor:
        raise PayloadError("a Langfuse alert has payload.monitorId")
    severity = text_of(payload, "severity")
    if severity not in {*_SEVERITIES, *_OVER}:
        raise PayloadError(f'payload.severity is "{severity[:40]}"; known are {", ".join([*_SEVERITIES, *_OVER])}')
    message = payload.get("message")
    title = text_of(message, "title") if isinstance(message, dict) else ""
    said = {
        "summary": f"Langfuse: {_TITLE.sub('', title) or monitor}",
        "description": text_of(message, "body") if isinstance(message, dict) else "",
        "runbook_url": text_of(payload, "permalink"),
    }
    labels = {"severity": _SEVERITIES.get(severity, "warning"), "monitor": monitor}
    return [Told("LangfuseAlert", monitor, severity in _OVER, monitor, labels, said)]
