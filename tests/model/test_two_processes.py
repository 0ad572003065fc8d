"""One process is stopped, another takes its place, the first wakes up again: one of them writes, and pages go on."""

from __future__ import annotations

from model.invariants import Watch


def test_a_process_that_was_replaced_ends_and_has_changed_nothing(town):
    watch = Watch(town)
    town.fire("Errors", "refund")
    town.advance(60)
    town.stop()
    town.advance(20)
    old = town.take_over()
    town.advance(5)
    old.power.go_on()
    town.advance(240)
    watch.check()
    assert not old.power.on
    assert town.slack.accepted()["INC-1.2.page.ben"] == 1
    watch.quiet_end()


def test_what_it_had_claimed_is_settled_by_its_successor_within_35_seconds(town):
    """It was stopped between claim and first byte, and posts when it wakes: one page twice, as Slack knows no epoch."""
    watch = Watch(town)
    assert town.process is not None
    town.process.power.sleeps_at = "before post"
    town.fire("Errors", "refund")
    town.advance(12)
    claimed = town.clock.mono
    assert town.slack.accepted() == {}
    old = town.take_over()
    town.advance(35)
    assert town.slack.accepted()["INC-1.1.page.ana"] == 1
    assert town.clock.mono - claimed < 36
    old.power.go_on()
    town.advance(30)
    watch.check()
    assert town.slack.accepted()["INC-1.1.page.ana"] <= 2
    watch.quiet_end()
