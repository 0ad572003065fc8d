"""Configurations made of text in tests: file names and their contents, without a disk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.importing.report import Report
from bot.importing.run import Wanted, imported
from bot.sources import KINDS, Kind, Source, Sources

FOLDERS = {
    "alerts": "rules",
    "runbooks": "runbooks",
    "agents": "agents",
    "oncall": "oncall",
    "incidents": "incidents",
    "slos": "slos",
}
IMPORTED_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SLACK_IDS = {
    "Whoever is on call": "U0ONCALL",
    "ana@example.com": "U0ANA",
    "ben@example.com": "U0BEN",
    "cleo@example.com": "U0CLEO",
    "Dan Diaz": "U0DAN",
}
EXAMPLE = Path(__file__).parents[1] / "examples" / "config"


def example() -> dict[str, str]:
    """The sample configuration of the documentation."""
    names = [path for path in sorted(EXAMPLE.rglob("*.yaml")) if path.parent.name != "targets"]
    return {path.relative_to(EXAMPLE).as_posix(): path.read_text() for path in names}


def sources_of(files: Mapping[str, str], env: Mapping[str, str] | None = None) -> Sources:
    """As if `agentpager.yaml` named each folder; a configuration without it is one of loose files."""
    found: dict[Kind, tuple[Source, ...]] = dict.fromkeys(KINDS, ())
    for name, text in files.items():
        kind = FOLDERS.get(name.split("/")[0])
        if kind is not None and not name.endswith(".ics"):
            found[kind] = (*found[kind], Source(file=name, text=text))  # type: ignore[index]
    main = Source(file="agentpager.yaml", text=files["agentpager.yaml"]) if "agentpager.yaml" in files else None
    calendars = {name: Source(file=name, text=text) for name, text in files.items() if name.endswith(".ics")}
    return Sources(
        base_dir="/etc/agentpager", main=main, files=found, calendars=calendars, env=dict(env or {}), digest="0"
    )


def imported_config(kind: str, name: str, **wanted: object) -> tuple[dict[str, str], Report]:
    """What becomes of an example of tests/importing; its people are given Slack ids."""
    path = Path(__file__).parent / "importing" / name
    given = {"slack_ids": SLACK_IDS, "external_url": "https://pager.example.com"} | wanted
    made = imported([(name, path.read_text())], Wanted(kind, **given), IMPORTED_AT)  # type: ignore[arg-type]
    return dict(made.files), made.report
