"""What a rule wants when the data behind a firing alert vanishes: its annotation `no_data`.

`keep` holds the alert as `no_data`, `alert` tells somebody that data is missing, `ok` takes missing data for health.
Without the annotation: keep and alert.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.rules.model import Rule

ANNOTATION = "no_data"
METRIC = "agentpager_alert_no_data"  # 1 for each alert without data of which somebody is to be told
_WORDS = ("keep", "alert", "ok")
_NOT_TOLD = {"alertname", "severity"}  # of the alert about missing data these are its own


@dataclass(frozen=True)
class NoData:
    """`hold` False: the alert ends with its data."""

    keep: bool = True
    alert: bool = True

    @property
    def hold(self) -> bool:
        return self.keep or self.alert


def read(text: str) -> NoData:
    """`keep`, `alert`, both of them, or `ok`. Raises ValueError with the way out."""
    words = text.replace(",", " ").split()
    if not words or not set(words) <= set(_WORDS):
        raise ValueError(f'"{text}" is no way to treat missing data; write keep, alert, both of them, or ok')
    if "ok" in words and len(words) > 1:
        raise ValueError(f'"{text}": ok means that missing data is health, so nothing is kept and nobody is told')
    return NoData(keep="keep" in words, alert="alert" in words)


def of_rule(rule: Rule) -> NoData:
    """The rule has been checked; what could not be read keeps the alert and tells."""
    try:
        return read(rule.annotations[ANNOTATION])
    except (KeyError, ValueError):
        return NoData()


def series(labels: dict[str, str]) -> dict[str, str]:
    """Labels of METRIC for an alert: it goes to the same agent and owner as the alert itself."""
    rest = {name: value for name, value in labels.items() if name not in _NOT_TOLD}
    return rest | {"__name__": METRIC, "rule": labels.get("alertname", "")}
