"""One failure after another, as many at a time as there are agents for: what is broken, noticed, mended, and over."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_world import ROOT, Change, FleetWorld, Sent

from bot.demo.failures import Failure
from bot.demo.gateway import BATCH_KEY, GATEWAY
from bot.incidents.model import Alert
from bot.schema import parse_duration

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Case:
    """`place` is the agent, or the gateway. `step` is the id of the likely step, empty when the runbook has none then.

    `others` may fire too, for this agent or for those of `with_`, which depend on it; what looks back for hours may
    also outlast the case. `hold` is for how long it stays broken after the page, for what must not come along.
    `clears` is how long after mending the alert may go on; with `aside` the next case does not wait for that.
    """

    place: str
    failure: Failure
    alert: str
    person: str
    step: str = ""
    others: frozenset[str] = frozenset()
    with_: tuple[str, ...] = ()
    hold: float = 0
    clears: float = 40 * MINUTE
    aside: bool = False

    @property
    def name(self) -> str:
        return f"{self.alert} by {self.failure.value} of {self.place}"

    @property
    def lanes(self) -> set[str]:
        return {self.place, *self.with_}


def case(place: str, failure: Failure, alert: str, person: str, step: str = "", others: str = "", **more: Any) -> Case:
    return Case(place, failure, alert, person, step, frozenset(others.split()), **more)


def documented() -> dict[str, float]:
    """Alert → seconds within which it fires, as docs/catalogue.md promises."""
    promised: dict[str, float] = {}
    for line in (ROOT / "docs" / "catalogue.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 6 and re.fullmatch(r"[A-Z]\w+", cells[0]):
            found = re.match(r"[0-9a-z]+", cells[4])
            if found:
                promised[cells[0]] = parse_duration(found[0]).total_seconds()
    return promised


class Trial:
    """One case under way: it fails, is noticed, is mended, ends."""

    def __init__(self, one: Case, world: FleetWorld, within: float) -> None:
        self.case, self.world, self.within = one, world, within
        self.failed_at = world.now
        self.mended_at: float | None = None
        self.fired: Change | None = None
        self.problems: list[str] = []
        self.over = False
        self._seen = len(world.changes)
        world.fail(one.place, one.failure)

    @property
    def lanes(self) -> set[str]:
        """Where nothing else may break meanwhile."""
        return set() if self.case.aside and self.mended_at is not None else self.case.lanes

    def look(self) -> None:
        """After each round."""
        if self.mended_at is not None:
            self._await_end()
        elif self.fired is None:
            self._await_fire()
        else:
            self._await_page()

    def _mine(self, change: Change) -> bool:
        labels = change.alert.labels
        place = labels.get("agent") == self.case.place or self.case.place == GATEWAY
        return place and change.alert.name == self.case.alert

    def _await_fire(self) -> None:
        world = self.world
        self.fired = next((one for one in world.changes[self._seen :] if one.began and self._mine(one)), None)
        if self.fired is None and world.now - self.failed_at > self.within + world.pace.round:
            self.problems.append(f"did not fire within {self.within / 60:.0f} min")
            self._mend()

    def _await_page(self) -> None:
        """At least one more round, so that the page is out."""
        assert self.fired is not None
        if self.world.now < self.fired.at + self.case.hold:
            return
        sent = self._page()
        if sent is None:
            self.problems.append("nobody was paged")
        else:
            self.problems += list(self._wrong_with(sent))
        self._mend()

    def _page(self) -> Sent | None:
        assert self.fired is not None
        names = [one for one in self.world.sent if one.at >= self.failed_at and self._is_about(one)]
        return names[0] if names else None

    def _is_about(self, sent: Sent) -> bool:
        assert self.fired is not None
        return any(alert.fingerprint == self.fired.alert.fingerprint for alert in sent.incident.alerts)

    def _wrong_with(self, sent: Sent) -> Iterable[str]:
        case, rendered = self.case, sent.rendered
        if sent.person != case.person:
            yield f"{sent.person} was paged ({sent.incident.owner_why}), {case.person} should have been"
        if rendered.runbook != case.alert:
            yield f"the runbook is {rendered.runbook or rendered.problem}"
        if rendered.problem:
            yield f"the runbook has a problem: {rendered.problem}"
        likely = next((step.id for step in rendered.steps if step.number == rendered.likely_step), "")
        if likely != case.step:
            checks = {
                step.id: (step.check.verdict.value, step.check.value)
                for step in rendered.steps
                if step.check is not None
            }
            yield f"the likely step is {likely!r}, not {case.step!r}; checks: {checks}"
        text = str(sent.message)
        if sent.incident.title not in sent.message["text"].replace("&amp;", "&"):
            yield f"the page does not say what is wrong: {sent.message['text']}"
        if rendered.title and rendered.title not in text and "unbook" not in text:
            yield "the page has no runbook"

    def _mend(self) -> None:
        self.world.mend(self.case.place)
        self.mended_at = self.world.now

    def _await_end(self) -> None:
        assert self.mended_at is not None
        going_on = {one.name for place in self.case.lanes for one in self._on(place)} - self.case.others
        if self.case.aside:
            going_on &= {self.case.alert}
        if not going_on:
            self.over = True
        elif self.world.now - self.mended_at > self.case.clears:
            self.problems.append(f"still on {self.case.clears / 60:.0f} min after it was mended: {sorted(going_on)}")
            self.over = True

    def _on(self, place: str) -> list[Alert]:
        agent = "" if place == GATEWAY else place
        return [one for one in self.world.on.values() if one.labels.get("agent", "") == agent]


def in_advance(change: Change) -> bool:
    """The key of the batch job that spends a team's budget belongs to nobody in agents/, and is told of as well."""
    return change.alert.labels.get("agent") == BATCH_KEY


