"""What templates see of an agent's entry in agents/."""

from datetime import UTC, datetime

import pytest

from bot.agents.model import Agent
from bot.incidents.model import Alert, AlertState
from bot.promql.value import Scalar
from bot.runbooks.lint import problems
from bot.runbooks.model import Runbook
from bot.runbooks.render import render_incident

NOW = datetime(2026, 11, 21, 2, 12, tzinfo=UTC)
REGISTERED = Agent.model_validate(
    {
        "id": "refund-agent",
        "owner": "team:payments",
        "deputy": "person:ana",
        "tier": 1,
        "model": {"provider": "openai", "name": "gpt"},
        "limits": {"llm_calls": 20, "wall_clock": "10m"},
        "tools": {
            "crm": {"owner": "team:crm", "credential": "crm-oauth", "notes": "Closed on Sundays; ask <@U1> & co"}
        },
        "datasets": {
            "prices": {"max_age": "6h", "missing": "Refuse the order.", "upstream": "https://erp.example.com"}
        },
        "identity": {"principal": "svc-refund", "scopes": ["crm.read", "crm.write"]},
        "kill_switch": {"how": "agentctl pause refund-agent; wait", "tested_on": "2026-11-01"},
        "links": {"Traces": "https://traces.example.com"},
    }
)


def rendered(agent, *, kind="manual", links=(), **texts):
    step = {"id": "one", "kind": kind, "title": "Look", **texts}
    book = Runbook.model_validate(
        {"schema": "runbook/v1", "id": "book", "title": "t", "steps": [step], "links": list(links)}
    )
    labels = {"alertname": "X", "agent": "refund-agent", "tool": "crm", "dataset": "prices", "credential": "crm-oauth"}
    alert = Alert(
        fingerprint="0" * 16,
        group="f;g",
        state=AlertState.FIRING,
        labels={**labels, "severity": "critical"},
        annotations={"runbook": "book"},
        value=1.0,
        starts_at=NOW,
    )
    return render_incident([book], [alert], {}, agent, "team:payments", {}, lambda _: Scalar(1, 0), NOW, lambda: 1.0)


def text(source, agent=REGISTERED):
    return rendered(agent, text=source).steps[0].text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ agent.tools[alert.labels.tool].notes }}", "Closed on Sundays; ask <@U1> & co"),
        ("{{ agent.tools[alert.labels.tool].owner }}/{{ agent.tools.crm.access }}", "team:crm/read"),
        ("{{ agent.datasets[alert.labels.dataset].missing }}", "Refuse the order."),
        ("{{ agent.datasets.prices.max_age | duration }}", "6h"),
        (
            "{{ agent.kill_switch.how }} ({{ agent.kill_switch.tested_on }})",
            "agentctl pause refund-agent; wait (2026-11-01)",
        ),
        ("{{ agent.limits.llm_calls }} {{ agent.limits.wall_clock | duration }}", "20 10m"),
        ("{{ agent.identity.scopes | join(', ') }}", "crm.read, crm.write"),
        ("{{ agent.deputy }} {{ agent.tier }} {{ agent.model.provider }}", "person:ana 1 openai"),
        ("{% for name, tool in agent.tools | items %}{{ name }}: {{ tool.credential }}{% endfor %}", "crm: crm-oauth"),
    ],
)
def test_what_the_file_says_is_there(source, shown):
    assert text(source) == shown


@pytest.mark.parametrize("agent", [None, Agent(id="refund-agent", owner="team:a")])
@pytest.mark.parametrize(
    "source",
    [
        "{{ agent.tools[alert.labels.tool].notes | default('nothing', true) }}",
        "{{ agent.datasets[alert.labels.dataset].missing | default('nothing', true) }}",
        "{{ agent.kill_switch.how | default('nothing', true) }}",
        "{{ agent.limits.llm_calls | default('nothing', true) }}",
        "{{ agent.budget_usd_day | default('nothing', true) }}",
        "{% if agent.identity.principal %}x{% else %}nothing{% endif %}",
        "{% for name, url in agent.links | items %}{{ url }}{% endfor %}nothing",
    ],
)
def test_what_it_does_not_say_is_empty(agent, source):
    assert text(source, agent) == "nothing"


def test_what_owners_write_cannot_break_out_of_a_command():
    (step,) = rendered(REGISTERED, kind="command", run_on="here", text="echo {{ agent.kill_switch.how }}").steps
    assert step.command == "echo 'agentctl pause refund-agent; wait'"


def test_the_agents_links_stand_under_those_of_the_runbook_once():
    own = [{"title": "Dashboard", "url": "https://grafana.example.com"}]
    assert [link.title for link in rendered(REGISTERED, text="x", links=own).links] == ["Dashboard", "Traces"]
    same = [{"title": "Spans", "url": "https://traces.example.com"}]
    assert [link.title for link in rendered(REGISTERED, text="x", links=same).links] == ["Spans"]


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        (
            "{{ agent.tools[alert.labels.tool].noets }}",
            '"agent.tools.….noets" is not known; there is access, credential,',
        ),
        (
            "{{ agent.datasets.prices.mising }}",
            '"agent.datasets.prices.mising" is not known; there is max_age, missing,',
        ),
        ("{{ agent.tools[alert.lables.tool].notes }}", '"alert.lables" is not known'),
        ("{{ agent.kill_switch.why }}", '"agent.kill_switch.why" is not known; there is how, tested_on'),
    ],
)
def test_a_misspelt_key_is_found_before_the_night(source, mistake):
    book = Runbook.model_validate(
        {
            "schema": "runbook/v1",
            "id": "book",
            "title": "t",
            "steps": [{"id": "one", "kind": "manual", "title": "Look", "text": source}],
        }
    )
    (problem,) = problems(book, "book")
    assert mistake in problem.message
