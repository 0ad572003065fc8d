"""What goes out together. Pages are written out as they stand in the outbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core_world import NOW, opened

from bot.paging.merge import MOST, Parcel, Recent, parcel, split_out, without_replies
from bot.paging.model import Page, PageKind


def page(number: int, kind: PageKind = PageKind.PAGE, person: str | None = "ana", **changes) -> Page:
    channel = "U0ANA" if person else "#refunds"
    return Page(
        id=f"INC-{number}.1.{kind}",
        incident=f"INC-{number}",
        kind=kind,
        person=person,
        channel=changes.pop("channel", channel),
        due_at=NOW,
        reason="r",
        **changes,
    )


def cards(count: int) -> list[Page]:
    return [page(number, PageKind.CARD, None) for number in range(1, count + 1)]


def nothing_critical(_: Page) -> bool:
    return False


def all_critical(_: Page) -> bool:
    return True


def ids(found: Parcel) -> list[str]:
    return [one.incident for one in found.pages]


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_incidents_are_messages_of_their_own(count):
    due = [page(number) for number in range(1, count + 1)]
    assert parcel(due, nothing_critical, None, NOW) == Parcel((due[0],))


def test_three_are_one_message_and_the_most_urgent_leads():
    found = parcel([page(7), page(3), page(5)], nothing_critical, None, NOW)
    assert (ids(found), found.lead.incident, found.into) == (["INC-7", "INC-3", "INC-5"], "INC-7", None)


def test_only_pages_of_the_same_kind_and_person_share_a_message():
    due = [page(1), page(2, PageKind.REMINDER), page(3, person="ben"), page(4), page(5)]
    assert ids(parcel(due, nothing_critical, None, NOW)) == ["INC-1", "INC-4", "INC-5"]


def test_what_is_not_about_an_incident_as_a_whole_goes_alone():
    due = [page(number, PageKind.RESOLVED, None) for number in (1, 2, 3)]
    assert ids(parcel(due, nothing_critical, None, NOW)) == ["INC-1"]


def test_mail_and_webhooks_are_never_merged():
    due = [page(number, channel="email:ana@example.com") for number in (1, 2, 3)]
    assert ids(parcel(due, nothing_critical, None, NOW)) == ["INC-1"]


def test_a_message_has_a_most():
    assert len(parcel([page(number) for number in range(MOST + 9)], nothing_critical, None, NOW).pages) == MOST


@pytest.mark.parametrize(("minutes", "into"), [(4.9, "INC-9.1.page"), (5, None)])
def test_what_is_not_critical_joins_the_last_storm_message_for_five_minutes(minutes, into):
    recent = Recent("INC-9.1.page", NOW - timedelta(minutes=minutes), merged=True)
    assert parcel([page(1)], nothing_critical, recent, NOW).into == into


def test_a_critical_page_wakes_by_its_own_message_and_takes_along_what_is_due():
    recent = Recent("INC-9.1.page", NOW - timedelta(seconds=5), merged=True)
    due = [page(1), page(2), page(3)]
    found = parcel(due, lambda one: one.incident == "INC-1", recent, NOW)
    assert (found.into, ids(found)) == (None, ["INC-1", "INC-2", "INC-3"])


def test_a_card_wakes_nobody_so_a_critical_one_joins_too():
    recent = Recent("INC-9.1.card", NOW - timedelta(minutes=1), merged=True)
    assert parcel(cards(1), all_critical, recent, NOW).into == "INC-9.1.card"


@pytest.mark.parametrize(("seconds", "count", "into"), [(29, 3, "INC-9.1.page"), (30, 3, None), (5, 2, None)])
def test_many_join_a_message_about_one_only_if_they_are_of_the_same_burst(seconds, count, into):
    recent = Recent("INC-9.1.page", NOW - timedelta(seconds=seconds), merged=False)
    due = [page(number) for number in range(count)]
    assert parcel(due, nothing_critical, recent, NOW).into == into


def test_a_page_whose_edit_is_held_up_for_long_goes_out_as_a_message():
    recent = Recent("INC-9.1.page", NOW - timedelta(minutes=4), merged=True)
    late = page(1).model_copy(update={"due_at": NOW - timedelta(minutes=5, seconds=1)})
    assert parcel([late], nothing_critical, recent, NOW) == Parcel((late,))


def test_cards_that_will_be_one_card_get_no_runbook_reply_each():
    crowd = [*cards(3), *(page(number, PageKind.RUNBOOK, None) for number in (1, 2, 3)), page(1)]
    assert [one.kind for one in without_replies(crowd)] == ["card", "card", "card", "page"]
    few = [*cards(2), *(page(number, PageKind.RUNBOOK, None) for number in (1, 2))]
    assert without_replies(few) == few


def sent(number: int, kind: PageKind = PageKind.CARD, person: str | None = None) -> Page:
    changes = {"lead": f"INC-1.1.{kind}", "slack_channel": "C0", "ts": "1.0", "shown_revision": 1}
    return page(number, kind, person, **changes)


def test_one_split_out_gets_a_card_and_its_runbook_and_the_others_are_drawn_anew():
    changed, new = split_out([sent(1), sent(2), sent(3)], opened(), NOW)
    assert [(one.id, one.incident, one.lead) for one in changed] == [
        ("INC-1.1.card", None, "INC-1.1.card"),  # still the address of the message of the others
        ("INC-2.1.card", "INC-2", "INC-1.1.card"),
        ("INC-3.1.card", "INC-3", "INC-1.1.card"),
    ]
    assert [one.shown_revision for one in changed[1:]] == [0, 0]
    assert [(one.kind, one.incident, one.channel, one.lead, one.ts) for one in new] == [
        (PageKind.CARD, "INC-1", "#refunds", None, None),
        (PageKind.RUNBOOK, "INC-1", "#refunds", None, None),
    ]


def test_a_page_split_out_goes_to_the_same_person_for_the_same_reason():
    _, (alone,) = split_out([sent(number, PageKind.PAGE, "ana") for number in (1, 2)], opened(), NOW)
    assert (alone.kind, alone.person, alone.channel, alone.reason) == (PageKind.PAGE, "ana", "U0ANA", "r")


def test_what_was_split_out_is_never_merged_again():
    _, (alone,) = split_out([sent(number, PageKind.PAGE, "ana") for number in (1, 2)], opened(), NOW)
    recent = Recent("INC-1.1.page", NOW, merged=True)
    assert parcel([alone, page(5), page(6), page(7)], nothing_critical, recent, NOW) == Parcel((alone,))
    assert ids(parcel([page(5), page(6), alone, page(7)], nothing_critical, None, NOW)) == ["INC-5", "INC-6", "INC-7"]


def test_what_is_not_in_the_message_is_not_split_out():
    assert split_out([sent(2), sent(3)], opened(), NOW) == ([], [])
