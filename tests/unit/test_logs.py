"""What is written into the audit log is in the log too, as lines of JSON for whoever operates it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from core_world import NOW, opened

from bot import logs
from bot.audit import events
from bot.audit.model import Entry
from bot.incidents import notes, people
from bot.paging.attempt import Verdict
from bot.paging.model import Page, PageKind

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch) -> Lines:
    """The lines so far. What is set for the whole process is put back."""
    text, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(sys, "stderr", text)
    monkeypatch.setattr(logs, "log", structlog.get_logger())
    monkeypatch.setattr(logs, "_on", False)
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    logs.set_up("pager")
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "timestamp"}


def test_an_ack_is_a_line_with_who_and_why(lines):
    acked = people.ack(opened(), "person:ana", NOW)
    logs.audited([events.of_decision(acked, NOW)], {"INC-1": acked.incident})
    (line,) = map(without_time, lines())
    assert line == {
        "process": "pager", "level": "info", "event": "incident.acked", "incident": "INC-1", "by": "person:ana",
        "why": "acknowledged", "state": "acked", "revision": "2", "step": "0", "round": "0",
        "policy": "payments", "book": "",
    }  # fmt: skip


def test_an_attempt_that_failed_is_a_warning_with_page_incident_person_and_reason(lines):
    page = Page(
        id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, person="ana", channel="U0ANA", due_at=NOW,
        attempt=2, claimed_at=NOW, reason="on call", error="fatal_error: token=xoxb-1-2",
    )  # fmt: skip
    logs.audited([events.of_page(page, Verdict.UNKNOWN, NOW)], {})
    (line,) = map(without_time, lines())
    assert line == {
        "process": "pager", "level": "warning", "event": "page.unknown", "page": "INC-1.1.page.ana",
        "incident": "INC-1", "person": "ana", "channel": "U0ANA", "attempt": "2", "claimed_at": NOW.isoformat(),
        "by": "agentpager", "why": "fatal_error: token=***",
    }  # fmt: skip


def test_a_silence_is_named_and_a_message_about_no_incident_names_none(lines):
    silence = Entry(at=NOW, actor="person:ben", action="silence.added", subject="SIL-4", why="upgrade")
    notice = Page(id="notice.x", incident=None, kind=PageKind.NOTICE, channel="#ops", due_at=NOW, reason="files")
    logs.audited([silence, events.of_page(notice, Verdict.SENT, NOW)], {})
    first, second = lines()
    assert (first["event"], first["subject"], first["by"], first["why"]) == (
        "silence.added", "SIL-4", "person:ben", "upgrade",
    )  # fmt: skip
    assert (second["event"], second["level"], second["page"]) == ("page.sent", "info", "notice.x")
    assert "incident" not in second


def test_what_people_write_for_each_other_is_not_in_the_log(lines):
    noted = notes.note(opened(), "person:ben", "the bank's key ran out", NOW)
    logs.audited([events.of_decision(noted, NOW)], {})
    (line,) = lines()
    assert (line["event"], line["by"], "bank" in str(line)) == ("incident.noted", "person:ben", False)


def test_a_detail_does_not_take_the_place_of_what_every_line_has(lines):
    odd = Entry(
        at=NOW, actor="a", action="x.y", subject="s", detail={"event": "1", "level": "2", "by": "3", "run": "4"}
    )
    logs.audited([odd], {})
    (line,) = lines()
    assert (line["event"], line["level"], line["by"], line["run"]) == ("x.y", "info", "a", "4")


def test_a_storm_is_one_line(lines):
    row = Entry(at=NOW, actor="agentpager", action="incident.fired", subject="INC-1")
    rows = [row.model_copy(update={"subject": f"INC-{number}"}) for number in range(1, 52)]
    logs.audited(rows, {})
    (line,) = lines()
    assert (line["event"], line["count"], line["first"], line["last"]) == ("many", 51, "INC-1", "INC-51")
    assert line["actions"] == {"incident.fired": 51}


def test_what_cannot_be_logged_is_written_down_all_the_same(lines, monkeypatch):
    def break_(_about, _event):
        raise ValueError("no trace")

    monkeypatch.setattr(logs, "ids_of", break_)
    logs.audited([Entry(at=NOW, actor="a", action="incident.fired", subject="INC-1")], {})
    (line,) = lines()
    assert (line["event"], line["level"]) == ("audit.not_logged", "error")
    assert "no trace" in line["exception"]


def test_a_command_keeps_it_to_itself(capsys):
    logs.audited([Entry(at=NOW, actor="cli:root", action="x.y", subject="s")], {})
    assert capsys.readouterr() == ("", "")
