"""What the core asks of the world, as protocols. Edges implement them; `app.py` joins the two."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bot.actions.model import Run
from bot.actions.runs import Wish
from bot.agents.budget import Budget
from bot.agents.cost import Forecast, Spending
from bot.agents.evidence import Evidence
from bot.agents.model import Stage
from bot.agents.record import Minute
from bot.agents.vitals import Vitals
from bot.audit.model import Entry
from bot.incidents.drill import Drill
from bot.incidents.model import Alert, Incident
from bot.incidents.silences import Draft, Silence
from bot.oncall.changes import Plan, RotaChange
from bot.oncall.model import Book, Person
from bot.paging.model import Page
from bot.readiness.model import Verdict
from bot.records.digest import Digest
from bot.records.report import By, ReportJson
from bot.records.timeline import Story
from bot.records.usage import Usage
from bot.runbooks.rendered import Rendered


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""


@dataclass(frozen=True)
class Posted:
    """Where a message landed: Slack's channel id and message timestamp."""

    channel: str
    ts: str


class Messenger(Protocol):
    """Shows pages to people. Every failure is a RemoteError that says what is known about the outcome."""

    async def post(
        self, page: Page, incident: Incident | None, rendered: Rendered | None, thread: Posted | None
    ) -> Posted:
        """Posts once, without retrying; `thread` is the card to answer to, where the kind is a thread reply."""

    async def update(self, page: Page, incident: Incident, rendered: Rendered | None) -> None:
        """Redraws a sent page from the incident as it is now."""

    async def post_storm(self, lead: Page, incidents: Sequence[Incident]) -> Posted:
        """Posts one message about several incidents, once, without retrying."""

    async def update_storm(self, lead: Page, incidents: Sequence[Incident]) -> None:
        """Redraws it from the incidents as they are now."""

    async def probe(self) -> None:
        """A call that changes nothing. RemoteError when Slack does not answer it well."""

    async def find(self, page: Page, thread: Posted | None) -> Posted | None:
        """Reads the channel's history, or the thread's, for this page's id. RemoteError when it cannot be read."""


class Pictures(Protocol):
    async def upload(self, incident: Incident, picture: bytes, thread: Posted) -> Posted:
        """Puts a PNG into a thread, once, without retrying. Every failure is a RemoteError, as a Messenger's."""


class Channels(Protocol):
    """Ways to a person besides Slack. What went out there is neither read back nor edited."""

    async def send(
        self,
        page: Page,
        incident: Incident | None,
        rendered: Rendered | None,
        others: Sequence[tuple[Page, Incident]] = (),
    ) -> None:
        """Hands the page over once, without retrying; the same message tells of `others` too. Every failure is a
        RemoteError, as a Messenger's."""


