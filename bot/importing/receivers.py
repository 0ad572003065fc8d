"""Receivers of Alertmanager as teams: their Slack channel, and the services and systems that they tell.

A receiver names no people, and a page always goes to one: each team has the stand-in until somebody fills it in.
Secrets become variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.importing.draft import Draft, Names, channel_of, slug
from bot.importing.reading import Item

_OURS = "agentpager writes its own message"
_SAID = "{{ status|upper }} {{ incident.title }} ({{ incident.id }})"
Entry = dict[str, Any]


@dataclass
class Receiver:
    """What one receiver sends, put into the draft once a route needs it."""

    name: str
    item: Item
    id: str
    channels: list[str] = field(default_factory=list)
    told: dict[str, Entry] = field(default_factory=dict)
    count: int = 0  # of everything that it sends by
    team: str = ""

    @property
    def is_nobody(self) -> bool:
        return not self.count

    @property
    def only_tells(self) -> bool:
        return bool(self.told) and len(self.told) == self.count

    def tell(self, draft: Draft, whom: Entry) -> list[str]:
        """Has the systems told of what `whom` says: owners, or matchers. Their names in the draft."""
        made = []
        for name, entry in self.told.items():
            entries = draft.notify("receivers")
            chosen, number = name, 1
            while chosen in entries:
                number += 1
                chosen = f"{name[:28]}-{number}"
            entries[chosen] = entry | whom
            made.append(chosen)
        return made

    def needs_team(self, draft: Draft) -> str:
        if self.team:
            return self.team
        self.team = self.id
        team: Entry = {"members": [draft.stand_in()]}
        if self.channels:
            team["channel"] = self.channels[0]
        draft.teams[self.team] = team
        notify = [f"team:{self.team}", *(f"channel:{channel}" for channel in self.channels[1:])]
        draft.policies[self.team] = {"steps": [{"notify": notify, "wait": "5m"}]}
        self.tell(draft, {"owners": [f"team:{self.team}"]})
        self.item.tell("taken", f"receiver {self.name}", f"teams.{self.team} and escalation_policies.{self.team}")
        return self.team


def read(root: Item, draft: Draft) -> list[Receiver]:
    names, webhooks, found = Names(), Names(32), []
    for item in root.all_of("receivers"):
        name = item.text("name") or "unnamed"
        receiver = Receiver(name, item, names.of(name))
        for key in item.names():
            if key.endswith("_configs"):
                configs = item.all_of(key)
                receiver.count += len(configs)
                for number, config in enumerate(configs):
                    _config(config, key, number, receiver, root.get("global"), webhooks)
        found.append(receiver)
    return found


def _config(config: Item, key: str, number: int, receiver: Receiver, settings: Item, names: Names) -> None:
    kind = key.removesuffix("_configs")
    reader = READERS.get(kind)
    what = f"{kind} of receiver {receiver.name}"
    if reader is None:
        config.source.done.add(config.path)
        told = "write a receiver with a body for it: notify.receivers, see docs/notifications.md"
        config.tell("left", what, told)
        return
    name = names.of(
        f"{receiver.name} {kind} {number}", f"{receiver.name}-{kind}" + (f"-{number + 1}" if number else "")
    )
    if told := reader(_Place(config, receiver, settings, name, slug(receiver.name).upper())):
        config.tell("taken", what, told)
    _rest(config, what)


@dataclass(frozen=True)
class _Place:
    """One `…_configs` entry, where it goes, and the beginning of the names of its variables."""

    config: Item
    receiver: Receiver
    settings: Item
    name: str
    prefix: str

    def secret(self, key: str, variable: str, general: str = "") -> str:
        """The variable for a key of the entry, of its `…_file`, or of `global`; empty where there is none."""
        for item, one in (
            (self.config, key),
            (self.config, f"{key}_file"),
            (self.settings, general),
            (self.settings, f"{general}_file"),
        ):
            if one and item.has(one) and (found := item.secret(one, variable if item is self.config else general)):
                return found
        return ""

    def address(self, key: str, general: str, default: str) -> str:
        """Of a service; a variable where it may hold a secret."""
        url, variable = self.config.text(key), f"{self.prefix}_{key}"
        item, name = (self.config, key) if url else (self.settings, general)
        url = url or (self.settings.text(general) if general else "") or default
        return item.variable(variable, name) if any(sign in url for sign in "@?") else url.rstrip("/")

    def told(self, **entry: Any) -> str:
        """A system that is told when alerts fire, and when they have ended unless the file says otherwise."""
        if not self.config.flag("send_resolved", True):
            entry["send_resolved"] = False
        self.receiver.told[self.name] = entry
        return f"notify.receivers.{self.name}"


_DRESS = {
    "title", "text", "message", "html", "headers", "color", "fallback", "pretext", "fields", "short_fields",
    "footer", "username", "icon_emoji", "icon_url", "image_url", "thumb_url", "title_link", "link_names",
    "mrkdwn_in", "actions", "callback_id", "description", "details", "client", "client_url", "images", "links",
    "severity", "class", "component", "group", "source", "note", "tags", "entity", "priority", "responders",
    "update_alerts", "subject", "attributes", "parse_mode", "disable_notifications", "summary", "avatar_url",
    "content", "entity_display_name", "state_message", "message_type", "monitoring_tool", "custom_fields",
    "url_title", "sound", "retry", "expire", "ttl", "attachments",
}  # fmt: skip


def _rest(config: Item, what: str) -> None:
    """How the message looks is one line of the report, not twenty."""
    dress = [key for key in config.names() if key in _DRESS and (*config.path, key) not in config.source.done]
    for key in dress:
        config.source.done.add(config.get(key).path)
    if dress:
        config.tell("left", what, f"{', '.join(dress)}: {_OURS}; a receiver can have a body of its own")


def _slack(at: _Place) -> str:
    at.config.leave("api_url", "slack api_url", "a secret that is not needed: agentpager posts with its own Slack app")
    at.config.leave("api_url_file", "slack api_url_file", "not needed: agentpager posts with its own Slack app")
    at.config.ignore("send_resolved")
    written = at.config.text("channel")
    channel = None if "{{" in written else channel_of(written)
    if channel is None:
        told = f'"{written}" is no channel that can be named; give the team one in oncall/' if written else "no channel"
        at.config.tell("left", f"slack of receiver {at.receiver.name}", told)
        return ""
    if channel not in at.receiver.channels:
        at.receiver.channels.append(channel)
    first = at.receiver.channels[0] == channel
    where = f"teams.{at.receiver.id}.channel" if first else f"a channel in escalation_policies.{at.receiver.id}"
    return f"{where}: {channel}; invite the bot there"


def _pagerduty(at: _Place) -> str:
    key = at.secret("routing_key", f"{at.prefix}_PAGERDUTY_KEY") or at.secret(
        "service_key", f"{at.prefix}_PAGERDUTY_KEY"
    )
    if at.config.has("service_key") or at.config.has("service_key_file"):
        at.config.tell("changed", "service_key", "it has to be the key of an Events API v2 integration now")
    url = at.address("url", "pagerduty_url", "https://events.pagerduty.com/v2/enqueue")
    body = (
        '{"routing_key": "{{ secrets.key }}", "dedup_key": "{{ incident.id }}", "client": "agentpager", '
        '"event_action": "{% if status == "firing" %}trigger{% else %}resolve{% endif %}", "payload": {"summary": '
        '"{{ incident.title }} ({{ incident.id }})", "source": "agentpager", "severity": "{{ incident.severity }}"}}'
    )
    return at.told(url=url, secrets={"key": key}, body=body)


def _webhook(at: _Place) -> str:
    variable = at.secret("url", f"{at.prefix}_WEBHOOK_URL")
    entry: Entry = {"url": variable or "https://example.com/"}
    if at.config.has("max_alerts"):
        entry["max_alerts"] = at.config.number("max_alerts")
    if at.config.has("timeout") and (timeout := at.config.text("timeout")) not in {"", "0s", "0"}:
        entry["timeout"] = timeout
    if header := authorization(at.config.get("http_config"), at.prefix):
        entry["headers"] = {"Authorization": header}
    told = "an address of your own network needs allow_private: true"
    at.config.tell("changed", f"webhook of receiver {at.receiver.name}", told)
    return f"{at.told(**entry)}, with the same JSON"


def authorization(http: Item, prefix: str) -> str:
    bearer = http.secret("bearer_token", f"{prefix}_TOKEN") or http.secret("bearer_token_file", f"{prefix}_TOKEN")
    header = http.get("authorization")
    kind = header.text("type") or "Bearer"
    given = header.secret("credentials", f"{prefix}_TOKEN") or header.secret("credentials_file", f"{prefix}_TOKEN")
    if bearer or given:
        return f"{kind} {given or bearer}"
    basic = http.get("basic_auth")
    if basic:
        basic.source.done.add(basic.path)
        basic.tell("changed", "basic_auth", f"{prefix}_LOGIN is the base64 of user:password")
        return f"Basic {basic.variable(f'{prefix}_LOGIN')}"
    return ""


def _email(at: _Place) -> str:
    at.config.ignore("send_resolved")
    to = at.config.text("to")
    told = f"mail goes to people: give whoever reads {to} this address as email: under people, and notification_rules"
    at.config.tell("left", f"email of receiver {at.receiver.name}", told)
    for key in ("from", "smarthost", "hello", "require_tls", "tls_config"):
        at.config.leave(key, key, "one mail server sends everything: notify.email in agentpager.yaml")
    for key in at.config.names():
        if key.startswith("auth_"):
            at.config.leave(key, key, "one mail server sends everything: notify.email in agentpager.yaml")
    return ""


def _opsgenie(at: _Place) -> str:
    key = at.secret("api_key", f"{at.prefix}_OPSGENIE_KEY", "opsgenie_api_key")
    url = at.address("api_url", "opsgenie_api_url", "https://api.opsgenie.com")
    body = (
        '{"message": "{{ incident.title|truncate(120) }}", "alias": "{{ incident.id }}", "priority": '
        '"{% if incident.severity == "critical" %}P1{% else %}P3{% endif %}"}'
    )
    if at.config.flag("send_resolved", True):
        at.config.tell("changed", f"opsgenie of receiver {at.receiver.name}", "alerts are made there, and not closed")
    where = at.told(url=f"{url}/v2/alerts", headers={"Authorization": f"GenieKey {key}"}, body=body)
    at.receiver.told[at.name]["send_resolved"] = False
    return where


def _victorops(at: _Place) -> str:
    key = at.secret("api_key", f"{at.prefix}_VICTOROPS_KEY", "victorops_api_key")
    base = "https://alert.victorops.com/integrations/generic/20131114/alert"
    base = at.address("api_url", "victorops_api_url", base)
    body = (
        '{"message_type": "{% if status == "resolved" %}RECOVERY{% elif incident.severity == "critical" %}CRITICAL'
        '{% else %}WARNING{% endif %}", "entity_id": "{{ incident.id }}", '
        '"entity_display_name": "{{ incident.title }}", "monitoring_tool": "agentpager"}'
    )
    return at.told(url=f"{base}/{key}/{at.config.text('routing_key')}", body=body)


def _telegram(at: _Place) -> str:
    token = at.secret("bot_token", f"{at.prefix}_TELEGRAM_TOKEN", "telegram_bot_token")
    base = at.address("api_url", "telegram_api_url", "https://api.telegram.org")
    at.config.ignore("message_thread_id")
    body = f'{{"chat_id": "{at.config.text("chat_id")}", "text": "{_SAID}"}}'
    return at.told(url=f"{base}/bot{token}/sendMessage", body=body)


def _pushover(at: _Place) -> str:
    token, user = at.secret("token", f"{at.prefix}_PUSHOVER_TOKEN"), at.secret("user_key", f"{at.prefix}_PUSHOVER_USER")
    return at.told(
        url="https://api.pushover.net/1/messages.json",
        secrets={"token": token, "user": user},
        body=f'{{"token": "{{{{ secrets.token }}}}", "user": "{{{{ secrets.user }}}}", "message": "{_SAID}"}}',
    )


def _webex(at: _Place) -> str:
    url = at.address("api_url", "webex_api_url", "https://webexapis.com/v1/messages")
    header = authorization(at.config.get("http_config"), f"{at.prefix}_WEBEX")
    body = f'{{"roomId": "{at.config.text("room_id")}", "markdown": "{_SAID}"}}'
    return at.told(url=url, headers={"Authorization": header}, body=body)


def _posted(key: str, body: str, general: str = "") -> Callable[[_Place], str]:
    """A chat with an address of its own that holds the secret."""

    def read_one(at: _Place) -> str:
        kind = key.removesuffix("_url").upper()
        return at.told(url=at.secret(key, f"{at.name}_{kind}", general) or "https://example.com/", body=body)

    return read_one


READERS: dict[str, Callable[[_Place], str]] = {
    "slack": _slack,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
    "email": _email,
    "opsgenie": _opsgenie,
    "victorops": _victorops,
    "telegram": _telegram,
    "pushover": _pushover,
    "webex": _webex,
    "discord": _posted("webhook_url", f'{{"content": "{_SAID}"}}'),
    "mattermost": _posted("webhook_url", f'{{"text": "{_SAID}"}}', "mattermost_webhook_url"),
    "msteams": _posted("webhook_url", f'{{"text": "{_SAID}"}}'),
    "msteamsv2": _posted(
        "webhook_url",
        '{"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": '
        '{"type": "AdaptiveCard", "version": "1.4", "body": '
        f'[{{"type": "TextBlock", "wrap": true, "text": "{_SAID}"}}]}}}}]}}',
    ),
}


def mail(settings: Item, draft: Draft) -> None:
    """The mail server of `global`."""
    host, _, port = settings.text("smtp_smarthost").rpartition(":")
    sender = settings.text("smtp_from")
    address = sender.rpartition("<")[2].rstrip("> ") if "<" in sender else sender
    user = settings.text("smtp_auth_username")
    password = settings.secret("smtp_auth_password", "SMTP_PASSWORD") or settings.secret(
        "smtp_auth_password_file", "SMTP_PASSWORD"
    )
    plain = not settings.flag("smtp_require_tls", True)
    if not host or not address:
        return
    entry: Entry = {"host": host}
    if port.isdigit() and port != "587":
        entry["port"] = int(port)
    if port == "465":
        entry["tls"] = "implicit"
    elif plain and not user:
        entry["tls"] = "none"
    elif plain:
        settings.get("smtp_require_tls").tell("changed", "smtp_require_tls", "a password is sent over STARTTLS only")
    if user:
        entry |= {"username": user, "password": password}
    draft.main.setdefault("notify", {})["email"] = entry | {"from": address}
    settings.get("smtp_smarthost").tell("taken", "global.smtp_smarthost", "notify.email in agentpager.yaml")
