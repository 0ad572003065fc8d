"""Windows, the Home tab and the chart as committed JSON and SVG; docs/messages.md shows their pictures.

After a deliberate change: `UPDATE_GOLDEN=1 pytest tests/unit/slack/test_views.py`, then read the difference.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from slack_world import ANA, BEN, BOOK, NOW, FakeCommands, alert, desks, incident, rendered, silence

from bot.actions.runs import Wish
from bot.charts.svg import Chart
from bot.charts.svg import draw as draw_chart
from bot.demo.blockkit import view_problems
from bot.incidents.model import State, StepMark
from bot.ports import Actor, AgentStatus, Hidden, Proposal
from bot.runbooks.model import Approve
from bot.runbooks.rendered import (
    CheckResult,
    History,
    RenderedCall,
    RenderedChoice,
    RenderedStep,
    Verdict,
)
from bot.slack import approval_blocks, home_view, runbook_view
from bot.slack.windows.base import Visit
from bot.slack.windows.frame import Memory, Values
from bot.slack.windows.opening import WINDOWS

GOLDEN = Path(__file__).parent / "golden"
ACKED = {"state": State.ACKED, "revision": 2, "acked_by": "person:ana", "acked_at": NOW - timedelta(seconds=42)}
STEPS = (
    *rendered().steps[:2],
    RenderedStep(
        number=3,
        id="which",
        kind="decision",
        title="What is broken?",
        choices=(
            RenderedChoice(label="The credential", goto="rotate", likely=True),
            RenderedChoice(label="Neither", goto="up"),
        ),
    ),
    RenderedStep(
        number=4,
        id="rotate",
        kind="command",
        title="CRM token expired, rotate it",
        command="agentctl secret rotate crm --agent refund-agent",
        run_on="the bastion",
        check=CheckResult(verdict=Verdict.FAIL, value="62 %", want="< 5 %"),
        verify="crm",
    ),
    RenderedStep(number=5, id="up", kind="escalate", title="Nothing helps", to="level:2", after=timedelta(minutes=20)),
)
PROGRESS = (
    StepMark(step="which", state="done", at=NOW - timedelta(minutes=2), by="person:ana", text="The credential"),
)
CALL = RenderedCall(
    webhook="agent-control", method="POST", path="/agents/refund-agent/pause", body='{"reason": "INC-7"}'
)


class Silencing:
    """Two alerts would be hidden, one of them of another incident."""

    async def preview(self, actor, draft):
        hidden = Hidden(((incident(), alert()), (incident(id="INC-9"), alert())), ())
        told = {"ends_at": draft.ends_at, "reason": draft.reason, "max_severity": draft.max_severity}
        return silence(*draft.matchers, **told), hidden


def visit(*incidents, actor=ANA) -> Visit:
    commands = FakeCommands()
    commands.open = list(incidents)
    return Visit(desks(commands, Silencing()), Actor(f"person:{actor.id}", actor.name, "slack", actor), NOW)


async def window(name, what, actor=ANA):
    return await WINDOWS[name].draw(visit(what, actor=actor), Memory("INC-7").seeing(what), Values())


def proposal() -> Proposal:
    wish = Wish(
        run_id="RUN-4f1c2a90", runbook="tool-errors", step="pause", title="Pause the agent", kind="action", call=CALL,
        undo=CALL.model_copy(update={"path": "/agents/refund-agent/resume", "body": ""}), approve=Approve(min=2),
        actor="person:ana", token="abc",
    )  # fmt: skip
    may = {"ana": "on call for it", "ben": "lead of payments", "chris": "the fallback"}
    return Proposal(incident(**ACKED), wish, may, False, ())


def home():
    told = home_view.Facts(
        person=ANA,
        shifts=(
            home_view.Shift("payments-primary", None, NOW + timedelta(days=3)),
            home_view.Shift("payments-backup", NOW + timedelta(days=10), NOW + timedelta(days=17)),
        ),
        pause=(NOW - timedelta(hours=4), NOW + timedelta(hours=5)),
        mine=(incident(), incident(id="INC-9", **ACKED)),
        teams=(incident(id="INC-8", agent="billing-agent", title="price list is 26 h old"),),
        agents=(
            AgentStatus("refund-agent", "Refund agent", "firing", "team:payments", ("ana",), ("INC-7",)),
            AgentStatus("billing-agent", "Billing agent", "no_data", "team:payments", ("ana",), ()),
            AgentStatus("kyc-agent", "KYC agent", "ok", "team:risk", ("ben",), ()),
        ),
        silences=(silence('agent="kyc-agent"'),),
        book=BOOK,
    )
    return home_view.draw(told, NOW)


async def views():
    acked = incident(**ACKED, progress=PROGRESS)
    shown = rendered(steps=STEPS, likely_step=4)
    return {
        "window_silence": await window("silence", incident()),
        "window_hand": await window("hand", incident(), BEN),
        "window_note": await window("note", incident()),
        "window_noise": await window("noise", incident()),
        "window_snooze": await window("snooze", incident(**ACKED)),
        "window_resolve": await window("resolve", incident(**ACKED)),
        "window_take": await window("take", incident(**ACKED), BEN),
        "window_more": await window("more", incident(**ACKED)),
        "window_runbook": runbook_view.window(acked, shown, BOOK, NOW),
        "window_report": runbook_view.report_view("INC-7", shown),
        "window_action": approval_blocks.window(proposal(), BOOK, NOW),
        "home": home(),
        "home_newcomer": home_view.newcomer("U0NEW", "", NOW),
    }


NAMES = (
    "window_silence", "window_hand", "window_note", "window_noise", "window_snooze", "window_resolve", "window_take",
    "window_more", "window_runbook", "window_report", "window_action", "home", "home_newcomer",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_a_view_is_as_committed_and_slack_takes_it(name):
    view = (await views())[name]
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(view, indent=1, ensure_ascii=False) + "\n")
    assert view == json.loads(path.read_text())
    assert view_problems(view) == []


async def test_every_committed_view_has_its_scene():
    committed = {path.stem for path in GOLDEN.glob("*.json") if path.stem.startswith(("window_", "home"))}
    assert committed == set(NAMES) == set(await views())


def chart() -> str:
    """An hour and a half in which the errors of a tool rise over their limit."""
    points = (
        0.02,
        0.02,
        0.03,
        0.02,
        None,
        None,
        0.02,
        0.04,
        0.03,
        0.05,
        0.09,
        0.14,
        0.22,
        0.31,
        0.36,
        0.35,
        0.37,
        0.38,
    )
    history = History(points=points, step=timedelta(minutes=5), threshold=0.2, comparison=">")
    return draw_chart(Chart("refund-agent: tool errors 38%", history, NOW, (NOW - timedelta(minutes=26), None)))


def test_the_chart_is_as_committed():
    path = GOLDEN / "chart.svg"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(chart())
        (GOLDEN / "chart.json").write_text(
            json.dumps({"text": "", "picture": "chart.svg", "title": "INC-7: what the alert saw"}, indent=1) + "\n"
        )
    assert chart() == path.read_text()
