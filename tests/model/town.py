"""The whole pager in virtual time: the real Pager, Desk, Outbox, pipeline and store, one or two processes of them, over
a model Slack and a model watcher. Whatever a test may do to it is a method here, and every method writes its journal.
"""

from __future__ import annotations

import asyncio
import functools
from base64 import b64encode
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from config_files import sources_of
from model.loop import ModelTime, VirtualLoop
from model.memory import Dead, Disk, Power
from model.slack import ModelChannels, ModelMessenger, ModelPictures, Slack

import bot.courier
import bot.illustrator
import bot.outbox
from bot.clock import SteadyClock
from bot.clock_watch import ClockWatch
from bot.commands import Desk
from bot.config import Config, load
from bot.courier import Courier
from bot.errors import AgentpagerError, RemoteError
from bot.illustrator import Illustrator
from bot.incidents.model import Alert, AlertState
from bot.incidents.silences import Draft
from bot.joint import Update
from bot.labels import fingerprint
from bot.outbox import Outbox
from bot.pager import Pager
from bot.ports import Actor, Outcome
from bot.renderings import Renderings
from bot.silencing import SilenceDesk
from bot.slack.authorize import Home, NotAllowedError, authorize
from bot.sources import Sources
from bot.store import lease

GROUP = "alerts/a.yaml;g"
HOME = Home(team="T0HOME", team_name="Home", bot_user="U0BOT", bot="B0BOT")
TICK = 0.5  # as app.py has it
REST = 45.0  # the longest a tick stays away here; longer looks like a machine that was asleep
CALM = 0.05  # what follows at once from something has happened after this long

_RULES = "".join(
    f"  - {{alert: {name}, expr: up == 0, labels: {{severity: {severity}}}}}\n"
    for name, severity in (("Errors", "critical"), ("Slow", "warning"), ("Note", "info"))
)
_ONCALL = """
people:
  ana: {name: Ana, slack: U0ANA}
  ben: {name: Ben, slack: U0BEN}
  cat: {name: Cat, slack: U0CAT}
  dan: {name: Dan, slack: U0DAN}
teams:
  payments: {members: [ana, ben], channel: "#payments", escalation: payments}
schedules:
  primary:
    layers: [{people: [ana, ben], every: 1d, handoff: "09:00", start: 2026-01-05}]
escalation_policies:
  payments:
    steps:
      - {notify: ["schedule:primary"], wait: 5m}
      - {notify: ["person:ben", "person:cat"], wait: 10m}
    repeat: 1
    ack_timeout: {critical: 30m, warning: 1h}
    fallback_wait: 15m
  default:
    steps: [{notify: ["person:cat"], wait: 5m}]
    repeat: 0
    fallback_wait: 15m
fallback: "person:dan"
"""
FILES = {
    "agentpager.yaml": "slack: {bot_token: xoxb-1, app_token: xapp-1, signing_secret: s, channel: '#agent-pages'}\n",
    "agents/all.yaml": ("agents:\n  refund: {owner: 'team:payments', escalation: payments}\n  search: {owner: cat}\n"),
    "alerts/a.yaml": "groups:\n- name: g\n  rules:\n" + _RULES,
    "oncall/all.yaml": _ONCALL,
}
LONGEST_STEP = timedelta(minutes=15)
LONGEST_ACK = timedelta(hours=4)  # of a warning, where the policy says nothing


def _edited(**changes: tuple[str, str]) -> dict[str, str]:
    return FILES | {
        name.replace("__", "/") + ".yaml": FILES[name.replace("__", "/") + ".yaml"].replace(*change)
        for name, change in changes.items()
    }


CONFIGS = {
    "as written": FILES,
    "another owner": _edited(agents__all=("owner: 'team:payments', escalation: payments", "owner: cat")),
    "another rota": _edited(oncall__all=("people: [ana, ben], every", "people: [cat], every")),
    "ana has left": FILES
    | {"oncall/all.yaml": _ONCALL.replace("  ana: {name: Ana, slack: U0ANA}\n", "").replace("ana, ", "")},
    "a rule less": _edited(alerts__a=(_RULES.splitlines(keepends=True)[1], "")),
}
ALERTS = {(name, agent) for name in ("Errors", "Slow", "Note") for agent in ("refund", "search", "stray")}
PEOPLE = ("ana", "ben", "cat", "dan")


@functools.cache
def config_of(name: str) -> tuple[Sources, Config]:
    sources = sources_of(CONFIGS[name]).model_copy(update={"digest": name})
    return sources, load(sources)


