"""One outgoing message as a durable row: the page row exists before the first byte leaves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from bot.schema import Model

RECEIVER = "receiver:"  # before the name of a system that is told of incidents
CHART = "chart:"  # before the channel whose thread a picture belongs to


class PageState(StrEnum):
    DUE = "due"
    SENDING = "sending"  # claimed; a crash here makes it unknown
    SENT = "sent"
    UNKNOWN = "unknown"  # may have landed: waits until it no longer can, then history decides
    CANCELLED = "cancelled"  # an ack, a resolve or a decline came first
    FAILED = "failed"  # refused for good; a replacement row has been made


class PageKind(StrEnum):
    PAGE = "page"  # direct message that wakes one person
    CARD = "card"  # the shared record in the channel
    RUNBOOK = "runbook"  # first reply in the card's thread: the whole runbook
    ESCALATED = "escalated"  # thread reply that names who is woken next
    REMINDER = "reminder"  # asks the person who acked whether they still have it
    RESOLVED = "resolved"  # quiet thread line
    NEWS = "news"  # quiet thread line: alerts that joined later
    CHART = "chart"  # second reply in the card's thread: the rule's expression as a picture
    NOTICE = "notice"  # about agentpager itself, or a quiet word to one person
    TASK = "task"  # something to mend, for the owner's channel: a noisy rule, a wrong step of a runbook
    APPROVAL = "approval"  # direct message that asks one person to approve an action
    SHIFT = "shift"  # direct message to who is on call soon, or from now on
    HANDOVER = "handover"  # what a shift leaves to the next, in its team's channel
    DIGEST = "digest"  # the week, or the day
    STATUS = "status"  # to another system: which alerts of an incident fire, which have ended; `text` has them


class Page(Model):
    """`channel` is where to post: a Slack channel name or id, a user id for a direct message, `email:<address>`,
    `webhook:<name>` or `receiver:<name>`. `lead` is the id of the page whose message shows this one too, when several
    were merged.

    `slack_channel` and `ts` are Slack's own address of the message once sent; `shown_revision` is the incident
    revision that the message shows now, so an older one means an edit is owed. `reason` says why this row exists.
    `planned_at` is when it was first to go out: `due_at` moves with every attempt.
    """

    id: str
    incident: str | None
    kind: PageKind
    step: int = 0
    round: int = 0
    person: str | None = None
    channel: str
    state: PageState = PageState.DUE
    attempt: int = 0
    due_at: datetime
    planned_at: datetime | None = None
    claimed_at: datetime | None = None
    sent_at: datetime | None = None
    slack_channel: str | None = None
    ts: str | None = None
    lead: str | None = None
    shown_revision: int = 0
    alone: bool = False  # never one message with others: a test, or what was split out of one
    text: str = ""  # body of a notice; other kinds are drawn from the incident when sent
    reason: str
    error: str = ""

    @property
    def by_slack(self) -> bool:
        return not self.channel.startswith(("email:", "webhook:", RECEIVER, CHART))
