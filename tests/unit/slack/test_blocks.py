"""Every kind of message as committed JSON, and what must hold for any input.

After a deliberate change: `UPDATE_GOLDEN=1 pytest tests/unit/slack/test_blocks.py`, then read the difference.
"""

from __future__ import annotations

import json
import os
import re  # noqa: TID251 - fixed patterns
from datetime import timedelta
from pathlib import Path

import pytest
from fake_slack import layout_problem
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from slack_world import ANA, BEN, BOOK, NOW, alert, incident, page, rendered

from bot.actions.model import Approval, Run, RunState
from bot.agents.model import Agent, KillSwitch
from bot.incidents.model import BY_HAND, AlertState, Severity, State, StepMark, Suppression, SuppressionKind
from bot.oncall.model import Policy, Step
from bot.paging.model import PageKind
from bot.promql.value import Scalar
from bot.runbooks.builtin import builtin
from bot.runbooks.model import Approve
from bot.runbooks.render import render_incident
from bot.runbooks.rendered import (
    CheckResult,
    History,
    RenderedCall,
    RenderedChoice,
    RenderedLink,
    RenderedStep,
    Verdict,
)
from bot.slack.blocks import draw, plain_message
from bot.slack.kit import BLOCKS_LIMIT, TEXT_LIMIT, TOTAL_LIMIT

GOLDEN = Path(__file__).parent / "golden"

_ACKED = {
    "state": State.ACKED,
    "revision": 2,
    "acked_by": "person:ana",
    "acked_at": NOW - timedelta(seconds=18),
    "ack_expires_at": NOW + timedelta(minutes=59, seconds=42),
    "next_at": NOW + timedelta(minutes=59, seconds=42),
}
_ENDED = {
    "state": State.RESOLVED,
    "revision": 3,
    "resolved_at": NOW,
    "next_at": None,
    "opened_at": NOW - timedelta(minutes=31),
    "paged_at": NOW - timedelta(minutes=31),
}
_MANY = (
    alert("AgentDown", "agent does not answer", value=0.0),
    alert("SpendHigh", "spend $9/min", labels={"severity": "warning"}, value=9.0),
    alert("Gone", "queue age 12 min", state=AlertState.NO_DATA),
    *(alert(f"Other{number}", f"symptom {number}", starts_at=NOW) for number in range(5)),
)
_SILENCE = Suppression(
    kind=SuppressionKind.SILENCE,
    by="SIL-3",
    why="silenced by ana until 2026-11-04 04:00 UTC: known, fix is on its way (SIL-3)",
)
_EXHAUSTED = {"step": 2, "round": 2, "exhausted": True, "opened_at": NOW - timedelta(minutes=46)}

