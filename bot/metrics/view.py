"""Targets as Prometheus' `/api/v1/targets` shows them. Pure: state in, JSON out; passwords are never in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.metrics.target import ScrapedTarget
from bot.schema import format_duration

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which Prometheus shows before the first scrape


def target_json(target: ScrapedTarget) -> dict[str, Any]:
    """One entry of `activeTargets`."""
    spec, health = target.spec, target.health
    return {
        "discoveredLabels": dict(sorted(spec.discovered.items())),
        "labels": dict(sorted(spec.naming.labels.items())),
        "scrapePool": spec.pool,
        "scrapeUrl": spec.shown_url,
        "globalUrl": spec.shown_url,
        "lastError": health.last_error,
        "lastScrape": _rfc3339(health.last_scrape) if health.last_scrape else _NEVER,
        "lastScrapeDuration": health.last_duration,
        "health": health.state,
        "scrapeInterval": format_duration(timedelta(seconds=spec.interval_seconds)),
        "scrapeTimeout": format_duration(timedelta(seconds=spec.timeout_seconds)),
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
