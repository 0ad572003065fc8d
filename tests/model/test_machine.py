"""Anything may happen to the whole pager, in any order and at any instant: the invariants hold all the same.

`FUZZ=20` tries twenty times as much, with another seed each time; a failure prints the shortest way to it that was
found, and the journal of what happened on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from model.invariants import Watch
from model.loop import ModelTime
from model.slack import FAULTS, Mode
from model.town import ALERTS, CONFIGS, PEOPLE, Town

FUZZ = int(os.environ.get("FUZZ", "0"))
WORLDS = 32  # in CI; each of up to STEPS steps
STEPS = 40

_TIME = ModelTime()
SPANS = st.sampled_from([0.02, 0.3, 1, 4, 9.9, 10.2, 20, 31, 61, 299, 301, 610, 910, 1810, 3700])
DOWN = st.sampled_from([0.0, 3.0, 25.0, 700.0])
CHANNELS = st.sampled_from(["", "", "#payments", "#agent-pages", *(f"U0{name.upper()}" for name in PEOPLE)])
VERBS = st.sampled_from(
    [
        ("ack",), ("ack",), ("decline",), ("release",), ("resolve",), ("take",), ("escalate",),
        ("snooze", "20m"), ("hand", "cat"), ("hand", "ana"),
    ]
)  # fmt: skip
USERS = st.sampled_from([*(f"U0{name.upper()}" for name in PEOPLE), "U0STRANGER", "U0BOT"])


@dataclass(frozen=True)
class Click:
    verb: tuple[str, ...]
    user: str
    reference: str
    key: str


class Pager(RuleBasedStateMachine):
    """Rules are what the world does; the invariants are in invariants.py."""

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(_TIME)
        self.watch = Watch(self.town)
        self.clicks: list[Click] = []

    # --- the watcher

    @rule(alert=st.sampled_from(sorted(ALERTS)), anew=st.booleans())
    def fire(self, alert: tuple[str, str], anew: bool) -> None:
        self.town.fire(*alert, value=self.town.clock.mono, anew=anew)

    @rule(alert=st.sampled_from(sorted(ALERTS)))
    def clear(self, alert: tuple[str, str]) -> None:
        self.town.clear(*alert)

    @rule(alert=st.sampled_from(sorted(ALERTS)))
    def no_data(self, alert: tuple[str, str]) -> None:
        self.town.lose(*alert)

    # --- time

    @rule(seconds=SPANS)
    def advance(self, seconds: float) -> None:
        self.town.advance(seconds)

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, -8.0, 5.0, 60.0, 3600.0, 86400.0]))
    def set_the_clock(self, seconds: float) -> None:
        self.town.jump(seconds)

    # --- the process

    @rule(points=st.integers(0, 40), seconds=SPANS, down=DOWN)
    def crash_on_the_way(self, points: int, seconds: float, down: float) -> None:
        """Killed at the n-th commit, request or answer from now."""
        self._killed_at(points, lambda: self.town.advance(seconds), down)

    @rule(alert=st.sampled_from(sorted(ALERTS)), points=st.integers(0, 12), down=DOWN)
    def crash_while_it_fires(self, alert: tuple[str, str], points: int, down: float) -> None:
        def fire() -> None:
            self.town.fire(*alert, value=self.town.clock.mono)
            self.town.advance(3)

        self._killed_at(points, fire, down)

    @rule(verb=VERBS, user=USERS, number=st.integers(1, 4), points=st.integers(0, 6), down=DOWN)
    def crash_while_somebody_clicks(
        self, verb: tuple[str, ...], user: str, number: int, points: int, down: float
    ) -> None:
        """Whoever got no answer presses again."""
        click = self._new_click(verb, user, number)
        self._killed_at(points, lambda: self._press(click), down)

    def _new_click(self, verb: tuple[str, ...], user: str, number: int) -> Click:
        self.clicks.append(Click(verb, user, f"INC-{number}", f"click-{len(self.clicks)}"))
        return self.clicks[-1]

    def _press(self, click: Click, team: str = "T0HOME") -> str:
        name, *more = click.verb
        return self.town.click(name, click.user, click.reference, click.key, team=team, more=tuple(more))

    def _killed_at(self, points: int, work: Callable[[], object], down: float) -> None:
        assert self.town.process is not None
        self.town.process.power.countdown = points
        work()
        if self.town.process is None:
            self.town.advance(down)
            self.town.start()
        else:
            self.town.process.power.countdown = None

    @rule(down=DOWN)
    def kill(self, down: float) -> None:
        self.town.kill()
        self.town.advance(down)
        self.town.start()

    @rule(points=SPANS, later=SPANS)
    def stopped_and_replaced(self, points: float, later: float) -> None:
        """SIGSTOP; another one takes over; SIGCONT."""
        self.town.stop()
        self.town.advance(10 + points)
        old = self.town.take_over()
        self.town.advance(later)
        old.power.go_on()
        self.town.advance(1)

    # --- Slack

    @rule(channel=CHANNELS, mode=st.sampled_from(FAULTS), late=st.sampled_from([0.5, 9.0, 11.0, 19.0]))
    def slack_fails(self, channel: str, mode: Mode, late: float) -> None:
        self.town.slack.late = late
        self.town.slack.modes[channel] = mode
        self.town.note(f"slack: {mode} for {channel or 'everything'}")

    @rule(readable=st.booleans())
    def history(self, readable: bool) -> None:
        self.town.slack.readable = readable
        self.town.note(f"slack: history {'can' if readable else 'cannot'} be read")

    @rule()
    def slack_heals(self) -> None:
        self.town.slack.heal()
        self.town.note("slack: ok")

    # --- people

    @rule(verb=VERBS, user=USERS, number=st.integers(1, 4), home=st.sampled_from([True, True, True, False]))
    def click(self, verb: tuple[str, ...], user: str, number: int, home: bool) -> None:
        before = self.town.decided_by_people()
        self._press(self._new_click(verb, user, number), "T0HOME" if home else "T0OTHER")
        if not home or user in {"U0STRANGER", "U0BOT"}:
            assert self.town.decided_by_people() == before, f"S7: {user} was let in"

    @precondition(lambda self: self.clicks)
    @rule(data=st.data())
    def click_delivered_again(self, data: st.DataObject) -> None:
        """Slack repeats it at once, a minute later and five minutes later; nothing may come of it."""
        click = data.draw(st.sampled_from(self.clicks))
        before = self.town.decided_by_people()
        known = self.town.disk.rows("SELECT 1 FROM clicks WHERE key = ?", click.key)
        self._press(click)
        if known:
            assert self.town.decided_by_people() == before, "S8: a click that came twice did something twice"

    @rule(
        matcher=st.sampled_from(['agent="refund"', 'alertname="Slow"', 'severity="critical"']),
        seconds=st.sampled_from([60.0, 400.0, 3600.0]),
        user=st.sampled_from(PEOPLE),
    )
    def silence(self, matcher: str, seconds: float, user: str) -> None:
        self.town.silence(matcher, seconds, user)

    @rule(number=st.integers(1, 3), user=st.sampled_from(PEOPLE))
    def end_a_silence(self, number: int, user: str) -> None:
        self.town.expire(number, user)

    # --- the configuration

    @rule(name=st.sampled_from(sorted(CONFIGS)))
    def reload(self, name: str) -> None:
        self.town.reload(name)

    @rule()
    def reload_a_broken_file(self) -> None:
        before = self.town.running()
        self.town.reload_broken()
        assert self.town.running() == before, "S10: a broken file changed what runs"

    # --- what holds

    @invariant()
    def holds(self) -> None:
        self.watch.check()

    def teardown(self) -> None:
        try:
            self.watch.quiet_end()
        finally:
            self.town.close()


@pytest.fixture(autouse=True)
def virtual_time():
    _TIME.install()
    yield
    _TIME.remove()


def test_whatever_happens():
    run_state_machine_as_test(
        Pager,
        settings=settings(
            max_examples=WORLDS * max(FUZZ, 1),
            stateful_step_count=STEPS,
            derandomize=not FUZZ,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
