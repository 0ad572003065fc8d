"""A runbook with steps of many kinds, and a watcher that renders it as told."""

from __future__ import annotations

from datetime import timedelta

from core_world import NOW

from bot.errors import RemoteError
from bot.runbooks.rendered import CheckResult, Rendered, RenderedChoice, RenderedStep, Verdict

STEPS = (
    RenderedStep(
        number=1,
        id="crm",
        kind="check",
        title="Tool crm",
        check=CheckResult(verdict=Verdict.FAIL, value="62 %", want="< 5 %"),
        on_fail="which",
    ),
    RenderedStep(
        number=2,
        id="which",
        kind="decision",
        title="What is broken?",
        choices=(RenderedChoice(label="Credential", goto="rotate"), RenderedChoice(label="All of it", goto="up")),
    ),
    RenderedStep(number=3, id="look", kind="manual", title="Look", text="at it"),
    RenderedStep(number=4, id="rotate", kind="command", title="Rotate", command="rotate crm", verify="crm"),
    RenderedStep(number=5, id="up", kind="escalate", title="Get help", to="level:2"),
    RenderedStep(
        number=6, id="hand", kind="handoff", title="Hand over", questions=("What changed?", "What is still wrong?")
    ),
)


def rendered(**changes) -> Rendered:
    fields = {"runbook": "tool-errors", "title": "Tool errors", "owner": "team:payments", "steps": STEPS}
    return Rendered(**fields | {"likely_step": 2, "rendered_at": NOW} | changes)


class Clock:
    time = NOW + timedelta(minutes=1)

    def now(self):
        return self.time


class Watcher:
    """Renders what it is given."""

    answer: Rendered | RemoteError

    async def ask(self, _method, _params, _seconds):
        if isinstance(self.answer, RemoteError):
            raise self.answer
        return self.answer.model_dump(mode="json")
