"""What to mend first: of all that a week has shown, the few things that would spare the next person most. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest

from bot.agents.model import Agent, Stage
from bot.oncall.model import Book
from bot.oncall.owners import owner_of, policy_of
from bot.records.report import Case
from bot.records.timeline import Names, plain
from bot.records.usage import Usage, fault_words, overdue_words, times, unopened_words

MOST = 3
OFTEN = 3  # a rule that woke somebody less often says little
TOO_MANY = 2  # pages in a shift of twelve hours; Google's SRE book, Being On-Call
HALF_A_DAY = timedelta(hours=12)


def fix_first(
    cases: Sequence[Case], known: Collection[Usage], lately: Collection[Usage], agents: Mapping[str, Agent], book: Book
) -> list[str]:
    """The worst of each kind before the second worst of any."""
    kinds = (
        list(idle_rules(cases)),
        [f"runbook {fault_words(one)}" for one in sorted(known, key=lambda one: -len(one.faults)) if one.faults],
        list(noisy_rules(cases)),
        [f"runbook {unopened_words(one)}" for one in sorted(lately, key=_ignored) if one.fired and not one.opened],
        [f"runbook {overdue_words(one)}" for one in sorted(known, key=lambda one: -one.overdue_days) if _old(one)],
        list(lonely_agents(agents, book)),
    )
    ranked = chain.from_iterable(zip_longest(*kinds))
    return [line for line in ranked if line is not None][:MOST]


def _ignored(one: Usage) -> tuple[int, str]:
    return -one.fired, one.runbook


def _old(one: Usage) -> bool:
    """As long overdue as it was to be good."""
    return one.overdue_days > one.review_every_days


def idle_rules(cases: Iterable[Case]) -> Iterator[str]:
    """Rules that woke somebody again and again, and nobody had anything to do."""
    for rule, mine in _by_rule(cases):
        if len(mine) >= OFTEN and not any(one.acted for one in mine):
            yield f"rule {rule} woke somebody {times(len(mine))}, and nobody did anything: raise its for:, or its limit"


def noisy_rules(cases: Iterable[Case]) -> Iterator[str]:
    """Rules that people call noise more often than not, and that somebody has done something for all the same."""
    for rule, mine in _by_rule(cases):
        marked = [one for one in mine if one.mark]
        noise = sum(one.mark == "noise" for one in marked)
        idle = len(mine) >= OFTEN and not any(one.acted for one in mine)
        if not idle and noise >= TOO_MANY and noise * 2 > len(marked):
            yield f"rule {rule} was marked as noise {times(noise)} of {len(marked)}"


def _by_rule(cases: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    """Of those that woke somebody; the most frequent first."""
    found: dict[str, list[Case]] = {}
    for one in cases:
        if one.told_somebody:
            for rule in one.rules:
                found.setdefault(rule, []).append(one)
    return sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))


def lonely_agents(agents: Mapping[str, Agent], book: Book) -> Iterator[str]:
    """Agents behind whose first level there is only the fallback."""
    for agent in sorted(agents.values(), key=lambda one: one.id):
        labels = {"agent": agent.id}
        _, policy = policy_of(owner_of(labels, agents, book), labels, agents, book)
        if agent.stage is not Stage.RETIRED and len(policy.steps) < 2:
            yield f"agent {plain(agent.id)} has nobody at level 2: after the first level only the fallback is left"


@dataclass(frozen=True)
class Busy:
    """The most messages that woke one person within twelve hours, and when the first of them came."""

    person: str
    pages: int
    since: datetime


def busiest(cases: Iterable[Case]) -> list[Busy]:
    """Whoever was woken more than twice in any twelve hours, the worst off first."""
    woken: dict[str, list[datetime]] = {}
    for one in cases:
        for woke in one.woke:
            woken.setdefault(woke.person, []).append(woke.at)
    found = [_busiest(person, sorted(at)) for person, at in woken.items()]
    return sorted((one for one in found if one.pages > TOO_MANY), key=lambda one: (-one.pages, one.person))


def _busiest(person: str, at: Sequence[datetime]) -> Busy:
    best = Busy(person, 0, at[0])
    first = 0
    for last, moment in enumerate(at):
        while moment - at[first] >= HALF_A_DAY:
            first += 1
        if last - first + 1 > best.pages:
            best = Busy(person, last - first + 1, at[first])
    return best


def busy_words(one: Busy, names: Names) -> str:
    return (
        f"{names.of(one.person)}: {one.pages} pages within 12 hours from {one.since:%a %Y-%m-%d %H:%M} UTC; "
        f"more than {TOO_MANY} leave no time to mend what they were about"
    )
