"""`agentpager audit show ID`: one incident's rows, and the policy and rotas it started with."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import CONFIG_ERROR, config_option, output_option, print_table, read_config, show, stop

if TYPE_CHECKING:
    from bot.audit.model import Entry
    from bot.incidents.model import Incident
    from bot.oncall.model import Policy
    from bot.sources import Sources
    from bot.store.database import Database


@click.command("show")
@click.argument("incident")
@click.option("--files", is_flag=True, help="Print the on-call files as they were when it opened.")
@config_option
@output_option
def command(incident: str, files: bool, config_path: Path, output: str) -> None:
    """Everything that happened to INCIDENT, with who and why, and the policy and on-call files it opened with.

    Reads the database; needs no running server.
    """
    from bot.errors import UsageError
    from bot.store.database import Database

    config = read_config(config_path)
    number = incident.upper().removeprefix("INC-")
    try:
        store = Database(config.settings.store.url.get_secret_value(), config.base_dir)
        found = asyncio.run(_read(store, f"INC-{number}"))
    except UsageError as error:
        stop(str(error), CONFIG_ERROR)
    if found is None:
        stop(f'there is no incident "{incident}"; `agentpager incidents --all` lists them', CONFIG_ERROR)
    one, entries, kept = found
    if files and output == "text":
        if kept is None:
            stop(f"the on-call files that {one.id} opened with are not kept", CONFIG_ERROR)
        for source in (*kept.files["oncall"], *kept.calendars.values()):
            click.echo(f"# {source.file}\n{source.text.rstrip()}\n")
        return
    show(_as_json(one, entries, kept, config.book_id), output, _print)


async def _read(store: Database, incident_id: str) -> tuple[Incident, list[Entry], Sources | None] | None:
    from pydantic import ValidationError

    from bot.sources import Sources

    await store.open()
    try:
        incident = await store.incident(incident_id)
        if incident is None:
            return None
        entries = await store.history.audit_of(incident.id)
        doc = await store.snapshot(incident.book_id) if incident.book_id else None
        try:
            return incident, entries, Sources.model_validate_json(doc) if doc else None
        except ValidationError:
            return incident, entries, None
    finally:
        await store.close()


def _as_json(incident: Incident, entries: list[Entry], kept: Sources | None, book_now: str) -> dict[str, Any]:
    files = [source.file for source in (*kept.files["oncall"], *kept.calendars.values())] if kept else []
    return {
        "incident": incident.id,
        "state": incident.state.value,
        "severity": incident.severity.value,
        "title": incident.title,
        "owner": incident.owner,
        "owner_why": incident.owner_why,
        "opened_at": incident.opened_at.isoformat(),
        "policy_id": incident.policy_id,
        "policy": _policy(incident.policy),
        "fallback": incident.fallback,
        "book": {
            "id": incident.book_id,
            "kept": kept is not None,
            "still_counts": incident.book_id == book_now,
            "files": files,
        },
        "rows": [entry.model_dump(mode="json") for entry in entries],
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "steps": [
            {
                "notify": list(step.notify),
                "wait": _span(step.wait),
                "when": step.when.model_dump(mode="json", exclude_defaults=True) if step.when else None,
            }
            for step in policy.steps
        ],
        "repeat": policy.repeat,
        "fallback_wait": _span(policy.fallback_wait),
        "ack_timeout": {severity: _span(span) for severity, span in policy.ack_timeout.items()},
    }


def _span(value: timedelta) -> str:
    from bot.schema import format_duration

    return format_duration(value)


def _print(told: dict[str, Any]) -> None:
    policy, book = told["policy"], told["book"]
    click.echo(f"{told['incident']}  {told['state']}, {told['severity']}: {told['title']}")
    click.echo(f"owner    {told['owner']} ({told['owner_why']})")
    click.echo(f"policy   {told['policy_id']}, as it was at {told['opened_at']}")
    for number, step in enumerate(policy["steps"], start=1):
        when = f"  when {step['when']}" if step["when"] else ""
        click.echo(f"         {number}. {', '.join(step['notify'])}, wait {step['wait']}{when}")
    click.echo(
        f"         {policy['repeat']} more times, then {told['fallback']} every {policy['fallback_wait']}, widening"
    )
    if policy["ack_timeout"]:
        spans = ", ".join(f"{severity} {span}" for severity, span in policy["ack_timeout"].items())
        click.echo(f"         an ack holds {spans}")
    click.echo(f"rotas    {_rotas(book)}\n")
    rows = [
        [
            row["at"][:19],
            row["actor"] + (f" (token {token})" if (token := row["detail"].get("token")) else ""),
            row["action"].removeprefix("incident."),
            row["detail"].get("woken", ""),
            row["why"],
        ]
        for row in told["rows"]
    ]
    print_table(["AT (UTC)", "WHO", "WHAT", "WOKEN", "WHY"], rows, "no rows")


def _rotas(book: dict[str, Any]) -> str:
    if not book["id"]:
        return "those of now: it opened before they were kept"
    if not book["kept"]:
        return f"{book['id'][:12]}, which is not kept any more: those of now count"
    count = "the same as now" if book["still_counts"] else "changed since; they still count for it"
    return f"{book['id'][:12]}, {count} ({', '.join(book['files'])}; --files shows them)"