_STEPS = (
    *rendered().steps[:2],
    RenderedStep(
        number=3,
        id="which",
        kind="decision",
        title="What is broken?",
        choices=(
            RenderedChoice(label="The credential", goto="rotate", likely=True),
            RenderedChoice(label="The tool itself", goto="pause"),
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
        verify="crm",
    ),
    RenderedStep(
        number=5,
        id="pause",
        kind="action",
        title="Pause the agent",
        text="It stops taking orders; what is in flight ends.",
        call=RenderedCall(
            webhook="agent-control", method="POST", path="/agents/refund-agent/pause", body='{"reason": "INC-7"}'
        ),
        undo=RenderedCall(webhook="agent-control", method="POST", path="/agents/refund-agent/resume"),
        approve=Approve(),
    ),
    RenderedStep(number=6, id="up", kind="escalate", title="Nothing helps", to="level:2", after=timedelta(minutes=20)),
    RenderedStep(
        number=7,
        id="hand",
        kind="handoff",
        title="Write down how it stands",
        questions=("What have you changed?", "What is still wrong?"),
    ),
)
_MARKS = (
    StepMark(step="which", state="done", at=NOW - timedelta(minutes=3), by="person:ana", text="The credential"),
    StepMark(step="rotate", state="done", at=NOW - timedelta(minutes=1), by="person:ana"),
)
_COURSE = History(
    points=(0.02, 0.02, 0.03, None, 0.02, 0.04, 0.03, 0.05, 0.09, 0.14, 0.22, 0.31, 0.36, 0.38),
    step=timedelta(minutes=5),
    threshold=0.2,
    comparison=">",
)
_PASSED = "passed: Slack had it after 0.8 s; acknowledged 7 s after the test was asked for"


def _test_alert(result=""):
    told = {"summary": "Test page: nothing is wrong", "asked_by": "person:ana"} | ({"result": result} if result else {})
    state = {"state": AlertState.RESOLVED, "ends_at": NOW} if result else {}
    return alert("TestPage", group=BY_HAND, annotations=told, **state)


_TEST = {
    "exercise": "test",
    "title": "Test page: nothing is wrong",
    "agent": None,
    "next_at": NOW + timedelta(minutes=10),
    "alerts": (_test_alert(),),
}


_DRILLED = "passed in 47 s: fired after 0.6 s, routed after 0.8 s, sent after 0.9 s, delivered after 1.2 s, "
_DRILLED += "acknowledged after 19 s, first step after 47 s"


def _drill_alert(result=""):
    told = {
        "summary": "DRILL of refund-agent: nothing is wrong",
        "drill": "DRILL-3",
        "asked_by": "person:ben",
        "asked_at": (NOW - timedelta(seconds=2)).isoformat(),
        "runbook": "AgentpagerDrill",
    }
    told |= {"result": result} if result else {}
    state = {"state": AlertState.RESOLVED, "ends_at": NOW} if result else {}
    return alert("AgentpagerDrill", group=BY_HAND, annotations=told, starts_at=NOW, **state)


_DRILL = {
    "exercise": "drill",
    "title": "DRILL of refund-agent: nothing is wrong",
    "opened_at": NOW,
    "paged_at": NOW,
    "next_at": NOW + timedelta(minutes=10),
    "policy": Policy(id="payments", steps=(Step(notify=("schedule:primary",), wait=timedelta(minutes=10)),), repeat=0),
    "alerts": (_drill_alert(),),
}
_DRILL_ENDED = (
    _DRILL
    | _ENDED
    | {
        "opened_at": NOW - timedelta(seconds=47),
        "acked_by": "person:ana",
        "acked_at": NOW - timedelta(seconds=28),
        "how_resolved": "cleared",
        "progress": (StepMark(step="stop", state="done", at=NOW, by="person:ana"),),
    }
)


def _drill_runbook():
    """As the runbook that is always there is rendered."""
    agent = Agent(
        id="refund-agent",
        title="Refund agent",
        owner="team:payments",
        deputy="person:chris",
        kill_switch=KillSwitch(how="kubectl scale deployment/refund-agent --replicas=0"),
        links={"traces": "https://traces.example.com/refund-agent"},
    )
    return render_incident(
        builtin(),
        (_drill_alert(),),
        {"id": "INC-7", "title": "DRILL", "severity": "critical", "state": "open"},
        agent,
        "team:payments",
        {"oncall": ["Ana Ruiz"], "external_url": ""},
        lambda _: Scalar(1, 0),
        NOW,
        lambda: 1.0,
    )


def run(**changes) -> Run:
    fields = {
        "id": "RUN-4f1c2a90",
        "incident": "INC-7",
        "runbook": "tool-errors",
        "step": "pause",
        "title": "Pause the agent",
        "call": _STEPS[4].call,
        "undo": _STEPS[4].undo,
        "approve": Approve(),
        "state": RunState.ASKED,
        "asked_by": "person:ben",
        "asked_at": NOW - timedelta(minutes=1),
        "asked_of": ("ana", "chris"),
        "due_at": NOW + timedelta(minutes=14),
        "reason": "it repeats refunds",
    }
    return Run(**fields | changes)


_AGREED = {
    "approvals": (Approval(at=NOW - timedelta(seconds=20), by="person:ana"),),
    "approved_at": NOW - timedelta(seconds=20),
    "attempt": 1,
}


def _asked_of(person: str):
    return page(PageKind.APPROVAL, person=person, channel=ANA.slack, text="RUN-4f1c2a90", reason="approval is asked")


SHIFT = """\
You are on call for payments-primary until Mon 30 Nov 09:00 CET
⚠ Slack holds your notifications back from 22:00 to 08:00
• Allow agentpager in your notification schedule, or let yourself be called in another way
Open now
• INC-7 critical refund-agent: tool errors 38%, open since Fri 2026-11-20 02:17 UTC
Runbooks to read through: their review is overdue
• crm-token: reviewed 190 d ago, due every 90 d"""
HANDOVER = """\
Hand-over of payments-primary: Ana Ruiz to Ben Cole
▪ The shift began: Fri 2026-11-13 08:00 UTC
▪ Pages: 5, 2 at night
▪ Ack p50 / p95: 48s / 3m10s
▪ Noise: 1 of 4 judged
Open now
• INC-7 critical refund-agent: tool errors 38%, Ana Ruiz has it
Silences that end soon
• SIL-3 agent="kyc-agent", until Fri 2026-11-20 12:00 UTC: bank migration
Fix these first
• rule AgentToolErrorsHigh woke somebody 3 times and nobody did anything: raise its limit"""
DIGEST = """\
The week until Mon 2026-11-16 09:00 UTC
▪ Pages: 12, 4 at night
▪ Ack p50 / p95: 1m50s / 4m10s
▪ Noise: 3 of 9 judged
▪ Ended unseen: 2
Fix these first
• rule AgentCostBurnSlow woke somebody 5 times and nobody did anything
• runbook crm-token: fired 3 times, nobody opened it
• agent kyc-agent: nobody is named beyond the first level
Open now
• nothing
Runbooks
• tool-errors: step 2 is always skipped; 1 report that it is wrong"""

SCENES = {
    "page": (page(), incident(), rendered()),
    "page_channel": (
        page(person=None, channel="#payments", reason="#payments is named in the policy"),
        incident(),
        rendered(),
    ),
    "card": (page(PageKind.CARD), incident(), rendered()),
    "card_info": (
        page(PageKind.CARD),
        incident(severity=Severity.INFO, step=-1, next_at=None, paged_at=None),
        rendered(),
    ),
    "page_escalated": (
        page(step=1, person="ben", channel=BEN.slack, reason="named in the policy"),
        incident(step=1, opened_at=NOW - timedelta(minutes=5)),
        rendered(),
    ),
    "page_second_round": (
        page(round=1),
        incident(round=1, opened_at=NOW - timedelta(minutes=16)),
        rendered(),
    ),
    "page_nobody_answered": (
        page(step=2, round=2, person="chris", channel="U04LAST", reason="named in the policy"),
        incident(**_EXHAUSTED),
        rendered(),
    ),
    "page_passed_on": (page(), incident(step=1, declined=("ana",)), rendered()),
    "page_overtaken": (page(), incident(step=1), rendered()),
    "page_acked": (page(), incident(**_ACKED), rendered()),
    "card_acked_from_the_command_line": (page(PageKind.CARD), incident(**_ACKED | {"acked_by": "cli:root"}), None),
    "reminder": (
        page(PageKind.REMINDER),
        incident(**_ACKED | {"ack_asked": True, "acked_at": NOW - timedelta(hours=1)}),
        rendered(),
    ),
    "card_resolved": (
        page(PageKind.CARD),
        incident(
            **_ENDED,
            how_resolved="cleared",
            acked_by="person:ana",
            acked_at=NOW - timedelta(minutes=29),
            alerts=(alert(state=AlertState.RESOLVED, ends_at=NOW),),
        ),
        rendered(),
    ),
    "card_closed_by_hand": (
        page(PageKind.CARD),
        incident(**_ENDED | {"next_at": NOW + timedelta(hours=1)}, how_resolved="human", resolved_by="person:ben"),
        rendered(),
    ),
    "page_no_data": (page(), incident(alerts=(alert(state=AlertState.NO_DATA),)), rendered()),
    "card_many_alerts": (page(PageKind.CARD), incident(alerts=_MANY), rendered()),
    "page_without_runbook": (page(), incident(), None),
    "page_broken_runbook": (page(), incident(), rendered(steps=(), problem="step 2: unknown variable agent.repo")),
    "page_late_checks": (
        page(),
        incident(),
        rendered(
            steps=(
                RenderedStep(
                    number=1, id="a", kind="check", title="provider", check=CheckResult(verdict=Verdict.LATE, want="up")
                ),
            )
        ),
    ),
    "page_hidden": (
        page(),
        incident(suppressed=(_SILENCE,), alerts=(alert(suppressed=(_SILENCE,)),), next_at=NOW + timedelta(hours=2)),
        rendered(),
    ),
    "card_partly_hidden": (
        page(PageKind.CARD),
        incident(alerts=(alert(), alert("SpendHigh", "spend $9/min", suppressed=(_SILENCE,)))),
        rendered(),
    ),
    "card_acked_flapping": (
        page(PageKind.CARD),
        incident(
            **_ACKED,
            flapping=True,
            reopened=tuple(NOW - timedelta(minutes=minutes) for minutes in (30, 20, 10)),
            quiet_at=NOW + timedelta(minutes=15),
            alerts=(alert(state=AlertState.RESOLVED, ends_at=NOW),),
        ),
        rendered(),
    ),
    "news": (
        page(PageKind.NEWS, text="\n".join(f"symptom {number} <!here>" for number in range(1, 8))),
        incident(),
        None,
    ),
    "runbook": (page(PageKind.RUNBOOK), incident(), rendered()),
    "runbook_missing": (
        page(PageKind.RUNBOOK),
        incident(),
        rendered(runbook="", title="", steps=(), problem="no runbook applies to AgentToolErrorsHigh"),
    ),
    "page_no_runbook_applies": (
        page(),
        incident(),
        rendered(runbook="", title="", steps=(), problem="no runbook applies to AgentToolErrorsHigh"),
    ),
    "escalated": (page(PageKind.ESCALATED, step=1, reason="no ack in 5 min"), incident(step=1), None),
    "escalated_to_the_fallback": (
        page(PageKind.ESCALATED, step=2, round=2, reason="no ack in 10 min; nobody answered: fallback"),
        incident(**_EXHAUSTED),
        None,
    ),
    "resolved": (page(PageKind.RESOLVED), incident(**_ENDED, how_resolved="cleared"), None),
    "page_worked_on": (page(), incident(**_ACKED, progress=_MARKS), rendered(steps=_STEPS)),
    "card_worked_on": (page(PageKind.CARD), incident(**_ACKED, progress=_MARKS), rendered(steps=_STEPS)),
    "card_judged": (
        page(PageKind.CARD),
        incident(**_ENDED, how_resolved="cleared", mark="noise", marked_by="person:ana"),
        rendered(),
    ),
    "page_course": (page(), incident(), rendered(history=_COURSE)),
    "runbook_every_step": (page(PageKind.RUNBOOK), incident(), rendered(steps=_STEPS, likely_step=5)),
    "test": (page(reason="a test asked for by Ana Ruiz"), incident(**_TEST), None),
    "test_passed": (
        page(reason="a test asked for by Ana Ruiz"),
        incident(
            **_TEST | _ENDED | {"alerts": (_test_alert(_PASSED),), "acked_by": "person:ana", "how_resolved": "cleared"}
        ),
        None,
    ),
    "drill": (page(), incident(**_DRILL), _drill_runbook()),
    "drill_acked": (
        page(),
        incident(**_DRILL | _ACKED | {"next_at": NOW + timedelta(minutes=10), "paged_at": NOW - timedelta(seconds=36)}),
        _drill_runbook(),
    ),
    "drill_passed": (page(), incident(**_DRILL_ENDED | {"alerts": (_drill_alert(_DRILLED),)}), _drill_runbook()),
    "drill_failed": (
        page(PageKind.CARD),
        incident(
            **_DRILL
            | _ENDED
            | {
                "how_resolved": "cleared",
                "alerts": (
                    _drill_alert(
                        "not passed: nobody acknowledged it in time; fired after 0.6 s, routed after 0.8 s, "
                        "sent after 0.9 s, delivered after 1.2 s"
                    ),
                ),
            }
        ),
        _drill_runbook(),
    ),
    "drill_card": (page(PageKind.CARD), incident(**_DRILL), _drill_runbook()),
    "drill_runbook": (page(PageKind.RUNBOOK), incident(**_DRILL), _drill_runbook()),
    "drill_line": (
        page(PageKind.RESOLVED),
        incident(**_DRILL_ENDED | {"alerts": (_drill_alert(_DRILLED),)}),
        _drill_runbook(),
    ),
    "approval": (_asked_of("ana"), incident(**_ACKED | {"acked_by": "person:ben"}), None, run()),
    "approval_own": (_asked_of("ben"), incident(**_ACKED), None, run()),
    "approval_sending": (_asked_of("ana"), incident(**_ACKED), None, run(**_AGREED, state=RunState.SENDING)),
    "approval_done": (
        _asked_of("ana"),
        incident(**_ACKED),
        None,
        run(**_AGREED, state=RunState.DONE, ended_at=NOW, answer="200 paused"),
    ),
    "approval_failed": (
        _asked_of("ana"),
        incident(**_ACKED),
        None,
        run(**_AGREED, state=RunState.FAILED, ended_at=NOW, answer="no answer in 10 s", unsure=True),
    ),
    "approval_refused": (
        _asked_of("ana"),
        incident(**_ACKED),
        None,
        run(state=RunState.REFUSED, refused_by="person:ana", ended_at=NOW),
    ),
    "approval_expired": (_asked_of("ana"), incident(**_ACKED), None, run(state=RunState.EXPIRED, ended_at=NOW)),
    "task": (
        page(
            PageKind.TASK,
            text="AgentToolErrorsHigh: no real problem, too sensitive\n"
            "Ana Ruiz says so of INC-7, refund-agent: tool errors 38%.\n"
            "In their words: the CRM restarts each Friday\n"
            "• Rule AgentToolErrorsHigh (alerts/tools.yaml, group tools)\n"
            "• Owner team:payments, owner of agent refund-agent\n"
            "Raise its limit, or make it wait longer.",
            reason="INC-7 was no real problem",
        ),
        incident(),
        None,
    ),
    "task_runbook": (
        page(
            PageKind.TASK,
            text="Runbook tool-errors, step 3 · CRM token expired, rotate it: is wrong\n"
            "agentctl needs --env prod by now\n\nSaid by Ana Ruiz while working on INC-7.",
            reason="somebody said that the runbook is wrong",
        ),
        incident(),
        None,
    ),
    "shift": (
        page(PageKind.SHIFT, incident=None, person="ana", channel=ANA.slack, text=SHIFT, reason="your shift begins"),
        None,
        None,
    ),
    "handover": (
        page(PageKind.HANDOVER, incident=None, text=HANDOVER, reason="payments-primary changes hands"),
        None,
        None,
    ),
    "digest": (page(PageKind.DIGEST, incident=None, text=DIGEST, reason="once a week, Mon 09:00"), None, None),
    "notice": (
        page(
            PageKind.NOTICE,
            text="The new configuration is not used: 2 mistakes\nalerts/cost.yaml:14:9: unknown key “ownr”",
            reason="the last good one runs on",
        ),
        None,
        None,
    ),
}


def drawn(name):
    about, what, shown, *run = SCENES[name]
    return draw(about, what, shown, BOOK, NOW, *run)


@pytest.mark.parametrize("name", SCENES)
def test_message_is_as_committed(name):
    message = drawn(name)
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(message, indent=1, ensure_ascii=False) + "\n")
    assert message == json.loads(path.read_text())


