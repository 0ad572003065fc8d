"""When an echo of our own messages that stays out means something."""

from __future__ import annotations

from bot.slack.canary import OVERDUE_SECONDS, Canary

LATE = OVERDUE_SECONDS


def sung() -> Canary:
    """One that has heard an echo at second 0."""
    canary = Canary()
    canary.posted("D1", "1.0", 0.0)
    canary.heard("D1", "1.0", 0.0)
    return canary


def test_nothing_is_concluded_where_no_echo_was_ever_heard():
    canary = Canary()
    canary.posted("D1", "1.1", 0.0)
    assert not canary.overdue(LATE)


def test_an_echo_that_stays_out_is_told_once_and_not_before_its_time():
    canary = sung()
    canary.posted("D1", "1.1", 100.0)
    assert not canary.overdue(100.0 + LATE - 0.1)
    assert canary.overdue(100.0 + LATE)
    assert not canary.overdue(100.0 + 2 * LATE)


def test_an_echo_in_time_is_no_miss_even_before_the_call_is_answered():
    canary = sung()
    canary.heard("D1", "1.1", 99.0)
    canary.posted("D1", "1.1", 100.0)
    canary.posted("D1", "1.2", 100.0)
    canary.heard("D1", "1.2", 101.0)
    assert not canary.overdue(100.0 + 10 * LATE)


def test_only_direct_messages_come_back():
    canary = sung()
    canary.posted("C1", "1.1", 100.0)
    assert not canary.overdue(100.0 + LATE)


def test_after_three_misses_in_a_row_it_is_left_in_peace_until_it_sings_again():
    canary = sung()
    told = []
    for number in range(5):
        canary.posted("D1", f"2.{number}", 1000.0 * number)
        told.append(canary.overdue(1000.0 * number + LATE))
    assert told == [True, True, True, False, False]
    canary.heard("D1", "9.9", 9000.0)
    canary.posted("D1", "3.0", 9001.0)
    assert canary.overdue(9001.0 + LATE)


def test_its_memory_is_bounded():
    canary = sung()
    for number in range(1000):
        canary.posted("D1", f"1.{number}", 1.0)
        canary.heard("D2", f"1.{number}", 1.0)
    assert len(canary._awaited) <= 200
    assert len(canary._early) <= 200
