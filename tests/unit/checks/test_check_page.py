"""docs/check.md has a heading for every code that can be told, and for no other."""

from __future__ import annotations

import ast
import re  # noqa: TID251 - fixed patterns
from pathlib import Path

from bot.checks import coverage_gap, idle_runbook
from bot.checks.every import CHECKS
from bot.slos import openslo

ROOT = Path(__file__).parents[3]
MAKERS = {"Finding", "finding", "Complaint", "Problem", "_stop", "_warning"}
CODE = re.compile(r"[a-z]+(-[a-z]+)+|promql|template|severity|matcher|expect|link|unreadable")
# Not among the checks of every load: one depends on the day, one is for authors, one is of files in another format.
APART = {coverage_gap.CODE, idle_runbook.CODE, openslo.CODE}
SOURCES = [
    "yamldoc",
    "complaints",
    "sources",
    "config",
    "rules/load",
    "runbooks/lint",
    "runbooks/advice",
    "authoring/lint",
    "authoring/links",
    "authoring/seen",
]


def codes_in(path: Path) -> set[str]:
    """Words that look like a code among the first arguments of whatever makes a finding."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    made = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in MAKERS]
    texts = [
        part.value for call in made for arg in call.args[:4] for part in ast.walk(arg) if isinstance(part, ast.Constant)
    ]
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}


def test_every_code_has_its_heading_and_every_heading_its_code():
    told = {*APART, *CHECKS}.union(*(codes_in(ROOT / "bot" / f"{name}.py") for name in SOURCES))
    headings = re.findall(r"(?m)^### ([a-z-]+)$", (ROOT / "docs" / "check.md").read_text())
    assert sorted(headings) == sorted(told)
