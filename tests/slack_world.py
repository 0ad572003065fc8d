"""People, incidents and a Commands port that remembers, for the tests of bot/slack."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from fake_slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET

from bot.errors import AgentpagerError, ConflictError, UsageError
from bot.incidents.model import Alert, AlertState, Incident, Severity, State
from bot.incidents.silences import Draft, Silence
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.model import Book, Person, Policy, Step, Team
from bot.paging.model import Page, PageKind
from bot.ports import AgentStatus, Explained, Hidden, Outcome, Rung, Settled
from bot.runbooks.rendered import CheckResult, Rendered, RenderedLink, RenderedStep, Verdict
from bot.settings import Slack
from bot.slack.client import SlackMessenger
from bot.slack.reception import Desks

NOW = datetime(2026, 11, 20, 2, 18, tzinfo=UTC)
CHANNEL = "#agent-pages"
ANA = Person(id="ana", name="Ana Ruiz", slack="U02ABCDEF", timezone="Europe/Madrid")
BEN = Person(id="ben", name="Ben Cole", slack="U03BACKUP", timezone="America/New_York")
CHRIS = Person(id="chris", name="Chris Lee", slack="U04LAST")
POLICY = Policy(
    id="payments",
    steps=(Step(notify=("person:ana",), wait="5m"), Step(notify=("person:ben",), wait="10m")),
    repeat=1,
)
BOOK = Book(
    people={"ana": ANA, "ben": BEN, "chris": CHRIS},
    teams={"payments": Team(id="payments", members=("ana", "ben"), lead="ben", escalation="payments")},
    escalation_policies={"payments": POLICY},
    fallback="person:chris",
)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251


class FixedClock:
    def now(self) -> datetime:
        return NOW


def alert(name: str = "AgentToolErrorsHigh", summary: str = "tool errors 38%", **changes) -> Alert:
    labels = {"alertname": name, "severity": "critical", "agent": "refund-agent", "env": "prod", "region": "eu-west"}
    labels |= changes.pop("labels", {})
    told = {"now": "38% of calls fail (limit 20%)"} if name == "AgentToolErrorsHigh" else {}
    fields = {
        "fingerprint": name,
        "group": "alerts/tools.yaml;tools",
        "state": AlertState.FIRING,
        "labels": labels,
        "annotations": {"summary": summary, "impact": "refunds are not being issued", **told},
        "value": 0.38,
        "starts_at": NOW - timedelta(minutes=6),
    }
    return Alert(**fields | changes)


def incident(**changes) -> Incident:
    fields = {
        "id": "INC-7",
        "key": "agent=refund-agent owner=team:payments",
        "revision": 1,
        "state": State.OPEN,
        "severity": Severity.CRITICAL,
        "agent": "refund-agent",
        "title": "tool errors 38%",
        "owner": "team:payments",
        "owner_why": "owner of agent refund-agent",
        "channel": CHANNEL,
        "policy": POLICY,
        "policy_id": "payments",
        "fallback": "person:chris",
        "step": 0,
        "next_at": NOW + timedelta(minutes=4),
        "opened_at": NOW - timedelta(minutes=1),
        "observed_at": NOW,
        "paged_at": NOW - timedelta(minutes=1),
        "alerts": (alert(),),
    }
    return Incident(**fields | changes)


def page(kind: PageKind = PageKind.PAGE, **changes) -> Page:
    personal = kind in {PageKind.PAGE, PageKind.REMINDER}
    fields = {
        "id": f"INC-7.1.{kind}",
        "incident": None if kind is PageKind.NOTICE else "INC-7",
        "kind": kind,
        "person": "ana" if personal else None,
        "channel": ANA.slack if personal else CHANNEL,
        "due_at": NOW,
        "reason": "on call in payments-primary",
    }
    return Page(**fields | changes)


def rendered(**changes) -> Rendered:
    fields = {
        "runbook": "tool-errors",
        "title": "Tool errors on an agent",
        "summary": "A tool the agent depends on fails.",
        "impact": "refunds are not being issued; customers get a retry message",
        "owner": "team:payments",
        "reviewed_on": NOW.date() - timedelta(days=12),
        "steps": (
            RenderedStep(
                number=1,
                id="provider",
                kind="check",
                title="model provider answering",
                check=CheckResult(verdict=Verdict.PASS, value="1.2 s", want="< 8 s"),
            ),
            RenderedStep(
                number=2,
                id="crm",
                kind="check",
                title="tool crm.lookup healthy",
                text="Look at the tool's own errors first.",
                check=CheckResult(verdict=Verdict.FAIL, value="62 %", want="< 5 %"),
            ),
            RenderedStep(
                number=3,
                id="rotate",
                kind="command",
                title="CRM token expired, rotate it",
                command="agentctl secret rotate crm --agent refund-agent",
                run_on="the bastion",
            ),
            RenderedStep(
                number=4, id="wiki", kind="link", title="CRM on-call", url="https://wiki.example.com/crm?a=1&b=2"
            ),
        ),
        "links": (RenderedLink(title="Dashboard", url="https://grafana.example.com/d/tools"),),
        "likely_step": 3,
        "rendered_at": NOW - timedelta(seconds=5),
    }
    return Rendered(**fields | changes)


def settings(slack, mode: str = "socket", **changes) -> Slack:
    fields = {
        "mode": mode,
        "bot_token": BOT_TOKEN,
        "app_token": APP_TOKEN,
        "signing_secret": SIGNING_SECRET,
        "channel": CHANNEL,
        "api_url": slack.api_url,
    }
    return Slack(**fields | changes)


def messenger(slack, commands=None) -> SlackMessenger:
    return SlackMessenger(settings(slack), lambda: commands.book if commands else BOOK, WallClock())


class FakeCommands:
    """Answers as told; `gate` holds every change until it is set."""

    def __init__(self) -> None:
        self.book = BOOK
        self.calls: list[tuple] = []
        self.readers: list[tuple[str, str]] = []
        self.seen: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.changed = True
        self.message = "INC-7 is yours."
        self.threads: dict[tuple[str, str], str] = {}
        self.agents: list[AgentStatus] = []
        self.open: list[Incident] = [incident()]
        self.told: set[str] = {"ana"}

    def book_of(self, incident):
        return self.book

    async def _change(self, verb, actor, reference, event_key) -> Outcome:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        fresh = event_key not in self.seen
        self.seen.add(event_key)
        self.calls.append((verb, actor.id, reference, event_key, fresh))
        return Outcome(self.open[0], self.changed, self.message)

    async def ack(self, actor, reference, *, event_key=None):
        return await self._change("ack", actor, reference, event_key)

    async def ack_all(self, actor, message, *, event_key=None):
        return await self._change("ack_all", actor, message, event_key)

    async def decline(self, actor, reference, *, event_key=None):
        return await self._change("decline", actor, reference, event_key)

    async def release(self, actor, reference, *, event_key=None):
        return await self._change("release", actor, reference, event_key)

    async def resolve(self, actor, reference, *, cause="", note="", event_key=None):
        return await self._change(" ".join(filter(None, ["resolve", cause, note])), actor, reference, event_key)

    async def take(self, actor, reference, *, event_key=None):
        return await self._change("take", actor, reference, event_key)

    async def escalate(self, actor, reference, *, seen=None, event_key=None):
        return await self._change("escalate", actor, reference, event_key)

    async def note(self, actor, reference, text, *, event_key=None):
        return await self._change(f"note {text}", actor, reference, event_key)

    async def mark(self, actor, reference, verdict, *, event_key=None):
        return await self._change(f"mark {verdict}", actor, reference, event_key)

    async def step(self, actor, reference, step, state, text="", *, event_key=None):
        return await self._change(f"step {step} {state} {text}".rstrip(), actor, reference, event_key)

    async def opened(self, actor, reference):
        self.readers.append((actor.id, reference))

    async def report(self, actor, reference, step, kind, text, *, event_key=None):
        return await self._change(f"report {step} {kind} {text}", actor, reference, event_key)

    async def snooze(self, actor, reference, until, *, event_key=None):
        return await self._change(f"snooze {until}", actor, reference, event_key)

    async def hand(self, actor, reference, person, *, note="", event_key=None):
        return await self._change(" ".join(filter(None, ["hand", person, note])), actor, reference, event_key)

    async def no_problem(self, actor, reference, kind, text, *, event_key=None):
        return await self._change(f"no_problem {kind} {text}".rstrip(), actor, reference, event_key)

    async def paged(self, _incident):
        return self.told

    async def shown(self, message):
        return self.open

    async def split(self, actor, message, reference, *, event_key=None):
        return await self._change(f"split {message}", actor, reference, event_key)

    async def incidents(self, *, only_open=True, limit=50):
        return [each for each in self.open if not only_open or each.state is not State.RESOLVED][:limit]

    async def incident(self, reference):
        for each in self.open:
            if each.id == reference:
                return each
        raise UsageError(f"there is no incident {reference}")

    async def rendered(self, _incident, *, fresh=False):
        return rendered()

    async def status(self):
        return self.agents

    def oncall(self, at=None):
        return {
            "at": NOW.isoformat(),
            "schedules": [{"schedule": "payments-primary", "people": ["ana"], "until": "2026-11-23T08:00:00+00:00"}],
        }

    async def incident_of_message(self, channel, ts):
        return self.threads.get((channel, ts))


async def until(condition, seconds: float = 5.0) -> None:
    """Waits for something that another task does."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


