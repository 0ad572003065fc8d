"""Hand-overs, digests, words about a shift and things to mend as Slack shows them."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from fake_slack import layout_problem
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from slack_world import BOOK, NOW, incident, page, rendered

from bot.demo.blockkit import problems
from bot.paging.model import PageKind
from bot.slack.blocks import draw
from bot.slack.kit import BLOCKS_LIMIT, TEXT_LIMIT, TOTAL_LIMIT

KINDS = (PageKind.DIGEST, PageKind.HANDOVER, PageKind.SHIFT, PageKind.TASK)
DIGEST = """\
The week until Wed 2026-11-04 09:00 UTC
▪ Pages: 12, 4 at night
▪ Ack p50 / p95: 1m50s / 4m10s
▪ Noise: 1 of 3 judged
Fix these first
• rule Slow woke somebody 5 times: raise it
• runbook crm: nobody opened it
Open now
• INC-7 critical queue age, open since Tue 2026-11-03 09:00 UTC"""


def shown(kind: PageKind, text: str, **changes) -> dict:
    return draw(page(kind, text=text, incident=None, reason="because", **changes), None, None, BOOK, NOW)


def sections(message: dict) -> list[str]:
    return [block["text"]["text"] for block in message["blocks"] if "text" in block and block["type"] == "section"]


def test_figures_are_fields_and_headings_stand_out():
    message = shown(PageKind.DIGEST, DIGEST)
    head, figures, first, now_open, about = message["blocks"]
    assert head["text"]["text"] == "📊 The week until Wed 2026-11-04 09:00 UTC"
    assert [field["text"] for field in figures["fields"]] == [
        "*Pages*\n12, 4 at night", "*Ack p50 / p95*\n1m50s / 4m10s", "*Noise*\n1 of 3 judged",
    ]  # fmt: skip
    assert first["text"]["text"] == (
        "*Fix these first*\n• rule Slow woke somebody 5 times: raise it\n• runbook crm: nobody opened it"
    )
    assert now_open["text"]["text"].startswith("*Open now*\n• INC-7 critical queue age")
    assert about["elements"][0]["text"] == "because"


def test_each_reader_sees_instants_on_their_own_clock():
    (_, now_open) = sections(shown(PageKind.DIGEST, DIGEST))
    assert "open since <!date^1793696400^" in now_open
    assert "|2026-11-03 09:00 UTC>" in now_open


@pytest.mark.parametrize("text", ["Tue 2026-13-03 09:00 UTC", "Tue 9999-99-99 99:99 UTC", "Tue 0000-00-00 00:00 UTC"])
def test_what_is_no_instant_stays_as_it_is(text):
    assert sections(shown(PageKind.TASK, f"Mend\n{text}")) == [text]


def test_the_push_message_says_what_weighs_most():
    assert shown(PageKind.DIGEST, DIGEST)["text"] == (
        "📊 The week until Wed 2026-11-04 09:00 UTC. Pages: 12, 4 at night. Ack p50 / p95: 1m50s / 4m10s"
    )
    shift = "You are on call for primary until Mon 9 Nov 09:00 CET\n▪ Before you: Ben\n⚠ Your phone\n• stays silent"
    assert shown(PageKind.SHIFT, shift)["text"] == (
        "📟 You are on call for primary until Mon 9 Nov 09:00 CET. ⚠ Your phone"
    )


def test_a_word_about_a_shift_has_a_button_to_try_it():
    message = shown(PageKind.SHIFT, "You are on call", person="ana")
    (row,) = [block for block in message["blocks"] if block["type"] == "actions"]
    (test,) = row["elements"]
    assert (test["action_id"], test["value"], test["text"]["text"]) == ("duty.test", "ana", "Test my page")


def test_a_task_names_its_incident_and_keeps_its_lines():
    message = draw(
        page(PageKind.TASK, text="Rule Slow is noise\nAna says: too sensitive\n• limit 5 %\nwhy not", reason="marked"),
        incident(),
        None,
        BOOK,
        NOW,
    )
    assert message["blocks"][0]["text"]["text"] == "🛠️ To mend: Rule Slow is noise"
    assert sections(message) == ["*Ana says: too sensitive*\n• limit 5 %", "why not"]
    assert message["blocks"][-1]["elements"][0]["text"] == f"{incident().id} · marked"


def test_of_a_long_digest_the_first_passages_stay():
    lines = "\n".join(f"Heading {number}\n" + "\n".join(["• " + "x" * 300] * 8) for number in range(30))
    message = shown(PageKind.DIGEST, f"The week\n▪ Pages: 1\n{lines}")
    assert layout_problem(message) == ""
    kept = [text.split("\n")[0] for text in sections(message)]
    assert kept[:2] == ["*Heading 0*", "*Heading 1*"]
    assert "more left out" in json.dumps(message["blocks"][-1])


HOSTILE = "<!channel> <@U0EVIL> <https://evil.example|here> *bold* `code` @here #general \u202e \x00\x1b[2J"
HOSTILE_TEXTS = [HOSTILE, HOSTILE * 900, f"T\n▪ {HOSTILE}: {HOSTILE}\n{HOSTILE}\n• {HOSTILE}", "", "\n•"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_nothing_mentions_links_or_breaks_the_layout(kind, text):
    message = shown(kind, text)
    assert layout_problem(message) == ""
    assert problems(message["blocks"]) == []
    written = json.dumps(message, ensure_ascii=False)
    assert not any(sign in written for sign in ("<!channel", "<!here", "<@U", "<http", "\u202e", "\\u001b"))
    assert len(message["text"]) <= TEXT_LIMIT


@given(st.sampled_from(KINDS), st.text(max_size=400) | st.text(st.sampled_from("a\n•▪ :⚠<>&*_`"), max_size=4000))
@hypothesis_settings(deadline=None, max_examples=60)
def test_any_text_makes_a_message(kind, text):
    message = shown(kind, text)
    assert layout_problem(message) == ""
    assert len(message["blocks"]) <= BLOCKS_LIMIT + 1
    assert sum(len(json.dumps(block, ensure_ascii=False)) for block in message["blocks"]) <= TOTAL_LIMIT + 200


def test_an_edit_is_drawn_as_the_first_time():
    later = draw(page(PageKind.TASK, text="Mend it"), incident(), None, BOOK, NOW + timedelta(days=2))
    assert later["blocks"] == draw(page(PageKind.TASK, text="Mend it"), incident(), None, BOOK, NOW)["blocks"]


@pytest.mark.parametrize(("reviewed", "told"), [(date(2026, 5, 14), True), (date(2026, 10, 28), False)])
def test_a_page_says_that_the_review_of_its_runbook_is_overdue(reviewed, told):
    old = rendered(reviewed_on=reviewed, review_every=timedelta(days=90))
    footer = draw(page(), incident(), old, BOOK, NOW)["blocks"][-1]["elements"][0]["text"]
    assert ("runbook reviewed 190 d ago, due every 90 d" in footer) is told


@pytest.mark.parametrize(("name", "asked"), [("notice.handover.primary.1", True), ("notice.handover.1.note.x", False)])
def test_a_hand_over_takes_notes_and_notes_do_not(name, asked):
    message = shown(PageKind.HANDOVER, "Hand-over of primary", id=name)
    buttons = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    assert [(each["action_id"], each["value"]) for each in buttons] == ([("duty.notes", name)] if asked else [])