class ModelWatcher:
    """The other process, as far as the pager asks it anything: it never renders, so pages go out plain; it draws."""

    ready = True
    silence_seconds = 0.0
    last_error = ""
    tasks: tuple[()] = ()

    async def ask(self, method: str, params: dict[str, Any], seconds: float) -> Any:
        if method == "chart":
            return {"svg": "<svg/>", "png": b64encode(b"PNG").decode()}
        raise RemoteError("the watcher is not running", code="watcher_down")

    async def reconfigure(self) -> None: ...


class Process:
    """One `agentpager serve`: what app.Service wires, without sockets."""

    def __init__(self, town: Town, number: int) -> None:
        self.town = town
        self.power = Power(number)
        self.power.killed = town.killed
        self.store = town.disk.database(self.power)
        self.clock = SteadyClock(town.clock.wall, lambda: town.clock.mono, "one-boot")
        sources, config = config_of(town.config)
        self.pager = Pager(Path("agentpager.yaml"), {}, sources, config, self.store, self.clock)
        self.pager.watcher = ModelWatcher()  # type: ignore[assignment]
        renderings = Renderings(self.store, self.pager.watcher, self.clock, on_late=self.pager.wake)
        self.messenger = ModelMessenger(town.slack, self.power)
        self.outbox = Outbox(
            self.store, self.messenger, renderings, self.clock, self.pager.world, self.pager.facts
        )  # fmt: skip
        self.desk = Desk(
            self.store, renderings, self.clock, self.pager.world, self.pager.facts, self.pager.person_changed
        )
        self.courier = Courier(
            self.store, ModelChannels(town.slack, self.power), renderings, self.clock, self.pager.world,
            self.pager.facts,
        )  # fmt: skip
        self.illustrator = Illustrator(
            self.store, ModelPictures(town.slack, self.power), renderings, self.clock, self.pager.world
        )
        self.silencing = SilenceDesk(self.store, self.clock, self.pager.world, self.pager.silences_changed)
        self.pager.outbox, self.pager.courier, self.pager.renderings = self.outbox, self.courier, renderings
        self.clock_watch = ClockWatch(self.store, self.clock, self.pager.world)
        self.tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        self.tasks = [self.town.loop.create_task(self._run())]

    async def _run(self) -> None:
        """What app.Service.run does, in its order."""
        async with self.store._writer.begin() as connection:
            self.store._home.epoch = await lease.take(connection, self.clock.wall())
        await self.clock_watch.begin()
        await self.pager.books.look(self.pager.config.book_id)
        loop = self.town.loop
        self.tasks += [
            loop.create_task(work)
            for work in (
                self.outbox.run(), self.courier.run(), self.illustrator.run(), self._tick(), self._replaced(),
            )
        ]  # fmt: skip

    async def _replaced(self) -> None:
        """Whoever finds that another one writes now ends."""
        await self.store.lost.wait()
        self.town.note(f"process {self.power.number} finds that it has been replaced")
        self.power.cut()

    async def _tick(self) -> None:
        """The ticker of app.py; while nothing is due it sleeps until something is, or something is written."""
        town = self.town
        while True:
            await self.clock_watch.look()
            if not self.clock_watch.settling:
                await self.pager.tick()
            await self.pager.look_after_pages()
            town.stirred.clear()
            try:
                await asyncio.wait_for(town.stirred.wait(), self._pause())
            except TimeoutError:
                continue
            await asyncio.sleep(TICK)

    def _pause(self) -> float:
        """Seconds until a tick may have something to do."""
        town = self.town
        if town.disk.rows("SELECT 1 FROM pages WHERE state IN ('due', 'sending', 'unknown') AND due_at < ? LIMIT 1",
                          town.clock.wall() + 1):  # fmt: skip
            return town.cadence
        ((next_at,),) = town.disk.rows("SELECT min(next_at) FROM incidents WHERE next_at IS NOT NULL")
        hidden = self.pager._hiding_changes
        moments = [moment for moment in (next_at, hidden.timestamp() if hidden else None) if moment is not None]
        return min(max(min(moments, default=0.0) - town.clock.wall(), TICK), REST) if moments else REST

    async def reload(self, sources: Sources) -> None:
        """The real reload; only the disk and the child that checks the files are left out."""

        async def read() -> Sources:
            return sources

        async def checked(_: Sources) -> None:
            return None

        self.pager._read = read  # type: ignore[method-assign]
        self.pager._checked_in_a_child = checked  # type: ignore[method-assign]
        await self.pager.reload()