CONFLICT: AgentpagerError = ConflictError("INC-7 is taken already: ben has it")


class FakePaging:
    """Remembers what it is asked to page."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    async def page(self, actor, target, why="", *, event_key=None):
        self.calls.append(("page", actor.id, target, why, event_key))
        return Outcome(incident(), True, f"INC-7 pages {target} now.")

    async def test(self, actor, target, *, event_key=None):
        self.calls.append(("test", actor.id, target, event_key))
        return Outcome(incident(), True, "INC-7: a test page is on its way to you.")


class FakeRotas:
    """Remembers the plans it is given."""

    def __init__(self) -> None:
        self.plans: list[tuple[str, Plan]] = []
        self.ended: list[tuple[str, str]] = []
        self.known: list[RotaChange] = []

    async def add(self, actor, plan, *, event_key=None):
        self.plans.append((actor.id, plan))
        change = RotaChange(
            id="ROTA-3", kind=plan.kind, schedule="payments-primary", people=plan.people, start=plan.start,
            until=plan.until, by=actor.id, at=NOW, why=plan.why,
        )  # fmt: skip
        self.known.append(change)
        return change

    async def end(self, actor, change_id, *, event_key=None):
        self.ended.append((actor.id, change_id))
        return self.known[0]

    async def changes(self):
        return self.known


class FakeActing:
    """Nothing can be asked for."""

    async def propose(self, _actor, reference, step, *, undo=False):
        raise UsageError(f'the runbook of {reference} has no step "{step}"')


class FakeSettling(FakeActing):
    """Remembers who agreed to what."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    async def agree(self, actor, name, *, event_key=None):
        self.calls.append(("agree", actor.id, name, event_key))
        return Settled(None, True, "RUN-3 is on its way.")

    async def refuse(self, actor, name, *, event_key=None):
        self.calls.append(("refuse", actor.id, name, event_key))
        return Settled(None, True, "RUN-3 is refused.")

    async def runs(self, reference):
        return []


