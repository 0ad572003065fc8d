"""The files that are to be written, while they are put together: names that are free, entries of each kind."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from bot.importing.report import Report
from bot.labels import Matcher
from bot.yamldoc import dump

STAND_IN = "oncall"
FILL_IN = "give each person their Slack id: profile → ⋮ → Copy member ID, then agentpager check"
_ID = 48
_WEBHOOK = 32
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SLACK_ID = re.compile(r"[UW][A-Z0-9]{2,}")
_CHANNEL = re.compile(r"#[a-z0-9._-]{1,80}|[CG][A-Z0-9]{2,}")
_EMAIL = re.compile(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+")
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}")


def slug(text: str, limit: int = _ID) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:limit].strip("-") or "unnamed"


class Names:
    """Ids for names: the same for the same key, another one for another."""

    def __init__(self, limit: int = _ID) -> None:
        self._ids: dict[str, str] = {}
        self._limit = limit

    def of(self, key: str, name: str = "") -> str:
        if key not in self._ids:
            wanted = slug(name or key, self._limit)
            found, number = wanted, 1
            while found in self._ids.values():
                number += 1
                found = f"{wanted[: self._limit - 3].strip('-')}-{number}"
            self._ids[key] = found
        return self._ids[key]


def channel_of(text: str) -> str | None:
    """A channel as we write it; None for people, templates and what Slack does not allow."""
    name = text.strip()
    if _CHANNEL.fullmatch(name):
        return name
    lower = f"#{name.lstrip('#').lower()}"
    return lower if _CHANNEL.fullmatch(lower) else None


def label_name(name: str) -> str:
    """As our labels are named: alerts that are posted to us get the same treatment."""
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return plain if plain[:1].isalpha() or plain.startswith("_") else f"_{plain}"


def matcher_texts(matchers: tuple[Matcher, ...]) -> list[str]:
    return [str(Matcher(label_name(one.name), one.op, one.value)) for one in dict.fromkeys(matchers)]


@dataclass
class Draft:
    """`origin` names the files and what they come from; `slack_ids` are known ones by e-mail address or name."""

    origin: str
    report: Report
    slack_ids: dict[str, str] = field(default_factory=dict)
    external_url: str = ""
    has_fallback: bool = False  # where the files go there is one already
    main: dict[str, Any] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    teams: dict[str, dict[str, Any]] = field(default_factory=dict)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    holidays: dict[str, dict[str, Any]] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    routing: list[dict[str, Any]] = field(default_factory=list)
    fallback: str = ""
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    grouping: list[dict[str, Any]] = field(default_factory=list)
    inhibit_rules: list[dict[str, Any]] = field(default_factory=list)
    mute_windows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def person(self, person_id: str, name: str, **known: str | None) -> str:
        """Adds somebody. Without a Slack id of theirs the key is left out, and `agentpager check` asks for it."""
        said = {key: value for key, value in known.items() if value}
        slack = said.get("slack") or self._slack_id(name, said.get("email", ""))
        entry: dict[str, Any] = {"name": name}
        if slack and _SLACK_ID.fullmatch(slack):
            entry["slack"] = slack
        else:
            self.report.to_do.append(f"people.{person_id} has no slack: {FILL_IN}")
        if _EMAIL.fullmatch(said.get("email", "")):
            entry["email"] = said["email"]
        if _PHONE.fullmatch(said.get("phone", "")):
            entry["phone"] = said["phone"]
        if said.get("timezone"):
            entry["timezone"] = said["timezone"]
        self.people[person_id] = entry
        return person_id

    def _slack_id(self, name: str, email: str) -> str:
        known = {key.lower(): value for key, value in self.slack_ids.items()}
        return known.get(email.lower(), "") or known.get(name.lower(), "")

    def stand_in(self) -> str:
        """Somebody has to be woken, and the file names nobody: an entry that asks to be filled in."""
        if STAND_IN not in self.people:
            name = next(iter(self.slack_ids), "Whoever is on call")
            self.person(STAND_IN, name)
            self.report.to_do.append(f"people.{STAND_IN} stands for everybody: name the people of each team instead")
        return STAND_IN

    def webhook(self, name: str, **given: Any) -> None:
        self.notify("webhooks")[name] = given

    @property
    def notify_used(self) -> bool:
        """Whether people are told by something besides Slack."""
        notify = self.main.get("notify", {})
        return "email" in notify or "webhooks" in notify

    def notify(self, kind: str) -> dict[str, Any]:
        entries: dict[str, Any] = self.main.setdefault("notify", {}).setdefault(kind, {})
        return entries

    def files(self, name: str) -> dict[str, str]:
        """Path → text. Nothing is written for what is empty."""
        oncall: dict[str, Any] = {
            "people": self.people,
            "teams": self.teams,
            "schedules": self.schedules,
            "escalation_policies": self.policies,
            "holidays": self.holidays,
            "routes": self.routes,
            "routing": self.routing,
        }
        if self.fallback and not self.has_fallback:
            oncall["fallback"] = self.fallback
        incidents = {
            "grouping": self.grouping,
            "inhibit_rules": self.inhibit_rules,
            "mute_windows": self.mute_windows,
        }
        known = {"http"}  # what stands there is from the command line
        main = {key: value if key in known else self._literal(value) for key, value in self.main.items()}
        made = {
            "agentpager.yaml": self._text(main),
            f"oncall/{name}.yaml": self._text(oncall),
            f"agents/{name}.yaml": self._text({"agents": self.agents}),
            f"incidents/{name}.yaml": self._text(incidents),
        }
        return {path: text for path, text in made.items() if text}

    def _literal(self, value: Any) -> Any:
        """`${` of somebody else's text stands for itself: only what the report names is a variable."""
        if isinstance(value, dict):
            return {key: self._literal(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._literal(inner) for inner in value]
        if not isinstance(value, str):
            return value
        return _VARIABLE.sub(lambda found: found[0] if found[1] in self.report.variables else f"${found[0]}", value)

    def _text(self, sections: dict[str, Any]) -> str:
        """A section a paragraph."""
        parts = [_section(key, value) for key, value in sections.items() if value]
        return f"# From {self.origin}, by agentpager import.\n\n" + "\n".join(parts) if parts else ""


def _section(key: str, value: Any) -> str:
    return dump({key: value}) if isinstance(value, dict | list) else f'{key}: "{value}"\n'