@dataclass(frozen=True)
class Actor:
    """Who acts: `id` is `person:<id>`, `cli:<user>`, `token:<name>` or `api`; `via` is slack, cli, api, or the second
    channel whose link was used: email or webhook."""

    id: str
    name: str
    via: str
    person: Person | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a click or command: `message` is for the person who acted, one plain sentence."""

    incident: Incident | None
    changed: bool
    message: str


@dataclass(frozen=True)
class AgentStatus:
    """One row of `/agent status`. `health` is ok, firing, acked, no_data or hidden."""

    agent: str
    title: str
    health: str
    owner: str
    oncall: tuple[str, ...]
    incidents: tuple[str, ...]
    vitals: Vitals | None = None


class Commands(Protocol):
    """Everything a person can ask for, the same from Slack, the command line and the API.

    `reference` names an incident as people write it: `INC-7`, `7`, `last`, or an agent's name; None means the only open
    one of the actor. Raises UsageError (nothing such, or several to choose from) and ConflictError (too late).
    `event_key` makes a repeated delivery of the same click harmless.
    """

    async def ack(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome: ...

    async def ack_all(self, actor: Actor, message: str, *, event_key: str | None = None) -> Outcome:
        """Everything open that one message about several incidents shows; `message` is the id of its leading page."""

    async def decline(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome: ...

    async def release(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome: ...

    async def resolve(
        self, actor: Actor, reference: str | None, *, cause: str = "", note: str = "", event_key: str | None = None
    ) -> Outcome:
        """`cause` is one of incidents.notes.CAUSES, or empty."""

    async def take(self, actor: Actor, reference: str | None, *, event_key: str | None = None) -> Outcome:
        """From whoever has it."""

    async def escalate(
        self, actor: Actor, reference: str | None, *, seen: tuple[int, int] | None = None, event_key: str | None = None
    ) -> Outcome:
        """`seen` are the round and the step that the actor looked at: once others have been paged, nobody else is."""

    async def snooze(self, actor: Actor, reference: str | None, until: str, *, event_key: str | None = None) -> Outcome:
        """`until` as people write it: `2h`, `09:00`, `2026-12-24T09:00`; in the actor's time zone."""

    async def hand(
        self, actor: Actor, reference: str | None, person: str, *, note: str = "", event_key: str | None = None
    ) -> Outcome:
        """`person` is an id, a name or a Slack mention, and reads the note."""

    async def note(
        self, actor: Actor, reference: str | None, text: str, *, event_key: str | None = None
    ) -> Outcome: ...

    async def mark(self, actor: Actor, reference: str | None, verdict: str, *, event_key: str | None = None) -> Outcome:
        """Was it right to wake somebody? `verdict` is right or noise."""

    async def step(
        self,
        actor: Actor,
        reference: str | None,
        step: str,
        state: str,
        text: str = "",
        *,
        event_key: str | None = None,
    ) -> Outcome:
        """What became of one step of the runbook: `step` is its id or number, `state` done, skipped, failed or undone.
        `text` is the choice of a decision, or the answers of a hand-off. A done escalation pages whom it names; there
        `text` may be `level:3` or `next` instead. Saying the same twice changes nothing, and is no mistake."""

    async def opened(self, actor: Actor, reference: str) -> None:
        """The actor has opened the runbook of that incident."""

    async def report(
        self, actor: Actor, reference: str, step: str, kind: str, text: str, *, event_key: str | None = None
    ) -> Outcome:
        """The runbook is `wrong` or has something `missing`, at this step or, without one, as a whole: kept, and filed
        where its owners read it."""

    async def no_problem(
        self, actor: Actor, reference: str | None, kind: str, text: str, *, event_key: str | None = None
    ) -> Outcome:
        """Marks it as noise and files a task to its owner; `kind` is one of incidents.notes.NOISE."""

    async def paged(self, incident: Incident) -> Collection[str]:
        """The ids of the people who were told of it, or are about to be; none when a whole channel was."""

    async def shown(self, message: str) -> Sequence[Incident]:
        """The incidents of a message about several; `message` is the id of its leading page."""

    async def split(self, actor: Actor, message: str, reference: str, *, event_key: str | None = None) -> Outcome:
        """Gives one incident of such a message a message of its own."""

    async def incidents(self, *, only_open: bool = True, limit: int = 1000) -> Sequence[Incident]: ...

    async def incident(self, reference: str) -> Incident:
        """Raises UsageError when there is none."""

    async def rendered(self, incident: Incident, *, fresh: bool = False) -> Rendered | None: ...

    async def status(self) -> Sequence[AgentStatus]: ...

    async def incident_of_message(self, channel: str, ts: str) -> str | None:
        """The id of the incident whose message stands there; for a thread reply, give the `thread_ts`. UsageError when
        the message is about several."""

    def oncall(self, at: datetime | None = None) -> dict[str, Any]:
        """`{"at", "schedules": [{"schedule", "people": [id…], "until"}]}`."""

    @property
    def book(self) -> Book: ...

    def book_of(self, incident: Incident) -> Book:
        """The rotas that the incident began with: by those its next people are chosen."""


@dataclass(frozen=True)
class Hidden:
    """What a silence keeps from waking anybody, and what matches it and is too severe to be hidden."""

    alerts: tuple[tuple[Incident, Alert], ...]
    too_severe: tuple[tuple[Incident, Alert], ...]


