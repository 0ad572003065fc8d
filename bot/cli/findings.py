"""Findings for other programs: JSON, GitHub's annotations, SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.errors import Finding


def as_json(finding: Finding) -> dict[str, str | int]:
    """The shape other tools rely on. Findings of runbooks have their number as `code`; `name` is readable."""
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "code": finding.number or finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "name": finding.code,
    }


def as_github(finding: Finding) -> str:
    """A workflow command of GitHub Actions, which annotates the line."""
    place = {"file": finding.file}
    if finding.line:
        place |= {"line": str(finding.line), "col": str(finding.column)}
    place["title"] = f"{finding.number} {finding.code}".strip()
    written = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    return f"::{finding.severity} {written}::{_data(_words(finding))}"


def as_sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """SARIF 2.1.0, for code scanning."""
    codes = sorted({finding.number or finding.code for finding in findings})
    driver = {"name": "agentpager", "version": version, "rules": [_rule(code) for code in codes]}
    results = [
        {
            "ruleId": finding.number or finding.code,
            "ruleIndex": codes.index(finding.number or finding.code),
            "level": finding.severity,
            "message": {"text": _words(finding)},
            "locations": [{"physicalLocation": _location(finding)}],
        }
        for finding in findings
    ]
    # SARIF counts columns in UTF-16 units unless it is told otherwise; ours are characters.
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    from bot.runbooks.codes import CODES, NAMES

    known = CODES.get(code)
    if known is None:
        return {"id": code}
    names = sorted(name for name, number in NAMES.items() if number == code)
    return {
        "id": code,
        "name": " / ".join(names),
        "shortDescription": {"text": known.title},
        "help": {"text": known.hint},
    }


def _location(finding: Finding) -> dict[str, Any]:
    from urllib.parse import quote

    where: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.file.replace("\\", "/"))}}
    if finding.line:
        where["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return where


def _words(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