class FakeExplaining:
    external_url = "https://pager.example.com"

    async def explain(self, words):
        if not words:
            raise UsageError("say what to explain")
        rung = Rung(NOW + timedelta(minutes=5), ("Ana Ruiz",), "on call in payments-primary")
        return Explained(f"If {' '.join(words)} began now", ("Owner team:payments.",), (rung,))


def desks(commands=None, silencing=None, **others) -> Desks:
    """Everything that Slack can ask for, made up but for what is given."""
    parts = {"commands": commands or FakeCommands(), "silencing": silencing or FakeSilencing(), "paging": FakePaging()}
    parts |= {"rotas": FakeRotas(), "acting": FakeActing(), "explaining": FakeExplaining()}
    return Desks(**parts | others)


class FakeSilencing:
    """Keeps what it is asked to add."""

    def __init__(self) -> None:
        self.drafts: list[tuple[str, Draft]] = []
        self.ended: list[tuple[str, str]] = []

    async def preview(self, actor, draft):
        return silence(*draft.matchers, ends_at=draft.ends_at, reason=draft.reason), Hidden((), ())

    async def add(self, actor, draft, *, event_key=None):
        self.drafts.append((actor.id, draft))
        return silence(*draft.matchers, ends_at=draft.ends_at, reason=draft.reason), Hidden((), ())

    async def expire(self, actor, silence_id):
        self.ended.append((actor.id, silence_id))
        return silence('agent="refund-agent"')

    async def silences(self, *, ended=False):
        return [silence('agent="refund-agent"')]


def silence(*matchers, **changes) -> Silence:
    fields = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=2), "created_at": NOW}
    fields |= {"created_by": "person:ana", "reason": "bank migration"}
    return Silence(id="SIL-3", matchers=matchers, **fields | changes)