class Silencing(Protocol):
    """Silences. Every method raises UsageError for what makes no sense, ConflictError for what is over."""

    async def add(self, actor: Actor, draft: Draft, *, event_key: str | None = None) -> tuple[Silence, Hidden]: ...

    async def preview(self, actor: Actor, draft: Draft) -> tuple[Silence, Hidden]: ...

    async def expire(self, actor: Actor, silence_id: str) -> Silence: ...

    async def silences(self, *, ended: bool = False) -> Sequence[Silence]: ...


class Pushing(Protocol):
    """Alerts that rules of others send, and what goes on."""

    async def take(self, posted: Any) -> None:
        """They are written down when this returns. Raises PostedError; then none of them is."""

    async def incidents(self) -> Sequence[Incident]:
        """All that are not resolved, but exercises."""


class Bridging(Protocol):
    """Alerts that other systems send."""

    def admits(self, name: str, token: str, signature: str, raw: bytes) -> bool:
        """Whether there is such a bridge and the sender may use it; which of the two is not told."""

    async def take(self, name: str, body: dict[str, Any], more: Mapping[str, str]) -> int:
        """How many alerts the request had; they are written down when this returns. `more` are labels for all of them.
        Raises PayloadError when the request has not the shape of its kind."""


class Paging(Protocol):
    """Pages that people ask for. `target` is an agent, a team or a person, as people write them. Raises UsageError for
    what there is not, ConflictError when the same test is under way."""

    async def page(self, actor: Actor, target: str, why: str = "", *, event_key: str | None = None) -> Outcome:
        """Opens an incident and wakes whoever answers for the target, level by level until somebody has it."""

    async def test(self, actor: Actor, target: str, *, event_key: str | None = None) -> Outcome:
        """Sends a page that is marked as a test, to `me` or to whoever is on call for the target, and wakes nobody
        else."""


@dataclass(frozen=True)
class Proposal:
    """What would be asked for, before anybody agrees: the exact request in `wish`. `may` are the people whose word
    counts, each with why; `enough` says that the word of whoever asks is enough. `earlier` are the runs of the step so
    far. `problem` says why it cannot be asked for; empty when it can."""

    incident: Incident
    wish: Wish
    may: Mapping[str, str]
    enough: bool
    earlier: Sequence[Run]
    problem: str = ""


@dataclass(frozen=True)
class Settled:
    """What became of a click or command: `message` is for the person who acted, one plain sentence."""

    run: Run
    changed: bool
    message: str


@dataclass(frozen=True)
class Begun:
    """`drill` is None when that very click has been worked in before."""

    drill: Drill | None
    message: str


class Drilling(Protocol):
    """Pages that are marked as drills and go the whole way of a real one. Raises UsageError for what there is not,
    ConflictError while there is one of that agent."""

    async def start(
        self, actor: Actor, agent: str, *, runbook: str = "", whole_ladder: bool = False, event_key: str | None = None
    ) -> Begun:
        """`runbook` is the id of one, instead of the one for drills. With `whole_ladder` the next levels are woken too
        while nobody answers."""

    async def running(self) -> Sequence[Drill]: ...

    async def past(self, agent: str | None = None) -> Sequence[Evidence]:
        """What drills have shown, the newest first."""

    async def one(self, name: str) -> Drill | Evidence:
        """The drill while it is under way, then what it has shown."""


class Acting(Protocol):
    """Actions of runbooks. `reference` names an incident as people write it, `step` a step of its runbook by id or
    number, `name` a run by its id, or an incident where only one of its actions waits. Every method raises UsageError
    for what there is not or who may not, ConflictError for what is too late."""

    async def propose(self, actor: Actor, reference: str, step: str, *, undo: bool = False) -> Proposal: ...

    async def ask(
        self,
        actor: Actor,
        reference: str,
        step: str,
        *,
        undo: bool = False,
        token: str = "",
        reason: str = "",
        event_key: str | None = None,
    ) -> Settled:
        """`token` is that of the proposal which was shown: a request that has changed since is not made. `reason` is
        shown to those who are asked to agree."""

    async def agree(self, actor: Actor, name: str, *, event_key: str | None = None) -> Settled: ...

    async def refuse(self, actor: Actor, name: str, *, event_key: str | None = None) -> Settled: ...

    async def run(self, run_id: str) -> Run | None: ...

    async def runs(self, reference: str) -> Sequence[Run]:
        """Those of an incident, the first asked for first."""


