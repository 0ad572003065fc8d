"""The moves of one alert, every cell of the table: phase × what the result and the data say."""

from datetime import timedelta

import pytest

from bot.rules.state import Active, Data, Phase, Timing, absent, dump, parse, present, resumed
from tests.rulekit import NOW, after

MINUTE = timedelta(minutes=1)


def alert(phase, **keys):
    fired = None if phase is Phase.PENDING else NOW
    resolved = after(30) if phase is Phase.RESOLVED else None
    fields = {"active_at": NOW, "fired_at": fired, "resolved_at": resolved, **keys}
    return Active({"alertname": "A", "room": "a"}, {"room": "a"}, phase, 1.0, **fields)


NEW = alert(Phase.PENDING)


@pytest.mark.parametrize(
    ("old", "seconds", "phase"),
    [
        (None, 60, Phase.PENDING),
        (Phase.PENDING, 59, Phase.PENDING),
        (Phase.PENDING, 60, Phase.FIRING),
        (Phase.FIRING, 1, Phase.FIRING),
        (Phase.NO_DATA, 1, Phase.FIRING),
        (Phase.RESOLVED, 60, Phase.PENDING),
    ],
)
def test_the_expression_holds(old, seconds, phase):
    before = alert(old) if old else None
    assert present(before, NEW, Timing(MINUTE), after(seconds)).phase is phase


@pytest.mark.parametrize(
    ("old", "data", "keep", "phase"),
    [
        (Phase.PENDING, Data.THERE, 0, None),
        (Phase.PENDING, Data.GONE, 0, None),
        (Phase.PENDING, Data.TOO_EARLY, 0, Phase.PENDING),
        (Phase.FIRING, Data.THERE, 0, Phase.RESOLVED),
        (Phase.FIRING, Data.THERE, 60, Phase.FIRING),
        (Phase.FIRING, Data.GONE, 0, Phase.NO_DATA),
        (Phase.FIRING, Data.GONE, 60, Phase.NO_DATA),
        (Phase.FIRING, Data.TOO_EARLY, 0, Phase.FIRING),
        (Phase.NO_DATA, Data.THERE, 0, Phase.RESOLVED),
        (Phase.NO_DATA, Data.THERE, 60, Phase.FIRING),
        (Phase.NO_DATA, Data.GONE, 0, Phase.NO_DATA),
        (Phase.NO_DATA, Data.TOO_EARLY, 0, Phase.NO_DATA),
    ],
)
def test_the_expression_does_not_hold(old, data, keep, phase):
    left = absent(alert(old), data, Timing(MINUTE, timedelta(seconds=keep)), after(60), timedelta(seconds=15))
    assert (left.phase if left else None) is phase


def test_waiting_for_data_does_not_count_as_pending():
    left = absent(alert(Phase.PENDING), Data.TOO_EARLY, Timing(MINUTE), after(60), timedelta(seconds=15))
    assert left.active_at == after(15)


@pytest.mark.parametrize(
    ("phase", "gap", "active_at"),
    [
        (Phase.PENDING, 60, after(60)),
        (Phase.PENDING, 61, None),
        (Phase.FIRING, 3600, NOW),
        (Phase.NO_DATA, 3600, NOW),
        (Phase.RESOLVED, 3600, NOW),
    ],
)
def test_after_a_restart(phase, gap, active_at):
    left = resumed(alert(phase), Timing(MINUTE), timedelta(seconds=gap))
    assert (left.active_at if left else None) == active_at


def test_keeping_on_does_not_run_out_while_nobody_watches():
    saved = alert(Phase.FIRING, keep_since=after(10))
    assert resumed(saved, Timing(MINUTE, MINUTE), timedelta(seconds=100)).keep_since == after(110)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("value", [1.5, float("inf"), -0.0])
def test_what_is_saved_reads_back_the_same(phase, value):
    active = alert(phase, annotations={"summary": "x"}, keep_since=after(5), seen=frozenset({0, 2}))
    active = type(active)(**{**active.__dict__, "value": value})
    assert parse(dump(active)) == active
