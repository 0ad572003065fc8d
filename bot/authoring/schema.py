"""The shape of `runbook/v1` as JSON Schema, for editors. Draft-07, which is what their YAML support reads.

Made from the models and from what lint asks of each kind of step, so that an editor says what `check` does.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.runbooks.lint import keys_of_kinds
from bot.runbooks.model import Approve, Runbook, Step
from bot.schema import format_duration

MODELINE = "# yaml-language-server: $schema="
NAME = "runbook.v1.json"
_DURATION = r"^(0|(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$"
_COMMON = ("id", "kind", "title", "when")
_TOLD = {
    "Runbook": {
        "schema": "The format of this file.",
        "id": "The same as the file's name.",
        "title": "What is wrong, as the person who is woken reads it.",
        "owner": "Who keeps it correct: team:ID or person:ID.",
        "applies_to": 'Alertmanager matchers, alertname="AgentDown". A line is all of them, lines are alternatives.',
        "reviewed_on": "The day on which somebody last went through it, 2026-11-20.",
        "review_every": "How often that is due.",
        "severity_hint": "A sentence for each severity, added to the impact.",
        "summary": "What is going on, in a sentence. A template.",
        "impact": "Who suffers. A template.",
        "steps": "What to do, in order.",
        "links": "Pages to have at hand.",
    },
    "Step": {
        "id": "Its name for on_fail, verify and checks.ID.",
        "kind": "What sort of step it is.",
        "title": "What it is about. A template.",
        "text": "What to do; the command itself of a command step. A template.",
        "when": "Shown only if this holds: checks.crm.failed, not checks.crm.ok. Without braces.",
        "query": "PromQL; a number or a vector, of which the worst counts. A template.",
        "expect": 'What is good, in quotes: "< 5".',
        "unit": "How numbers are shown.",
        "on_fail": "The step to go to when the check fails, or somebody says that the step has failed.",
        "verify": "The check to look at again after this step.",
        "run_on": "Where the command is to be run.",
        "url": "An address that begins with https://. A template.",
        "timeout": "A check that takes longer counts as late; a request of an action is given up.",
        "ask": "The question of a decision; a list of what a hand-off has to say. A template.",
        "choose": "The ways on from a decision, in order.",
        "call": "The request of an action, to a webhook that agentpager.yaml declares under actions.",
        "approve": "Who has to agree before the request is made.",
        "undo": "The request that takes the action back, by the same webhook.",
        "to": "Whom to wake: level:2, person:ID or team:ID.",
        "after": "How long to try before, 20m.",
    },
    "Choice": {
        "label": "The answer, as the button has it.",
        "goto": "The id of the step to go on with.",
        "when": "It is the likely answer if this holds: not checks.crm.ok. Without braces.",
    },
    "Call": {
        "webhook": "Its name under actions.webhooks of agentpager.yaml.",
        "path": "Begins with /, and is one of the paths that the webhook allows. A template.",
        "method": "One that the webhook allows.",
        "body": "Sent as JSON. Texts in it are templates.",
    },
    "Undo": {
        "path": "Begins with /, and is one of the paths that the webhook allows. A template.",
        "method": "One that the webhook allows.",
        "body": "Sent as JSON. Texts in it are templates.",
    },
    "Approve": {
        "by": "oncall, owner, person:ID, team:ID, role:NAME; anybody of them.",
        "min": "How many of them have to agree.",
        "self": "Whether the one who asks may be one of them.",
        "ttl": "Without an answer for so long, it is not done.",
    },
    "Link": {
        "title": "What is there. A template.",
        "url": "An address that begins with https://. A template.",
    },
}


def runbook_schema() -> dict[str, Any]:
    made = Runbook.model_json_schema(ref_template="#/definitions/{model}")
    definitions = {name: _shape(name, model) for name, model in made.pop("$defs").items()}
    step = definitions["Step"]
    step["allOf"] = [_kind(name, *keys) for name, keys in keys_of_kinds().items()]
    step["properties"]["timeout"]["default"] = _written(Step.model_fields["timeout"].default)
    shape = _shape("Runbook", made)
    shape["properties"]["review_every"]["default"] = _written(Runbook.model_fields["review_every"].default)
    definitions["Approve"]["properties"]["ttl"]["default"] = _written(Approve.model_fields["ttl"].default)
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "agentpager runbook/v1"}
    return head | {key: value for key, value in shape.items() if key != "title"} | {"definitions": definitions}


def _written(value: timedelta) -> str:
    """`90d` as the documentation has it, not `12w6d`."""
    whole_days = value and not value % timedelta(days=1)
    return f"{value.days}d" if whole_days else format_duration(value)


def schema_text() -> str:
    return json.dumps(runbook_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(runbooks: Path) -> None:
    """Where the first line of each runbook looks for it. Nobody edits it: it is kept as this release has it."""
    path = runbooks / "schema" / NAME
    text = schema_text()
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _kind(name: str, needed: tuple[str, ...], allowed: tuple[str, ...]) -> dict[str, Any]:
    """What a step of this kind must have, and what it must not."""
    refused = sorted(set(Step.model_fields) - set(allowed) - set(_COMMON))
    properties: dict[str, Any] = {key: {"minLength": 1, "minItems": 1} for key in needed}
    properties |= dict.fromkeys(refused, False)
    if name == "decision":
        properties["ask"] = {"type": "string", "minLength": 1}
    then = {"required": list(needed), "properties": properties}
    return {"if": {"properties": {"kind": {"const": name}}, "required": ["kind"]}, "then": then}


def _shape(name: str, model: dict[str, Any]) -> dict[str, Any]:
    told = _TOLD.get(name, {})
    properties = {key: _property(value) | _description(told.get(key)) for key, value in model["properties"].items()}
    return {key: value for key, value in model.items() if key != "description"} | {"properties": properties}


def _description(text: str | None) -> dict[str, str]:
    return {"description": text} if text else {}


def _property(value: dict[str, Any]) -> dict[str, Any]:
    """Without the words of newer drafts, and with durations as we write them."""
    if value.get("format") == "duration":
        return {"type": "string", "pattern": _DURATION}
    kept = {key: inner for key, inner in value.items() if key != "title"}
    if "anyOf" in kept:
        kept["anyOf"] = [_property(inner) for inner in kept["anyOf"]]
    if "default" in kept and kept["default"] in ("", None, [], {}):
        del kept["default"]
    return kept
