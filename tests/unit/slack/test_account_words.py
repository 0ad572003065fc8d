"""Costs and vital signs in Slack: escaped, cut, the scarcest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.agents.cost import Spending
from bot.agents.record import Track
from bot.agents.vitals import Vitals
from bot.oncall.model import Book
from bot.ports import AgentStatus
from bot.slack import account_words, answers

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def text_of(answer) -> str:
    (block,) = answer["blocks"]
    return block["text"]["text"]


def spending(agent: str, today: float | None, budget: float | None = 10.0) -> Spending:
    return Spending(agent, NOW, today=today, budget=budget)


def test_of_all_agents_the_one_with_the_least_left_comes_first():
    told = [spending("half", 5.0), spending("none", None), spending("over", 12.0), spending("free", 99.0, None)]
    assert text_of(account_words.cost(told, alone=False)).splitlines() == [
        "*What agents cost*",
        "over: $12.00 of $10.00 today, budget used up",
        "half: $5.00 of $10.00 today",
        "free: $99.00 today",
        "No figures of cost: none",
    ]


def test_many_agents_are_cut_and_counted():
    told = [spending(f"agent-{number}", 1.0) for number in range(300)]
    text = text_of(account_words.cost(told, alone=False))
    assert text.splitlines()[-1] == "+280 more"
    assert len(text) <= 3000


def test_what_an_agent_is_called_formats_and_calls_nobody():
    hostile = "<!channel> *a* `b` <https://x|y>"
    for answer in (
        account_words.cost([spending(hostile, 1.0)], alone=False),
        account_words.cost([spending(hostile, None)], alone=True),
    ):
        text = text_of(answer) + answer["text"]
        assert "<" not in text.replace("&lt;", "")
        assert "*a*" not in text
        assert "`" not in text


def test_status_has_a_line_below_each_agent_and_all_of_it_for_one():
    vitals = Vitals(
        hour_from=NOW - timedelta(hours=1),
        hour=Track(runs=4.0, bad=1.0),
        day=Track(runs=40.0, bad=1.0),
        last_run=NOW - timedelta(minutes=7),
    )
    rows = [AgentStatus("a", "", "ok", "team:x", (), (), vitals), AgentStatus("b", "", "ok", "team:x", (), ())]
    assert text_of(answers.status(rows, "", Book(fallback="person:ana"), NOW)).splitlines()[1:] == [
        "🟢 *a* ok · team:x",
        "      ran 7 min ago, 40 runs in 24 h, 97.5 % good",
        "🟢 *b* ok · team:x",
    ]
    assert text_of(answers.status(rows, "a", Book(fallback="person:ana"), NOW)).splitlines()[2:] == [
        "Last run 7 min ago",
        "Runs: 4 since 13:00 UTC, 75 % good",
        "Runs: 40 in 24 h, 97.5 % good",
    ]
