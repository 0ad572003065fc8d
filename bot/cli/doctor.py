"""`agentpager doctor`: tries everything a running server needs, one line each, with the way out of each failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from bot.cli.blind import agent_rows, blind_lines, target_rows
from bot.cli.common import CONFIG_ERROR, UNREACHABLE, config_option, instant, output_option, read_files, show, stop
from bot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from bot.channels.webhook import Webhooks
    from bot.config import Config
    from bot.settings import Actions, ActionWebhook, Http, Notify, Tracing, Webhook
    from bot.slack.examine import Check, Status

FINDINGS = 1
_SECONDS = 5.0
_DISCOVERY_SECONDS = 0.3
_FREE_BYTES = 100 * 1024 * 1024
_SOON_DAYS = 14  # before a token expires
_SIGNS = {"ok": "ok     ", "fail": "FAIL   ", "warning": "warning", "skipped": "skipped"}


@click.command("doctor")
@config_option
@output_option
@click.pass_context
def command(context: click.Context, config_path: Path, output: str) -> None:
    """Try tokens, scopes, channels, people, targets and paths. Posts nothing and changes nothing.

    Exit code 0: all fine, 1: something failed, 2: the configuration cannot be used, 3: Slack cannot be reached.
    """
    from bot.config import load
    from bot.slack.examine import Check

    try:
        config = load(read_files(config_path))
    except UsageError as error:
        stop(str(error), CONFIG_ERROR)
    except ConfigError as error:
        checks = [
            Check(f"{finding.file}:{finding.line}:{finding.column}", "fail", finding.message, finding.hint)
            for finding in error.findings
        ]
        show([asdict(check) for check in checks], output, _print)
        context.exit(CONFIG_ERROR)
    rows, reached = asyncio.run(_examine(config, config_path))
    show(rows, output, _print)
    failed = any(row["status"] == "fail" for row in rows)
    context.exit(UNREACHABLE if not reached else FINDINGS if failed else 0)


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        click.echo(f"{_SIGNS[row['status']]} {row['check']}: {row['message']}")
        if row["hint"] and row["status"] != "ok":
            click.echo(f"        → {row['hint']}")
        for line in blind_lines(row.get("blind", [])):
            click.echo(f"        {line}")
    counts = {status: sum(row["status"] == status for row in rows) for status in _SIGNS}
    click.echo(f"{counts['ok']} ok, {counts['fail']} failed, {counts['warning']} warnings, {counts['skipped']} skipped")


async def _examine(config: Config, config_path: Path) -> tuple[list[dict[str, Any]], bool]:
    from bot.clock import SystemClock
    from bot.slack.examine import Check, examine, token_checks

    settings = config.settings
    checks = [Check("configuration", "ok", f"{config_path}: {len(config.agents)} agents, {len(config.groups)} groups")]
    checks += token_checks(settings.slack)
    reached = True
    if settings.slack.bot_token.get_secret_value().strip():
        second = settings.notify.email is not None or bool(settings.notify.webhooks)
        found, reached = await examine(
            settings.slack, config.book, _channels(config), SystemClock(), second, unused_scopes(config)
        )
        checks += found
    rows = [asdict(check) for check in checks] + await _targets(config)
    checks = []
    store = settings.store.url.get_secret_value()
    checks.append(
        _store(store, config.base_dir) if store.startswith("sqlite") else await _server(store, config.base_dir)
    )
    checks.append(await _listen(settings.http.listen))
    checks += _tokens(settings.http, instant(None).date())
    checks += await _second_channels(settings.notify, config.base_dir)
    checks += await _actions(settings.actions)
    if settings.heartbeat is not None:
        checks.append(await _heartbeat(settings.heartbeat.url))
    checks += await _tracing(settings.tracing)
    return rows + [asdict(check) for check in checks], reached


def unused_scopes(config: Config) -> set[str]:
    """Optional scopes of what is not switched on."""
    settings = config.settings
    unused = set() if settings.slack.charts else {"files:write"}
    unused |= set() if settings.shifts.messages else {"dnd:read"}
    followed = any(schedule.usergroup for schedule in config.book.schedules.values())
    return unused | (set() if followed else {"usergroups:read", "usergroups:write"})


async def _second_channels(notify: Notify, base_dir: Path) -> list[Check]:
    """Logs in to the mail server and connects to each webhook; nothing is sent."""
    from bot.channels.mail import Mail
    from bot.channels.webhook import Webhooks
    from bot.errors import RemoteError
    from bot.slack.examine import Check

    checks = []
    mail, webhooks = Mail(base_dir), Webhooks()
    if (email := notify.email) is not None:
        done = f"logged in as {email.username}" if email.username else "it answers"
        try:
            await mail.try_login(email)
            checks.append(Check("notify.email", "ok", f"{email.host}:{email.port}: {done} (no mail sent)"))
        except RemoteError as error:
            hint = "check notify.email; agentpager notify test PERSON sends a mail"
            checks.append(Check("notify.email", "fail", str(error), hint))
    for name, webhook in notify.webhooks.items():
        checks.append(await _knocked(webhooks, f"notify.webhooks.{name}", webhook))
    for name, receiver in notify.receivers.items():
        checks.append(await _knocked(webhooks, f"notify.receivers.{name}", receiver))
    mail.close()
    webhooks.close()
    return checks


async def _actions(actions: Actions) -> list[Check]:
    """Connects to each service that runbooks may ask; nothing is asked."""
    from bot.channels.webhook import Webhooks

    webhooks = Webhooks()
    checks = [await _knocked(webhooks, f"actions.webhooks.{name}", one) for name, one in actions.webhooks.items()]
    webhooks.close()
    return checks


async def _knocked(webhooks: Webhooks, key: str, service: Webhook | ActionWebhook) -> Check:
    from bot.errors import RemoteError
    from bot.slack.examine import Check

    if not service.url.get_secret_value():
        return Check(key, "fail", "its url is empty", "set the variable that it comes from")
    try:
        await webhooks.knock(service)
    except RemoteError as error:
        return Check(key, "fail", str(error), f"check {key}.url and the network")
    return Check(key, "ok", "can be reached (nothing posted)")


def _channels(config: Config) -> list[str]:
    named = [config.settings.slack.channel]
    named += [agent.channel for agent in config.agents.values() if agent.channel]
    named += [team.channel for team in config.book.teams.values() if team.channel]
    targets = [t for policy in config.book.escalation_policies.values() for step in policy.steps for t in step.notify]
    named += [target.removeprefix("channel:") for target in targets if target.startswith("channel:")]
    return list(dict.fromkeys(named))


async def _targets(config: Config) -> list[dict[str, Any]]:
    """One scrape of each target, by the scraper that `serve` uses, or questions to the engine that has the samples; and
    what the alerts see of it."""
    from bot.metrics.scrape import Scraper
    from bot.promql.store import SeriesStore
    from bot.slack.examine import Check

    metrics = config.settings.metrics
    if metrics.prometheus is not None:
        from bot.cli.engine import engine_rows

        return await engine_rows(config, metrics.prometheus)
    scrape = metrics.scrape
    if not scrape.targets and not scrape.file_sd and not scrape.http_sd:
        check = Check("targets", "warning", "none configured", "list your agents under metrics.scrape.targets")
        return [asdict(check)]
    # Targets are spread over the interval, and none may take longer than it: so the timeout is the shortest to choose.
    targets = tuple(
        target.model_copy(update={"interval": target.timeout or scrape.timeout}) for target in scrape.targets
    )
    hurried = metrics.model_copy(
        update={"scrape": scrape.model_copy(update={"interval": scrape.timeout, "targets": targets})}
    )
    longest = max([scrape.timeout, *(target.timeout for target in scrape.targets if target.timeout)])
    store = SeriesStore(60.0)
    scraper = Scraper(hurried, store, config.base_dir, None)
    running = asyncio.create_task(scraper.run())
    await asyncio.sleep(_DISCOVERY_SECONDS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2 * longest.total_seconds() + 1):
            await _until_tried(scraper)
    active, problems = scraper.targets(), scraper.problems()
    series = [(spec, [store.labels_of(one) for one in ids.tolist()]) for spec, ids in scraper.live()]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    rows = [asdict(Check("targets", "fail", each, "mend the list of targets it comes from")) for each in problems]
    if not rows and not active:
        return [asdict(Check("targets", "warning", "service discovery has found none yet"))]
    return [*rows, *target_rows(map(asdict, map(_target, active)), series), *agent_rows(config, series)]


async def _until_tried(scraper: Any) -> None:
    while True:
        active = scraper.targets()
        if (active or scraper.problems()) and not any(target["health"] == "unknown" for target in active):
            return
        await asyncio.sleep(0.05)


def _target(target: dict[str, Any]) -> Check:
    from bot.slack.examine import Check

    name = f"target {target['scrapeUrl']}"
    if target["health"] == "up":
        return Check(name, "ok", f"scraped in {target['lastScrapeDuration'] * 1000:.0f} ms")
    if target["health"] == "unknown":
        return Check(name, "skipped", f"scraped only every {target['scrapeInterval']}")
    return Check(
        name,
        "fail",
        target["lastError"],
        f"is the agent running, and open to this machine? Try: curl {target['scrapeUrl']}",
    )


def _store(url: str, base_dir: Path) -> Check:
    import shutil

    from bot.slack.examine import Check

    path = base_dir / url.removeprefix("sqlite:///")
    folder = path.parent
    if not folder.is_dir():
        return Check("store", "fail", f"{folder} does not exist", f"mkdir -p {folder}")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".agentpager-"):
            pass
    except OSError as error:
        return Check("store", "fail", f"{folder} cannot be written: {error.strerror}", f"chown it to {_user()}")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return Check("store", "fail", f"{path} cannot be written", f"chown it to {_user()}")
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES:
        return Check("store", "fail", f"only {free // 1024 // 1024} MiB left for {path}", "free some space")
    return Check("store", "ok", f"{path} can be written")


async def _server(url: str, base_dir: Path) -> Check:
    from bot.errors import UsageError
    from bot.slack.examine import Check
    from bot.store.database import Database

    try:
        store = Database(url, base_dir)
    except UsageError as error:
        return Check("store", "fail", str(error))
    doubt = await store.doubt()
    await store.close()
    return Check("store", "fail", doubt) if doubt else Check("store", "ok", f"{store.name} can be written")


def _user() -> str:
    import getpass

    return getpass.getuser()


async def _listen(address: str) -> Check:
    from bot.slack.examine import Check

    host, _, port = address.rpartition(":")
    try:
        server = await asyncio.start_server(lambda *_: None, host.strip("[]") or None, int(port))
    except (OSError, OverflowError) as error:
        if await _is_ours(host, port):
            return Check("http.listen", "ok", f"{address} is taken by a running agentpager")
        reason = getattr(error, "strerror", None) or str(error)
        return Check("http.listen", "fail", f"{address} cannot be used: {reason}", "choose another http.listen")
    server.close()
    await server.wait_closed()
    return Check("http.listen", "ok", f"{address} is free")


def _tokens(http: Http, today: date) -> list[Check]:
    """How long each token goes on."""
    from bot.slack.examine import Check

    checks = []
    for name, token in http.tokens.items():
        if token.expires is None:
            checks.append(Check(f"http.tokens.{name}", "ok", "it does not expire"))
            continue
        days = (token.expires - today).days
        status: Status = "fail" if days < 0 else "warning" if days < _SOON_DAYS else "ok"
        told = f"it worked until {token.expires}" if days < 0 else f"it works until {token.expires}"
        hint = f"make another one: agentpager token new {name} --scope {','.join(token.scopes)}"
        checks.append(Check(f"http.tokens.{name}", status, told, hint if status != "ok" else ""))
    return checks


async def _is_ours(host: str, port: str) -> bool:
    import aiohttp

    name = "127.0.0.1" if host in {"", "0.0.0.0", "[::]"} else host  # noqa: S104
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"http://{name}:{port}/-/healthy") as answer,
        ):
            return answer.status in {200, 503} and "agentpager" in (await answer.text()).lower()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False


async def _tracing(settings: Tracing) -> list[Check]:
    """A request without spans, where traces are asked for."""
    from bot import tracing
    from bot.slack.examine import Check

    if not tracing.wanted(settings, os.environ):
        return []
    if why := await tracing.problem(settings, os.environ):
        return [Check("tracing", "fail", why, "pages go on without; see docs/tracing.md")]
    return [Check("tracing", "ok", "the collector takes traces (none sent)")]


async def _heartbeat(url: str) -> Check:
    """Only knocks: a real request would tell the watchdog outside that the pager is alive."""
    from bot.slack.examine import Check

    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=True if port == 443 else None)
    except (OSError, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        return Check("heartbeat", "fail", f"{shown} cannot be reached: {reason}", "check heartbeat.url and the network")
    writer.close()
    return Check("heartbeat", "ok", f"{shown} can be reached (not pinged)")
