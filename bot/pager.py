"""The process that must never stop: takes the watcher's alerts, keeps deadlines, reloads, and says how it is itself.

Does no unbounded work: whatever is heavy or untrusted happens in the watcher, or in a child that checks a new
configuration before this process reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import structlog

from bot import delivery, judge, pipeline, png, telemetry
from bot.actuator import Actuator
from bot.agents.series import registry_series
from bot.alertmanager import incoming
from bot.books import Books
from bot.config import Config, load
from bot.courier import Courier
from bot.errors import ConfigError, Finding, RemoteError
from bot.incidents import drill
from bot.incidents.decision import Decision, Say, World, book_of
from bot.incidents.drill import Drills
from bot.incidents.model import BY_HAND, INTERNAL, Alert, AlertState, Event, Incident, Severity, State, pushed_group
from bot.incidents.own import OwnAlert, nothing_held
from bot.incidents.silences import Silence
from bot.joint import Update
from bot.labels import Labels
from bot.oncall.changes import RotaChange
from bot.oncall.duty import ahead
from bot.oncall.feeds import Copy
from bot.oncall.owners import reach
from bot.outbox import Outbox
from bot.paging import notify
from bot.paging.measured import overdue
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Clock
from bot.renderings import Renderings
from bot.rules.load import with_builtin
from bot.sharing import Shares
from bot.sources import Sources, read_sources
from bot.store.archive import Archive
from bot.store.database import Database
from bot.store.replicas import Replica, Writing
from bot.supervisor import HUNG_SECONDS, WatcherProcess

log = structlog.get_logger()

WATCHER_GRACE = 60.0  # seconds without the watcher before somebody is woken
# A report that says nothing new is worked in this often all the same; the watcher sends one a minute.
_UNCHANGED_FOR = 50.0
# Of more changes at once the runbooks are rendered for who opens them.
_EACH_BY_ITSELF = 50
_FIRST_PART, _PART = 500, 1000  # alerts worked in by one transaction
_HEARTBEAT_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LATE_TICK = 10.0
_SET_ASIDE, _AWAY = 30.0, 1.0
_SHARE_SECONDS = 600.0  # rounds that were missed are caught up with; told again meanwhile it would do so once more
_UNKNOWN_FOR = 60.0
_UNSURE, _LONGEST_UNSURE = 30.0, 600.0  # seconds before a look at the replicas: what was found then may not be saved
_TOLD_AT_ONCE = 100  # incidents in one transaction: a click never waits long for it
_BUILT_ONCE = ("slack", "store.url", "http.listen", "heartbeat", "tracing")  # parts of agentpager.yaml
_HIDDEN_FOR = 60.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_KEEP_CLICKS = timedelta(days=7)


class SlackEdge(Protocol):
    def healthy(self) -> bool: ...


class Pager:
    def __init__(
        self, config_path: Path, env: dict[str, str], sources: Sources, config: Config, store: Database, clock: Clock
    ) -> None:
        self._config_path = config_path
        self._env = env
        self._sources = sources
        self._store = store
        self._clock = clock
        self._seen: dict[str, tuple[object, float]] = {}
        self._unsaved: dict[str, dict[str, Any]] = {}
        self._own_told: dict[str, tuple[OwnAlert, ...]] = {}
        self._aside: dict[str, float] = {}
        self._refused: tuple[Finding, ...] = ()
        self._refused_digest = ""
        self._reloading = asyncio.Lock()
        self._hiding_changes: datetime | None = _LONG_AGO  # when what is hidden next changes by itself
        self._hidden_at = 0.0
        self._silences: Sequence[Silence] = ()  # as last seen
        self._stood: dict[str, tuple[State, str | None]] = {}  # how people had left each incident
        self._released: set[tuple[str, str, datetime]] = set()
        self._releasing: set[asyncio.Task[None]] = set()
        self._pinging: asyncio.Task[str] | None = None
        self._watcher_missed = time.monotonic()
        self.config = config
        self.books = Books(store)
        self.book_since = clock.now()  # when its on-call files began to count
        self.copies: Mapping[str, Copy] = {}  # of the calendars at an address
        self.changes: tuple[RotaChange, ...] = ()  # overrides and swaps made beside the files
        self.readiness_series: Sequence[tuple[Labels, float]] = ()  # how ready the agents are, as last seen
        self.watcher = WatcherProcess(self._for_watcher, self.on_update)
        self.replicas: Sequence[Replica] = ()  # as last seen
        self._shares = Shares()
        self._shared_at = time.monotonic()
        self._untold = False  # whether the watcher has to hear of a change of our share
        self._blind_since: dict[str, float] = {}  # replicas whose watcher does not work
        self._unknown_since: dict[str, float] = {}  # groups with alerts that nobody's configuration has
        self.outbox: Outbox | None = None  # these are there while this process leads
        self.courier: Courier | None = None
        self.actuator: Actuator | None = None
        self._told_otherwise: set[str] = set()  # pages in trouble that have been seen to
        self.renderings: Renderings | None = None
        self.slack: SlackEdge | None = None
        telemetry.reload_ok.set(1)
        telemetry.reload_at.set(clock.now().timestamp())

    @property
    def sources(self) -> Sources:
        return self._sources

    def world(self) -> World:
        config = self.config
        return World(
            config.agents,
            config.book,
            config.settings.slack.channel,
            config.incidents,
            book_id=config.book_id,
            book_doc=self.books.doc_of(self._sources, config.book_id),
            books=self.books.known,
            second_channel_after=config.settings.notify.second_channel_after,
            charts=config.settings.slack.charts and png.available(),
            receivers=config.settings.notify.receivers,
        )

    def facts(self, incident: Incident) -> dict[str, object]:
        """What a runbook may say about the people; the rest the watcher knows itself."""
        book = book_of(incident, self.world())
        step = incident.policy.steps[min(max(incident.step, 0), len(incident.policy.steps) - 1)]
        reached = reach(step, book, self._clock.now(), incident.severity).people
        names = [book.people[person.person].name for person in reached]
        return {"oncall": names, "external_url": self.config.settings.http.external_url}

    def begin_to_lead(self, outbox: Outbox, courier: Courier, actuator: Actuator) -> None:
        """What was told and seen in an earlier time as leader counts no more: another one has led since."""
        self._own_told.clear()
        self._aside.clear()
        self._told_otherwise.clear()
        self._hiding_changes = _LONG_AGO
        self.outbox, self.courier, self.actuator = outbox, courier, actuator

    def end_leading(self) -> None:
        self.outbox = self.courier = self.actuator = None

    @property
    def leads(self) -> bool:
        return self._store.leads

    @property
    def only_one(self) -> bool:
        """Whether there is no other replica; False until that is known."""
        return self._store.alone or len(self.replicas) == 1

    def wake(self, incident_id: str | None = None) -> None:
        """Something has been written that is to go out. Another replica that leads hears of it from the database."""
        if self.outbox is not None:
            self.outbox.wake(incident_id)
        for one in (self.courier, self.actuator):
            if one is not None:
                one.wake()

    def person_changed(self, incident: Incident) -> None:
        """Somebody has just acted: their messages are redrawn first, and what they closed is no longer held as no
        data."""
        self.wake(incident.id)
        held = [alert for alert in incident.going_on if alert.state is AlertState.NO_DATA]
        if incident.state is State.RESOLVED and held:
            task = asyncio.create_task(self._release([alert.fingerprint for alert in held]))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)

    async def _release(self, fingerprints: list[str]) -> None:
        try:
            for name in fingerprints:
                await self.watcher.ask("release", {"fingerprint": name}, 10)
        except RemoteError as error:
            log.warning("alert.not_released", error=str(error))

    async def _for_watcher(self) -> dict[str, Any]:
        drills = Drills.model_validate_json(await self._store.key(pipeline.DRILLS) or "{}")
        return {
            "sources": self._sources.for_watcher().to_json(),
            "states": await self._store.rule_state(),
            "drills": [one.labels for one in drills.running],
            "readiness": self.readiness_series,
            "incarnation": self._shares.incarnation,
            "mine": None if self._store.alone else sorted(self._shares.mine),
        }

    async def on_update(self, update: Update) -> None:
        """A report of the watcher. What says nothing new is worked in once a minute, to bring values up to date."""
        if update.still is None and not update.alerts and update.state is None:
            return
        if not self._store.alone and not self._shares.counts(update.group, update.incarnation):
            return  # another replica has the group by now, and finds the same
        if update.state is None and update.group in self._unsaved:
            update = update.model_copy(update={"state": self._unsaved[update.group]})
        signature = _signature(update)
        before, worked_in = self._seen.get(update.group, (None, 0.0))
        now = time.monotonic()
        pause = _UNCHANGED_FOR if update.alerts or update.still else 600
        if signature is not None and signature == before and update.state is None and now - worked_in < pause:
            return
        if update.state is not None:
            self._unsaved[update.group] = update.state
        rules = self._alert_names(update.group)
        if rules is None:
            return  # written before a reload that took the group away: nobody would ever end its alerts
        update = update.model_copy(update={"alerts": tuple(one for one in update.alerts if one.name in rules)})
        if drilled := [one for one in update.alerts if drill.belongs(one, update.group)]:
            self.note(await pipeline.observe_drills(self._of(update), drilled, self.world(), self._clock.now()))
            update = update.model_copy(update={"alerts": tuple(one for one in update.alerts if one not in drilled)})
        await self._work_in(update, rules)
        self._unsaved.pop(update.group, None)
        self._seen[update.group] = (signature, now)

    async def _work_in(self, update: Update, rules: frozenset[str]) -> None:
        await self._in_parts(
            update, lambda part: pipeline.observe(self._of(update), part, self.world(), self._clock.now(), rules)
        )

    def _of(self, update: Update) -> Writing:
        """Others may take over the group before it can be written down."""
        return self._store if self._store.alone else self._store.as_of(update.incarnation)

    async def pushed(self, alerts: Sequence[Alert]) -> None:
        """Others have sent these, all of one group; they are written down when this returns."""
        now = self._clock.now()
        update = Update(group=alerts[0].group, evaluated_at=now, alerts=tuple(alerts), still=None)
        await self._in_parts(update, lambda part: pipeline.push(self._store, part.alerts, self.world(), now))

    async def _in_parts(self, update: Update, work: Callable[[Update], Awaitable[list[Decision]]]) -> None:
        """In transactions of bounded size, the worst first; meanwhile what they bring is held back for a moment, so
        that it can go out together."""
        parts = update.in_parts(_FIRST_PART, _PART)
        if len(parts) > 1 and self.outbox is not None:
            self.outbox.hold()
        try:
            for part in parts:
                self.note(await work(part))
                if self.outbox is not None:
                    await self.outbox.let_pages_go()
        finally:
            if len(parts) > 1 and self.outbox is not None:
                self.outbox.release()

    def _alert_names(self, group: str) -> frozenset[str] | None:
        for candidate in with_builtin(self.config.groups):
            if candidate.id == group:
                return frozenset(rule.name for rule in candidate.rules if rule.is_alert)
        return None

    def note(self, decisions: list[Decision]) -> None:
        if decisions:
            self.wake()
        for decision in decisions:
            if decision.event is not None:
                telemetry.decisions.labels(decision.event).inc()
        if len(decisions) <= _EACH_BY_ITSELF:
            for decision in decisions:
                self._render_anew(decision)

    def _render_anew(self, decision: Decision) -> None:
        known_alerts_changed = decision.event in {Event.FIRED, Event.WORSENED} and Say.CARD not in decision.say
        known_alerts_changed = known_alerts_changed and decision.incident.announced
        if known_alerts_changed and self.renderings is not None:
            self.renderings.refresh(decision.incident, self.facts(decision.incident))

    # Other replicas ---------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """What the others are to know of this replica from its next sign of life on."""
        groups = _of(self.config)  # a leader with other files ends no alerts of a bridge that this one has
        watching = self.watcher.ready and self.watcher.silence_seconds < HUNG_SECONDS
        self._store.announce(url=self.config.settings.http.external_url, groups=groups, watching=watching)

    async def share(self) -> None:
        """Whose rule groups are whose from now on, by who is alive; one process alone has them all."""
        if self._store.alone:
            return
        self.replicas = await self._store.replicas()
        self._note_blind()
        telemetry.replicas.set(len(self.replicas))
        groups = frozenset(group.id for group in with_builtin(self.config.groups))
        before, reborn = self._shares.mine, self._store.incarnation != self._shares.incarnation
        changed = self._shares.look(self._store.me, self.replicas, groups, self._store.incarnation, time.monotonic())
        if changed:
            self._released.clear()
            for group in before | self._shares.mine if reborn else before ^ self._shares.mine:
                self._seen.pop(group, None)
                self._unsaved.pop(group, None)
            log.info("rules.shared", mine=len(self._shares.mine), of=len(groups), replicas=len(self.replicas))
            self._untold = True

    async def tell_shares(self) -> None:
        """Apart from the look: a watcher that is slow to hear of it must not keep us from letting go of a group."""
        if self._store.alone or not self.replicas or not self.watcher.ready:
            return
        changed, self._untold = self._untold, False
        try:
            await self._tell_watcher_of_shares(time.monotonic() - self._shared_at, changed=changed)
        except BaseException:
            self._untold = True
            raise
        self._shared_at = time.monotonic()

    async def _tell_watcher_of_shares(self, away: float, *, changed: bool) -> None:
        """With the states that others have saved since: their alerts are series and answers here too."""
        saved_at = await self._store.rule_states_saved_at()
        known = {group.id for group in with_builtin(self.config.groups)}
        stale = [group for group, at in saved_at.items() if group in known and self._shares.is_news(group, at)]
        taken = self._shares.taken
        wanted = sorted({*stale, *taken} & saved_at.keys())
        if not changed and not wanted:
            return
        states = await self._store.rule_state(wanted)
        incarnation, taken = self._shares.incarnation, taken & self._shares.taken
        params = {
            "incarnation": incarnation,
            "mine": sorted(self._shares.mine),
            "taken": sorted(taken),
            "states": states,
            "since": self._clock.now().timestamp() - min(_UNSURE + away, _LONGEST_UNSURE),
        }
        heard = frozenset(await self.watcher.ask("share", params, _SHARE_SECONDS))
        if incarnation == self._shares.incarnation:
            told = {group: state["evaluated_at"] for group, state in states.items() if group in heard}
            self._shares.told(taken & heard, told)

    def _note_blind(self) -> None:
        now = time.monotonic()
        blind = {one.id for one in self.replicas if not one.watching}
        self._blind_since = {name: self._blind_since.get(name, now) for name in blind}

    async def catch_up(self) -> None:
        """Another replica has written something down."""
        live = await self._store.live()
        if self.books.lacks(live.incidents.values(), self.config.book_id):
            await self.books.look(self.config.book_id)
        await self._release_closed(live.incidents.values())
        before = self._stood
        self._stood = {one.id: (one.state, one.acked_by) for one in live.incidents.values()}
        if not self.leads:
            return
        now = self._clock.now()
        if (silences := await self._store.silences(now)) != self._silences:
            self._silences, self._hiding_changes = silences, _LONG_AGO
        self.wake()
        for name, stands in self._stood.items():
            if before.get(name, stands) != stands:
                self.wake(name)  # somebody has just acted, and looks at the message

    async def _release_closed(self, incidents: Iterable[Incident]) -> None:
        """What people have closed anywhere is no longer held as no data by the watcher that has the group."""
        held = {
            (one.id, alert.fingerprint, alert.starts_at)
            for one in incidents
            if one.state is State.RESOLVED
            for alert in one.going_on
            if alert.state is AlertState.NO_DATA and alert.group in self._shares.mine
        }
        fresh, self._released = held - self._released, held
        if fresh:
            await self._release([fingerprint for _, fingerprint, _ in fresh])

    async def look_after_replicas(self) -> None:
        """Alerts of rule groups that nobody's configuration has had for a while end. While new files are rolled out, a
        group is known as long as one replica knows it."""
        known, now = self._known_groups(), time.monotonic()
        live = (await self._store.live()).incidents.values()
        used = {alert.group for incident in live for alert in incident.going_on} - {INTERNAL, BY_HAND}
        self._unknown_since = {group: self._unknown_since.get(group, now) for group in used - known}
        waiting = {group for group, since in self._unknown_since.items() if now - since < _UNKNOWN_FOR}
        if self._unknown_since.keys() - waiting:
            await self._forget_groups(known | waiting)

    def _known_groups(self) -> frozenset[str]:
        return _of(self.config).union(*(one.groups for one in self.replicas if one.id != self._store.me))

    async def _forget_groups(self, known: frozenset[str]) -> None:
        self.note(await pipeline.forget_groups(self._store.leading, known, self.world(), self._clock.now()))

    # Deadlines --------------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Deadlines that have come. An incident that cannot be worked in is set aside for a while."""
        now = self._clock.now()
        await self._hide(now)
        if await self._store.waiting_silences(now):
            self.note(await pipeline.end_silences(self._store.leading, self.world(), now))
        overdue = await self._store.overdue(now)
        if len(overdue) > _EACH_BY_ITSELF and self.outbox is not None:
            self.outbox.hold()
        try:
            await self._escalate(overdue, now)
        finally:
            if len(overdue) > _EACH_BY_ITSELF and self.outbox is not None:
                self.outbox.release()

    async def _escalate(self, overdue: Sequence[str], now: datetime) -> None:
        for incident_id in overdue:
            if self._aside.get(incident_id, 0.0) > time.monotonic():
                continue
            try:
                decisions = await pipeline.escalate(self._store.leading, incident_id, self.world(), now)
                self.note(decisions)
                if any(decision.incident.over for decision in decisions):  # what it explained is hidden no longer
                    self._hiding_changes = _LONG_AGO
                self._aside.pop(incident_id, None)
            except Exception as error:
                # Where nothing is wrong with this incident its deadline waits for the database, and no longer.
                seconds = _AWAY if self._store.away(error) else _SET_ASIDE
                self._aside[incident_id] = time.monotonic() + seconds
                telemetry.loop_errors.labels("escalation").inc()
                log.exception("escalation.failed", incident=incident_id)

    async def _hide(self, now: datetime) -> None:
        """Silences and windows begin and end without an alert that would say so. Somebody may set the clock, so it is
        looked at once a minute all the same."""
        if self._hiding_changes is None:
            return
        if self._hiding_changes > now and time.monotonic() - self._hidden_at < _HIDDEN_FOR:
            return
        self._hidden_at = time.monotonic()
        try:
            decisions, self._hiding_changes = await pipeline.resuppress(self._store.leading, self.world(), now)
            self.note(decisions)
        except Exception:
            telemetry.loop_errors.labels("suppression").inc()
            log.exception("suppression.failed")

    def silences_changed(self, decisions: list[Decision]) -> None:
        """A silence was made or ended: its own beginning or end is to be met."""
        self._hiding_changes = _LONG_AGO
        self.note(decisions)

    async def look_after_pages(self) -> None:
        """Whom a page does not reach, or not for sure, is told another way."""
        world, now = self.world(), self._clock.now()
        if not notify.has_second_channel(world.book):
            return
        going = [page for page in await self._store.on_their_way() if page.kind is PageKind.PAGE and page.person]
        self._told_otherwise &= {page.id for page in going}
        late = [page for page in going if notify.trouble_of(page, world.second_channel_after, now)]
        fresh = [page for page in late if page.incident and page.id not in self._told_otherwise]
        ids = list(dict.fromkeys(page.incident for page in fresh if page.incident))
        for start in range(0, len(ids), _TOLD_AT_ONCE):
            part = ids[start : start + _TOLD_AT_ONCE]
            await delivery.tell_otherwise(self._store.leading, part, world, now)
            self._told_otherwise |= {page.id for page in fresh if page.incident in part}
        if fresh:
            self.wake()

    async def look_after_watcher(self) -> None:
        if self.watcher.ready and self.watcher.silence_seconds < WATCHER_GRACE:
            self._watcher_missed = time.monotonic()
        await self.own_alerts("WatcherDown", self._blind())

    def _blind(self) -> list[OwnAlert]:
        """Whose watcher has not worked for a while. While one of several does, nobody need get up for the others."""
        now = time.monotonic()
        if self.only_one or len(self._blind_since) == len(self.replicas):
            missing = now - self._watcher_missed > WATCHER_GRACE
            why = self.watcher.last_error or "it does not answer"
            return [OwnAlert("Nothing is being watched: the watcher is down", why)] if missing else []
        why = "The other replicas evaluate its rules. Its log says what is wrong."
        return [
            OwnAlert(f"The watcher of the replica {one.id} is down", why, Severity.WARNING, {"replica": one.id})
            for one in self.replicas
            if now - self._blind_since.get(one.id, now) > WATCHER_GRACE
        ]

    async def own_alerts(
        self, name: str, told: Collection[OwnAlert], held: Callable[[Alert], bool] = nothing_held
    ) -> None:
        """Everything of this name that is wrong now; what was told before and is not among it has ended, unless it is
        `held`: then nothing new is known of it. Only the leader tells: what several would find, they would end for each
        other."""
        if not self.leads:
            return
        if held is nothing_held and self._own_told.get(name) == tuple(told):
            return
        self.note(await pipeline.tell_own(self._store.leading, name, told, held, self.world(), self._clock.now()))
        self._own_told[name] = tuple(told)

    async def reload(self) -> None:
        """All or nothing. Raises ConfigError with every mistake; the running configuration then stays."""
        async with self._reloading:
            sources, before_sources = await self._read(), self._sources
            if sources.digest == self._sources.digest and sources.secrets == self._sources.secrets:
                await self._accepted()
                return
            try:
                await self._checked_in_a_child(sources)
                config = await asyncio.to_thread(_loaded, sources, self._clock.now())
            except ConfigError as error:
                await self._refuse(sources, error.findings)
                raise
            before = self._take_over(sources, config)
            same_watch = _watched(before_sources) == _watched(sources)
            self._seen.clear()
            await self._accepted()
            if self.leads and self.only_one:
                await self._forget_groups(self._known_groups())
            if not same_watch:  # a calendar says who is woken, not what is watched
                await self.watcher.reconfigure()
            await self._tell_of_restart(before)

    def _take_over(self, sources: Sources, config: Config) -> Config:
        """From now on this one counts; returns the one that did until now."""
        before, self.config, self._sources = self.config, config, sources
        self._hiding_changes = _LONG_AGO
        if before.book_id != config.book_id:
            self.books.put_by(before.book_id, before.book)
            self.book_since = self._clock.now()
        return before

    async def rotas_changed(self, changes: Sequence[RotaChange]) -> None:
        """Overrides and swaps that people made count at once, with the files that are running: those on disk may be
        refused just then."""
        async with self._reloading:
            self.changes = tuple(changes)
            sources = self._sources.with_changes(self.changes)
            self._take_over(sources, await asyncio.to_thread(_loaded, sources, self._clock.now()))

    async def _tell_of_restart(self, before: Config) -> None:
        """What is built once at start keeps its old settings until then, and somebody should know."""
        old, new = before.settings, self.config.settings
        parts = [name for name in _BUILT_ONCE if attrgetter(name)(old) != attrgetter(name)(new)]
        if parts:
            log.warning("config.restart_needed", sections=parts)
            text = f"Changes under {', '.join(parts)} take effect when agentpager is restarted; the rest is running."
            await self._announce(f"restart.{self.config.digest[:16]}", text, "settings changed that need a restart")

    async def poll_files(self) -> None:
        """Reloads when a file has changed since the last look, good or bad; a calendar that was read is a file."""
        sources = await self._read()
        same = sources.digest == self._sources.digest and sources.secrets == self._sources.secrets
        if same or sources.digest == self._refused_digest:
            if sources.digest == self._sources.digest and self._refused:
                await self._accepted()
            return
        try:
            await self.reload()
        except ConfigError as error:
            log.error("config.refused", findings=[str(finding) for finding in error.findings])

    async def _read(self) -> Sources:
        return await asyncio.to_thread(read_sources, self._config_path, self._env, self.copies, self.changes)

    async def _checked_in_a_child(self, sources: Sources) -> None:
        """Parses and renders the new files where a bomb in them harms nobody."""
        try:
            rows = await judge.ask({"ask": "findings", "sources": sources.to_json()})
        except RemoteError as error:
            raise ConfigError([_unreadable(str(error))]) from None
        findings = [Finding(**row) for row in rows]
        if any(finding.severity == "error" for finding in findings):
            raise ConfigError([finding for finding in findings if finding.severity == "error"])

    async def _refuse(self, sources: Sources, findings: tuple[Finding, ...]) -> None:
        self._refused, self._refused_digest = findings, sources.digest
        telemetry.reload_ok.set(0)
        lines = [str(finding) for finding in findings[:5]]
        more = f"\n+{len(findings) - 5} more" if len(findings) > 5 else ""
        await self._announce(
            f"config.{sources.digest[:16]}",
            "The changed configuration is refused; the last good one keeps running.\n" + "\n".join(lines) + more,
            "configuration refused",
        )

    async def _accepted(self) -> None:
        if self._refused:
            await self._announce(
                f"config.ok.{self._refused_digest[:16]}",
                "The configuration is good again and running.",
                "configuration good",
            )
        self._refused, self._refused_digest = (), ""
        telemetry.reload_ok.set(1)
        telemetry.reload_at.set(self._clock.now().timestamp())

    async def _announce(self, page_id: str, text: str, why: str) -> None:
        page = Page(
            id=f"notice.{page_id}",
            incident=None,
            kind=PageKind.NOTICE,
            channel=self.config.settings.slack.channel,
            due_at=self._clock.now(),
            text=text,
            reason=why,
        )
        await pipeline.announce(self._store, page, self._clock.now())
        self.wake()

    async def checks(self) -> dict[str, str]:
        """Each part that must work for a page to get out: `ok`, or what is wrong."""
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.create_task(self._store_state(), name="ping")
        store = await asyncio.shield(self._pinging)
        watcher = "ok" if self.watcher.ready and self.watcher.silence_seconds < _LATE_TICK else "down"
        return {
            "store": store,
            "watcher": watcher if not self.watcher.last_error else self.watcher.last_error,
            "slack": self._slack_state(),
        }

    async def _store_state(self) -> str:
        """One at a time, however many ask: it writes, and anybody may ask as often as they like."""
        try:
            await self._store.ping()
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the store is not usable
            told = str(getattr(error, "orig", None) or error).strip()  # anybody may read it: no statement, no values
            return told.partition("\n")[0] or type(error).__name__
        return "ok"

    def _slack_state(self) -> str:
        if self.outbox is not None and self.outbox.refused_since is not None:
            return "Slack refuses the bot token; run agentpager doctor"
        if self.outbox is not None and self.outbox.channel_refused:
            return f"{self.config.settings.slack.channel} refuses messages: {self.outbox.channel_refused}"
        if self.slack is not None and not self.slack.healthy():
            return "not connected: clicks and commands cannot arrive"
        return "ok"

    async def readiness(self) -> dict[str, Any]:
        checks = await self.checks()
        config: dict[str, Any] = {"digest": self.config.digest, "ok": not self._refused}
        if self._refused:
            config["message"] = "the files on disk are refused; the last good configuration keeps running"
            config["findings"] = [str(finding) for finding in self._refused]
        ready = all(state == "ok" for state in checks.values())
        return {"ready": ready, "checks": checks, "config": config, "replicas": self._shown_replicas()}

    def _shown_replicas(self) -> list[dict[str, Any]]:
        """This one first."""
        mine = {"id": self._store.me, "leads": self.leads, "watching": self.watcher.ready, "this": True}
        others = [one for one in self.replicas if one.id != self._store.me]
        return [mine, *({"id": one.id, "leads": one.leads, "watching": one.watching, "this": False} for one in others)]

    async def heartbeat(self, lateness: float) -> None:
        """Tells an outside dead man's switch that all is well; says nothing when it is not."""
        settings = self.config.settings.heartbeat
        broken = {name: state for name, state in (await self.checks()).items() if state != "ok"}
        if settings is None or broken or lateness > _LATE_TICK:
            if settings is not None:
                log.warning("heartbeat.withheld", broken=broken, tick_late_seconds=round(max(lateness, 0), 1))
            return
        try:
            async with (
                aiohttp.ClientSession(timeout=_HEARTBEAT_TIMEOUT) as session,
                session.get(settings.url) as answer,
            ):
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("heartbeat.failed", error=str(error) or type(error).__name__)
            return
        telemetry.heartbeat_at.set(self._clock.now().timestamp())

    async def measure(self, lateness: float) -> None:
        counts = await self._store.counts()
        tables = ((telemetry.incidents, "incidents", State), (telemetry.pages, "pages", PageState))
        for gauge, table, states in tables:
            for state in states:
                gauge.labels(state.value).set(counts[table].get(state, 0))
        telemetry.hidden.set(sum(bool(incident.suppressed) for incident in await self._store.unresolved()))
        late = overdue(await self._store.on_their_way(), self._clock.now())
        telemetry.page_overdue.set(late.total_seconds())
        telemetry.tick_lateness.set(max(lateness, 0))
        telemetry.slack_up.set(self._slack_state() == "ok")
        telemetry.watcher_up.set(self.watcher.ready)
        telemetry.leader.set(self.leads)
        mine = with_builtin(self.config.groups) if self._store.alone else self._shares.mine
        telemetry.rule_groups.set(len(mine))

    async def housekeep(self) -> None:
        await self.books.look(self.config.book_id)
        async with self._store.leading.transaction() as tx:
            await tx.forget_clicks(self._clock.now() - _KEEP_CLICKS)
        await self._archive()

    async def _archive(self) -> None:
        """Incidents that were over long ago leave the database."""
        retention, now = self.config.settings.store.retention, self._clock.now()
        folder = self.config.base_dir / retention.archive if retention.archive else self._store.archive_folder
        if folder is None:
            return
        await Archive(self._store).move(now - retention.incidents, folder / f"{now:%Y-%m-%d}.jsonl.gz", now)

    async def metrics(self, *, openmetrics: bool = False) -> bytes:
        """The pager's own page, with the watcher's appended when it answers in time, and the registry of agents."""
        try:
            theirs = str(await self.watcher.ask("metrics", {"openmetrics": openmetrics}, 1.0))
        except RemoteError:
            theirs = ""
        agents = [*registry_series(self.config.agents), *self.readiness_series]
        registry = await asyncio.to_thread(telemetry.registry_page, agents, openmetrics=openmetrics)
        page = telemetry.page(openmetrics=openmetrics) + theirs.encode() + registry
        return page + telemetry.END if openmetrics else page


def _signature(update: Update) -> object:
    """Equal for reports that differ in values at most; None for a report of changes."""
    if update.still is None:
        return None
    on = {alert.fingerprint for alert in update.alerts if alert.state is AlertState.FIRING}
    others = {(alert.fingerprint, alert.state, alert.starts_at) for alert in update.alerts}
    return frozenset((*update.still, *on)), frozenset(one for one in others if one[0] not in on)


def _loaded(sources: Sources, now: datetime) -> Config:
    """With the shifts of the days ahead written out: a large calendar takes longer than a page can wait."""
    config = load(sources)
    ahead(config.book, now)
    return config


def _of(config: Config) -> frozenset[str]:
    """The groups that reports of its rules and of its bridges come from."""
    rules = (group.id for group in with_builtin(config.groups))
    return frozenset((*rules, incoming.GROUP, *(pushed_group(name) for name in config.settings.bridges)))


def _watched(sources: Sources) -> Sources:
    return sources.for_watcher().model_copy(update={"digest": ""})


def _unreadable(message: str) -> Finding:
    return Finding("agentpager.yaml", 0, 0, "config", message)
