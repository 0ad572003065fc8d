"""`agentpager incidents …` and `report`: what is asked of the server, and how its answers are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from core_world import BOOK, NOW, opened

from bot.cli import incidents, runbook_usage
from bot.cli import report as report_command
from bot.records.digest import Digest, Figure, Section
from bot.records.report import report
from bot.records.timeline import story
from bot.records.usage import Use, usages
from bot.runbooks.model import Runbook

ROW = {
    "id": "INC-1", "state": "open", "severity": "critical", "agent": None, "title": "t", "owner": "o", "acked_by": None,
    "suppressed": [], "flapping": False,
    "sla": [
        {"what": "ack", "state": "running", "due_at": "2026-11-04T02:15:00Z"},
        {"what": "resolve", "state": "broken", "due_at": "2026-11-04T02:10:00Z"},
    ],
}  # fmt: skip


def runbook(name: str, reviewed: str) -> Runbook:
    step = {"id": "look", "kind": "manual", "title": "Look", "text": "look"}
    plain = {"schema": "runbook/v1", "id": name, "title": name, "steps": [step], "reviewed_on": reviewed}
    return Runbook.model_validate(plain)


def used(name: str, **changes) -> Use:
    plain = {"incident": "INC-1", "at": NOW, "exercise": "", "woke": True, "opened": True, "marks": (), "faults": ()}
    return Use(**plain | {"runbook": name} | changes)


SHELF = usages(
    [runbook("crm", "2026-11-01"), runbook("etl", "2026-05-01")],
    [used("crm"), used("crm", exercise="drill"), used("etl", opened=False)],
    NOW.date(),
)


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, **answers) -> None:
        self.answers = answers
        self.asked: list[tuple] = []

    def call(self, config_path, method, path, body=None, query=None):
        self.asked.append((str(config_path), method, path, body, query))
        return self.answers[path.rpartition("/")[2]]


@pytest.fixture
def server(monkeypatch) -> Server:
    empty = report([], datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC), "rule")
    told = story(opened(), [], [], BOOK, NOW).model_dump(mode="json")
    shift = Digest(title="Hand-over", sections=(Section(heading="Open now", lines=("nothing",)),))
    day = Digest(title="The day", figures=(Figure(name="Pages", value="3, 1 at night"),), sections=())
    here = Server(
        incidents=[ROW],
        timeline=told,
        report=empty,
        handover=shift.model_dump(mode="json"),
        digest=day.model_dump(mode="json"),
        runbooks=[one.model_dump(mode="json") for one in SHELF],
    )
    monkeypatch.setattr(incidents, "call", here.call)
    monkeypatch.setattr(runbook_usage, "call", here.call)
    monkeypatch.setattr(report_command, "call", here.call)
    return here


def run(command, *args: str):
    return CliRunner().invoke(command, args, catch_exceptions=False)


def test_without_a_word_the_list_is_printed_as_ever(server):
    assert json.loads(run(incidents.command, "-o", "json").output) == [ROW]
    assert "ack promised by 02:15 UTC; resolve promise broken" in run(incidents.command).output
    assert server.asked[0] == ("agentpager.yaml", "GET", "/api/pager/incidents", None, {"state": "open"})


def test_show_tells_the_story(server):
    told = run(incidents.command, "show", "INC-1")
    assert told.output.startswith("INC-1 OPEN critical\nErrorsHigh of refund-agent\n")
    assert server.asked == [("agentpager.yaml", "GET", "/api/pager/incidents/INC-1/timeline", None, None)]


def test_a_configuration_named_before_the_word_counts(server):
    run(incidents.command, "--config", "here.yaml", "show", "INC-1")
    run(incidents.command, "show", "INC-1", "--config", "there.yaml")
    assert [asked[0] for asked in server.asked] == ["here.yaml", "there.yaml"]


def test_a_name_cannot_become_another_path(server):
    run(incidents.command, "show", "../../timeline")
    assert server.asked[0][2] == "/api/pager/incidents/..%2F..%2Ftimeline/timeline"


def test_an_export_is_markdown_or_json(server):
    assert run(incidents.command, "export", "INC-1").output.startswith("# INC-1: ErrorsHigh of refund-agent\n")
    assert json.loads(run(incidents.command, "export", "INC-1", "-o", "json").output)["id"] == "INC-1"


def test_a_report_asks_for_its_time(server):
    told = run(report_command.command, "--from", "2026-11-01", "--to", "2026-11-08", "--by", "rule")
    assert server.asked[0][4] == {"from": "2026-11-01T00:00:00+00:00", "to": "2026-11-08T00:00:00+00:00", "by": "rule"}
    assert told.output.startswith("2026-11-01T00:00 to 2026-11-08T00:00 UTC\n0 incidents, 0 woke somebody")
    assert told.output.endswith("nobody was woken\n")


def test_a_hand_over_is_printed(server):
    assert run(report_command.command, "--handover", "primary").output == "Hand-over\nOpen now\n• nothing\n"
    page = run(report_command.command, "--handover", "primary", "-o", "markdown").output
    assert page == "# Hand-over\n\n## Open now\n\n- nothing\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--from", "2026-11-08", "--to", "2026-11-01"), "--to is not after --from"),
        (("--weekly", "--by", "agent"), "exclude each other"),
        (("--handover", "primary", "--weekly"), "exclude each other"),
        (("--from", "yesterday"), '"yesterday" is not an instant'),
    ],
)
def test_what_makes_no_sense_is_refused(server, args, words):
    told = run(report_command.command, *args)
    assert (told.exit_code, words in told.output) == (2, True)
    assert server.asked == []


def test_the_day_is_a_digest_too(server):
    assert run(report_command.command, "--daily").output == "The day\n▪ Pages: 3, 1 at night\n"
    assert server.asked[-1][2:] == ("/api/pager/digest", None, {"of": "day"})
    refused = run(report_command.command, "--daily", "--weekly")
    assert (refused.exit_code, "exclude each other" in refused.output) == (2, True)


def test_runbooks_are_told_with_what_is_to_be_mended(server):
    told = run(runbook_usage.command, "--days", "30").output
    table, _, wrong = told.partition("\n\n")
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["crm", "2026-11-01", "1", "1", "2026-11-04", "2026-11-04"],
        ["etl", "2026-05-01", "(overdue", "97", "d)", "1", "0", "-", "-"],
    ]
    assert wrong.splitlines() == [
        "To mend, of the last 30 days:",
        "  etl: woke somebody once, and nobody opened it",
        "  etl: last reviewed on 2026-05-01, due every 90 d, and nobody owns it",
    ]
    assert server.asked[-1][4] == {"days": "30"}


def test_one_runbook_is_told_alone_and_an_unknown_one_is_refused(server):
    assert [row["runbook"] for row in json.loads(run(runbook_usage.command, "crm", "-o", "json").output)] == ["crm"]
    refused = run(runbook_usage.command, "crn")
    assert refused.exit_code == 2
    assert 'there is no runbook "crn"' in refused.output
