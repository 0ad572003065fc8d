"""Pages by place: what is due where, and that it is worked out anew when something changes."""

from __future__ import annotations

from datetime import timedelta

from core_world import NOW

from bot.paging.lanes import Board, Groups, message_of
from bot.paging.model import Page, PageKind, PageState


def page(name: str, channel: str = "#a", **changes) -> Page:
    fields = {"incident": "INC-1", "kind": PageKind.CARD, "due_at": NOW, "reason": "r"}
    return Page(id=name, channel=channel, **fields | changes)


def by_channel(*pages: Page) -> Groups:
    groups = Groups(lambda one: one.channel)
    for one in pages:
        groups.put(one)
    return groups


def board() -> Board:
    return Board(lambda one: (one.due_at, one.id))


def test_pages_stand_with_those_that_go_to_the_same_place():
    groups = by_channel(page("1"), page("2", "#b"), page("3"))
    assert sorted(groups.places()) == ["#a", "#b"]
    assert [one.id for one in groups.of("#a")] == ["1", "3"]
    assert (groups.get("2").channel, groups.get("9"), len(groups)) == ("#b", None, 3)


def test_a_page_that_goes_elsewhere_leaves_its_old_place():
    groups = by_channel(page("1"))
    groups.put(page("1", "#b"))
    assert groups.places() == ["#b"]


def test_a_place_without_pages_is_gone():
    groups = by_channel(page("1"))
    groups.drop("1")
    groups.drop("1")
    assert (list(groups.places()), list(groups)) == ([], [])


def test_the_message_is_that_of_the_leading_page():
    assert (message_of(page("1")), message_of(page("1", lead="7"))) == ("1", "7")


def test_a_lane_has_what_is_due_most_urgent_first_and_says_when_more_is():
    later = NOW + timedelta(seconds=30)
    groups = by_channel(
        page("2"),
        page("1", due_at=NOW - timedelta(seconds=1)),
        page("3", due_at=later),
        page("4", state=PageState.SENDING),
        page("5", state=PageState.UNKNOWN),
    )
    lane = board().lanes(groups, NOW)["#a"]
    assert ([one.id for one in lane.due], lane.next_due) == (["1", "2", "5"], later)


def test_a_lane_is_worked_out_anew_when_a_page_changes_or_falls_due_and_not_otherwise():
    later = NOW + timedelta(seconds=30)
    groups, one = by_channel(page("1"), page("2", due_at=later)), board()
    first = one.lanes(groups, NOW)["#a"]
    assert one.lanes(groups, NOW + timedelta(seconds=29))["#a"] is first
    assert [each.id for each in one.lanes(groups, later)["#a"].due] == ["1", "2"]
    groups.drop("1")
    assert [each.id for each in one.lanes(groups, later)["#a"].due] == ["2"]
    groups.put(page("1", state=PageState.SENDING))
    assert [each.id for each in one.lanes(groups, later)["#a"].due] == ["2"]
