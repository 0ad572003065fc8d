"""Alertmanager's webhook, version 4, and Grafana's, which has the same shape.

Source: Alertmanager's documentation, `webhook_config`. What has ended is told with `send_resolved: true`, the default.
"""

from __future__ import annotations

from typing import Any

from bot.bridges.model import Body, PayloadError, Told, each_of, text_of

_OVER = "resolved"


def read(body: Body) -> list[Told]:
    """Raises PayloadError, with the alerts that could be read."""
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or not all(isinstance(one, dict) for one in alerts):
        raise PayloadError('an Alertmanager webhook has a list "alerts"')
    return each_of(alerts, _told)


def _told(alert: dict[str, Any]) -> Told:
    labels, said = _texts(alert.get("labels")), _texts(alert.get("annotations"))
    if not labels.get("alertname"):
        raise PayloadError('an alert has no label "alertname"')
    key = text_of(alert, "fingerprint") or ",".join(f"{name}={labels[name]}" for name in sorted(labels))
    return Told(
        labels.pop("alertname"),
        key,
        text_of(alert, "status") == _OVER,
        labels.pop("agent", ""),
        labels,
        said,
        generator_url=text_of(alert, "generatorURL"),
    )


def _texts(value: Any) -> dict[str, str]:
    given = value if isinstance(value, dict) else {}
    return {name: text for name, text in given.items() if isinstance(text, str)}
