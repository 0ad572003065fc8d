"""What a window is made of, what it remembers until it is submitted, and what comes back from it. Pure.

`private_metadata` is `INC-7|3|{…}`: the incident, the revision that was seen, and what of it matters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bot.incidents.model import Incident
from bot.slack.kit import Block, option, section
from bot.slack.text import mrk, plain

View = dict[str, Any]

CALLBACK = "win."
INPUT = "win.input."  # inputs at whose change the window is drawn anew
_OPTIONS, _GROUPS = 100, 100  # Slack's: options of a group, groups of a list
REMEMBERED = 100  # alerts
_LOADING = "One moment…"


@dataclass(frozen=True)
class Memory:
    """`subject` is the incident, or the page that leads a message about several. `reply` is the address at which
    whoever opened the window is answered. The rest is what they saw of the incident."""

    subject: str
    revision: int = 0
    state: str = ""
    holder: str | None = None
    severity: str = ""
    alerts: tuple[str, ...] = ()
    level: str = ""  # the round and the step of the ladder, `0.1`
    reply: str = ""

    def seeing(self, incident: Incident) -> Memory:
        """The same window, drawn from the incident as it is now."""
        return replace(
            self,
            subject=incident.id,
            revision=incident.revision,
            state=incident.state.value,
            holder=incident.acked_by,
            severity=incident.severity.value,
            alerts=tuple(sorted(alert.fingerprint[:8] for alert in incident.going_on))[:REMEMBERED],
            level=f"{incident.round}.{incident.step}",
        )

    def packed(self) -> str:
        kept = {key: value for key, value in asdict(self).items() if key not in {"subject", "revision"} and value}
        return f"{self.subject}|{self.revision}|{json.dumps(kept, separators=(',', ':'))}"

    def seen(self) -> tuple[int, int] | None:
        """The round and the step; None of a window of another version of ours."""
        round_, _, step = self.level.partition(".")
        return (int(round_), int(step)) if self.level else None

    @classmethod
    def unpacked(cls, text: str) -> Memory:
        """Of a window of another version of ours only the subject may be readable."""
        subject, _, rest = text.partition("|")
        revision, _, doc = rest.partition("|")
        try:
            kept = json.loads(doc)
            return cls(subject, int(revision), **{**kept, "alerts": tuple(kept.get("alerts", ()))})
        except (ValueError, TypeError, AttributeError):
            return cls(subject)


@dataclass(frozen=True)
class Values:
    """What stands in the inputs of a window; nothing in one that has just been opened."""

    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def _of(self, name: str) -> Mapping[str, Any]:
        given = (each for actions in self.state.values() for each in actions.items())
        found = (said for action, said in given if action.removeprefix(INPUT) == name)
        return next(found, {})

    def choice(self, name: str, preset: str = "") -> str:
        chosen = self._of(name).get("selected_option")
        return str(chosen["value"]) if chosen else preset

    def text(self, name: str) -> str:
        return str(self._of(name).get("value") or "").strip()

    def moment(self, name: str) -> datetime | None:
        seconds = self._of(name).get("selected_date_time")
        return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def window(name: str, title: str, submit: str, memory: Memory, blocks: Sequence[Block]) -> View:
    return {
        "type": "modal",
        "callback_id": CALLBACK + name,
        "title": _plain(title, 24),
        "submit": _plain(submit, 24),
        "close": _plain("Cancel", 24),
        "private_metadata": memory.packed()[:3000],
        "blocks": list(blocks),
    }


def told(title: str, *lines: str, blocks: Sequence[Block] = ()) -> View:
    """A window that only says something. Every line is safe mrkdwn."""
    shown = [section(*lines)] if lines else []
    return {
        "type": "modal",
        "callback_id": f"{CALLBACK}told",
        "title": _plain(title, 24),
        "close": _plain("Close", 24),
        "blocks": [*shown, *blocks],
    }


def skeleton(title: str) -> View:
    return told(title, _LOADING)


def said(title: str, text: str) -> View:
    """Words of ours that may have names from data in them."""
    return told(title, mrk(text, 2900, lines=True))


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": plain(text, limit) or "-"}


# --- inputs -----------------------------------------------------------------------------------------------------------


def select(
    name: str, label: str, options: Sequence[tuple[str, str]], chosen: str = "", *, live: bool = False, hint: str = ""
) -> Block:
    """`options` are value and text; the list is preset to `chosen`, else to its first."""
    entries = [option(text, value) for value, text in options[:_OPTIONS]]
    preset = next((entry for entry in entries if entry["value"] == chosen), entries[0])
    return _input(name, label, {"type": "static_select", "options": entries, "initial_option": preset}, live, hint=hint)


def grouped(name: str, label: str, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]], chosen: str = "") -> Block:
    """A long list under headings. Empty groups are left out, long ones cut into several."""
    shown = [
        (heading, options[start : start + _OPTIONS])
        for heading, options in groups
        for start in range(0, len(options), _OPTIONS)
    ]
    made: list[dict[str, Any]] = [
        {"label": _plain(heading, 75), "options": [option(text, value) for value, text in part]}
        for heading, part in shown[:_GROUPS]
    ]
    entries = [entry for group in made for entry in group["options"]]
    preset = next((entry for entry in entries if entry["value"] == chosen), entries[0])
    return _input(name, label, {"type": "static_select", "option_groups": made, "initial_option": preset})


def radio(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str = "", *, live: bool = False) -> Block:
    entries = [option(text, value) for value, text in options[:10]]
    preset = next((entry for entry in entries if entry["value"] == chosen), entries[0])
    return _input(name, label, {"type": "radio_buttons", "options": entries, "initial_option": preset}, live)


def line(name: str, label: str, written: str = "", *, hint: str = "", most: int = 500, optional: bool = True) -> Block:
    return _text(name, label, written, hint, most, optional, multiline=False)


def paragraph(
    name: str, label: str, written: str = "", *, hint: str = "", most: int = 1000, optional: bool = True
) -> Block:
    return _text(name, label, written, hint, most, optional, multiline=True)


def _text(name: str, label: str, written: str, hint: str, most: int, optional: bool, *, multiline: bool) -> Block:
    element = {"type": "plain_text_input", "multiline": multiline, "max_length": most}
    element |= {"initial_value": written[:most]} if written else {}
    return _input(name, label, element, optional=optional, hint=hint)


def moment_picker(name: str, label: str, hint: str = "") -> Block:
    return _input(name, label, {"type": "datetimepicker"}, optional=True, hint=hint)


def _input(
    name: str, label: str, element: Block, live: bool = False, *, optional: bool = False, hint: str = ""
) -> Block:
    """The block is called as its input is, so that Slack keeps what was typed when the window is drawn anew."""
    made: Block = {
        "type": "input",
        "block_id": name,
        "label": _plain(label, 200),
        "element": element | {"action_id": INPUT + name if live else name},
        "optional": optional,
    }
    return made | ({"dispatch_action": True} if live else {}) | ({"hint": _plain(hint, 300)} if hint else {})