def test_every_committed_message_has_its_scene():
    theirs = ("storm_", "window_", "home", "chart")  # of test_storm.py and test_views.py
    mine = {path.stem for path in GOLDEN.glob("*.json") if not path.stem.startswith(theirs)}
    assert mine == set(SCENES)


def test_every_kind_of_page_is_covered():
    kinds = {scene[0].kind for scene in SCENES.values()}
    elsewhere = {PageKind.CHART, PageKind.STATUS}  # a picture, see test_views.py; what other systems are told
    assert kinds == set(PageKind) - elsewhere


@pytest.mark.parametrize("name", SCENES)
def test_message_keeps_slacks_limits_and_ours(name):
    _assert_sendable(drawn(name))


def test_the_push_text_carries_sign_agent_symptom_deadline_and_id():
    message = draw(page(PageKind.CARD), incident(), rendered(), BOOK, NOW)
    assert message["text"] == "🔴 CRITICAL refund-agent: tool errors 38%. Ack by 02:22 UTC. INC-7"


def test_the_push_text_of_a_direct_message_has_the_readers_own_time():
    message = draw(page(), incident(), rendered(), BOOK, NOW)
    assert "Ack by 03:22 CET." in message["text"]


def test_a_short_wait_is_told_to_the_second():
    message = draw(page(), incident(next_at=NOW + timedelta(seconds=15)), rendered(), BOOK, NOW)
    assert "Ack in 15 s, by 03:18:15 CET. INC-7" in message["text"]
    assert "*If no ack*\nBen Cole in 15 s (<!date^1795141095^{time_secs}|02:18:15 UTC>)" in list(_texts(message))


