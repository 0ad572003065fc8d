"""The numbers of what can be wrong with a runbook, one for each sort of mistake. Names say which of them it is.

Numbers are for tools that keep lists of them; a name may be split or joined by others later, its number stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from bot.errors import Finding


@dataclass(frozen=True)
class Code:
    """`hint` is the way out where the finding itself knows no better one."""

    title: str
    hint: str


CODES = {
    "RB001": Code("not of the shape of runbook/v1", "docs/runbooks.md has every key and what it takes"),
    "RB002": Code("unknown key", "docs/runbooks.md has every key"),
    "RB003": Code("the same id or key twice", "keep one of them, or rename it"),
    "RB004": Code("means something else to other YAML readers", "put it in quotes"),
    "RB010": Code("no owner, or one who does not exist", "owner: team:ID or person:ID of the on-call files"),
    "RB011": Code("review overdue", "read it, correct it, set reviewed_on to today"),
    "RB012": Code("an alert without its runbook, or a runbook without its alert", "correct applies_to or runbook"),
    "RB013": Code("two runbooks fit equally well", "add a matcher to one of them"),
    "RB020": Code("a template does not parse or names what is not there", "docs/runbooks.md lists what there is"),
    "RB021": Code("PromQL does not parse", "try it: agentpager query"),
    "RB022": Code("a metric or label never seen", "correct its name"),
    "RB023": Code("a check without a readable expectation", 'say what is good: expect: "< 5"'),
    "RB030": Code("a way that leads nowhere, in a circle or past a step", "name a step that is shown then"),
    "RB031": Code("a vague step", "give a url, a number to compare with, or make it a check"),
    "RB032": Code("a command that does not say where to run it", "run_on: your laptop"),
    "RB033": Code("an action without approval, undo or a declared webhook", "see docs/actions.md"),
    "RB034": Code("nobody to escalate to", 'add {kind: escalate, to: "level:2"}'),
    "RB035": Code("a value in quotes in a command", "remove the quotes: values are quoted for the shell"),
    "RB040": Code("longer than Slack has room for", "shorten it, or put what is rarely needed behind a link"),
    "RB041": Code("looks like a secret", "revoke it, and say where to get it instead"),
    "RB042": Code("a link that is not https, or dead", "start it with https://"),
    "RB050": Code("too long before the first decision", "begin with a check that says what the cause is"),
}
# The name of a finding in a runbook's file → its number.
NAMES = {
    "yaml-syntax": "RB001",
    "yaml-limit": "RB001",
    "unreadable": "RB001",
    "missing-key": "RB001",
    "bad-value": "RB001",
    "matcher": "RB001",
    "runbook-id": "RB001",
    "step-key": "RB001",
    "unknown-key": "RB002",
    "duplicate-id": "RB003",
    "duplicate-key": "RB003",
    "duplicate-step": "RB003",
    "yaml-trap": "RB004",
    "no-owner": "RB010",
    "unknown-owner": "RB010",
    "review-overdue": "RB011",
    "idle-runbook": "RB012",
    "no-runbook": "RB012",
    "odd-label": "RB012",
    "unknown-alert": "RB012",
    "unknown-runbook": "RB012",
    "tied-runbooks": "RB013",
    "template": "RB020",
    "promql": "RB021",
    "unseen-metric": "RB022",
    "expect": "RB023",
    "step-loop": "RB030",
    "step-target": "RB030",
    "unreachable-step": "RB030",
    "vague-step": "RB031",
    "run-on": "RB032",
    "action-approval": "RB033",
    "action-approver": "RB033",
    "action-undo": "RB033",
    "undeclared-action": "RB033",
    "escalation-target": "RB034",
    "no-escalation": "RB034",
    "command-quotes": "RB035",
    "slack-budget": "RB040",
    "secret-like": "RB041",
    "dead-link": "RB042",
    "link": "RB042",
    "plain-link": "RB042",
    "late-check": "RB050",
}
# About runbooks, in whatever file they are found.
ABOUT_RUNBOOKS = frozenset({"no-runbook", "unknown-runbook"})


def numbered(findings: Iterable[Finding], files: Collection[str]) -> list[Finding]:
    """Those in the runbooks' `files` get their number, and a way out if they have none of their own."""
    found = []
    for one in findings:
        if one.file in files or one.code in ABOUT_RUNBOOKS:
            number = NAMES.get(one.code, "")
            hint = one.hint or (CODES[number].hint if number else "")
            found.append(replace(one, number=number, hint=hint))
        else:
            found.append(one)
    return found