class Town:
    """`lines` is the journal: what happened, in order, for whoever reads a failure."""

    def __init__(self, time: ModelTime) -> None:
        time.clock.mono, time.clock.offset = 0.0, 0.0
        self.clock = time.clock
        self.disk = Disk(lambda: self.clock.mono, self.clock.wall)
        self.slack = Slack(self.clock, self.disk)
        self.lines = self.slack.journal
        self.config = "as written"
        self.loop = VirtualLoop(self.clock)
        self.stirred = asyncio.Event()
        self.cadence = 1.0
        self.report: dict[tuple[str, str], Alert] = {}
        self.process: Process | None = None
        self.crashes = 0
        self.touched: dict[str, int] = {}  # pages that a crash found in flight
        self.replaced: dict[int, float] = {}  # process → when another took its place
        self.jumps: list[tuple[float, float]] = []  # when the wall clock was set, by how much
        self.allowed: set[tuple[str, str]] = set()  # (incident, actor) of every click that was let through
        self.start()

    # --- life

    def start(self) -> None:
        assert self.process is None
        asyncio.set_event_loop(self.loop)
        self.process = Process(self, self.crashes + 1)
        self.process.start()
        self.note(f"process {self.process.power.number} starts")
        self.settle()
        if self.report:
            self.send()  # the watcher starts with the pager, and accounts for everything

    def killed(self) -> None:
        self.loop.stop()

    def stop(self) -> None:
        """SIGSTOP."""
        assert self.process is not None
        self.note(f"process {self.process.power.number} is stopped")
        self.process.power.stop()

    def take_over(self) -> Process:
        """Another process takes the place of one that gives no sign of life. Returns that one."""
        old = self.process
        assert old is not None
        self._count_in_flight()
        old.power.killed, old.power.replaced = lambda: None, True
        self.replaced[old.power.number] = self.clock.mono
        self.crashes += 1
        self.process = None
        self.start()
        return old

    def kill(self) -> None:
        """SIGKILL, now."""
        if self.process is not None and self.process.power.on:
            self.process.power.cut()
        self._bury()

    def _bury(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        self.disk.unplug(process.power)
        self.crashes += 1
        self._count_in_flight()
        self.note(f"process {process.power.number} is killed after {(process.power.passed or ['nothing'])[-1]}")
        _forget(self.loop)
        self.loop = VirtualLoop(self.clock)
        self.stirred = asyncio.Event()

    def _count_in_flight(self) -> None:
        for (page,) in self.disk.rows("SELECT id FROM pages WHERE state = 'sending'"):
            self.touched[page] = self.touched.get(page, 0) + 1

    def close(self) -> None:
        if self.process is not None:
            self.process.power.cut()
        _forget(self.loop)
        self.disk.close()
        asyncio.set_event_loop(None)

    # --- time

    def advance(self, seconds: float) -> None:
        """Lets that long pass; a process that is killed on the way stays dead for the rest of it."""
        end = self.clock.mono + seconds
        # Looking round rests longer while much time passes; what is due or has been written still ends the rest.
        sleep = 5.0 if seconds <= 60 else 60.0
        bot.outbox._LONGEST_SLEEP = bot.courier._LONGEST_SLEEP = bot.illustrator._LONGEST_SLEEP = sleep
        self.cadence = 1.0 if seconds <= 60 else 5.0
        while self.clock.mono < end - 1e-6:
            if self.process is None:
                self.clock.mono = end
                return
            self.loop.run_for(end - self.clock.mono)
            if not self.process.power.on:
                self._bury()

    def settle(self) -> None:
        self.advance(CALM)

    def jump(self, seconds: float) -> None:
        self.clock.offset += seconds
        self.jumps.append((self.clock.mono, seconds))
        self.note(f"the wall clock is set by {seconds:+g} s")
        self._stir()
        self.settle()

    def _stir(self) -> None:
        self.stirred.set()
        if self.process is not None:
            self.process.pager.wake()

    def do(self, work: Callable[[Process], Coroutine[Any, Any, Any]]) -> Any:
        """Runs one coroutine in the process to its end, or to the process' end. Errors for people are returned."""
        if self.process is None:
            return None
        task = self.loop.create_task(_answer(work(self.process)))
        task.add_done_callback(lambda _: self._stir())
        while not task.done() and self.process is not None:
            self.advance(CALM)
        if not task.done() or self.process is None:
            return None
        self.settle()
        return task.result()

    # --- the watcher

    def fire(self, name: str, agent: str, *, value: float = 1.0, anew: bool = False) -> None:
        known = self.report.get((name, agent))
        going_on = known is not None and known.state is not AlertState.RESOLVED and not anew
        starts_at = known.starts_at if going_on and known is not None else self.clock.now()
        self.report[name, agent] = _alert(name, agent, AlertState.FIRING, starts_at, value=value)
        self.send()

    def clear(self, name: str, agent: str) -> None:
        known = self.report.get((name, agent))
        if known is not None and known.state is not AlertState.RESOLVED:
            ended = {"state": AlertState.RESOLVED, "ends_at": self.clock.now()}
            self.report[name, agent] = known.model_copy(update=ended)
            self.send()

    def lose(self, name: str, agent: str) -> None:
        """The series behind it is gone: held, not resolved."""
        known = self.report.get((name, agent))
        if known is not None and known.state is AlertState.FIRING:
            self.report[name, agent] = known.model_copy(update={"state": AlertState.NO_DATA})
            self.send()

    def send(self) -> None:
        """The watcher accounts for everything; a report that nobody takes is sent again with the next one."""
        update = Update(group=GROUP, evaluated_at=self.clock.now(), alerts=tuple(self.report.values()))
        self.do(lambda process: process.pager.on_update(update))

    # --- people

    def click(
        self, verb: str, user: str, reference: str, key: str, *, team: str = HOME.team, more: tuple[str, ...] = ()
    ) -> str:
        """A button in Slack, through the door that decides who may."""
        body = {"user": {"id": user, "team_id": team}, "team": {"id": team}}

        async def run(process: Process) -> Outcome:
            actor = authorize(body, HOME, process.desk.book)
            self.allowed.add((reference, actor.id))
            return await getattr(process.desk, verb)(actor, reference, *more, event_key=key)

        answer = self.do(run)
        said = answer.message if isinstance(answer, Outcome) else repr(answer)
        self.note(f"{user} of {team} presses {verb} of {reference} ({key}): {said}")
        return said

    # --- the configuration

    def reload(self, name: str) -> None:
        sources, _ = config_of(name)
        self.config = name
        self.note(f"reload: {name}")
        self.do(lambda process: process.reload(sources))
        if self.process is not None:
            self.config = self.process.pager.config.digest
        self.send()

    def reload_broken(self) -> None:
        """S10: a mistake in a file changes nothing of what runs."""
        files = FILES | {"oncall/all.yaml": _ONCALL.replace("wait: 5m", "wait: soon")}
        broken = sources_of(files).model_copy(update={"digest": "broken"})
        self.note("reload: a broken file")
        self.do(lambda process: process.reload(broken))

    # --- silences

    def silence(self, matcher: str, seconds: float, user: str) -> None:
        actor = Actor(f"person:{user}", user, "slack")
        draft = Draft((matcher,), self.clock.now() + timedelta(seconds=seconds), "known trouble")
        answer = self.do(lambda process: process.silencing.add(actor, draft))
        said = answer[0].id if isinstance(answer, tuple) else repr(answer)
        self.note(f"{user} silences {matcher} for {seconds:g} s: {said}")

    def expire(self, number: int, user: str) -> None:
        actor = Actor(f"person:{user}", user, "slack")
        answer = self.do(lambda process: process.silencing.expire(actor, f"SIL-{number}"))
        self.note(f"{user} ends SIL-{number}: {answer!r:.60}")

    # --- reading

    @property
    def rules(self) -> set[str]:
        """The alert rules of the configuration as it is now."""
        _, config = config_of(self.config)
        return {rule.name for group in config.groups for rule in group.rules}

    def running(self) -> str:
        """The configuration that counts."""
        return self.process.pager.config.digest if self.process is not None else ""

    def decided_by_people(self) -> list[tuple[Any, ...]]:
        return self.disk.rows('SELECT sequence FROM audit WHERE doc LIKE \'%"actor":"person:%\'')

    def note(self, line: str) -> None:
        self.lines.append(f"{self.clock.mono:10.1f}s  {line}")

    def journal(self) -> str:
        return "\n".join(self.lines)


async def _answer(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except (AgentpagerError, NotAllowedError) as error:
        return error


def _alert(name: str, agent: str, state: AlertState, starts_at: Any, value: float) -> Alert:
    severity = {"Errors": "critical", "Slow": "warning", "Note": "info"}[name]
    labels = {"alertname": name, "severity": severity, "agent": agent}
    return Alert(
        fingerprint=fingerprint(labels), group=GROUP, state=state, labels=labels,
        annotations={"summary": f"{name} of {agent}"}, value=value, starts_at=starts_at,
    )  # fmt: skip


def _forget(loop: VirtualLoop) -> None:
    """Drops whatever a dead process was doing; none of it may run any further."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        try:
            task.get_coro().close()  # type: ignore[union-attr]
        except (Dead, RuntimeError, AttributeError):
            continue
    loop.close()
