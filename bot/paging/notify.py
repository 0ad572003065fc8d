"""How a person is told of a page: by their own rules, one row for each, and another way at once when Slack fails.

Stays out of sending; what is planned here is carried out by the outbox like every page, and taken back by an ack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bot.errors import TemplateError
from bot.incidents.model import Incident, Severity, State
from bot.oncall.model import Book, NotificationRule, Person, Urgency
from bot.paging import attempt
from bot.paging.body import needs_of
from bot.paging.model import Page, PageKind, PageState
from bot.settings import Notify

SECOND_AFTER = timedelta(minutes=3)  # the default of a second channel
_SLACK = NotificationRule(by="slack")
_TRIES_UNREACHED = 2  # one failed connection is often a moment's


def urgency_of(severity: Severity) -> Urgency:
    return "high" if severity is Severity.CRITICAL else "low"


def complete(person: Person, notify: Notify) -> Person:
    """The person with rules for both urgencies: Slack at once and, for what is urgent, a second channel later."""
    second = _default_second(person, notify)
    later = (NotificationRule(by=second, after=SECOND_AFTER),) if second else ()
    defaults: dict[Urgency, tuple[NotificationRule, ...]] = {"high": (_SLACK, *later), "low": (_SLACK,)}
    return person.model_copy(update={"notification_rules": defaults | person.notification_rules})


def _default_second(person: Person, notify: Notify) -> str:
    if notify.email is not None and person.email is not None:
        return "email"
    return next((f"webhook:{name}" for name in notify.webhooks if reachable_by(name, person, notify)), "")


def reachable_by(name: str, person: Person, notify: Notify) -> bool:
    """Whether this webhook is a way to this very person: its body asks for addresses of theirs, and they have them.
    Our own body carries all of them, so one is enough."""
    has = {"email": person.email, "phone": person.phone} | person.contacts
    try:
        needs = needs_of(notify.webhooks[name])
    except TemplateError:
        return False
    if needs is None:
        return bool(person.phone or person.contacts)
    return bool(needs) and all(has.get(need) for need in needs)


def pages_by_rules(page: Page, person: Person, severity: Severity) -> list[Page]:
    """The page to somebody's Slack as the rows that their rules make of it; never none."""
    pages: list[Page] = []
    seen: dict[str, int] = {}
    for rule in person.notification_rules.get(urgency_of(severity)) or (_SLACK,):
        if (channel := _channel_of(rule.by, person)) is not None:
            seen[rule.by] = seen.get(rule.by, 0) + 1
            due_at = page.due_at + rule.after
            update = {"id": page.id + _suffix(rule.by, seen[rule.by]), "channel": channel}
            pages.append(page.model_copy(update=update | {"due_at": due_at, "planned_at": due_at}))
    return pages or [page]


def _channel_of(by: str, person: Person) -> str | None:
    if by == "slack":
        return person.slack
    if by == "email":
        return f"email:{person.email}" if person.email else None
    return by


def _suffix(by: str, count: int) -> str:
    if count > 1:
        return f".{by.replace(':', '.')}.{count}"
    return "" if by == "slack" else f".{by.replace(':', '.')}"


def is_follow_up(page: Page) -> bool:
    """Whether this row is a further way to a person who has been paged: a later page does not push it away."""
    again = page.by_slack and page.id.rpartition(".slack.")[2].isdigit() and ".slack." in page.id
    return page.kind is PageKind.PAGE and page.person is not None and (again or not page.by_slack)


def without_pending(new: Sequence[Page], existing: Sequence[Page]) -> list[Page]:
    """The new rows but those that a row still on its way makes needless: the person is told that way anyhow, and
    earlier."""
    pending = {(page.person, page.channel) for page in existing if page.state is PageState.DUE and is_follow_up(page)}
    return [page for page in new if not (is_follow_up(page) and (page.person, page.channel) in pending)]


def given_up(page: Page, incident: Incident) -> bool:
    """Whether a further way to somebody has lost its sense: they said no, or the incident was given to another."""
    return is_follow_up(page) and _passed_on(page.person, incident)


def _passed_on(person: str | None, incident: Incident) -> bool:
    return person in incident.declined or (incident.assigned is not None and incident.assigned != person)


def trouble_of(page: Page, limit: timedelta, now: datetime) -> str:
    """Why a page cannot be relied on; empty while there is no reason to think so."""
    code = page.error.partition(":")[0]
    other = _other_side(page)
    if page.state is PageState.FAILED:
        return f"{other} refused the message ({code})"
    if page.state is PageState.UNKNOWN:
        return f"{other} has not said whether it took the message"
    if page.state is PageState.DUE and page.attempt:
        if page.by_slack and code in attempt.CLIENT_REFUSALS:
            return f"Slack refuses agentpager's token ({code})"
        if code.endswith(attempt.UNREACHABLE) and page.attempt >= _TRIES_UNREACHED:
            return f"{other} cannot be reached"
        if page.due_at - now > limit:
            return f"{other} asks to wait {round((page.due_at - now).total_seconds())} s"
    waited = now - (page.planned_at or page.due_at)
    if page.state in {PageState.DUE, PageState.SENDING} and waited >= limit:
        return f"{other} has not confirmed the message for {round(waited.total_seconds())} s"
    return ""