@pytest.mark.parametrize(
    ("now", "shown"), [("62% fail (limit <5%>)", "62% fail (limit &lt;5%&gt;)"), ("", "0.38"), (" ", "0.38")]
)
def test_the_value_now_is_as_its_rule_says_it_or_bare(now, shown):
    message = draw(page(), incident(alerts=(alert(annotations={"now": now}),)), None, BOOK, NOW)
    assert f"*Now*\n{shown}" in list(_texts(message))


def test_failing_checks_are_shown_and_all_others_counted():
    verdicts = ["pass", "fail", "no_data", "fail", "error", "pass", "fail", "late", "fail", "fail"]
    steps = tuple(
        RenderedStep(
            number=number, id=f"s{number}", kind="check", title=f"check {number}", check=CheckResult(verdict=verdict)
        )
        for number, verdict in enumerate(verdicts, start=1)
    )
    message = draw(page(), incident(), rendered(steps=steps, likely_step=None), BOOK, NOW)
    (shown,) = [text for text in _texts(message) if "check" in text]
    *failing, others = shown.split("\n")
    assert [line.partition(":")[0] for line in failing] == ["❌ check 2", "❌ check 4", "❌ check 7"]
    assert others == (
        "❌ 2 more checks fail · ✅ 2 pass · ⏳ 1 is still running · ⚠️ 1 could not be checked · "
        "⚪ 1 has no data · checked just now"
    )


