"""Configurations made of text in tests: file names and their contents, without a disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.sources import KINDS, Kind, Source, Sources

FOLDERS = {
    "alerts": "rules",
    "runbooks": "runbooks",
    "agents": "agents",
    "oncall": "oncall",
    "incidents": "incidents",
    "slos": "slos",
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
