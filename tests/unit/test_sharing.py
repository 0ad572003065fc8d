"""Which replica evaluates which rule groups, and when a group changes hands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bot.sharing import HANDED_OVER_AFTER, Shares, owner

GROUPS = frozenset(f"alerts/a.yaml;g{number}" for number in range(300))


@dataclass(frozen=True)
class Member:
    id: str
    groups: frozenset[str] = field(default=GROUPS)
    watching: bool = True


A, B, C = Member("a"), Member("b"), Member("c")


def shared(*members: Member) -> dict[str, str | None]:
    return {group: owner(group, members) for group in GROUPS}


def test_everybody_gets_about_as_many_and_the_order_says_nothing():
    assert min(Counter(shared(A, B, C).values()).values()) > 70
    assert shared(A, B, C) == shared(C, A, B)


def test_when_one_goes_only_its_groups_move_and_to_both_others():
    before, after = shared(A, B, C), shared(A, C)
    moved = {group for group in GROUPS if before[group] != after[group]}
    assert {before[group] for group in moved} == {"b"}
    assert {after[group] for group in moved} == {"a", "c"}


def test_a_group_goes_to_nobody_who_does_not_know_it_or_whose_watcher_is_down():
    new = frozenset({"alerts/new.yaml;g"})
    assert owner("alerts/new.yaml;g", [A, Member("b", GROUPS | new), C]) == "b"
    assert owner("alerts/new.yaml;g", [A, C]) is None
    assert set(shared(A, Member("b", watching=False)).values()) == {"a"}


def test_the_only_one_has_all_of_them_at_once():
    shares = Shares()
    assert shares.look("a", [A], GROUPS, 1, 0.0)
    assert shares.mine == shares.taken == GROUPS
    shares.told(GROUPS, {})
    assert not shares.look("a", [A], GROUPS, 1, 2.0)


def test_groups_of_one_that_is_gone_are_taken_at_once():
    shares = Shares()
    shares.look("a", [A, B], GROUPS, 1, 0.0)
    shares.look("a", [A, B], GROUPS, 1, HANDED_OVER_AFTER)
    had = shares.mine
    shares.told(had, {})
    assert had < GROUPS
    assert shares.look("a", [A], GROUPS, 1, HANDED_OVER_AFTER + 2)
    assert (shares.mine, shares.taken) == (GROUPS, GROUPS - had)


def test_one_that_comes_waits_until_the_others_have_let_go():
    shares = Shares()
    theirs = {group for group, whose in shared(A, B).items() if whose == "b"}
    for now in (0.0, 2.0, HANDED_OVER_AFTER - 0.1):
        shares.look("b", [A, B], GROUPS, 1, now)
        assert shares.mine == frozenset()
    shares.look("b", [A, B], GROUPS, 1, HANDED_OVER_AFTER)
    assert shares.mine == theirs


def test_who_has_to_hand_over_stops_at_once():
    shares = Shares()
    shares.look("a", [A], GROUPS, 1, 0.0)
    assert shares.look("a", [A, B], GROUPS, 1, 2.0)
    assert shares.mine == {group for group, whose in shared(A, B).items() if whose == "a"}


def test_one_that_goes_while_it_hands_over_keeps_nobody_waiting():
    shares = Shares()
    shares.look("b", [A, B], GROUPS, 1, 0.0)
    shares.look("b", [B], GROUPS, 1, 2.0)
    assert shares.mine == GROUPS


def test_a_replica_that_the_others_had_given_up_has_nothing_until_it_is_handed_back():
    shares = Shares()
    for now in (0.0, HANDED_OVER_AFTER):
        shares.look("a", [A, B], GROUPS, 1, now)
    group = min(shares.mine)
    assert shares.counts(group, 1)
    assert shares.look("a", [A, B], GROUPS, 2, 60.0)
    assert shares.mine == frozenset()
    assert not shares.counts(group, 1)
    shares.look("a", [A, B], GROUPS, 2, 60.0 + HANDED_OVER_AFTER)
    assert group in shares.taken
    assert shares.counts(group, 2)
    assert not shares.counts(group, 1), "what its watcher had found before is dropped"


def test_states_of_others_are_news_until_the_watcher_has_them_and_ours_never_are():
    shares = Shares()
    for now in (0.0, HANDED_OVER_AFTER):
        shares.look("a", [A, B], GROUPS, 1, now)
    mine, theirs = min(shares.mine), min(GROUPS - shares.mine)
    assert [shares.is_news(group, 100.0) for group in (mine, theirs)] == [False, True]
    shares.told(shares.taken, {theirs: 100.0})
    assert [shares.is_news(theirs, at) for at in (100.0, 105.0)] == [False, True]