@pytest.mark.parametrize(
    ("summaries", "shown"),
    [
        (["refund-agent: a"], []),
        (["refund-agent: a", "refund-agent: a"], []),
        (["refund-agent: a", "refund-agent: b", "refund-agent: b"], ["*Also* 🔴 b"]),
        (["a", "b", "c"], ["*2 more alerts*\n🔴 b\n🔴 c"]),
    ],
)
def test_alerts_are_listed_only_when_they_say_something_else(summaries, shown):
    alerts = tuple(alert(f"A{number}", summary) for number, summary in enumerate(summaries))
    message = draw(page(), incident(alerts=alerts), None, BOOK, NOW)
    assert [text for text in _texts(message) if text.startswith("*Also*") or "more alert" in text] == shown


@pytest.mark.parametrize(
    ("impact", "shown"),
    [
        ("Short. And sweet.", "Short. And sweet."),
        ("No refunds. " + "Long " * 40, "No refunds."),
        ("x" * 130 + ". Then more.", "x" * 130 + "."),
        ("y" * 130, "y" * 130),
    ],
)
def test_of_a_long_impact_the_first_sentences_are_shown(impact, shown):
    message = draw(page(), incident(), rendered(impact=impact), BOOK, NOW)
    assert message["blocks"][1]["text"]["text"].endswith(f"*Impact:* {shown}")


