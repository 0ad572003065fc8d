"""From the text of other systems' files to the files that are to be written, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bot.importing import alertmanager, grafana_oncall, pagerduty, prometheus
from bot.importing.draft import Draft
from bot.importing.reading import source_of
from bot.importing.report import Report

Kind = Literal["alertmanager", "prometheus", "pagerduty", "grafana-oncall"]
MAIN = "agentpager.yaml"


@dataclass(frozen=True)
class Wanted:
    """`slack_ids` are Slack ids by e-mail address or name. `has_fallback`, `has_main`: where the files go there is one
    already. `prefix` leads from the new directory to that of the file."""

    kind: Kind
    slack_ids: Mapping[str, str] = field(default_factory=dict)
    has_fallback: bool = False
    prefix: str = ""
    external_url: str = ""
    has_main: bool = False


@dataclass(frozen=True)
class Imported:
    files: Mapping[str, str]
    report: Report


def imported(texts: Sequence[tuple[str, str]], wanted: Wanted, now: datetime) -> Imported:
    """`texts` are names of files and what is in them. Raises UsageError for a file that cannot be read at all."""
    report = Report()
    names = ", ".join(name for name, _ in texts)
    draft = Draft(names, report, dict(wanted.slack_ids), wanted.external_url, wanted.has_fallback)
    hints = {
        "alertmanager": alertmanager.HINTS,
        "prometheus": prometheus.HINTS,
        "pagerduty": pagerduty.HINTS,
        "grafana-oncall": grafana_oncall.HINTS,
    }[wanted.kind]
    sources = [source_of(text, name, report, hints) for name, text in texts]
    if wanted.kind == "alertmanager":
        for source in sources:
            alertmanager.read(source, draft, now.date())
    elif wanted.kind == "prometheus":
        for source in sources:
            prometheus.read(source, draft, wanted.prefix)
    elif wanted.kind == "pagerduty":
        pagerduty.read(sources, draft, now)
    else:
        grafana_oncall.read(sources, draft, now)
    for source in sources:
        source.leftovers()
    if draft.external_url:
        draft.main["http"] = {"external_url": draft.external_url}
    elif draft.notify_used:
        report.to_do.append("http.external_url in agentpager.yaml: the address of this server, for links in messages")
    files = draft.files(wanted.kind)
    if wanted.has_main and MAIN in files:
        aside = f"agentpager-from-{wanted.kind}.yaml"
        files[aside] = files.pop(MAIN)
        report.to_do.append(f"{MAIN} is there: merge {aside} into it, and remove that file")
    elif not wanted.has_main and MAIN not in files:
        report.to_do.append(f"there is no {MAIN} yet: agentpager init writes one")
    return Imported(files, report)
