"""When a call may be made. Seconds are written out; nothing waits."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bot.slack.pace import EDIT, POST, Pace


def test_one_message_a_second_in_each_channel():
    pace = Pace()
    pace.sent(POST, "C1", 100.0)
    assert pace.ready_at(POST, "C1", 100.2) == 101.0
    assert pace.ready_at(POST, "C2", 100.2) == 100.2
    assert pace.ready_at(POST, "C1", 101.0) == 101.0


def test_no_call_before_the_instant_slack_named():
    pace = Pace()
    pace.told_to_wait(POST, "C1", 30, 100.0)
    assert pace.ready_at(POST, "C1", 110.0) == 130.0
    assert pace.ready_at(POST, "C2", 110.0) == 110.0
    assert pace.ready_at(EDIT, "C1", 110.0) == 110.0
    assert pace.ready_at(POST, "C1", 130.0) == 130.0


def test_a_shorter_wait_does_not_undo_a_longer_one():
    pace = Pace()
    pace.told_to_wait(POST, "C1", 30, 100.0)
    pace.told_to_wait(POST, "C1", 1, 101.0)
    assert pace.ready_at(POST, "C1", 110.0) == 130.0


def test_a_second_channel_told_to_wait_means_all_channels():
    pace = Pace()
    pace.told_to_wait(POST, "C1", 10, 100.0)
    pace.told_to_wait(POST, "C2", 20, 101.0)
    assert pace.ready_at(POST, "C3", 105.0) == 121.0


def test_edits_told_to_wait_wait_everywhere():
    pace = Pace()
    pace.told_to_wait(EDIT, "C1", 10, 100.0)
    assert pace.ready_at(EDIT, "C2", 101.0, message="2", human=True) == 110.0


def test_the_last_ten_edits_of_a_minute_are_kept_for_people():
    pace = Pace()
    for number in range(40):
        pace.sent(EDIT, "C1", 100.0 + number / 10, message=str(number))
    assert pace.ready_at(EDIT, "C1", 105.0, message="x") == 160.0
    assert pace.ready_at(EDIT, "C1", 105.0, message="x", human=True) == 105.0
    for number in range(10):
        pace.sent(EDIT, "C1", 105.0, message=f"h{number}")
    assert pace.ready_at(EDIT, "C1", 106.0, message="x", human=True) == 160.0


def test_the_same_message_is_redrawn_every_three_seconds_unless_a_person_waits():
    pace = Pace()
    pace.sent(EDIT, "C1", 100.0, message="7")
    assert pace.ready_at(EDIT, "C1", 101.0, message="7") == 103.0
    assert pace.ready_at(EDIT, "C1", 101.0, message="8") == 101.0
    assert pace.ready_at(EDIT, "C1", 101.0, message="7", human=True) == 101.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([POST, EDIT]),
            st.sampled_from(["C1", "C2", "C3"]),
            st.floats(0, 5),
            st.booleans(),
            st.one_of(st.none(), st.integers(1, 60)),
        ),
        max_size=80,
    )
)
def test_who_asks_first_never_breaks_a_limit(wishes):
    pace, now = Pace(), 1000.0
    posts: dict[str, list[float]] = {}
    edits: list[float] = []
    closed: dict[tuple[str, str], float] = {}
    for method, channel, pause, human, refusal in wishes:
        now = max(now + pause, pace.ready_at(method, channel, now + pause, message="m", human=human))
        assert now >= closed.get((method, channel), 0.0)
        pace.sent(method, channel, now, message="m")
        (edits if method == EDIT else posts.setdefault(channel, [])).append(now)
        if refusal is not None:
            pace.told_to_wait(method, channel, refusal, now)
            closed[method, channel] = max(closed.get((method, channel), 0.0), now + refusal)
    for times in posts.values():
        assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))
    for index, start in enumerate(edits):
        assert sum(start <= each < start + 60 for each in edits[index:]) <= 50


def test_edits_that_can_wait_leave_more_than_half_of_the_minute_to_others():
    pace = Pace()
    for number in range(22):
        pace.sent(EDIT, "C1", 100.0 + number / 100, message=str(number))
    assert pace.ready_at(EDIT, "C1", 110.0, message="x", patient=True) == 160.0
    assert pace.ready_at(EDIT, "C1", 110.0, message="x") == 110.0
