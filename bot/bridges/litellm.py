"""LiteLLM's alerts: the budget events of `alerting: ["webhook"]`, and the texts that it posts to a Slack address.

Events: https://docs.litellm.ai/docs/proxy/alerting. None of them says that it is over, so these alerts end by a person,
or after the bridge's `resolve_after`.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, on a text of bounded length

from bot.bridges.model import Body, PayloadError, Told, number_of, text_of

_ALERTS = {
    "budget_crossed": ("LiteLLMBudgetCrossed", "critical"),
    "threshold_crossed": ("LiteLLMBudgetThresholdCrossed", "warning"),
    "soft_budget_crossed": ("LiteLLMSoftBudgetCrossed", "warning"),
    "projected_limit_exceeded": ("LiteLLMBudgetRunway", "warning"),
}
_LEVELS = {"high": "critical", "medium": "warning", "low": "info"}
# Reports and news, not something that is wrong.
_NO_ALERTS = ("daily_reports", "spend_reports", "new_", "virtual_key_", "team_", "internal_user_", "fallback_reports")
_LIMIT = 4000
_TYPE = re.compile(r"Alert type:\s*`?([a-z_]+)`?")
_LEVEL = re.compile(r"Level:\s*`?([A-Za-z]+)`?")
_MODEL = re.compile(r"Model(?: Name)?:?\W{0,6}([\w./:-]{1,80})")
_MESSAGE = re.compile(r"Message:\s*(.+)", re.DOTALL)


def read(body: Body) -> list[Told]:
    """Raises PayloadError. Nothing for what is only news."""
    if "event" in body:
        return _budget(body)
    if text := text_of(body, "text"):
        return _text(text[:_LIMIT])
    raise PayloadError('a LiteLLM alert has "event" (alerting: ["webhook"]) or "text" (a Slack address)')


def _budget(body: Body) -> list[Told]:
    event = text_of(body, "event")
    if event not in _ALERTS:
        return []  # spend_tracked, key_created and what later releases add
    alertname, severity = _ALERTS[event]
    group = text_of(body, "event_group") or "key"
    alias, team = text_of(body, "key_alias"), text_of(body, "team_alias") or text_of(body, "team_id")
    subject = alias or team or text_of(body, "user_id") or text_of(body, "customer_id") or group
    spend, limit = number_of(body, "spend"), number_of(body, "max_budget")
    spent = f"${spend:,.2f} spent" if spend is not None else "budget"
    of = f" of ${limit:,.2f}" if limit else ""
    said = {
        "summary": f"LiteLLM: {_words(event)} by {group} {subject}",
        "now": f"{spent}{of}",
        "description": text_of(body, "event_message"),
    }
    if day := text_of(body, "projected_exceeded_date"):
        said["description"] = f"{said['description']} Expected to be used up on {day}.".strip()
    labels = {"severity": severity, "key_alias": alias, "litellm_team": team, "event_group": group}
    return [
        Told(alertname, f"{event}/{group}/{subject}", False, alias, labels, said, spend if spend is not None else 1.0)
    ]


def _words(event: str) -> str:
    return event.replace("_", " ")


def _text(text: str) -> list[Told]:
    kind = found[1] if (found := _TYPE.search(text)) else "alert"
    if kind.startswith(_NO_ALERTS):
        return []
    level = _LEVELS.get(found[1].lower(), "warning") if (found := _LEVEL.search(text)) else "warning"
    message = " ".join((found[1] if (found := _MESSAGE.search(text)) else text).split())
    alertname = "LiteLLM" + "".join(word.title() for word in kind.split("_"))
    model = found[1] if (found := _MODEL.search(text)) else ""
    said = {"summary": f"LiteLLM: {_words(kind)}{f' of {model}' if model else ''}", "description": message}
    labels = {"severity": level, "alert_type": kind, "model": model}
    return [Told(alertname, f"{kind}/{model}", labels=labels, annotations=said)]