@pytest.mark.parametrize(
    ("agent", "title", "subject"),
    [
        ("refund-agent", "tool errors 38%", "refund-agent: tool errors 38%"),
        ("refund-agent", "refund-agent has stopped", "refund-agent has stopped"),
        ("refund-agent", "Agent Refund-Agent is gone", "Agent Refund-Agent is gone"),
        (None, "Nobody owns x", "Nobody owns x"),
    ],
)
def test_the_agent_is_named_once(agent, title, subject):
    message = draw(page(PageKind.CARD), incident(agent=agent, title=title), None, BOOK, NOW)
    assert message["blocks"][0]["text"]["text"] == f"🔴 CRITICAL · {subject}"


def test_a_long_symptom_gives_way_to_deadline_and_id():
    message = draw(page(), incident(title="x" * 500), None, BOOK, NOW)
    assert len(message["text"]) <= TEXT_LIMIT
    assert message["text"].endswith("Ack by 03:22 CET. INC-7")


@pytest.mark.parametrize(
    ("name", "mentioned"),
    [
        ("page", {ANA.slack}),
        ("page_escalated", {BEN.slack}),
        ("page_nobody_answered", {"U04LAST"}),
        ("reminder", {ANA.slack}),
        ("card", set()),
        ("card_many_alerts", set()),
        ("escalated", set()),
        ("resolved", set()),
        ("runbook", set()),
        ("page_acked", set()),
        ("page_passed_on", set()),
        ("page_overtaken", set()),
        ("card_resolved", set()),
    ],
)
def test_only_the_person_to_be_woken_is_mentioned(name, mentioned):
    text = json.dumps(drawn(name))
    assert set(re.findall(r"<@(\w+)>", text)) == mentioned


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("page", ["inc.ack", "inc.decline", "inc.runbook", "inc.resolve", "inc.more"]),
        ("page_without_runbook", ["inc.ack", "inc.decline", "inc.resolve", "inc.more"]),
        ("page_acked", ["step.done", "inc.runbook", "inc.resolve", "inc.release", "inc.more"]),
        ("reminder", ["inc.keep", "inc.release", "inc.resolve"]),
        ("card_info", ["inc.runbook", "inc.resolve", "inc.more"]),
        ("card_resolved", ["inc.right", "inc.noise"]),
        ("runbook", []),
        ("escalated", []),
    ],
)
def test_only_buttons_that_work_now_are_shown(name, shown):
    message = drawn(name)
    buttons = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    assert [each["action_id"] for each in buttons] == shown
    assert all(each["value"].startswith("INC-7|") for each in buttons if each["type"] == "button")


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("page", ["silence", "hand", "note", "noise", "snooze"]),
        ("page_acked", ["silence", "hand", "note", "noise", "more"]),
        ("card_info", ["silence", "note", "noise"]),
    ],
)
def test_the_menu_has_what_makes_sense_now_and_says_what_was_seen(name, entries):
    what = SCENES[name][1]
    elements = [each for block in drawn(name)["blocks"] for each in block.get("elements", [])]
    (menu,) = [each for each in elements if each.get("type") == "overflow"]
    assert [each["value"] for each in menu["options"]] == [f"{entry}|INC-7|{what.revision}" for entry in entries]


