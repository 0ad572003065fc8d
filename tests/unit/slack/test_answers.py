"""Answers to commands: rows in, message out."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns
from datetime import timedelta

from fake_slack import layout_problem
from hypothesis import given
from hypothesis import strategies as st
from slack_world import BOOK, NOW, incident

from bot.incidents.model import State, Suppression, SuppressionKind
from bot.ports import AgentStatus
from bot.slack import answers
from bot.slack.grammar import GROUPS, VERBS, parse


def row(agent="refund-agent", health="ok", **changes):
    fields = {"title": "", "owner": "team:payments", "oncall": ("ana",), "incidents": ()} | changes
    return AgentStatus(agent=agent, health=health, **fields)


def text_of(answer):
    return "\n".join(block["text"]["text"] for block in answer.get("blocks", [])) or answer["text"]


def test_the_worst_agents_come_first_and_the_rest_is_counted():
    rows = [row(f"agent-{number:02}") for number in range(12)]
    rows += [row("broken", "firing"), row("silent", "no_data"), row("held", "acked")]
    lines = text_of(answers.status(rows, "", BOOK)).splitlines()
    assert lines[0] == "*15 agents, 3 not well*"
    assert [line.split("*")[1] for line in lines[1:4]] == ["broken", "silent", "held"]
    assert lines[-1] == "+5 more"


def test_status_of_a_team_shows_its_agents_alone():
    rows = [row("a", owner="team:payments"), row("b", owner="team:search")]
    for wanted in ("team:payments", "payments"):
        shown = text_of(answers.status(rows, wanted, BOOK))
        assert "*a*" in shown
        assert "*b*" not in shown


def test_no_agents_at_all_is_said():
    assert answers.status([], "", BOOK)["text"].startswith("No agents are known yet")


def test_incidents_name_their_holder():
    held = incident(state=State.ACKED, acked_by="person:ben")
    assert "Ben Cole has it" in text_of(answers.incidents([held], "open", BOOK, NOW))
    assert answers.incidents([], "open", BOOK, NOW)["text"] == "No incident is open."


def test_incidents_that_wake_nobody_say_why_and_those_that_flap_say_so():
    why = "silenced by ana until 04:00: <!here> (SIL-1)"
    hidden = incident(suppressed=(Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why=why),))
    assert "🔇 silenced by ana until 04:00: " in text_of(answers.incidents([hidden], "open", BOOK, NOW))
    assert "<!here>" not in text_of(answers.incidents([hidden], "open", BOOK, NOW))
    assert "🔁 flapping" in text_of(answers.incidents([incident(flapping=True)], "open", BOOK, NOW))
    assert "🔇" not in text_of(answers.incidents([incident()], "open", BOOK, NOW))


def test_the_last_day_is_what_began_in_it_or_is_still_open():
    old, ended = NOW - timedelta(hours=30), {"state": State.RESOLVED, "resolved_at": NOW}
    rows = [
        incident(id="INC-1", opened_at=old, **ended),
        incident(id="INC-2", opened_at=old),
        incident(id="INC-3", **ended),
    ]
    assert [each.id for each in answers.last_day(rows, NOW)] == ["INC-2", "INC-3"]


def test_oncall_of_a_team_is_the_schedules_of_its_policy():
    policy = BOOK.escalation_policies["payments"].model_copy(
        update={
            "steps": (BOOK.escalation_policies["payments"].steps[0].model_copy(update={"notify": ("schedule:p",)}),)
        }
    )
    book = BOOK.model_copy(update={"escalation_policies": {"payments": policy}})
    now = {"schedules": [{"schedule": "p", "people": ["ana"], "until": None}, {"schedule": "q", "people": []}]}
    assert text_of(answers.oncall(now, "payments", book, NOW)) == "*On call now*\n*p* Ana Ruiz"
    assert "*q* nobody" in text_of(answers.oncall(now, "", book, NOW))
    assert "Did you mean payments?" in answers.oncall(now, "paymints", book, NOW)["text"]


def test_help_names_every_word_and_stays_a_screen():
    shown = text_of(answers.help_on(""))
    named = {word for words in GROUPS.values() for word in words}
    assert named == set(VERBS) - {"help"}
    assert all(re.search(rf"\b{verb}\b", shown) for verb in VERBS)
    assert len(shown.splitlines()) <= 12
    for verb in VERBS:
        of_one = text_of(answers.help_on(verb))
        assert f"`/agent {verb}" in of_one
        assert len(of_one.splitlines()) <= 12


@given(st.text(max_size=200))
def test_whatever_is_typed_comes_back_harmless(typed):
    request = parse(typed)
    for answer in (
        answers.unknown(request),
        answers.status([row()], request.argument, BOOK),
        answers.oncall({"schedules": []}, request.argument, BOOK, NOW),
        answers.say(typed or "x"),
    ):
        assert layout_problem(answer) in {"", "no_text"}
        assert "<" not in json.dumps(answer, ensure_ascii=False)