class Rotas(Protocol):
    """Overrides and swaps beside the files. Every method raises UsageError for what makes no sense, ConflictError for
    what is over or was recorded already."""

    async def add(self, actor: Actor, plan: Plan, *, event_key: str | None = None) -> RotaChange: ...

    async def end(self, actor: Actor, change_id: str, *, event_key: str | None = None) -> RotaChange: ...

    async def changes(self) -> Sequence[RotaChange]:
        """Those that count, the first to begin first."""


@dataclass(frozen=True)
class Rung:
    """One page that was sent, or would be: when, to whom, and why to them."""

    at: datetime
    people: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Explained:
    """What there is to say, in plain sentences, and the pages in their order."""

    title: str
    facts: tuple[str, ...]
    levels: tuple[Rung, ...]


class Explaining(Protocol):
    @property
    def external_url(self) -> str:
        """Where a browser reaches this server; empty when that is not configured."""

    async def explain(self, words: Sequence[str]) -> Explained:
        """Who would be paged for an agent or an alert (and an agent), and why; why an alert does not fire; why an
        incident pages whom it pages. Raises UsageError for what there is not."""


class Records(Protocol):
    """What is told of incidents afterwards. Every method raises UsageError for what there is not."""

    async def timeline(self, reference: str) -> Story: ...

    async def report(self, start: datetime, end: datetime, by: By | None = None) -> ReportJson: ...

    async def handover(self, schedule: str) -> Digest:
        """The latest hand-over of a schedule."""

    async def weekly(self) -> Digest:
        """The digest of the seven days until now."""

    async def daily(self) -> Digest:
        """The digest of the 24 hours until now."""

    async def runbooks(self, days: int) -> Sequence[Usage]:
        """How each runbook has been used in these days."""

    async def hand_on(self, actor: Actor, handover: str, text: str, *, event_key: str | None = None) -> None:
        """Posts notes on a hand-over, by the id of its page, where the hand-over stands."""


class Gate(Protocol):
    async def verdicts(self, agent: str | None = None, stage: Stage | None = None) -> Sequence[Verdict]:
        """How ready the agents are, or one of them, for the stage each has or for another. Raises UsageError when there
        is no such agent."""


class Accounts(Protocol):
    """Error budgets and money of agents, from their track record. Raises UsageError for an agent that there is not."""

    async def budgets(self, agent: str | None = None) -> Sequence[Budget]: ...

    async def vitals(self) -> Mapping[str, Vitals]: ...

    async def spending(self, agent: str | None = None) -> Sequence[Spending]: ...

    async def forecast(self, agent: str, at: float | None = None, budget: float | None = None) -> Forecast:
        """`at` is runs a day, `budget` dollars for this month."""


class Bundles(Protocol):
    async def agents(self) -> Sequence[dict[str, Any]]:
        """A row for each: stage, owner, who is on call."""

    async def bundle(self, name: str) -> dict[str, Any]:
        """All that an operator needs of an agent, as records.bundle tells it. Raises UsageError when there is none."""


class Rest(Protocol):
    async def rest(self, slack: str) -> tuple[datetime, datetime] | None:
        """The pause of notifications that a member of Slack has now or has next; None when there is none, or Slack
        does not say. Raises nothing."""


