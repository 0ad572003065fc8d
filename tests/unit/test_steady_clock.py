"""The clock that everybody in the pager is handed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.clock import SteadyClock

START = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)


class Machine:
    """Its clock on the wall, and the one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.steady = START.timestamp(), 1000.0
        self.clock = self.made()

    def made(self, boot: str = "boot-1") -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.steady, boot)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_it_goes_on_when_the_machines_clock_is_set():
    machine = Machine()
    machine.passes(10)
    machine.wall += 86400
    machine.passes(5)
    assert machine.clock.now() == START + timedelta(seconds=15)
    assert machine.clock.drift() == timedelta(days=1)
    machine.clock.adopt()
    assert machine.clock.now() == START + timedelta(days=1, seconds=15) == machine.clock.wall()


def test_a_suspend_is_no_jump():
    machine = Machine()
    machine.passes(8 * 3600)
    assert machine.clock.drift() == timedelta()


def test_a_later_run_knows_how_it_was_set_meanwhile():
    machine = Machine()
    mark = machine.clock.mark()
    machine.passes(60)
    machine.wall -= 3600
    machine.passes(60)
    assert machine.made().since(mark) == (timedelta(hours=-1), timedelta(minutes=2))
    assert machine.clock.mark(machine.clock.wall()) == machine.made().mark()


def test_after_a_start_of_the_machine_nothing_is_known():
    machine = Machine()
    assert machine.made("boot-2").since(machine.clock.mark()) is None
    assert machine.made("").since(machine.made("").mark()) is None


def test_the_real_one_tells_the_time():
    clock = SteadyClock()
    assert abs(clock.drift()) < timedelta(seconds=2)
    assert abs(clock.wall() - clock.now()) < timedelta(seconds=2)
