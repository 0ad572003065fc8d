"""When an engine counts as down, when nobody asks it any more, and what opens it again."""

from bot.metrics.breaker import Breaker


def failed(breaker, times, *, dead=True):
    for _ in range(times):
        breaker.failed("refused", dead=dead)


def test_it_takes_three_failures_in_a_row():
    breaker = Breaker()
    failed(breaker, 2)
    assert (breaker.down, breaker.shut) == (False, False)
    breaker.answered()
    failed(breaker, 2)
    assert (breaker.down, breaker.shut) == (False, False)
    failed(breaker, 1)
    assert (breaker.down, breaker.shut, breaker.why) == (True, True, "refused")


def test_incomplete_answers_are_no_reason_not_to_ask():
    breaker = Breaker()
    failed(breaker, 3, dead=False)
    assert (breaker.down, breaker.shut) == (True, False)


def test_a_trial_opens_it_and_only_an_answer_makes_it_well():
    breaker = Breaker()
    failed(breaker, 3)
    breaker.tried(well=False)
    assert breaker.shut
    breaker.tried(well=True)
    assert (breaker.down, breaker.shut) == (True, False)
    failed(breaker, 2)  # an engine that answers trials and nothing else
    assert not breaker.shut
    failed(breaker, 1)
    assert breaker.shut
    breaker.answered()
    assert (breaker.down, breaker.shut) == (False, False)


def test_trials_are_ever_rarer_until_it_is_back():
    breaker = Breaker()
    assert [breaker.wait() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    breaker.answered()
    assert breaker.wait() == 1
