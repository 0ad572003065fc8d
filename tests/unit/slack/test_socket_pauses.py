"""How long a seat waits after connections that were closed as soon as they stood."""

from __future__ import annotations

from bot.slack.socket import _pause


def test_the_first_seat_is_never_long_without_and_the_first_time_not_at_all():
    assert [_pause(0, unwelcome) for unwelcome in range(7)] == [0.0, 0.0, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_others_give_way_for_ever_longer_up_to_ten_minutes():
    assert [_pause(1, unwelcome) for unwelcome in range(5)] == [0.0, 4.0, 8.0, 16.0, 32.0]
    assert _pause(1, 10_000) == 600.0