class Run:
    """All cases, as many at a time as there are agents for."""

    def __init__(self, world: FleetWorld, cases: Sequence[Case], within: dict[str, float]) -> None:
        self.world, self.within = world, within
        self.waiting = list(cases)
        self.under_way: list[Trial] = []
        self.done: list[Trial] = []
        self.stray: list[str] = []
        self._seen = 0

    def begin(self, one: Case) -> None:
        self.waiting.remove(one)
        self.under_way.append(Trial(one, self.world, self.within.get(one.alert, 12 * HOUR)))

    async def quiet(self, seconds: float) -> None:
        """Nothing new breaks for that long."""
        await self.world.advance(seconds, self._watch)

    async def play(self, most: float) -> None:
        self._start()
        end = self.world.now + most
        while (self.waiting or self.under_way) and self.world.now < end:
            await self.world.advance(self.world.pace.round, self._look)

    def _start(self) -> None:
        taken = {lane for trial in self.under_way for lane in trial.lanes}
        for one in list(self.waiting):
            if not taken & one.lanes:
                self.begin(one)
            taken |= one.lanes  # those that come later do not overtake

    def _look(self) -> None:
        self._watch()
        self._start()

    def _watch(self) -> None:
        busy = {lane for trial in self.under_way for lane in trial.case.lanes}
        self.world.calm = frozenset(self.world.names) - busy - {GATEWAY}
        self._note_strays()
        for trial in self.under_way:
            trial.look()
        self.done += [trial for trial in self.under_way if trial.over]
        self.under_way = [trial for trial in self.under_way if not trial.over]

    def _note_strays(self) -> None:
        fresh, self._seen = self.world.changes[self._seen :], len(self.world.changes)
        self.stray += [str(one) for one in fresh if one.began and not self._known(one) and not in_advance(one)]

    def _allows(self, change: Change) -> Callable[[Trial], bool]:
        labels = change.alert.labels
        place = labels.get("agent") or GATEWAY

        def allows(trial: Trial) -> bool:
            one = trial.case
            return place in one.lanes and (change.alert.name in one.others or change.alert.name == one.alert)

        return allows

    def _known(self, change: Change) -> bool:
        """Of a case that is over too: its window still holds what was wrong then."""
        late = [trial for trial in self.done if change.alert.name in trial.case.others]
        return any(map(self._allows(change), [*self.under_way, *late]))

    def report(self) -> str:
        lines = []
        for trial in [*self.done, *self.under_way]:
            fired = f"{(trial.fired.at - trial.failed_at) / 60:.1f} min" if trial.fired else "never"
            cleared = f"{(self.world.now if not trial.over else 0) / 60:.0f}" if not trial.over else ""
            lines.append(
                f"{trial.case.name}: fired after {fired}{cleared and ', not over'} {'; '.join(trial.problems)}"
            )
        lines += [f"not begun: {one.name}" for one in self.waiting]
        lines += [f"stray: {line}" for line in self.stray]
        return "\n".join(lines)

    @property
    def good(self) -> bool:
        everything = not self.waiting and not self.under_way and not self.stray
        return everything and not any(trial.problems for trial in self.done)
