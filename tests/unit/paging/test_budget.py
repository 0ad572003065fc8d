"""Two messages in twelve hours are what a person can follow up well."""

from __future__ import annotations

from datetime import timedelta

from core_world import NOW

from bot.paging.budget import Budget


def test_the_third_message_of_a_shift_is_over_the_budget_and_each_person_has_their_own():
    budget = Budget()
    assert [budget.exceeded("ana", NOW + timedelta(hours=hour)) for hour in (0, 1, 2)] == [False, False, True]
    assert not budget.exceeded("ben", NOW + timedelta(hours=2))


def test_what_is_twelve_hours_old_counts_no_more():
    budget = Budget()
    hours = (0, 1, 12, 12.9, 25)
    assert [budget.exceeded("ana", NOW + timedelta(hours=hour)) for hour in hours] == [False, False, False, True, False]
