"""What the shared messages show once Slack takes them again."""

from __future__ import annotations

from model.invariants import Watch
from model.slack import Mode


def test_a_card_in_a_channel_that_was_archived_for_an_hour_shows_what_is(town):
    watch = Watch(town)
    town.fire("Errors", "refund")
    town.advance(10)
    town.slack.modes[""] = Mode.REFUSED
    town.clear("Errors", "refund")
    town.advance(3600)
    watch.check()
    watch.quiet_end()
