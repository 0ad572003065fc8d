"""The text of a new runbook: complete enough to pass `check` and `runbook lint`, and it says what to change."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bot.authoring.schema import MODELINE

_TEXT = """\
{modeline}{schema}
# Kinds of steps, templates and how to write for two in the morning: docs/runbooks.md.
# After each edit: agentpager runbook lint {file} && agentpager runbook preview {file}
schema: runbook/v1
id: {id}
title: {title}
owner: {owner}
applies_to: [{applies_to}]
reviewed_on: {today}
review_every: 90d
severity_hint:
  critical: Somebody has to act now.
  warning: It can wait until the morning.
summary: "{{{{ alert.annotations.summary | default(alert.name) }}}}"   # what is going on, in a sentence
impact: "{{{{ agent.title }}}} may not do its work."   # who suffers, and how they notice
steps:
  - id: answers                       # first: is it still going on? Then one check for each usual cause
    kind: check
    title: Processes of {{{{ agent.title }}}} that answer
    query: sum(up{{agent="{{{{ agent.id }}}}"}})
    expect: ">= 1"
    unit: count
    on_fail: logs                     # the page names this step when the check fails
  - id: logs
    kind: command                     # shown for copying, never run; values are quoted for the shell
    title: See what it said last
    run_on: your laptop, with access to the agents' cluster
    text: kubectl logs -l app={{{{ agent.id }}}} --tail=50
  - id: restart
    kind: command
    title: Restart it
    run_on: your laptop, with access to the agents' cluster
    text: kubectl rollout restart deployment/{{{{ agent.id }}}}
    verify: answers                   # the check to look at again afterwards
  - id: stop
    kind: manual
    title: Stop the agent safely
    text: If it comes back within 15 minutes, scale deployment/{{{{ agent.id }}}} to zero, and tell {{{{ owner }}}}.
  - id: up
    kind: escalate                    # the page has a button for it
    title: Wake the next level
    to: "level:2"                     # or person:ID, team:ID
    after: 20m
"""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")


@dataclass(frozen=True)
class Wanted:
    """`schema` is the path of the JSON Schema, as seen from the file; `file` the path as the author types it."""

    id: str
    title: str
    owner: str
    alert: str
    agents: Sequence[str]
    file: str
    schema: str


def runbook_text(wanted: Wanted, today: date) -> str:
    return _TEXT.format(
        modeline=MODELINE,
        schema=wanted.schema,
        file=wanted.file,
        id=scalar(wanted.id),
        title=scalar(wanted.title),
        owner=scalar(wanted.owner),
        applies_to=_quoted(matchers(wanted.alert, wanted.agents)),
        today=today.isoformat(),
    )


def matchers(alert: str, agents: Sequence[str]) -> str:
    """One line of `applies_to`."""
    line = f"alertname={json.dumps(alert, ensure_ascii=False)}"
    if len(agents) == 1:
        line += f", agent={json.dumps(agents[0], ensure_ascii=False)}"
    elif agents:
        pattern = "|".join(re.escape(agent).replace(r"\-", "-") for agent in agents)
        line += f", agent=~{json.dumps(pattern, ensure_ascii=False)}"
    return line


def spoken(name: str) -> str:
    """`AgentToolFailing` and `agent-tool-failing` as "Agent tool failing"."""
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in _WORD.findall(name)]
    text = " ".join(words) or name
    return text[0].upper() + text[1:]


def scalar(text: str) -> str:
    """As YAML, in quotes unless it is plainly a text."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 _-]*[A-Za-z0-9]", text) and text.lower() not in _WORDS_OF_YAML
    return text if plain else json.dumps(text, ensure_ascii=False)


_WORDS_OF_YAML = {"yes", "no", "on", "off", "true", "false", "null"}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