def _other_side(page: Page) -> str:
    if page.by_slack:
        return "Slack"
    return "the mail server" if page.channel.startswith("email:") else page.channel


def second_channels(
    pages: Sequence[Page], incident: Incident, book: Book, limit: timedelta, now: datetime
) -> list[Page]:
    """The rows with which people are told another way, now: one that waits is pulled forward, else one is added. At
    most one for each page to Slack, the next of the person's channels when one has refused it. Somebody whose rules
    leave Slack out is told there when their own way fails."""
    rows = {page.id: page for page in pages}
    changed: dict[str, Page] = {}
    for page in pages:
        why = trouble_of(page, limit, now) if _may_need_help(page, incident) else ""
        person = book.people.get(page.person or "")
        if not why or person is None or _passed_on(person.id, incident):
            continue
        theirs = [row for row in rows.values() if row.person == person.id and row.kind is PageKind.PAGE]
        if page.by_slack:
            others = [row for row in theirs if not row.by_slack]
            row = _helper_of(page, others, person, incident.severity, why, now)
        else:
            row = _by_slack_at_last(page, theirs, person, why, now)
        if row is not None:
            rows[row.id] = changed[row.id] = row
    return list(changed.values())


def _may_need_help(page: Page, incident: Incident) -> bool:
    if page.kind is not PageKind.PAGE or page.person is None:
        return False
    if page.state is PageState.FAILED:  # an old refusal has been dealt with
        return incident.state is State.OPEN and (page.step, page.round) == (max(incident.step, 0), incident.round)
    return attempt.wanted(page, incident)


def _helper_of(
    page: Page, theirs: Sequence[Page], person: Person, severity: Severity, why: str, now: datetime
) -> Page | None:
    begun = page.planned_at or page.due_at
    waiting = [row for row in theirs if row.state is PageState.DUE and row.due_at > now and not row.attempt]
    if any(_covers(row, begun, now) for row in theirs):
        return None
    if waiting:
        soonest = min(waiting, key=lambda row: row.due_at)
        told = f"{soonest.reason}; {why}"
        return soonest.model_copy(update={"due_at": now, "planned_at": now, "reason": told})
    used = {row.channel for row in theirs if row.id.startswith(f"{page.id}.")}
    for by in _ways_besides_slack(person, severity):
        channel = _channel_of(by, person)
        if channel is not None and channel not in used:
            return _fresh(page, page.id + _suffix(by, 1), channel, why, now)
    return None


def _by_slack_at_last(page: Page, theirs: Sequence[Page], person: Person, why: str, now: datetime) -> Page | None:
    """The page to Slack that the person's rules did not ask for; none where this decision has one, sent or waiting."""
    first = ".".join(page.id.split(".")[:3]) + f".{person.id}"
    if any(row.by_slack and (row.id == first or row.id.startswith(f"{first}.")) for row in theirs):
        return None
    return _fresh(page, first, person.slack, why, now)


def _fresh(page: Page, page_id: str, channel: str, why: str, now: datetime) -> Page:
    update = {"id": page_id, "channel": channel, "due_at": now, "planned_at": now, "reason": f"{page.reason}; {why}"}
    blank = {"state": PageState.DUE, "attempt": 0, "claimed_at": None, "sent_at": None, "lead": None, "error": ""}
    return page.model_copy(update=update | blank)


def _covers(row: Page, begun: datetime, now: datetime) -> bool:
    """Whether this row has told the person since the page began, or is about to."""
    if row.state in {PageState.CANCELLED, PageState.FAILED}:
        return False
    if row.state is PageState.DUE:
        return row.due_at <= now or row.attempt > 0
    return (row.sent_at or row.claimed_at or row.due_at) >= begun


def _ways_besides_slack(person: Person, severity: Severity) -> Iterator[str]:
    """Those of the urgency first, then those for what is urgent."""
    urgency = urgency_of(severity)
    for rule in (*person.notification_rules.get(urgency, ()), *person.notification_rules.get("high", ())):
        if rule.by != "slack":
            yield rule.by


def channels_of(person: Person) -> list[str]:
    """Every address at which they are told of anything, Slack first, each once."""
    found = [_channel_of(rule.by, person) for rule in _every_rule(person)]
    return list(dict.fromkeys([person.slack, *(channel for channel in found if channel is not None)]))


def has_second_channel(book: Book) -> bool:
    return any(rule.by != "slack" for person in book.people.values() for rule in _every_rule(person))


def _every_rule(person: Person) -> Iterator[NotificationRule]:
    for rules in person.notification_rules.values():
        yield from rules
