"""When Slack counts as ill, and how often it is tried then. Seconds are written out."""

from __future__ import annotations

import pytest

from bot.errors import RemoteError
from bot.paging.attempt import UNREACHABLE
from bot.paging.health import Health

LOST = RemoteError("no answer in time", unknown=True)
DOWN = RemoteError("cannot connect", code=UNREACHABLE)
STRANGE = RemoteError("HTTP status 403 without an answer of Slack's")


def after(*errors: RemoteError | None) -> Health:
    health = Health()
    for error in errors:
        health.heard(error, 100.0)
    return health


def test_a_refused_connection_is_doubt_at_once_and_tried_less_and_less_often():
    assert after(DOWN).doubtful
    assert [after(*[DOWN] * count).quiet(100.0) for count in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("error", [LOST, STRANGE])
def test_answers_that_tell_nothing_are_one_channels_bad_luck_until_there_are_four_in_a_row(error):
    assert not after(error, error, error).doubtful
    assert after(error, error, error).quiet(100.0) <= 0
    assert after(error, error, error, error).doubtful
    assert after(error, error, error, error).quiet(100.0) == 0.5


def test_one_good_answer_ends_the_doubt():
    health = after(LOST, LOST, LOST, LOST, None)
    assert (health.doubtful, health.quiet(100.0) <= 0) == (False, True)
    assert not after(LOST, LOST, None, LOST, LOST).doubtful


@pytest.mark.parametrize(
    "error",
    [
        RemoteError("told to wait", retry_after_seconds=30, code="ratelimited"),
        RemoteError("no such channel", code="channel_not_found", permanent=True),
    ],
)
def test_a_refusal_in_slacks_own_words_shows_that_it_is_well(error):
    assert not after(LOST, LOST, LOST, error, LOST).doubtful
