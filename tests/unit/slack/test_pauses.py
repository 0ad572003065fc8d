"""What dnd.info answers, read as the pause that a person on call is warned of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fake_slack import FakeSlack
from slack_world import NOW, FixedClock, settings

from bot.slack.usergroups import Pauses, pause_of

START, END = datetime(2026, 11, 20, 21, 0, tzinfo=UTC), datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
NIGHT = {"dnd_enabled": True, "next_dnd_start_ts": int(START.timestamp()), "next_dnd_end_ts": int(END.timestamp())}
BEGUN = NOW - timedelta(hours=4)


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (NIGHT, (START, END)),
        (NIGHT | {"dnd_enabled": False}, None),
        ({"dnd_enabled": True, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1}, None),
        ({"dnd_enabled": True}, None),
        ({}, None),
        ({"dnd_enabled": True, "next_dnd_start_ts": "soon", "next_dnd_end_ts": None}, None),
        ({"dnd_enabled": True, "next_dnd_start_ts": 10**15, "next_dnd_end_ts": 10**16}, None),
        (NIGHT | {"next_dnd_start_ts": int(BEGUN.timestamp())}, (BEGUN, END)),
        (NIGHT | {"snooze_enabled": True, "snooze_endtime": int(END.timestamp())}, (NOW, END)),
        ({"snooze_enabled": True, "snooze_endtime": int(BEGUN.timestamp())}, None),
    ],
)
def test_the_pause_that_goes_on_or_comes_next(answer, pause):
    assert pause_of(answer, NOW) == pause


@pytest.mark.parametrize(
    "mode",
    [
        {"name": "refused", "error": "missing_scope"},
        {"name": "refused", "error": "unknown_method"},
        {"name": "garbage"},
    ],
)
async def test_where_slack_does_not_say_there_is_none_to_warn_of(mode):
    async with FakeSlack() as slack:
        pauses = Pauses(settings(slack), FixedClock())
        slack.pauses["U1"] = NIGHT
        assert await pauses.rest("U1") == (START, END)
        slack.mode(**mode, method="dnd.info")
        assert await pauses.rest("U1") is None