class Transaction(Protocol):
    """One write transaction: everything below is committed together, or not at all."""

    async def live_incidents(self) -> list[Incident]:
        """All that are not over: unresolved, or closed by hand and still watched."""

    async def incident(self, incident_id: str) -> Incident | None: ...

    async def unresolved_with(self, key: str) -> Incident | None:
        """The one incident of this key that is not resolved."""

    async def cleared_since(self, since: datetime, keys: Collection[str]) -> list[Incident]:
        """Of these keys those that cleared by themselves after that instant, the last one of each."""

    async def last_number(self) -> int: ...

    async def save_incident(self, incident: Incident) -> None: ...

    async def save_incidents(self, changed: Sequence[Incident]) -> None:
        """In this order: one that ends makes room for the next of its key."""

    async def add_pages(self, new: Sequence[Page]) -> None: ...

    async def pages_of(self, incident_id: str) -> list[Page]: ...

    async def pages(self, page_ids: Sequence[str]) -> list[Page]:
        """Those that there are, in this order."""

    async def owed(self, page_ids: Sequence[str]) -> list[Page]:
        """Those of these pages that are due, unknown or being sent, as they are now."""

    async def all_owed(self) -> list[Page]: ...

    async def owed_at(self, channel: str) -> list[Page]:
        """The same of everything that goes to this place."""

    async def pages_of_each(self, incident_ids: Sequence[str]) -> dict[str, list[Page]]:
        """Pages by their incident; one that has none is left out."""

    async def page(self, page_id: str) -> Page | None: ...

    async def save_page(self, page: Page) -> None: ...

    async def save_pages(self, changed: Sequence[Page]) -> None: ...

    async def claim(self, page: Page, now: datetime) -> Page | None:
        """`due` becomes `sending` and counts an attempt; None when somebody else was first."""

    async def append_audit(self, entries: Sequence[Entry]) -> None: ...

    async def first_time(self, event_key: str, now: datetime) -> bool:
        """Records the key; False when it was recorded before."""

    async def save_rendering(self, incident_id: str, rendered: Rendered) -> None: ...

    async def silences(self, after: datetime) -> list[Silence]:
        """Those that end after this instant."""

    async def silence(self, silence_id: str) -> Silence | None: ...

    async def last_silence(self) -> int: ...

    async def save_silence(self, silence: Silence) -> None: ...

    async def run(self, run_id: str) -> Run | None: ...

    async def runs_of(self, incident_id: str) -> list[Run]:
        """The first asked for first."""

    async def waiting_runs(self) -> list[Run]:
        """Those that are not over."""

    async def save_run(self, run: Run) -> None: ...

    async def rota_changes(self, after: datetime) -> list[RotaChange]:
        """Those that end after this instant, the first made first."""

    async def last_rota_change(self) -> int: ...

    async def save_rota_change(self, change: RotaChange) -> None: ...

    async def add_evidence(self, shown: Evidence) -> None: ...

    async def add_minute(self, minute: Minute) -> None:
        """To the hour of each agent; one that has counted this minute already stays as it is."""

    async def forget_agent_hours(self, before: datetime, most: int = 1000) -> int:
        """The oldest of those that began before then, so many at the most: how many are gone."""

    async def save_snapshot(self, snapshot_id: str, doc: str) -> None: ...

    async def save_feed(self, url: str, doc: str) -> None: ...

    async def key(self, name: str, fresh: str) -> str:
        """The key of that name; `fresh` becomes it when there is none yet."""

    async def replace_key(self, name: str, value: str) -> None: ...

    async def save_rule_state(self, group: str, evaluated_at: datetime, state: dict[str, Any]) -> None: ...


class Store(Protocol):
    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...


class DeliveryMemory(Protocol):
    """What Slack has delivered, kept for a while: what comes again is not carried out again."""

    async def deliveries(self, since: datetime) -> Collection[str]:
        """The keys of what was delivered since then."""

    async def remember_deliveries(self, keys: Collection[str], now: datetime) -> None: ...


class Watcher(Protocol):
    """The other process, asked by request. Raises RemoteError when it is dead, hung or slower than `seconds`,
    QueryError when it answers that the question is bad."""

    async def ask(self, method: str, params: dict[str, Any], seconds: float) -> Any: ...