def test_what_somebody_said_of_it_takes_the_place_of_the_question():
    judged = SCENES["card_resolved"][1].model_copy(update={"mark": "noise", "marked_by": "person:ben"})
    message = draw(page(PageKind.CARD), judged, rendered(), BOOK, NOW)
    assert "*Ben Cole*: it was noise." in json.dumps(message)
    assert "inc.noise" not in json.dumps(message)


def test_nobody_is_asked_of_what_woke_nobody_and_of_tests():
    over = SCENES["card_resolved"][1]
    for quiet in ({"paged_at": None}, {"severity": Severity.INFO}, {"exercise": "test"}):
        assert "inc.right" not in json.dumps(draw(page(PageKind.CARD), over.model_copy(update=quiet), None, BOOK, NOW))


def test_an_answered_reminder_no_longer_asks():
    message = draw(page(PageKind.REMINDER), incident(**_ACKED), rendered(), BOOK, NOW)
    assert message["text"].startswith("🟨 Acknowledged by Ana Ruiz")


def test_metadata_names_the_page_for_the_search_in_history():
    message = draw(page(step=1, round=2), incident(), None, BOOK, NOW)
    assert message["metadata"] == {
        "event_type": "agentpager_page",
        "event_payload": {"page_id": "INC-7.1.page", "incident": "INC-7", "kind": "page", "step": 1, "round": 2},
    }


def test_a_person_that_has_left_the_book_does_not_break_the_page():
    message = draw(page(person="gone", channel="U0GONE"), incident(acked_by="person:gone"), None, BOOK, NOW)
    _assert_sendable(message)


def test_a_long_runbook_is_shortened_step_by_step_and_says_so():
    steps = tuple(
        RenderedStep(number=number, id=f"s{number}", kind="manual", title=f"step {number}", text="w " * 900)
        for number in range(1, 41)
    )
    message = draw(page(PageKind.RUNBOOK), incident(), rendered(steps=steps), BOOK, NOW)
    _assert_sendable(message)
    assert "left out to fit" in message["blocks"][-1]["elements"][0]["text"]
    assert "step 1" in json.dumps(message["blocks"])


def test_texts_are_shortened_before_steps_are_left_out():
    steps = tuple(
        RenderedStep(number=number, id=f"s{number}", kind="manual", title=f"step {number}", text="w " * 900)
        for number in range(1, 16)
    )
    message = draw(page(PageKind.RUNBOOK), incident(), rendered(steps=steps, links=()), BOOK, NOW)
    _assert_sendable(message)
    shown = json.dumps(message["blocks"])
    assert all(f"*{number} \\u00b7 step {number}*" in shown for number in range(1, 16))


def test_the_plain_form_says_what_is_wrong_and_how_to_take_it():
    drawn = draw(page(), incident(), rendered(), BOOK, NOW)
    message = plain_message(drawn, incident(), rendered())
    assert "blocks" not in message
    assert message["metadata"] == drawn["metadata"]
    assert "/agent ack INC-7" in message["text"]
    assert "agentctl secret rotate crm" in message["text"]


