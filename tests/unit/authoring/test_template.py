from datetime import date

import pytest

from bot.authoring.template import Wanted, matchers, runbook_text, spoken
from bot.runbooks.lint import problems
from bot.runbooks.model import Runbook
from bot.yamldoc import scan

TODAY = date(2026, 11, 21)


def written(**changes) -> Runbook:
    fields = {
        "id": "slow",
        "title": "Slow",
        "owner": "team:payments",
        "alert": "Slow",
        "agents": (),
        "file": "runbooks/slow.yaml",
        "schema": "schema/runbook.v1.json",
    }
    document, findings = scan(runbook_text(Wanted(**fields | changes), TODAY), "slow.yaml")
    assert findings == []
    runbook, refused = document.read(Runbook)
    assert refused == []
    assert problems(runbook) == []
    return runbook


def test_the_template_is_a_sound_runbook_reviewed_today():
    runbook = written()
    assert (runbook.id, runbook.owner, runbook.reviewed_on) == ("slow", "team:payments", TODAY)
    assert runbook.steps[0].kind == "check"


@pytest.mark.parametrize(
    "text", ["on", "12:30", "0123", 'say "no": now', "it's # slow", "back\\slash", "täglich 🐢", "{x}"]
)
def test_what_is_put_into_it_is_read_back_as_it_was(text):
    runbook = written(title=text, owner=text, alert=text)
    assert (runbook.title, runbook.owner) == (text, text)


@pytest.mark.parametrize("name", ["on", "0123", "1", "no"])
def test_an_id_that_looks_like_something_else_stays_a_text(name):
    assert written(id=name).id == name


@pytest.mark.parametrize(
    ("agents", "line"),
    [
        ((), 'alertname="A"'),
        (("x-y",), 'alertname="A", agent="x-y"'),
        (("x-y", "z.1"), 'alertname="A", agent=~"x-y|z\\\\.1"'),
    ],
)
def test_it_applies_to_the_alert_of_these_agents(agents, line):
    assert matchers("A", agents) == line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AgentToolFailing", "Agent tool failing"),
        ("refund-slow", "Refund slow"),
        ("LLM_Timeout2", "LLM timeout2"),
        ("x", "X"),
    ],
)
def test_an_id_is_spoken_as_words(name, words):
    assert spoken(name) == words
