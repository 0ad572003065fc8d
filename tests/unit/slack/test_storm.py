"""One message about several incidents: what it names, what it counts, which buttons it has, and that Slack takes it."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from fake_slack import layout_problem
from slack_world import ANA, BOOK, CHANNEL, NOW, incident, page

from bot.demo.blockkit import problems
from bot.incidents.model import Incident, Severity, State, Suppression, SuppressionKind
from bot.paging.model import PageKind
from bot.slack.kit import TEXT_LIMIT
from bot.slack.storm import ACK_ALL, WORST, draw_storm, plain_storm

GOLDEN = Path(__file__).parent / "golden"
LEAD = page()
CARD = page(PageKind.CARD)


def several(count: int, critical: int = 1, **changes) -> list[Incident]:
    """The critical ones come last: the message has to find them."""
    return [
        incident(
            id=f"INC-{number}",
            agent=f"agent-{number % 7}",
            title=f"agent-{number % 7}: symptom {number}",
            severity=Severity.CRITICAL if number > count - critical else Severity.WARNING,
            opened_at=NOW - timedelta(minutes=2),
            **changes,
        )
        for number in range(1, count + 1)
    ]


def acked(one: Incident, by: str = "person:ana") -> Incident:
    return one.model_copy(update={"state": State.ACKED, "acked_by": by, "acked_at": NOW})


def over(one: Incident) -> Incident:
    return one.model_copy(update={"state": State.RESOLVED, "resolved_at": NOW})


def shown(incidents, lead=LEAD):
    return draw_storm(lead, incidents, BOOK, NOW)


def text_of(message) -> str:
    return json.dumps(message["blocks"], ensure_ascii=False)


def buttons(message) -> list[tuple[str, str, str]]:
    shapes = [one for block in message["blocks"] for one in [*block.get("elements", []), block.get("accessory") or {}]]
    pressed = [one for one in shapes if one.get("type") == "button"]
    return [(one["text"]["text"], one["action_id"], one["value"].partition("|")[0]) for one in pressed]


SCENES = {
    "storm_page": shown(several(100)),
    "storm_card": shown(several(100), CARD),
    "storm_partly_taken": shown(
        [acked(one) for one in several(3)] + [over(one) for one in several(5)[3:]] + several(9)[5:]
    ),
    "storm_all_taken": shown([acked(one) for one in several(12)]),
    "storm_over": shown([over(one) for one in several(12)]),
}


def test_every_committed_storm_has_its_scene():
    assert {path.stem for path in GOLDEN.glob("storm_*.json")} == set(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_what_it_looks_like(name):
    """After a deliberate change: `UPDATE_GOLDEN=1 pytest tests/unit/slack/test_storm.py`, then read the difference."""
    path = GOLDEN / f"{name}.json"
    written = json.dumps(SCENES[name], indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(written)
    assert path.read_text() == written


@pytest.mark.parametrize("name", SCENES)
def test_slack_takes_it(name):
    assert layout_problem(SCENES[name]) == ""
    assert problems(SCENES[name]["blocks"]) == []
    assert len(SCENES[name]["text"]) <= TEXT_LIMIT


def test_the_worst_are_named_and_the_rest_is_counted():
    message = shown(several(100, critical=2))
    named = [name for text, _, name in buttons(message) if text == "Ack"]
    assert named == ["INC-99", "INC-100", "INC-1", "INC-2", "INC-3", "INC-4", "INC-5", "INC-6"]
    assert len(named) == WORST
    assert "*+92 more incidents* on 7 agents: 92 warnings" in text_of(message)
    assert "100 incidents at once · 2 critical, 98 warnings" in text_of(message)


def test_the_push_message_names_the_worst():
    text = shown(several(100))["text"]
    assert text.startswith("🔴 100 incidents (1 critical, 99 warnings), worst: agent-2: symptom 100")
    assert "INC-100" in text


def test_all_are_taken_by_one_button_that_names_the_message():
    assert ("Acknowledge all 100", ACK_ALL, LEAD.id) in buttons(shown(several(100)))
    left = [acked(one) for one in several(10)[:4]] + several(10)[4:]
    assert ("Acknowledge all 6", ACK_ALL, LEAD.id) in buttons(shown(left))


def test_what_is_taken_or_over_is_counted_and_not_asked_for():
    incidents = several(10)
    message = shown([acked(incidents[0]), over(incidents[1]), *incidents[2:]])
    assert "🟨 1 acknowledged by Ana Ruiz · ✅ 1 resolved" in text_of(message)
    assert not {"INC-1", "INC-2"} & {name for _, _, name in buttons(message)}


def test_when_nothing_is_open_it_says_so_and_asks_for_nothing():
    taken = shown([acked(one) for one in several(4)])
    assert taken["text"] == "🟨 Acknowledged: all 4 incidents."
    assert [action for _, action, _ in buttons(taken)] == ["inc.runbook"]
    ended = shown([over(one) for one in several(4)])
    assert (ended["text"], buttons(ended)) == ("✅ Resolved: all 4 incidents.", [])


def test_only_the_direct_message_mentions_somebody():
    assert f"<@{ANA.slack}>" in text_of(shown(several(5)))
    assert "<@" not in text_of(shown(several(5), CARD))


def test_it_is_found_again_by_the_id_of_the_leading_page():
    assert shown(several(5))["metadata"]["event_payload"]["page_id"] == LEAD.id


def test_nothing_from_a_title_can_format_or_mention():
    bad = [one.model_copy(update={"title": "<!channel> *now* `x`"}) for one in several(5)]
    assert "<!channel>" not in text_of(shown(bad))
    assert "<!channel>" not in plain_storm(shown(bad), bad)["text"]


def test_without_blocks_it_still_names_the_worst_and_how_to_take_it():
    text = plain_storm(shown(several(100)), several(100))["text"]
    assert "🔴 INC-100" in text
    assert text.endswith("/agent ack INC-100")


def test_ten_thousand_are_drawn_within_slacks_limits():
    message = shown(several(10_000), CARD)
    assert layout_problem(message) == ""
    assert CARD.channel == CHANNEL


def hidden(one: Incident) -> Incident:
    silence = Suppression(kind=SuppressionKind.SILENCE, by="SIL-1", why="silenced by ana: provider is down (SIL-1)")
    return one.model_copy(update={"suppressed": (silence,), "next_at": NOW + timedelta(hours=2)})


def test_what_is_hidden_is_counted_with_its_reason_and_asks_nobody_for_an_ack():
    message = shown([hidden(one) for one in several(5)] + several(9)[5:])
    assert message["blocks"][0]["text"]["text"] == "🔴 4 incidents at once · 1 critical, 3 warnings"
    assert "🔇 5 hidden: silenced by ana: provider is down (SIL-1)" in text_of(message)
    assert "INC-3" not in text_of(message)
    assert ("Acknowledge all 4", ACK_ALL, LEAD.id) in buttons(message)
    assert layout_problem(message) == ""


def test_when_all_is_hidden_the_message_says_so_and_by_what():
    message = shown([hidden(one) for one in several(4)])
    assert message["text"] == "🔇 Hidden: all 4 incidents."
    assert "🔇 HIDDEN · all 4 incidents" in text_of(message)
    assert "provider is down" in text_of(message)
    assert ACK_ALL not in text_of(message)
    both = shown([hidden(one) for one in several(2)] + [acked(one) for one in several(4)[2:]])
    assert "🟨 ACKED or hidden · all 4 incidents" in text_of(both)