# What somebody who can name a tool or a label may try.
_NASTY = st.one_of(
    st.sampled_from(
        [
            "<!channel>",
            "<!here|x>",
            "<@U02ABCDEF>",
            "<#C123|general>",
            "<https://evil.example|Slack login>",
            "https://evil.example",
            "*bold* _it_ ~no~ `code` ```fence```",
            "&lt;!channel&gt;",
            "<!date^1^{date}^https://evil.example|x>",
            "a\n> quote\n• list",
            "\u202eevil\u200b\u2066",
            "\x00\x07\x1b[31m",
            "&" * 4000,
            "<" * 4000,
            "é" * 10_000,
            "`" * 100,
            "",
            " \n ",
        ]
    ),
    st.text(max_size=300),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_data_becomes_a_mention_a_link_or_a_broken_message(data):
    nasty = lambda: data.draw(_NASTY)  # noqa: E731
    hostile = alert(
        name=nasty(),
        summary=nasty(),
        labels={"env": nasty(), "agent": nasty(), "tool": nasty()},
        annotations={name: nasty() for name in ("summary", "description", "impact", "runbook_url")},
        state=data.draw(st.sampled_from([AlertState.FIRING, AlertState.NO_DATA])),
        value=data.draw(st.floats()),
    )
    book = BOOK.model_copy(
        update={"people": {name: person.model_copy(update={"name": nasty()}) for name, person in BOOK.people.items()}}
    )
    step = RenderedStep(
        number=1,
        id="x",
        kind="check",
        title=nasty(),
        text=nasty(),
        command=nasty(),
        run_on=nasty(),
        url="javascript:" + nasty(),
        check=CheckResult(verdict=data.draw(st.sampled_from(Verdict)), value=nasty(), want=nasty(), error=nasty()),
    )
    shown = rendered(
        title=nasty(),
        summary=nasty(),
        impact=nasty(),
        owner=nasty(),
        problem=nasty(),
        steps=(step,),
        links=(RenderedLink(title=nasty(), url="ftp://" + nasty()),),
    )
    hidden = Suppression(kind=SuppressionKind.SILENCE, by=nasty(), why=nasty())
    hostile = hostile.model_copy(update={"suppressed": (hidden,) * data.draw(st.integers(0, 1))})
    what = incident(
        suppressed=(hidden,) * data.draw(st.integers(0, 5)),
        flapping=data.draw(st.booleans()),
        reopened=(NOW,),
        title=nasty(),
        agent=nasty(),
        owner=nasty(),
        owner_why=nasty(),
        alerts=(hostile,) * data.draw(st.integers(1, 8)),
        acked_by=data.draw(st.sampled_from(["person:ana", "cli:<!here>", None])),
        state=data.draw(st.sampled_from(State)),
        resolved_by="cli:<@U02ABCDEF>",
        how_resolved=data.draw(st.sampled_from(["cleared", "human"])),
        ack_asked=data.draw(st.booleans()),
    )
    kind = data.draw(st.sampled_from(PageKind))
    message = draw(page(kind, reason=nasty(), text=nasty()), what, shown, book, NOW)
    _assert_sendable(message)
    own = {f"<@{ANA.slack}>"} if kind in {PageKind.PAGE, PageKind.REMINDER} else set()
    for text in _texts(message):
        assert set(re.findall(r"<@[^>]*>", text)) <= own
        assert not re.search(r"<!(?!date\^\d+\^\{)", text)
        assert not re.search(r"<#|<https?:|<mailto:|<ftp:|<javascript:", text, re.IGNORECASE)
        assert not re.search(r"[\u200b-\u200f\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]", text)
    for text in _texts(plain_message(message, what, shown)):
        assert "<" not in text


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://wiki.example.com/a?b=1&c=2#d", True),
        ("http://10.0.0.1:3000/d/x", True),
        ("https://evil.example|Slack", False),
        ("https://a.example/>", False),
        ("https://user:secret@a.example/", False),
        ("javascript:alert(1)", False),
        ("https://a.example/" + "x" * 600, False),
        ("https://a.example/\u202e", False),
    ],
)
def test_only_plain_web_addresses_of_the_runbook_become_links(url, linked):
    shown = rendered(steps=(), links=(RenderedLink(title="Dash", url=url),))
    text = json.dumps(draw(page(PageKind.RUNBOOK), incident(), shown, BOOK, NOW)["blocks"])
    assert ("<http" in text) is linked


def _texts(message):
    yield message["text"]
    for block in message.get("blocks", []):
        yield from (element["text"] for element in block.get("fields", []))
        if block["type"] == "context":
            yield from (element["text"] for element in block["elements"])
        elif "text" in block:
            yield block["text"]["text"]


def _assert_sendable(message):
    assert layout_problem(message) == ""
    assert 0 < len(message["text"]) <= TEXT_LIMIT
    assert len(message["blocks"]) <= BLOCKS_LIMIT
    assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= TOTAL_LIMIT + 500
